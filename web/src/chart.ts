// The chart of one metric: the mean as a line, its band from min to max, and the quantiles of each hour as steps.

import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import type { Quantiles, Series } from './contract';
import { byId, make, setAttribute, setText } from './element';
import { kNone, moment, number, quantity } from './format';
import { colour } from './theme';

type Values = (number | null)[];

const kHour = 3600;
const kLines = [
    { name: 'mean', label: 'mean', colour: 'accent', columns: [1] },
    { name: 'band', label: 'min to max', colour: 'band', columns: [2, 3] },
    { name: 'p50', label: 'p50', colour: 'p50', columns: [4] },
    { name: 'p95', label: 'p95', colour: 'p95', columns: [5] },
    { name: 'p99', label: 'p99', colour: 'p99', columns: [6] },
] as const;

export interface ChartData {
    metric: string;
    from: number;
    to: number;
    series: Series;
    quantiles: Quantiles | null;
}

// A line must not cross a time in which the device was silent, so a null stands where points are missing.
function withGaps(series: Series): [number[], Values, Values, Values] {
    const { time, value, min, max } = series;
    const steps = time.slice(1).map((at, i) => at - time[i]!).sort((a, b) => a - b);
    const usual = steps[Math.floor(steps.length / 2)] ?? 0;
    const columns: [number[], Values, Values, Values] = [[], [], [], []];
    time.forEach((at, i) => {
        const before = time[i - 1];
        if (before !== undefined && usual > 0 && at - before > 4 * usual) {
            columns[0].push(before + usual);
            for (const column of columns.slice(1) as Values[]) column.push(null);
        }
        columns[0].push(at);
        columns[1].push(value[i] ?? null);
        columns[2].push(min[i] ?? null);
        columns[3].push(max[i] ?? null);
    });
    return columns;
}

// A step lasts an hour, the last one until `to` at most.
function asSteps(quantiles: Quantiles, to: number): [number[], Values, Values, Values] {
    const columns: [number[], Values, Values, Values] = [[], [], [], []];
    quantiles.time.forEach((at, i) => {
        const values = [quantiles.p50[i] ?? null, quantiles.p95[i] ?? null, quantiles.p99[i] ?? null];
        const end = Math.min(at + kHour, to);
        columns[0].push(at);
        values.forEach((value, c) => (columns[c + 1] as Values).push(value));
        if (quantiles.time[i + 1] === at + kHour || end <= at) return;
        columns[0].push(end, end + 0.001);
        values.forEach((value, c) => (columns[c + 1] as Values).push(value, null));
    });
    return columns;
}

// After the join, a point of one table is undefined in the columns of the other. Those within a gap belong to the gap.
function widenGaps(column: (number | null | undefined)[]): void {
    let isGap = false;
    column.forEach((value, i) => {
        if (value === undefined) {
            if (isGap) column[i] = null;
        } else {
            isGap = value === null;
        }
    });
}

// Returns the index of the last element that is not above `wanted`, or -1.
function lastUpTo(sorted: number[], wanted: number): number {
    let low = 0;
    let high = sorted.length;
    while (low < high) {
        const middle = (low + high) >> 1;
        if (sorted[middle]! <= wanted) low = middle + 1;
        else high = middle;
    }
    return low - 1;
}

export class Chart {
    private readonly host = byId('chart');
    private readonly empty = byId('chart-empty');
    private readonly readout = byId('readout');
    private readonly hidden = new Set<string>();
    private readonly toggles = new Map<string, HTMLButtonElement>();
    private plot: uPlot | null = null;
    private data: ChartData | null = null;
    private read = -1;

    constructor() {
        for (const line of kLines) {
            const toggle = make('button', { type: 'button', 'aria-pressed': 'true', 'data-line': line.name }, make('i', { 'aria-hidden': 'true' }), line.label);
            toggle.addEventListener('click', () => {
                if (!this.hidden.delete(line.name)) this.hidden.add(line.name);
                setAttribute(toggle, 'aria-pressed', String(!this.hidden.has(line.name)));
                this.showLines();
            });
            this.toggles.set(line.name, toggle);
            byId('legend').append(toggle);
        }
        new ResizeObserver(() => this.plot?.setSize(this.size())).observe(this.host);
        this.host.addEventListener('keydown', (event) => this.onKey(event));
        this.host.addEventListener('blur', () => setAttribute(this.readout, 'aria-live', 'off'));
    }

    // Shows a text in place of the lines.
    clear(text: string): void {
        this.plot?.destroy();
        this.plot = null;
        this.data = null;
        this.read = -1;
        setText(this.empty, text);
        this.empty.hidden = false;
        setText(this.readout, '\u00a0');
    }

    show(data: ChartData): void {
        const isSame = this.plot && this.data?.metric === data.metric;
        if (data.series.time.length === 0 && !data.quantiles?.time.length) return this.clear('No readings in this span.');
        this.data = data;
        this.empty.hidden = true;
        const tables: uPlot.AlignedData[] = [withGaps(data.series) as uPlot.AlignedData];
        tables.push((data.quantiles ? asSteps(data.quantiles, data.to) : [[], [], [], []]) as unknown as uPlot.AlignedData);
        const joined = uPlot.join(tables);
        for (const column of joined.slice(1)) widenGaps(column as (number | null | undefined)[]);
        if (isSame) this.plot!.setData(joined);
        else {
            this.plot?.destroy();
            this.plot = this.build(joined);
            this.showLines();
        }
        for (const name of ['p50', 'p95', 'p99']) this.toggles.get(name)!.disabled = !data.quantiles?.time.length;
        this.showReadout(null);
    }

    // Builds the chart again, in the colours of now.
    redraw(): void {
        if (!this.data || !this.plot) return;
        const data = this.plot.data;
        this.plot.destroy();
        this.plot = this.build(data);
        this.showLines();
    }

    private size(): { width: number; height: number } {
        return { width: Math.max(200, this.host.clientWidth), height: Math.max(160, this.host.clientHeight) };
    }

    private build(data: uPlot.AlignedData): uPlot {
        const metric = this.data!.metric;
        const axis = { stroke: colour('quiet'), grid: { stroke: colour('grid'), width: 1 }, ticks: { stroke: colour('grid'), width: 1, size: 4 }, font: '12px system-ui, sans-serif' };
        const steps = uPlot.paths.stepped!({ align: 1 });
        const quantile = (name: string, dash: number[]) => ({ label: name, stroke: colour(name), width: 1.5, dash, paths: steps, points: { show: false } });
        const day = '\n{D} {MMM}';
        return new uPlot(
            {
                ...this.size(),
                legend: { show: false },
                cursor: { drag: { x: false, y: false }, y: false, points: { size: 7 } },
                scales: { x: { range: () => [this.data!.from, this.data!.to] } },
                axes: [
                    {
                        ...axis,
                        space: 64,
                        values: [
                            [86400, '{D} {MMM}', null, null, null, null, null, null, 1],
                            [60, '{HH}:{mm}', day, null, day, null, null, null, 1],
                            [1, '{HH}:{mm}:{ss}', day, null, day, null, null, null, 1],
                        ],
                    },
                    {
                        ...axis,
                        size: (_, values) => 14 + 7 * Math.max(3, ...(values ?? []).map((value) => value.length)),
                        values: (_, splits) => splits.map((value) => String(Number(value.toPrecision(6))).replace('-', '−')),
                    },
                ],
                series: [
                    {},
                    { label: 'mean', stroke: colour('accent'), width: 2, points: { show: data[0].length < 3, size: 6, fill: colour('accent') } },
                    { label: 'min', stroke: 'transparent', width: 0, points: { show: false } },
                    { label: 'max', stroke: 'transparent', width: 0, points: { show: false } },
                    quantile('p50', [2, 3]),
                    quantile('p95', [6, 4]),
                    quantile('p99', []),
                ],
                bands: [{ series: [3, 2], fill: colour('band') }],
                hooks: { setCursor: [(plot) => this.showReadout(plot.cursor.left !== undefined && plot.cursor.left >= 0 ? plot.posToVal(plot.cursor.left, 'x') : null, metric)] },
            },
            data,
            this.host,
        );
    }

    private showLines(): void {
        for (const line of kLines) {
            for (const column of line.columns) {
                const show = !this.hidden.has(line.name);
                if (this.plot && this.plot.series[column]!.show !== show) this.plot.setSeries(column, { show });
            }
        }
    }

    // Tells the values at a time; at none, those of the newest point.
    private showReadout(at: number | null, metric = this.data?.metric ?? ''): void {
        const data = this.data;
        if (!data) return;
        const { series, quantiles } = data;
        let index = at === null ? series.time.length - 1 : lastUpTo(series.time, at);
        const after = series.time[index + 1];
        if (at !== null && after !== undefined && (index < 0 || after - at < at - series.time[index]!)) index += 1;
        this.read = index;
        const parts: string[] = [];
        if (index >= 0) {
            parts.push(`${moment(series.time[index]! * 1000, data.to - data.from <= kHour)}:`);
            parts.push(`mean ${quantity(metric, series.value[index], 2)}`);
            parts.push(`(${number(metric, series.min[index])} to ${number(metric, series.max[index])})`);
        }
        const hour = quantiles ? lastUpTo(quantiles.time, at ?? data.to) : -1;
        if (quantiles && hour >= 0) {
            const value = (values: Values) => number(metric, values[hour]);
            if (value(quantiles.p50) !== kNone) parts.push(`· hour: p50 ${value(quantiles.p50)}, p95 ${value(quantiles.p95)}, p99 ${value(quantiles.p99)}`);
        }
        setText(this.readout, parts.join(' ') || '\u00a0');
    }

    private onKey(event: KeyboardEvent): void {
        const time = this.data?.series.time;
        if (!this.plot || !time?.length) return;
        const large = event.shiftKey ? 10 : 1;
        const next = { ArrowLeft: this.read - large, ArrowRight: this.read + large, Home: 0, End: time.length - 1 }[event.key];
        if (next === undefined) return;
        event.preventDefault();
        const index = Math.min(Math.max(next, 0), time.length - 1);
        setAttribute(this.readout, 'aria-live', 'polite');
        this.plot.setCursor({ left: this.plot.valToPos(time[index]!, 'x'), top: 1 });
    }
}

// Says in a sentence what the chart shows.
export function summary(data: ChartData, of: string, span: string): string {
    const known = (values: Values) => values.filter((value): value is number => value !== null);
    const lowest = Math.min(...known(data.series.min), ...known(data.series.value));
    const highest = Math.max(...known(data.series.max), ...known(data.series.value));
    const last = known(data.series.value).at(-1);
    if (last === undefined) return `${of} has no readings in the last ${span}.`;
    const points = data.series.time.length;
    return `${of} in the last ${span}: ${points} ${points === 1 ? 'point' : 'points'}, between ${quantity(data.metric, lowest)} and ${quantity(data.metric, highest)}, last ${quantity(data.metric, last)}.`;
}
