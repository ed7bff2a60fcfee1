// Repeats a request: one at a time, not while the page is hidden, and less often where the server is slow or fails.

import { ApiError } from './api';

const kSlowest = 60_000;
// What a token may not read, it may hardly read soon.
const kForbiddenMs = 600_000;
// A request may take this share of the server's time.
const kShare = 0.1;

export class Poller {
    private timer: number | undefined;
    private running: AbortController | null = null;
    private failures = 0;
    private started = false;
    private again = false;

    // `work` rejects if it fails, after it has shown the failure.
    constructor(
        public everyMs: number,
        private readonly work: (signal: AbortSignal) => Promise<void>,
    ) {
        document.addEventListener('visibilitychange', () => {
            if (this.started && !document.hidden) this.now();
        });
    }

    start(): void {
        this.started = true;
        this.now();
    }

    stop(): void {
        this.started = false;
        clearTimeout(this.timer);
        this.running?.abort();
        this.running = null;
    }

    // Asks at once. An answer that is under way is given up with `afresh`, because the question has changed; otherwise it is awaited.
    now(afresh = false): void {
        if (!this.started) return;
        clearTimeout(this.timer);
        if (this.running && !afresh) {
            this.again = true;
            return;
        }
        this.running?.abort();
        void this.turn();
    }

    private async turn(): Promise<void> {
        const controller = new AbortController();
        this.running = controller;
        this.again = false;
        const begun = performance.now();
        let wait = this.everyMs;
        try {
            await this.work(controller.signal);
            this.failures = 0;
            wait = Math.max(this.everyMs, Math.min(kSlowest, (performance.now() - begun) / kShare));
        } catch (error) {
            if (controller.signal.aborted) return;
            this.failures += 1;
            const isForbidden = error instanceof ApiError && error.status === 403;
            const asked = error instanceof ApiError ? error.retryAfterMs : 0;
            wait = isForbidden ? kForbiddenMs : Math.max(asked, Math.min(kSlowest, this.everyMs * 2 ** Math.min(this.failures - 1, 4)));
        }
        if (controller.signal.aborted) return;
        this.running = null;
        if (!this.started) return;
        if (this.again && this.failures === 0) wait = 250;
        this.timer = window.setTimeout(() => {
            if (!document.hidden) void this.turn();
        }, wait);
    }
}
