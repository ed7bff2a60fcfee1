// Takes the messages of the stream and hands them on in rounds, four a second at most. Under a flood it counts every event, but reads
// only the newest of a round; events of devices that come and go are always read.

import { serverNow } from './api';
import type { TelemetryEvent } from './contract';
import type { Message } from './sse_parser';

const kRoundMs = 250;
const kReadPerRound = 400;
export const kSeconds = 120;

export interface Round {
    count: number;
    readings: TelemetryEvent[];
    transitions: TelemetryEvent[];
    lost: boolean;
}

// Counts events by second, for the last kSeconds seconds.
export class RateMeter {
    private readonly counts = new Float64Array(kSeconds);
    private readonly seconds = new Float64Array(kSeconds);

    add(atMs: number, count: number): void {
        const second = Math.floor(atMs / 1000);
        const slot = ((second % kSeconds) + kSeconds) % kSeconds;
        if (this.seconds[slot] !== second) {
            if (this.seconds[slot]! > second) return; // older than what is kept
            this.seconds[slot] = second;
            this.counts[slot] = 0;
        }
        this.counts[slot]! += count;
    }

    // Returns the counts of the complete seconds before `nowMs`, oldest first.
    history(nowMs: number): number[] {
        const end = Math.floor(nowMs / 1000);
        const counts: number[] = [];
        for (let second = end - kSeconds + 1; second < end; second++) {
            const slot = ((second % kSeconds) + kSeconds) % kSeconds;
            counts.push(this.seconds[slot] === second ? this.counts[slot]! : 0);
        }
        return counts;
    }

    clear(): void {
        this.seconds.fill(0);
    }
}

export class LiveEvents {
    readonly rate = new RateMeter();
    total = 0;
    lastAt = 0;
    private count = 0;
    private newest: string[] = [];
    private transitions: string[] = [];
    private lost = false;
    private timer: number | undefined;
    // While events are replayed after a loss, they count at the second in which they were received.
    private replayUntil = 0;

    constructor(private readonly onRound: (round: Round) => void) {}

    opened(resumed: boolean): void {
        this.replayUntil = resumed ? serverNow() : 0;
    }

    take(message: Message): void {
        if (message.event === 'lost') {
            this.lost = true;
        } else if (message.event === 'telemetry.ingested') {
            this.count += 1;
            this.newest.push(message.data);
            if (this.newest.length >= 2 * kReadPerRound) this.newest = this.newest.slice(-kReadPerRound);
            let at = serverNow();
            if (this.replayUntil) {
                const received = receivedAt(message.data);
                if (received && received < this.replayUntil) at = received;
                else this.replayUntil = 0;
            }
            this.rate.add(at, 1);
        } else {
            this.transitions.push(message.data);
        }
        this.lastAt = Date.now();
        this.timer ??= window.setTimeout(() => this.round(), kRoundMs);
    }

    clear(): void {
        clearTimeout(this.timer);
        this.timer = undefined;
        this.count = this.total = this.lastAt = this.replayUntil = 0;
        this.newest = [];
        this.transitions = [];
        this.lost = false;
        this.rate.clear();
    }

    private round(): void {
        this.timer = undefined;
        const round: Round = {
            count: this.count,
            readings: this.newest.slice(-kReadPerRound).map(parsed).filter((event) => event !== null),
            transitions: this.transitions.map(parsed).filter((event) => event !== null),
            lost: this.lost,
        };
        this.total += this.count;
        this.count = 0;
        this.newest = [];
        this.transitions = [];
        this.lost = false;
        this.onRound(round);
    }
}

function parsed(data: string): TelemetryEvent | null {
    try {
        return JSON.parse(data) as TelemetryEvent;
    } catch {
        return null;
    }
}

// Cheaper than to parse the event. In JSON a quotation mark inside of a text is escaped, so a device id cannot feign the member.
function receivedAt(data: string): number {
    return Date.parse(/"received_at"\s*:\s*"([^"]+)"/.exec(data)?.[1] ?? '') || 0;
}
