// The chosen device or region: its last values, its chart and its statistics.

import { ApiError, explained, get, serverNow } from './api';
import { Chart, summary, type ChartData } from './chart';
import type { MetricStats, Quantiles, Series, Stats, TelemetryEvent } from './contract';
import { byId, fit, make, setAttribute, setNotice, setText } from './element';
import { ago, count, kNone, metricName, moment, number, quantity, stateName, unitOf } from './format';
import { Poller } from './poller';
import { kSpans, type Selection, type Subject } from './selection';

const kStandard = ['temperature', 'humidity'];

interface Value {
    name: string;
    text: () => string;
}

function metricsOf(stats: Stats): [string, MetricStats][] {
    const of = (metric: 'temperature' | 'humidity'): MetricStats => ({
        sample_count: null,
        avg: stats[`avg_${metric}`],
        min: stats[`min_${metric}`],
        max: stats[`max_${metric}`],
        stddev: stats[`stddev_${metric}`],
        last: stats[`last_${metric}`],
    });
    return [['temperature', of('temperature')], ['humidity', of('humidity')], ...Object.entries(stats.metrics ?? {}).filter(([name]) => !kStandard.includes(name))];
}

export class SubjectPanel {
    private readonly chart = new Chart();
    private readonly metric = byId<HTMLSelectElement>('metric');
    private readonly poller = new Poller(60_000, (signal) => this.load(signal));
    private subject: Subject | null = null;
    private shownMetric = 'temperature';
    private span: (typeof kSpans)[number] = kSpans[2];
    private stats: Stats | null = null;
    private values: Value[] = [];

    constructor(
        onChange: (part: Partial<Selection>) => void,
        onBack: () => void,
        // A region has no statistics route of its own; the tiles have them.
        private readonly statsOfRegion: (region: string) => Stats | undefined,
    ) {
        this.metric.addEventListener('change', () => onChange({ metric: this.metric.value }));
        for (const span of kSpans) {
            const input = make('input', { type: 'radio', name: 'span', value: span.name });
            input.addEventListener('change', () => onChange({ span: span.name }));
            byId('spans').append(make('label', {}, input, make('span', {}, span.label)));
        }
        byId('back').addEventListener('click', (event) => {
            event.preventDefault();
            onBack();
        });
    }

    // Shows what is selected, and loads it.
    select(selection: Selection): void {
        const { subject } = selection;
        const isNew = subject?.kind !== this.subject?.kind || subject?.name !== this.subject?.name;
        const span = kSpans.find((candidate) => candidate.name === selection.span) ?? kSpans[2];
        if (!isNew && span === this.span && selection.metric === this.shownMetric) return;
        const isOther = selection.metric !== this.shownMetric;
        this.subject = subject;
        this.span = span;
        this.shownMetric = selection.metric;
        for (const input of byId('spans').querySelectorAll('input')) input.checked = input.value === span.name;
        if (isNew) {
            this.stats = null;
            setText(byId('subject-kind'), subject ? (subject.kind === 'device' ? 'Device' : 'Region') : 'Chart');
            setText(byId('subject-title'), subject?.name ?? 'No device chosen');
            setAttribute(byId('subject-title'), 'title', subject?.name ?? null);
            this.showState('');
            this.renderStats();
        }
        if (isNew || isOther) {
            this.chart.clear(subject ? 'Loading …' : 'Choose a device or a region to see its chart.');
            setText(byId('chart-summary'), '\u00a0');
            byId('hours-list').replaceChildren();
            this.problem('');
        }
        this.renderMetrics();
        // Some pixels are new by then.
        this.poller.everyMs = Math.min(300_000, Math.max(10_000, span.seconds * 0.7));
        if (subject) this.poller.now(true);
    }

    start(): void {
        for (const input of byId('spans').querySelectorAll('input')) input.checked = input.value === this.span.name;
        this.poller.start();
    }

    stop(): void {
        this.poller.stop();
    }

    // Takes the statistics of a region over from the tiles, which ask for them.
    takeRegions(): void {
        const stats = this.subject?.kind === 'region' ? this.statsOfRegion(this.subject.name) : undefined;
        if (!stats) return;
        this.stats = { ...stats };
        this.renderStats();
    }

    clear(): void {
        this.stats = null;
        this.chart.clear('Sign in to see a chart.');
        setText(byId('chart-summary'), '\u00a0');
        byId('hours-list').replaceChildren();
        this.renderStats();
        this.showState('');
        this.problem('');
    }

    focus(): void {
        byId('subject-title').focus();
    }

    redraw(): void {
        this.chart.redraw();
    }

    tick(): void {
        this.showValues();
    }

    showState(state: string): void {
        const mark = byId('subject-state');
        mark.hidden = state === '';
        setAttribute(mark, 'data-state', state);
        setText(mark, stateName(state));
    }

    // Brings the last values up to the events.
    take(events: TelemetryEvent[]): void {
        const { subject, stats } = this;
        if (!subject || !stats) return;
        for (const event of events) {
            if ((subject.kind === 'device' ? event.device_id : event.region) !== subject.name) continue;
            if (event.received_at && event.received_at > (stats.last_received_at ?? '')) stats.last_received_at = event.received_at;
            if (!event.measured_at || event.measured_at < (stats.last_seen ?? '')) continue;
            stats.last_seen = event.measured_at;
            stats.last_temperature = event.temperature ?? stats.last_temperature;
            stats.last_humidity = event.humidity ?? stats.last_humidity;
            for (const [name, value] of Object.entries(event.metrics ?? {})) {
                const metric = stats.metrics?.[name];
                if (metric) metric.last = value;
            }
        }
        this.showValues();
    }

    private async load(signal: AbortSignal): Promise<void> {
        const { subject, span, shownMetric } = this;
        if (!subject) return;
        try {
            const to = serverNow() / 1000;
            // From a whole minute on, so that a repeated question is the same and the server can answer 304.
            const from = Math.floor((to - span.seconds) / 60) * 60;
            const at = (seconds: number) => new Date(seconds * 1000).toISOString();
            const what = { [subject.kind]: subject.name, metric: shownMetric, from: at(from) };
            // A point for each three pixels or so; a whole number of fifties, so that a slightly different window asks the same.
            const points = Math.min(600, Math.max(100, Math.round(byId('chart').clientWidth / 3 / 50) * 50));
            const [stats, series, quantiles] = await Promise.all([
                subject.kind === 'device' ? get<Stats>(`devices/${encodeURIComponent(subject.name)}/stats`, {}, signal) : this.statsOfRegion(subject.name),
                get<Series>('series', { ...what, points, statistic: 'avg' }, signal),
                // A chart without quantiles is a chart.
                get<Quantiles>('quantiles', { ...what, from: at(Math.floor(from / 3600) * 3600) }, signal).catch((error: unknown) => {
                    if (signal.aborted || (error instanceof ApiError && error.status === 401)) throw error;
                    return null;
                }),
            ]);
            this.stats = stats ? { ...stats } : null;
            this.renderStats();
            this.renderMetrics();
            const data: ChartData = { metric: shownMetric, from, to, series, quantiles };
            this.chart.show(data);
            setText(byId('chart-summary'), summary(data, `${metricName(shownMetric)} of ${subject.name}`, span.words));
            this.renderHours(data);
            this.problem('');
        } catch (error) {
            if (!signal.aborted) {
                this.problem(explained(error));
                if (!this.stats) this.chart.clear('There is no chart to show.');
            }
            throw error;
        }
    }

    private renderMetrics(): void {
        const names = [...new Set([...kStandard, ...Object.keys(this.stats?.metrics ?? {}), this.shownMetric])];
        const shown = [...this.metric.options].map((option) => option.value);
        if (shown.join('\n') !== names.join('\n')) this.metric.replaceChildren(...names.map((name) => make('option', { value: name }, unitOf(name) ? `${metricName(name)}, ${unitOf(name)}` : name)));
        this.metric.value = this.shownMetric;
    }

    private showValues(): void {
        this.values.forEach((value, i) => {
            const pair = byId('subject-values').children[i];
            if (pair) setText(pair.lastElementChild!, value.text());
        });
    }

    private renderStats(): void {
        const stats = this.stats;
        const nothing = () => kNone;
        this.values = [
            { name: 'temperature', text: stats ? () => quantity('temperature', stats.last_temperature, 2) : nothing },
            { name: 'humidity', text: stats ? () => quantity('humidity', stats.last_humidity, 2) : nothing },
            { name: 'received', text: stats ? () => ago(stats.last_received_at) : nothing },
            { name: 'readings', text: stats ? () => count(stats.sample_count) : nothing },
            { name: 'first seen', text: stats ? () => moment(stats.first_seen, false) : nothing },
        ];
        const pairs = fit(byId('subject-values'), this.values.length, (i) => make('div', {}, make('dt', {}, this.values[i]!.name), make('dd', {}, kNone)));
        this.values.forEach((value, i) => setText(pairs[i]!.firstElementChild!, value.name));
        this.showValues();

        const metrics = stats ? metricsOf(stats) : [];
        const rows = fit(byId('stats-list'), metrics.length, () => make('tr', {}, make('th', { scope: 'row' }), ...Array.from({ length: 6 }, () => make('td', { class: 'number' }))));
        metrics.forEach(([metric, of], i) => {
            const unit = unitOf(metric);
            const texts = [unit ? `${metricName(metric)}, ${unit}` : metric, ...[of.last, of.avg, of.min, of.max, of.stddev].map((value) => number(metric, value, 2)), count(of.sample_count)];
            texts.forEach((text, c) => setText(rows[i]!.children[c]!, text));
        });
    }

    private renderHours(data: ChartData): void {
        const hours = data.quantiles;
        const length = hours?.time.length ?? 0;
        const rows = fit(byId('hours-list'), length, () => make('tr', {}, make('th', { scope: 'row' }), ...Array.from({ length: 5 }, () => make('td', { class: 'number' }))));
        rows.forEach((row, i) => {
            const hour = length - 1 - i;
            const values = [hours!.avg, hours!.p50, hours!.p95, hours!.p99].map((column) => number(data.metric, column[hour], 2));
            [moment(hours!.time[hour]! * 1000, false), count(hours!.sample_count[hour]), ...values].forEach((text, c) => setText(row.children[c]!, text));
        });
    }

    private problem(text: string): void {
        setNotice(byId('subject-problem'), text);
        byId('chart').classList.toggle('stale', text !== '' && this.stats !== null);
    }
}
