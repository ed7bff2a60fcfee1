// The list of devices: searched, filtered and paged by the server. Rows on the screen follow the events in between.

import { explained, get } from './api';
import { kDeviceStates, type DevicePage, type DeviceRow, type TelemetryEvent } from './contract';
import { byId, fit, make, setAttribute, setNotice, setText } from './element';
import { ago, count, duration, kNone, moment, number, stateName } from './format';

// A narrow screen has the chart below the list, so the list is shorter there.
const kPageSize = matchMedia('(max-width: 720px)').matches ? 10 : 20;
const kTypingMs = 250;

export interface Filters {
    prefix: string;
    region: string;
    state: string;
}

// A blank row is as high as one with a device, so that nothing moves when the devices come.
function buildRow(): HTMLTableRowElement {
    const blank = '\u00a0';
    const name = make('th', { scope: 'row' }, make('button', { type: 'button', class: 'device' }, blank), make('span', { class: 'below' }, blank));
    const cells = ['', 'wide', 'number', 'number', 'number wide', 'number'].map((kind) => make('td', { class: kind || null }));
    cells[0]!.append(make('span', { class: 'state' }, blank));
    return make('tr', { class: 'blank' }, name, ...cells);
}

export class DeviceList {
    private readonly body = byId('device-list');
    private readonly prefix = byId<HTMLInputElement>('prefix');
    private readonly region = byId<HTMLSelectElement>('region');
    private readonly state = byId<HTMLSelectElement>('state');
    private filters: Filters = { prefix: '', region: '', state: '' };
    private devices: DeviceRow[] = [];
    private isLoaded = false;
    // The device after which each page begins, up to the page on the screen.
    private pages: string[] = [''];
    private next: string | null = null;
    private chosen = '';
    private typing: number | undefined;
    private regionNames: string[] = [];

    constructor(
        private readonly onFilters: (filters: Filters) => void,
        private readonly onPage: () => void,
        onChoose: (device: string) => void,
    ) {
        for (const state of kDeviceStates) this.state.append(make('option', { value: state }, stateName(state)));
        fit(this.body, kPageSize, buildRow);
        byId('filters').addEventListener('submit', (event) => event.preventDefault());
        this.prefix.addEventListener('input', () => {
            clearTimeout(this.typing);
            this.typing = window.setTimeout(() => this.change({ prefix: this.prefix.value }), kTypingMs);
        });
        this.region.addEventListener('change', () => this.change({ region: this.region.value }));
        this.state.addEventListener('change', () => this.change({ state: this.state.value }));
        byId('next').addEventListener('click', () => {
            if (this.next === null) return;
            this.pages.push(this.next);
            this.turn();
        });
        byId('previous').addEventListener('click', () => {
            if (this.pages.length === 1) return;
            this.pages.pop();
            this.turn();
        });
        this.body.addEventListener('click', (event) => {
            const row = (event.target as Element).closest('tr');
            const device = row && this.devices[[...this.body.children].indexOf(row)];
            if (device) onChoose(device.device_id);
        });
    }

    // Shows these filters; asks nothing.
    setFilters(filters: Filters): void {
        if (filters.prefix !== this.filters.prefix || filters.region !== this.filters.region || filters.state !== this.filters.state) this.pages = [''];
        this.filters = { ...filters };
        if (this.prefix.value !== filters.prefix) this.prefix.value = filters.prefix;
        this.state.value = filters.state;
        this.setRegions(this.regionNames);
    }

    setRegions(names: string[]): void {
        this.regionNames = names;
        const wanted = this.filters.region && !names.includes(this.filters.region) ? [...names, this.filters.region] : names;
        const shown = [...this.region.options].slice(1).map((option) => option.value);
        if (shown.join('\n') !== wanted.join('\n')) {
            while (this.region.options.length > 1) this.region.remove(1);
            for (const name of wanted) this.region.append(make('option', { value: name }, name));
        }
        this.region.value = this.filters.region;
    }

    async load(signal: AbortSignal): Promise<void> {
        try {
            const page = await get<DevicePage>('devices', { limit: kPageSize, after: this.pages.at(-1), ...this.filters }, signal);
            this.devices = page.devices;
            this.isLoaded = true;
            this.next = page.next;
            this.render();
            this.problem('');
        } catch (error) {
            if (!signal.aborted) this.problem(explained(error));
            throw error;
        }
    }

    // Brings the rows up to the events: the last measured values, and that the device is online.
    take(readings: TelemetryEvent[], transitions: TelemetryEvent[]): void {
        const rows = new Map(this.devices.map((device) => [device.device_id, device]));
        let changed = false;
        for (const event of readings) {
            const row = rows.get(event.device_id ?? '');
            if (!row) continue;
            changed = true;
            if (event.received_at && event.received_at > (row.last_received_at ?? '')) row.last_received_at = event.received_at;
            if (row.state !== 'unknown') row.state = 'online';
            row.overdue_seconds = null;
            if (!event.measured_at || event.measured_at < (row.last_measured_at ?? '')) continue;
            row.last_measured_at = event.measured_at;
            row.last_temperature = event.temperature ?? row.last_temperature;
            row.last_humidity = event.humidity ?? row.last_humidity;
        }
        for (const event of transitions) {
            const row = rows.get(event.device_id ?? '');
            if (!row || (event.state !== 'online' && event.state !== 'offline')) continue;
            changed = true;
            row.state = event.state;
        }
        if (changed) this.render();
    }

    choose(device: string): void {
        this.chosen = device;
        this.render();
    }

    // Returns the row of a device, if it is on the screen.
    rowOf(device: string): DeviceRow | undefined {
        return this.devices.find((row) => row.device_id === device);
    }

    focusChosen(): void {
        const index = this.devices.findIndex((device) => device.device_id === this.chosen);
        const button = this.body.children[index]?.querySelector('button');
        (button ?? byId('devices')).focus();
    }

    tick(): void {
        this.devices.forEach((device, i) => {
            const cell = this.body.children[i]?.lastElementChild;
            if (cell) setText(cell, ago(device.last_received_at));
        });
    }

    clear(): void {
        this.devices = [];
        this.isLoaded = false;
        this.next = null;
        this.pages = [''];
        this.body.replaceChildren();
        fit(this.body, kPageSize, buildRow);
        byId('devices-empty').hidden = true;
        setText(byId('page-note'), '\u00a0');
        this.problem('');
    }

    private change(part: Partial<Filters>): void {
        this.onFilters({ ...this.filters, ...part });
    }

    private turn(): void {
        this.onPage();
    }

    private render(): void {
        if (!this.isLoaded) return;
        const rows = fit(this.body, this.devices.length, buildRow);
        this.devices.forEach((device, i) => {
            const row = rows[i]!;
            const [name, state, region, temperature, humidity, samples, last] = [...row.children] as [Element, Element, Element, Element, Element, Element, Element];
            const button = name.firstElementChild!;
            setText(button, device.device_id);
            setAttribute(button, 'aria-current', device.device_id === this.chosen ? 'true' : null);
            // A narrow screen has no room for a column of states.
            setText(name.lastElementChild!, [device.region ?? 'no region', ...(device.state === 'online' ? [] : [stateName(device.state)])].join(', '));
            const mark = state.firstElementChild!;
            setAttribute(mark, 'data-state', device.state);
            setText(mark, stateName(device.state));
            setAttribute(mark, 'title', device.overdue_seconds ? `overdue for ${duration(device.overdue_seconds)}` : null);
            setText(region, device.region ?? kNone);
            setText(temperature, number('temperature', device.last_temperature));
            setText(humidity, number('humidity', device.last_humidity));
            setText(samples, count(device.sample_count));
            setText(last, ago(device.last_received_at));
            setAttribute(last, 'title', device.last_received_at ? moment(device.last_received_at) : null);
            row.classList.remove('blank');
            setAttribute(row, 'data-row', device.state);
            row.classList.toggle('chosen', device.device_id === this.chosen);
        });
        const isFiltered = this.filters.prefix !== '' || this.filters.region !== '' || this.filters.state !== '';
        const empty = this.pages.length > 1 ? 'No more devices.' : isFiltered ? 'No device matches these filters.' : 'No device is known yet. The first accepted reading registers one.';
        setNotice(byId('devices-empty'), this.devices.length ? '' : empty);
        const first = (this.pages.length - 1) * kPageSize + 1;
        setText(byId('page-note'), this.devices.length ? `${count(first)} to ${count(first + this.devices.length - 1)}` : kNone);
        byId<HTMLButtonElement>('next').disabled = this.next === null;
        byId<HTMLButtonElement>('previous').disabled = this.pages.length === 1;
    }

    private problem(text: string): void {
        setNotice(byId('devices-problem'), text);
        byId('device-rows').classList.toggle('stale', text !== '');
    }
}
