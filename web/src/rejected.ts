// The refused readings with their reasons. Only the token of an administrator may read them.

import { ApiError, explained, get } from './api';
import type { RejectedPage } from './contract';
import { byId, fit, make, setAttribute, setNotice, setText } from './element';
import { ago, count, kNone, moment } from './format';

const kLimit = 50;
const kChips = 8;

export class RejectedReadings {
    private times: (string | null)[] = [];

    async load(signal: AbortSignal): Promise<void> {
        try {
            const page = await get<RejectedPage>('rejected', { limit: kLimit }, signal);
            this.render(page);
        } catch (error) {
            if (!signal.aborted) this.fail(error);
            throw error;
        }
    }

    tick(): void {
        this.times.forEach((time, i) => {
            const cell = byId('rejected-list').children[i]?.firstElementChild;
            if (cell) setText(cell, ago(time));
        });
    }

    clear(): void {
        this.render({ rejected: [], by_sqlstate: {} });
        setNotice(byId('rejected-empty'), '');
        setText(byId('rejected-note'), '');
    }

    private render(page: RejectedPage): void {
        this.times = page.rejected.map((rejection) => rejection.received_at);
        const rows = fit(byId('rejected-list'), page.rejected.length, () =>
            make('tr', {}, make('td'), make('td', { class: 'name' }), make('td', {}, make('code'), make('span')), make('td', { class: 'number' })),
        );
        page.rejected.forEach((rejection, i) => {
            const [received, device, reason, times] = [...rows[i]!.children] as [Element, Element, Element, Element];
            setText(received, ago(rejection.received_at));
            setAttribute(received, 'title', moment(rejection.received_at));
            setText(device, rejection.device_id ?? kNone);
            setText(reason.firstElementChild!, rejection.sqlstate);
            setText(reason.lastElementChild!, rejection.reason);
            setText(times, count(rejection.times ?? 1));
        });
        const codes = Object.entries(page.by_sqlstate).sort((a, b) => b[1] - a[1]).slice(0, kChips);
        const chips = fit(byId('rejected-codes'), codes.length, () => make('li', {}, make('code'), make('b')));
        codes.forEach(([code, times], i) => {
            setText(chips[i]!.firstElementChild!, code);
            setText(chips[i]!.lastElementChild!, count(times));
        });
        setNotice(byId('rejected-empty'), page.rejected.length ? '' : 'No reading has been refused.');
        setText(byId('rejected-note'), page.rejected.length === kLimit ? `the newest ${kLimit}` : '');
        byId('rejected-rows').classList.remove('stale');
    }

    private fail(error: unknown): void {
        if (error instanceof ApiError && error.status === 403) {
            this.render({ rejected: [], by_sqlstate: {} });
            setText(byId('rejected-note'), 'not for this token');
            setNotice(byId('rejected-empty'), 'Only an administrator may read these. Sign out, and sign in with the token of an administrator.');
        } else {
            setNotice(byId('rejected-empty'), explained(error));
            byId('rejected-rows').classList.add('stale');
        }
    }
}
