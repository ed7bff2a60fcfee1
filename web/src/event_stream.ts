// Follows GET /events. It reads the stream with fetch(), because an EventSource sends no Authorization header.
//
// States: off -> connecting -> live -> waiting -> connecting ...; refused is final until start() is called again.
//   1. After a loss it waits, longer each time up to half a minute, and connects again with Last-Event-ID.
//   2. A stream that has been silent for a while is taken for dead; the server sends comments to keep it alive.
//   3. 401 and 403 end in refused. Other answers are tried again, not before their Retry-After.

import { addressOf, ApiError, request } from './api';
import { SseParser, type Message } from './sse_parser';

export type StreamState = 'off' | 'connecting' | 'live' | 'waiting' | 'refused';

const kFirstWaitMs = 1000;
const kLongestWaitMs = 30_000;
const kSilenceMs = 60_000;
const kSteadyMs = 10_000;

export class EventStream {
    state: StreamState = 'off';
    // When the next attempt is due, by Date.now(); in the state waiting.
    retryAt = 0;
    private lastId = '';
    private failures = 0;
    private controller: AbortController | null = null;
    private timer: number | undefined;

    // `onMessage` is called for each message, `resumed` tells whether the connection began with Last-Event-ID.
    constructor(
        private readonly onState: (state: StreamState) => void,
        private readonly onOpen: (resumed: boolean) => void,
        private readonly onMessage: (message: Message) => void,
    ) {}

    start(): void {
        if (this.state === 'off' || this.state === 'refused') void this.connect();
    }

    // With `forget` the next start() begins at the present.
    stop(forget: boolean): void {
        clearTimeout(this.timer);
        this.controller?.abort();
        this.controller = null;
        if (forget) this.lastId = '';
        this.failures = 0;
        this.change('off');
    }

    retryNow(): void {
        if (this.state !== 'waiting') return;
        clearTimeout(this.timer);
        void this.connect();
    }

    private change(state: StreamState): void {
        if (this.state === state) return;
        this.state = state;
        this.onState(state);
    }

    private async connect(): Promise<void> {
        const controller = new AbortController();
        this.controller = controller;
        this.change('connecting');
        let asked = 0;
        let openedAt = 0;
        let silence: number | undefined;
        try {
            const headers: Record<string, string> = { Accept: 'text/event-stream' };
            if (this.lastId) headers['Last-Event-ID'] = this.lastId;
            const response = await request(addressOf('events'), { headers, cache: 'no-store', signal: controller.signal });
            if (!response.body) throw new Error('no body');
            openedAt = Date.now();
            this.change('live');
            this.onOpen(this.lastId !== '');
            const parser = new SseParser();
            const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
            const takeMessage = (message: Message) => {
                if (message.id) this.lastId = message.id;
                this.onMessage(message);
            };
            for (;;) {
                silence = window.setTimeout(() => void reader.cancel(), kSilenceMs);
                const { done, value } = await reader.read();
                clearTimeout(silence);
                if (done || controller.signal.aborted) break;
                parser.feed(value, takeMessage);
            }
            if (parser.retryMs !== null) asked = parser.retryMs;
        } catch (error) {
            if (controller.signal.aborted) return;
            if (error instanceof ApiError) {
                asked = error.retryAfterMs;
                if (error.status === 401 || error.status === 403) {
                    this.change('refused');
                    return;
                }
            }
        } finally {
            clearTimeout(silence);
        }
        if (controller.signal.aborted) return;
        if (openedAt && Date.now() - openedAt > kSteadyMs) this.failures = 0;
        const wait = Math.min(kLongestWaitMs, kFirstWaitMs * 2 ** this.failures) * (0.75 + Math.random() / 2);
        this.failures = Math.min(this.failures + 1, 6);
        this.wait(Math.max(wait, asked));
    }

    private wait(ms: number): void {
        this.retryAt = Date.now() + ms;
        this.change('waiting');
        this.timer = window.setTimeout(() => void this.connect(), ms);
    }
}
