// The answers of the HTTP interface, as far as the page uses them. Times are texts of RFC 3339 unless a comment says otherwise.

export type DeviceState = 'online' | 'late' | 'offline' | 'never_seen' | 'unknown';
export const kDeviceStates: readonly DeviceState[] = ['online', 'late', 'offline', 'never_seen', 'unknown'];

export type Liveness = Record<DeviceState, number>;

export interface DeviceRow {
    device_id: string;
    region: string | null;
    state: DeviceState;
    last_received_at: string | null;
    last_measured_at: string | null;
    sample_count: number | null;
    last_temperature: number | null;
    last_humidity: number | null;
    overdue_seconds: number | null;
}

export interface DevicePage {
    devices: DeviceRow[];
    next: string | null;
}

export interface MetricStats {
    sample_count: number | null;
    avg: number | null;
    min: number | null;
    max: number | null;
    stddev: number | null;
    last: number | null;
}

// Statistics of a device or of a region; a region has no metrics.
export interface Stats {
    device_id?: string;
    region: string | null;
    first_seen: string | null;
    last_seen: string | null;
    last_received_at: string | null;
    sample_count: number | null;
    avg_temperature: number | null;
    min_temperature: number | null;
    max_temperature: number | null;
    stddev_temperature: number | null;
    last_temperature: number | null;
    avg_humidity: number | null;
    min_humidity: number | null;
    max_humidity: number | null;
    stddev_humidity: number | null;
    last_humidity: number | null;
    metrics?: Record<string, MetricStats> | null;
}

export interface RegionPage {
    regions: Stats[];
    next: string | null;
}

type Values = (number | null)[];

// time: seconds since 1970. value: the mean of the span of a point; min and max are its band.
export interface Series {
    metric: string;
    from: string;
    to: string;
    time: number[];
    value: Values;
    min: Values;
    max: Values;
}

// time: where an hour begins, in seconds since 1970.
export interface Quantiles {
    metric: string;
    time: number[];
    sample_count: Values;
    avg: Values;
    p50: Values;
    p95: Values;
    p99: Values;
}

export interface Projection {
    projection: string;
    state: string;
    applied: number | null;
    lag_events: number | null;
    lag_seconds: number | null;
    as_of: string | null;
    last_error: string | null;
}

export interface Stage {
    stage: string;
    state: string;
    events: number | null;
    waiting: number | null;
    lag_seconds: number | null;
}

export interface Sink {
    sink: string;
    state: string;
    since: string | null;
    pending: number | null;
    last_error: string | null;
}

export interface Status {
    worker: { state: string; pid: number | null; since: string | null; last_error: string | null };
    projections: Projection[];
    pipeline: Stage[];
    relay: Sink[];
    ingest: { accepted: number; duplicates: number; conflicts: number; rejected: number; rolled_back: number; stats_since: string | null };
}

export interface Rejection {
    rejected_id: number;
    received_at: string;
    device_id: string | null;
    sqlstate: string;
    reason: string;
    times: number | null;
}

export interface RejectedPage {
    rejected: Rejection[];
    by_sqlstate: Record<string, number>;
}

export interface Health {
    state: 'ok' | 'warning' | 'error';
    items?: { item: string; state: string; detail: string | null; hint: string | null }[];
}

// An event of the stream; members that are null are left out.
export interface TelemetryEvent {
    id?: number | string;
    type?: string;
    device_id?: string;
    region?: string;
    measured_at?: string;
    received_at?: string;
    temperature?: number;
    humidity?: number;
    metrics?: Record<string, number>;
    state?: string;
    since?: string;
}
