// How the database works: the worker, the projections, the pipeline, the relay and the health.

import { explained, get } from './api';
import type { Health, Status } from './contract';
import { byId, fit, make, setAttribute, setNotice, setText } from './element';
import { ago, count, kNone, lag, stateName } from './format';

type Tone = 'good' | 'warn' | 'bad' | 'idle';

const kGood = ['running', 'current', 'fresh', 'connected', 'open', 'counted', 'ok'];
const kBad = ['failing', 'stopped', 'lost', 'not adopted', 'restored', 'error', 'failed'];
const kIdle = ['off', 'paused', 'waiting', 'idle', 'standby', 'not counted'];

export function toneOf(state: string): Tone {
    return kGood.includes(state) ? 'good' : kBad.includes(state) ? 'bad' : kIdle.includes(state) ? 'idle' : 'warn';
}

interface Line {
    name: string;
    state: string;
    amount: string;
    time: string;
    error: string | null;
}

// A line is a row of the table; its failure, if there is one, is a row of its own below.
function renderLines(id: string, lines: Line[], empty: string): void {
    const body = byId(id);
    if (lines.length === 0) {
        body.replaceChildren(make('tr', {}, make('td', { colspan: '4', class: 'quiet nothing' }, empty)));
        return;
    }
    if (body.querySelector('.nothing')) body.replaceChildren();
    // What needs attention comes first.
    const weight = (line: Line) => ['bad', 'warn', 'idle', 'good'].indexOf(toneOf(line.state));
    lines.sort((a, b) => weight(a) - weight(b));
    const rows = fit(body, 2 * lines.length, (i) =>
        i % 2
            ? make('tr', { hidden: true }, make('td', { colspan: '4', class: 'fault' }))
            : make('tr', {}, make('th', { scope: 'row' }), make('td', {}, make('span', { class: 'state' })), make('td', { class: 'number' }), make('td', { class: 'number' })),
    );
    lines.forEach((line, i) => {
        const [name, state, amount, time] = [...rows[2 * i]!.children] as [Element, Element, Element, Element];
        setText(name, line.name);
        setText(state.firstElementChild!, stateName(line.state));
        setAttribute(state.firstElementChild!, 'data-tone', toneOf(line.state));
        setText(amount, line.amount);
        setText(time, line.time);
        // A failure that is over is history.
        const fault = line.error && toneOf(line.state) !== 'good' ? line.error : '';
        setText(rows[2 * i + 1]!.firstElementChild!, fault);
        rows[2 * i + 1]!.hidden = fault === '';
        rows[2 * i]!.classList.toggle('faulty', fault !== '');
    });
}

export async function loadStatus(signal: AbortSignal): Promise<Status> {
    try {
        const status = await get<Status>('status', {}, signal);
        const worker = status.worker;
        const isRunning = toneOf(worker.state) === 'good';
        setText(byId('worker'), `worker ${stateName(worker.state)}${worker.since ? ` for ${ago(worker.since).replace(' ago', '')}` : ''}`);
        byId('worker').classList.toggle('fault', !isRunning);
        setNotice(byId('status-problem'), !isRunning && worker.last_error ? worker.last_error : '');
        byId('processing').classList.remove('stale');
        renderLines(
            'projection-list',
            status.projections.map((p) => ({ name: p.projection, state: p.state, amount: count(p.lag_events), time: lag(p.lag_seconds), error: p.last_error })),
            'There is no projection.',
        );
        renderLines(
            'stage-list',
            status.pipeline.map((s) => ({ name: s.stage, state: s.state, amount: count(s.waiting), time: lag(s.lag_seconds), error: null })),
            'There is no stage.',
        );
        renderLines(
            'sink-list',
            status.relay.map((s) => ({ name: s.sink, state: s.state, amount: count(s.pending), time: s.since ? ago(s.since) : kNone, error: s.last_error })),
            'No relay is set up.',
        );
        return status;
    } catch (error) {
        if (!signal.aborted) {
            setNotice(byId('status-problem'), explained(error));
            byId('processing').classList.add('stale');
        }
        throw error;
    }
}

const kHealthWords = { ok: 'ok', warning: 'warning', error: 'error' };
const kHealthTones: Record<string, Tone> = { ok: 'good', warning: 'warn', error: 'bad' };

export async function loadHealth(signal: AbortSignal): Promise<void> {
    const pill = byId('health');
    try {
        const health = await get<Health>('healthz', {}, signal, [503]);
        setText(pill, `Health: ${kHealthWords[health.state] ?? 'unknown'}`);
        setAttribute(pill, 'data-tone', kHealthTones[health.state] ?? 'idle');
        const wanting = (health.items ?? []).filter((item) => item.state !== 'ok');
        const list = byId('health-items');
        list.hidden = wanting.length === 0;
        const items = fit(list, wanting.length, () => make('li', {}, make('span', { class: 'state' }), make('b'), make('span'), make('small')));
        wanting.forEach((item, i) => {
            const [state, name, detail, hint] = [...items[i]!.children] as [Element, Element, Element, Element];
            setText(state, item.state);
            setAttribute(state, 'data-tone', kHealthTones[item.state] ?? 'idle');
            setText(name, item.item);
            setText(detail, item.detail ?? '');
            setText(hint, item.hint ?? '');
        });
    } catch (error) {
        if (!signal.aborted) {
            setText(pill, 'Health: unknown');
            setAttribute(pill, 'data-tone', 'idle');
        }
        throw error;
    }
}

export function clearProcessing(): void {
    for (const id of ['projection-list', 'stage-list', 'sink-list', 'health-items']) byId(id).replaceChildren();
    setText(byId('worker'), '\u00a0');
    setNotice(byId('status-problem'), '');
    byId('health-items').hidden = true;
}
