// Asks the HTTP interface. A failure is an ApiError (the server answered) or an Unreachable (it did not).

import { token } from './session';

export class ApiError extends Error {
    constructor(
        readonly status: number,
        readonly title: string,
        readonly detail: string,
        readonly hint: string,
        readonly sqlstate: string,
        readonly retryAfterMs: number,
    ) {
        super(detail || title);
    }
}

export class Unreachable extends Error {}

const kTimeoutMs = 30_000;

let onUnauthorized: () => void = () => {};
let onAnswer: () => void = () => {};

// Names what is called when a token is missing or not accepted, and when the server answered as wanted.
export function observe(handlers: { unauthorized: () => void; answer: () => void }): void {
    onUnauthorized = handlers.unauthorized;
    onAnswer = handlers.answer;
}

// How far the clock of the server is ahead of ours, in milliseconds. The Date header has whole seconds only, so less than two do not count.
let clockAhead = 0;

export function serverNow(): number {
    return Date.now() + clockAhead;
}

function readClock(response: Response, askedAt: number): void {
    const date = Date.parse(response.headers.get('Date') ?? '');
    if (Number.isNaN(date)) return;
    const ahead = date + 500 - (askedAt + Date.now()) / 2;
    clockAhead = Math.abs(ahead) < 2000 ? 0 : ahead;
}

// Relative to the page, so that a proxy may put it under any path.
export function addressOf(path: string, parameters: Record<string, string | number | null | undefined> = {}): string {
    const url = new URL(path, location.href);
    url.hash = '';
    url.search = '';
    for (const [name, value] of Object.entries(parameters)) {
        if (value !== null && value !== undefined && value !== '') url.searchParams.set(name, String(value));
    }
    return url.href;
}

async function problemOf(response: Response): Promise<ApiError> {
    let body: Record<string, unknown> = {};
    try {
        body = await response.json();
    } catch {
        // A proxy may answer in HTML; its status has to do.
    }
    const text = (member: string) => (typeof body[member] === 'string' ? (body[member] as string) : '');
    const wait = Number(response.headers.get('Retry-After'));
    return new ApiError(
        response.status,
        text('title') || response.statusText || `Status ${response.status}`,
        text('detail'),
        text('hint'),
        text('sqlstate'),
        Number.isFinite(wait) ? wait * 1000 : 0,
    );
}

// Sends the request with the token. Every answer that is neither 200 nor one of `also` is thrown as an ApiError.
export async function request(address: string, options: RequestInit = {}, also: number[] = []): Promise<Response> {
    const headers = new Headers(options.headers);
    const held = token();
    if (held) headers.set('Authorization', `Bearer ${held}`);
    const askedAt = Date.now();
    let response: Response;
    try {
        response = await fetch(address, { credentials: 'omit', cache: 'no-cache', ...options, headers });
    } catch (error) {
        if (options.signal?.aborted) throw error;
        throw new Unreachable('The server cannot be reached.');
    }
    readClock(response, askedAt);
    if (response.ok || also.includes(response.status)) return response;
    const problem = await problemOf(response);
    // An answer to a token that has been replaced says nothing about the new one.
    if (problem.status === 401 && held === token()) onUnauthorized();
    throw problem;
}

export async function get<T>(
    path: string,
    parameters: Record<string, string | number | null | undefined> = {},
    signal?: AbortSignal,
    also: number[] = [],
): Promise<T> {
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(), kTimeoutMs);
    const stop = () => limit.abort();
    signal?.addEventListener('abort', stop, { once: true });
    if (signal?.aborted) limit.abort();
    try {
        const response = await request(addressOf(path, parameters), { headers: { Accept: 'application/json' }, signal: limit.signal }, also);
        const answer = (await response.json()) as T;
        if (response.ok) onAnswer();
        return answer;
    } catch (error) {
        if (error instanceof ApiError || error instanceof Unreachable || signal?.aborted) throw error;
        if (limit.signal.aborted) throw new Unreachable('The server did not answer in time.');
        throw new Unreachable('The answer of the server was cut off or is not JSON.');
    } finally {
        clearTimeout(timer);
        signal?.removeEventListener('abort', stop);
    }
}

// Says what went wrong, and what the reader can do.
export function explained(error: unknown): string {
    if (error instanceof ApiError) {
        if (error.status === 401) return 'You are not signed in.';
        if (error.status === 403) return `Your token may not read this. ${error.detail}`.trim();
        if (error.status === 503) return `The server is busy or starting${error.detail ? `: ${error.detail}` : '.'}`;
        return [error.detail || error.title, error.hint].filter(Boolean).join(' ');
    }
    return error instanceof Error ? error.message : String(error);
}
