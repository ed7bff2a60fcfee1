// Draws a row of bars, one for each value, on a canvas.

import { colour } from './theme';

export class Sparkline {
    private values: number[] = [];
    private drawn = '';

    constructor(private readonly canvas: HTMLCanvasElement) {
        new ResizeObserver(() => this.draw(this.values, true)).observe(canvas);
    }

    draw(values: number[], again = false): void {
        const state = values.join();
        if (!again && state === this.drawn) return;
        this.drawn = state;
        this.values = values;
        const { clientWidth: width, clientHeight: height } = this.canvas;
        const context = this.canvas.getContext('2d');
        if (!context || width === 0) return;
        const ratio = window.devicePixelRatio || 1;
        this.canvas.width = Math.round(width * ratio);
        this.canvas.height = Math.round(height * ratio);
        context.scale(ratio, ratio);
        context.fillStyle = colour('grid');
        context.fillRect(0, height - 1, width, 1);
        const highest = Math.max(...values, 0);
        if (highest === 0) return;
        context.fillStyle = colour('accent');
        const step = width / values.length;
        values.forEach((value, i) => {
            if (value === 0) return;
            const tall = Math.max(1, (value / highest) * (height - 1));
            context.fillRect(i * step, height - tall, Math.max(1, step - 1), tall);
        });
    }
}
