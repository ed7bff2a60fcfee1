// The tiles of the regions. A tile shows the region's chart and its devices.

import { explained, get } from './api';
import type { RegionPage, Stats, TelemetryEvent } from './contract';
import { byId, fit, make, setAttribute, setNotice, setText } from './element';
import { ago, count, number, quantity } from './format';

const kLimit = 60;
const kPlaceholders = 8;

function buildTile(): HTMLLIElement {
    const tile = make(
        'button',
        { type: 'button', class: 'tile', 'aria-pressed': 'false' },
        make('span', { class: 'name' }, '\u00a0'),
        make('span', { class: 'now' }, '\u00a0'),
        make('span', { class: 'humidity' }, '\u00a0'),
        make('span', { class: 'range' }, '\u00a0'),
        make('span', { class: 'last' }, '\u00a0'),
    );
    return make('li', {}, tile);
}

export class RegionTiles {
    private readonly list = byId('region-tiles');
    private regions: Stats[] = [];
    private pressed = '';
    private hasPlaceholders = false;
    private isLoaded = false;

    constructor(
        onChoose: (region: string) => void,
        private readonly onRegions: (names: string[], busiest: string | null) => void,
    ) {
        this.placeholders();
        this.list.addEventListener('click', (event) => {
            const item = (event.target as Element).closest('li');
            const region = item && this.regions[[...this.list.children].indexOf(item)]?.region;
            if (region) onChoose(region);
        });
        const all = byId<HTMLButtonElement>('regions-all');
        all.addEventListener('click', () => {
            const isOpen = this.list.classList.toggle('all');
            setAttribute(all, 'aria-expanded', String(isOpen));
            setText(all, isOpen ? 'Show one row' : 'Show all');
        });
        new ResizeObserver(() => this.showButton()).observe(this.list);
    }

    async load(signal: AbortSignal): Promise<void> {
        try {
            const page = await get<RegionPage>('regions', { limit: kLimit }, signal);
            this.regions = page.regions;
            this.isLoaded = true;
            this.render();
            this.showButton();
            setText(byId('regions-note'), page.regions.length === 0 ? 'No reading has come yet.' : page.next ? `the first ${kLimit}` : '');
            this.problem('');
            const named = page.regions.filter((region) => region.region !== null);
            const busiest = named.reduce<Stats | null>((best, region) => ((region.sample_count ?? 0) > (best?.sample_count ?? -1) ? region : best), null);
            this.onRegions(named.map((region) => region.region!), busiest?.region ?? null);
        } catch (error) {
            if (!signal.aborted) this.problem(explained(error));
            throw error;
        }
    }

    // Brings the last values of regions up to the events.
    take(events: TelemetryEvent[]): void {
        let changed = false;
        for (const event of events) {
            const region = this.regions.find((candidate) => candidate.region === (event.region ?? null));
            if (!region) continue;
            changed = true;
            if (event.received_at && event.received_at > (region.last_received_at ?? '')) region.last_received_at = event.received_at;
            if (!event.measured_at || event.measured_at < (region.last_seen ?? '')) continue;
            region.last_seen = event.measured_at;
            region.last_temperature = event.temperature ?? region.last_temperature;
            region.last_humidity = event.humidity ?? region.last_humidity;
        }
        if (changed) this.render();
    }

    press(region: string): void {
        this.pressed = region;
        this.render();
    }

    statsOf(region: string): Stats | undefined {
        return this.regions.find((candidate) => candidate.region === region);
    }

    tick(): void {
        this.regions.forEach((region, i) => {
            const last = this.list.children[i]?.querySelector('.last');
            if (last) setText(last, ago(region.last_received_at));
        });
    }

    clear(): void {
        this.regions = [];
        this.isLoaded = false;
        this.placeholders();
        setText(byId('regions-note'), '');
        this.problem('');
    }

    private placeholders(): void {
        this.hasPlaceholders = true;
        fit(this.list, kPlaceholders, buildTile);
        for (const tile of this.list.querySelectorAll('button')) {
            tile.disabled = true;
            for (const part of tile.children) setText(part, '\u00a0');
        }
        byId('regions-all').hidden = true;
    }

    private render(): void {
        if (this.hasPlaceholders && !this.isLoaded) return;
        // New tiles, for the placeholders would be seen to move.
        if (this.hasPlaceholders) this.list.replaceChildren();
        this.hasPlaceholders = false;
        const items = fit(this.list, this.regions.length, buildTile);
        this.regions.forEach((region, i) => {
            const tile = items[i]!.firstElementChild as HTMLButtonElement;
            const [name, now, humidity, range, last] = [...tile.children] as [Element, Element, Element, Element, Element];
            tile.disabled = region.region === null;
            setAttribute(tile, 'aria-pressed', String(region.region !== null && region.region === this.pressed));
            setText(name, region.region ?? 'without a region');
            setAttribute(name, 'title', region.region);
            setText(now, quantity('temperature', region.last_temperature));
            setText(humidity, quantity('humidity', region.last_humidity));
            setText(range, `${number('temperature', region.min_temperature)} to ${number('temperature', region.max_temperature)}, mean ${number('temperature', region.avg_temperature)}`);
            setText(last, ago(region.last_received_at));
            setAttribute(tile, 'title', `${count(region.sample_count)} readings; below are the lowest, the highest and the mean of all of them`);
        });
    }

    private showButton(): void {
        const isAll = this.list.classList.contains('all');
        byId('regions-all').hidden = this.regions.length === 0 || (!isAll && this.list.scrollWidth <= this.list.clientWidth + 1);
    }

    private problem(text: string): void {
        setNotice(byId('regions-problem'), text);
        this.list.classList.toggle('stale', text !== '');
    }
}
