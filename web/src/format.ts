// Numbers, units and times as texts for people.

import { serverNow } from './api';
import type { DeviceState } from './contract';

export const kNone = '–';
const kThin = '\u202f'; // a narrow space at which no line breaks

const kWhole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const kCompact = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });
const kDecimals = [0, 1, 2].map((digits) => new Intl.NumberFormat('en', { minimumFractionDigits: digits, maximumFractionDigits: digits }));
const kSignificant = new Intl.NumberFormat('en', { maximumSignificantDigits: 5 });

export function count(value: number | null | undefined): string {
    if (value === null || value === undefined) return kNone;
    return value >= 1e8 ? kCompact.format(value) : kWhole.format(value);
}

export function rate(value: number): string {
    return value < 10 && value > 0 ? kDecimals[1]!.format(value) : kWhole.format(value);
}

export function unitOf(metric: string): string {
    return metric === 'temperature' ? '°C' : metric === 'humidity' ? '%RH' : '';
}

// A temperature or humidity has so many digits behind the point; another metric has five that count.
export function number(metric: string, value: number | null | undefined, digits: 1 | 2 = 1): string {
    if (value === null || value === undefined || !Number.isFinite(value)) return kNone;
    if (unitOf(metric) && Math.abs(value) < 1e6) return kDecimals[digits]!.format(value).replace('-', '−');
    return kSignificant.format(value).replace('-', '−');
}

export function quantity(metric: string, value: number | null | undefined, digits: 1 | 2 = 1): string {
    const text = number(metric, value, digits);
    const unit = unitOf(metric);
    return text === kNone || !unit ? text : `${text}${kThin}${unit}`;
}

export function metricName(metric: string): string {
    return metric === 'temperature' ? 'Temperature' : metric === 'humidity' ? 'Humidity' : metric;
}

export function duration(seconds: number): string {
    const s = Math.max(0, seconds);
    if (s < 1) return s < 0.001 ? `0${kThin}s` : `${Math.max(1, Math.round(s * 1000))}${kThin}ms`;
    if (s < 10) return `${kDecimals[1]!.format(s).replace('.0', '')}${kThin}s`;
    if (s < 90) return `${Math.round(s)}${kThin}s`;
    if (s < 90 * 60) return `${Math.round(s / 60)}${kThin}min`;
    if (s < 48 * 3600) return `${Math.round(s / 3600)}${kThin}h`;
    return `${Math.round(s / 86400)}${kThin}d`;
}

export function lag(seconds: number | null | undefined): string {
    return seconds === null || seconds === undefined ? kNone : duration(seconds);
}

export function ago(time: string | null | undefined): string {
    const at = Date.parse(time ?? '');
    if (Number.isNaN(at)) return kNone;
    const seconds = Math.floor((serverNow() - at) / 1000);
    return seconds < 1 ? 'now' : `${duration(seconds)} ago`;
}

const kMoment = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', second: '2-digit' });
const kMinute = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });

export function moment(time: string | number | null | undefined, withSeconds = true): string {
    const at = typeof time === 'number' ? time : Date.parse(time ?? '');
    return Number.isNaN(at) ? kNone : (withSeconds ? kMoment : kMinute).format(at);
}

const kStateNames: Record<DeviceState, string> = {
    online: 'online',
    late: 'late',
    offline: 'offline',
    never_seen: 'never seen',
    unknown: 'unknown',
};

export function stateName(state: string): string {
    return kStateNames[state as DeviceState] ?? state.replaceAll('_', ' ');
}
