// The cards at the top: devices by state, readings per second, lag and what was received.

import { explained, get } from './api';
import { kDeviceStates, type Liveness, type Status } from './contract';
import { byId, make, setAttribute, setNotice, setText } from './element';
import { ago, count, kNone, lag, moment, rate, stateName } from './format';
import { kSeconds, type RateMeter } from './live_events';
import { Sparkline } from './sparkline';

export class LivenessCard {
    private readonly card = byId('liveness');
    private readonly segments = new Map<string, HTMLElement>();
    private readonly buttons = new Map<string, HTMLButtonElement>();
    private readonly counts = new Map<string, HTMLElement>();

    constructor(onState: (state: string) => void) {
        for (const state of kDeviceStates) {
            const segment = make('i', { 'data-state': state });
            this.segments.set(state, segment);
            byId('liveness-bar').append(segment);
            const number = make('b', {}, kNone);
            this.counts.set(state, number);
            const button = make('button', { type: 'button', 'data-state': state, 'aria-pressed': 'false' }, make('span', { class: 'state', 'data-state': state }, stateName(state)), number);
            button.addEventListener('click', () => onState(button.getAttribute('aria-pressed') === 'true' ? '' : state));
            this.buttons.set(state, button);
            byId('liveness-states').append(make('li', {}, button));
        }
    }

    async load(signal: AbortSignal): Promise<void> {
        try {
            const liveness = await get<Liveness>('liveness', {}, signal);
            let total = 0;
            for (const state of kDeviceStates) {
                const number = Number(liveness[state] ?? 0);
                total += number;
                this.segments.get(state)!.style.flexGrow = String(number);
                setText(this.counts.get(state)!, count(number));
            }
            setText(byId('device-total'), count(total));
            this.problem('');
        } catch (error) {
            if (!signal.aborted) this.problem(explained(error));
            throw error;
        }
    }

    press(state: string): void {
        for (const [name, button] of this.buttons) setAttribute(button, 'aria-pressed', String(name === state));
    }

    clear(): void {
        setText(byId('device-total'), kNone);
        for (const number of this.counts.values()) setText(number, kNone);
        for (const segment of this.segments.values()) segment.style.flexGrow = '0';
        this.problem('');
    }

    private problem(text: string): void {
        setNotice(byId('liveness-problem'), text);
        this.card.classList.toggle('stale', text !== '');
    }
}

const kMeanOver = 5;

export class RateCard {
    private readonly sparkline = new Sparkline(byId<HTMLCanvasElement>('rate-chart'));
    private before: { accepted: number; at: number } | null = null;
    private ofStatus: number | null = null;

    // Without the stream, the rate comes from the counter of accepted readings.
    takeStatus(status: Status): void {
        const now = performance.now();
        const accepted = status.ingest.accepted;
        if (this.before && accepted >= this.before.accepted && now > this.before.at) this.ofStatus = ((accepted - this.before.accepted) * 1000) / (now - this.before.at);
        this.before = { accepted, at: now };
    }

    show(meter: RateMeter, nowMs: number, liveForMs: number | null): void {
        const history = meter.history(nowMs);
        this.sparkline.draw(history);
        const peak = Math.max(...history);
        if (liveForMs === null) {
            setText(byId('rate'), this.ofStatus === null ? kNone : rate(this.ofStatus));
            setText(byId('rate-note'), this.ofStatus === null ? '\u00a0' : 'from the counters, without live events');
            return;
        }
        const seconds = Math.min(kMeanOver, Math.max(1, Math.floor(liveForMs / 1000)));
        const recent = history.slice(-seconds);
        setText(byId('rate'), rate(recent.reduce((sum, value) => sum + value, 0) / recent.length));
        setText(byId('rate-note'), `peak ${count(peak)} in ${kSeconds / 60} minutes`);
    }

    redraw(): void {
        this.sparkline.draw([0]);
    }

    clear(): void {
        this.before = this.ofStatus = null;
        this.sparkline.draw([0]);
        setText(byId('rate'), kNone);
        setText(byId('rate-note'), '\u00a0');
    }
}

// Below this many seconds a projection is not behind but at work.
const kBehind = 2;

export function showLag(status: Status): void {
    const running = status.projections.filter((projection) => projection.state !== 'paused');
    const behind = Math.max(0, ...running.map((projection) => projection.lag_seconds ?? 0));
    const waiting = Math.max(0, ...running.map((projection) => projection.lag_events ?? 0));
    const worst = running.find((projection) => (projection.lag_seconds ?? 0) === behind);
    setText(byId('lag'), running.length ? lag(behind) : kNone);
    setText(byId('lag-note'), running.length ? `${count(waiting)} ${waiting === 1 ? 'reading waits' : 'readings wait'}` : '\u00a0');
    setText(byId('lag-detail'), behind >= kBehind && worst ? `most behind: ${worst.projection}` : running.length ? 'all projections are current' : '\u00a0');
}

const kCounters = ['accepted', 'duplicates', 'conflicts', 'rejected', 'rolled_back'] as const;

export function showIngest(status: Status): void {
    for (const name of kCounters) setText(byId(`ingest-${name}`), count(status.ingest[name]));
    setText(byId('ingest-since'), status.ingest.stats_since ? `since ${moment(status.ingest.stats_since, false)}` : '\u00a0');
    setAttribute(byId('ingest-since'), 'title', status.ingest.stats_since ? ago(status.ingest.stats_since) : null);
}

export function clearCards(): void {
    for (const name of kCounters) setText(byId(`ingest-${name}`), kNone);
    for (const id of ['ingest-since', 'lag-note', 'lag-detail']) setText(byId(id), '\u00a0');
    setText(byId('lag'), kNone);
}
