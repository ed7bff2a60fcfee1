// Serves the page and answers its questions as the HTTP interface would, about a fleet that it invents. It needs node and nothing else.
//
//   node mock_server.js [--port N] [--hostile] [--anonymous] [--empty]
//
// It listens on 127.0.0.1, prints its address, and ends when its standard input ends. The tokens are "reader" and "admin".
// --hostile adds devices, a region and reasons whose names are markup. --anonymous asks for no token. --empty has no device.
// POST /mock/cut ends each stream, /mock/lost makes the next stream begin with the event lost, /mock/flood?events=N sends so many
// events at once, /mock/quiet?on=1 sends no others, /mock/down?on=1 makes each answer 503, /mock/offline?device=ID takes a device offline, and GET /mock/log returns
// for each stream that was opened its Last-Event-ID and its first event, and the next event.
'use strict';

const { createHash } = require('crypto');
const { readFileSync } = require('fs');
const http = require('http');
const path = require('path');
const { gzipSync } = require('zlib');

const option = (name) => process.argv.includes(name);
const portAt = process.argv.indexOf('--port');
const wantedPort = portAt < 0 ? 0 : Number(process.argv[portAt + 1]);
const page = readFileSync(path.join(__dirname, '../../web/dist/page.html'));
const kRoles = { reader: 'reader', admin: 'admin' };
const kStarted = Date.now();
const kEventsPerRound = 12;
const kRoundMs = 200;

// --- the fleet -------------------------------------------------------------------------------------------------------------

// A number from 0 to 1 that depends on the text only.
function chance(text) {
    return createHash('md5').update(text).digest().readUInt32BE(0) / 2 ** 32;
}

const kClimates = { east: [14, 60], harbour: [26, 51], north: [10, 62], south: [18, 57], west: [22, 54] };
const kHostile = ['<img src=x onerror="window.hacked=1">', '"><script>window.hacked=1</script>', '\'};window.hacked=1;//', 'device&id=1#2?x/../y', 'ünïcödé-⚙️', `long-${'x'.repeat(190)}`];
const kHostileRegion = '<svg onload="window.hacked=1">';

function invent() {
    const devices = [];
    if (option('--empty')) return devices;
    for (const region of Object.keys(kClimates)) {
        for (let i = 1; i <= 40; i++) devices.push({ id: `${region}-${String(i).padStart(2, '0')}`, region });
    }
    if (option('--hostile')) kHostile.forEach((id) => devices.push({ id, region: kHostileRegion }));
    devices.push({ id: 'spare-01', region: null });
    devices.sort((a, b) => (a.id < b.id ? -1 : 1));
    for (const device of devices) {
        const luck = chance(device.id);
        device.state = device.region === null ? 'never_seen' : luck < 0.04 ? 'offline' : luck < 0.08 ? 'late' : luck > 0.985 ? 'unknown' : 'online';
        if (device.region === kHostileRegion || device.id === 'north-01') device.state = 'online';
        const silent = { online: 5 * luck, late: 100, offline: 7000 + 9000 * luck, unknown: 30 }[device.state] ?? 0;
        device.receivedAt = device.state === 'never_seen' ? null : kStarted - silent * 1000;
        device.count = device.receivedAt === null ? 0 : 20_000 + Math.floor(luck * 2000);
        device.last = null;
        if (device.receivedAt !== null) device.last = reading(device, device.receivedAt);
    }
    return devices;
}

function reading(device, atMs) {
    const [temperature, humidity] = kClimates[device.region] ?? [20, 50];
    const hour = (atMs / 3_600_000) % 24;
    const wave = Math.sin(((hour - 9) / 24) * 2 * Math.PI);
    const noise = chance(`${device.id}${Math.floor(atMs / 1000)}`) - 0.5;
    const round = (value) => Math.round(value * 100) / 100;
    return {
        temperature: round(temperature + 4 * wave + 3 * (chance(device.id) - 0.5) + 0.8 * noise),
        humidity: round(humidity - 7 * wave + 2 * noise),
        metrics: { light1: Math.round(Math.max(0, 400 * wave + 40 * noise)), battery: round(3.5 + 0.3 * chance(device.id)) },
    };
}

const time = (ms) => (ms === null ? null : new Date(ms).toISOString().replace('Z', '000Z'));
const devices = invent();
const ingest = { accepted: 0, duplicates: 0, conflicts: 3, rejected: 0, rolled_back: 57 };
ingest.accepted = devices.reduce((sum, device) => sum + device.count, 0);
ingest.duplicates = Math.floor(ingest.accepted / 20);
const kReasons = [
    ['TC003', 'temperature is not a finite number: temperature of device "east-07" is NaN.', 'east-07'],
    ['TC004', 'measured_at is too far ahead: it is 2 hours after the clock of the server.', 'harbour-22'],
    ['TC008', 'device is retired: the registry says so of "west-31".', 'west-31'],
    ['TC012', 'item is not a reading: "temprature" is no field of a reading.', null],
];
if (option('--hostile')) kReasons.unshift(['TC001', `device id has a space at an end: ${kHostile[0]}`, kHostile[0]]);
const rejected = option('--empty') ? [] : Array.from({ length: 42 }, (_, i) => {
    const [sqlstate, reason, device_id] = kReasons[i % kReasons.length];
    return { rejected_id: 42 - i, received_at: time(kStarted - (i * i * 9 + 20) * 1000), device_id, sqlstate, reason, times: 1 + (i % 3) };
});
ingest.rejected = rejected.length;

// --- the stream ------------------------------------------------------------------------------------------------------------

const streams = new Set();
const opened = [];
let batch = 1000;
let eventId = 500_000;
let isDown = false;
let isLost = false;
let isQuiet = false;
const history = [];

function publish(type, data) {
    const text = `id: ${batch}-${eventId}\nevent: ${type}\ndata: ${JSON.stringify({ id: eventId, type, ...data })}\n\n`;
    eventId += 1;
    history.push(text);
    if (history.length > 5000) history.splice(0, 1000);
    return text;
}

function publishReadings(number) {
    if (!devices.length) return;
    let text = '';
    batch += 1;
    const speaking = devices.filter((device) => device.state === 'online');
    for (let i = 0; i < number; i++) {
        const device = speaking[Math.floor(Math.random() * speaking.length)];
        const now = Date.now();
        device.last = reading(device, now);
        device.receivedAt = now;
        device.count += 1;
        ingest.accepted += 1;
        text += publish('telemetry.ingested', { device_id: device.id, region: device.region, measured_at: time(now - 150), received_at: time(now), ...device.last });
    }
    send(text);
}

// Sends to each stream, one text after the other. With --hostile a text comes in two pieces, cut anywhere, also inside a letter.
let sending = Promise.resolve();
function send(text) {
    const bytes = Buffer.from(text);
    const cut = option('--hostile') ? Math.floor(Math.random() * bytes.length) : bytes.length;
    sending = sending.then(async () => {
        const receivers = [...streams];
        receivers.forEach((stream) => stream.write(bytes.subarray(0, cut)));
        if (cut < bytes.length) await new Promise((resolve) => setTimeout(resolve, 5));
        receivers.forEach((stream) => stream.write(bytes.subarray(cut)));
    });
}

setInterval(() => isQuiet || publishReadings(kEventsPerRound + Math.floor(Math.random() * 6)), kRoundMs);
setInterval(() => send(': still here\n\n'), 5000);

function openStream(request, response) {
    const lastId = request.headers['last-event-id'] ?? null;
    response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
    response.write(': hello\n\n');
    if (isLost) {
        isLost = false;
        response.write('event: lost\ndata: {}\n\n');
    } else if (lastId !== null) {
        const known = history.findIndex((text) => text.startsWith(`id: ${lastId}\n`));
        if (known < 0) response.write('event: lost\ndata: {}\n\n');
        else response.write(history.slice(known + 1).join(''));
    }
    // What is still being sent is in the history, so the stream begins after it.
    const first = eventId;
    sending = sending.then(() => {
        opened.push({ lastId, first });
        if (!response.destroyed) streams.add(response);
    });
    response.on('close', () => streams.delete(response));
}

// --- the answers -----------------------------------------------------------------------------------------------------------

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

function statsOf(members) {
    const stats = {};
    const seen = members.filter((device) => device.last);
    const newest = seen.reduce((best, device) => (!best || device.receivedAt > best.receivedAt ? device : best), null);
    stats.first_seen = seen.length ? time(kStarted - 30 * 86_400_000) : null;
    stats.last_seen = newest ? time(newest.receivedAt - 150) : null;
    stats.last_received_at = newest ? time(newest.receivedAt) : null;
    stats.sample_count = members.reduce((sum, device) => sum + device.count, 0);
    for (const metric of ['temperature', 'humidity']) {
        const middle = seen.length ? mean(seen.map((device) => device.last[metric])) : null;
        Object.assign(stats, {
            [`avg_${metric}`]: middle,
            [`min_${metric}`]: middle === null ? null : middle - 9.31,
            [`max_${metric}`]: middle === null ? null : middle + 8.27,
            [`stddev_${metric}`]: middle === null ? null : 2.7181,
            [`last_${metric}`]: newest ? newest.last[metric] : null,
        });
    }
    return stats;
}

function valueAt(subject, metric, ms) {
    const value = reading(subject, ms);
    return value[metric] ?? value.metrics[metric] ?? null;
}

function series(subject, query) {
    const to = query.get('to') ? Date.parse(query.get('to')) : Date.now();
    const from = query.get('from') ? Date.parse(query.get('from')) : to - 86_400_000;
    const metric = query.get('metric') ?? 'temperature';
    const step = Math.max(60_000, (to - from) / Number(query.get('points') ?? 500));
    const answer = { metric, from: time(from), to: time(to), time: [], value: [], min: [], max: [] };
    for (let at = from; at < to; at += step) {
        // Each device was silent for a while in the night.
        if (new Date(at).getUTCHours() === 3 && subject.state !== undefined) continue;
        if (subject.receivedAt && at > subject.receivedAt) break;
        const value = valueAt(subject, metric, at);
        if (value === null) break;
        const width = 0.5 + chance(`${subject.id}${at}`);
        answer.time.push(at / 1000);
        answer.value.push(value);
        answer.min.push(value - width);
        answer.max.push(value + width * 1.2);
    }
    return answer;
}

function quantiles(subject, query) {
    const all = series(subject, query);
    const answer = { metric: all.metric, time: [], sample_count: [], avg: [], p50: [], p95: [], p99: [] };
    const hours = new Map();
    all.time.forEach((at, i) => {
        const hour = Math.floor(at / 3600) * 3600;
        hours.set(hour, [...(hours.get(hour) ?? []), all.value[i]]);
    });
    for (const [hour, values] of hours) {
        const middle = mean(values);
        answer.time.push(hour);
        answer.sample_count.push(720);
        answer.avg.push(middle);
        answer.p50.push(middle - 0.1);
        answer.p95.push(middle + 1.1);
        answer.p99.push(middle + 1.6);
    }
    return answer;
}

class Problem extends Error {
    constructor(status, title, detail, more = {}) {
        super(detail);
        this.body = { type: 'about:blank', title, status, detail, ...more };
    }
}

function subjectOf(query) {
    const id = query.get('device');
    if (id !== null) {
        const device = devices.find((candidate) => candidate.id === id);
        if (!device) throw new Problem(404, 'Not Found', `device "${id}" is not known`);
        return device;
    }
    const region = query.get('region');
    if (region === null) throw new Problem(400, 'Bad Request', 'device or region is missing');
    return { id: region, region };
}

function answerTo(route, query, role) {
    const isAdmin = role === 'admin';
    const stats = /^\/devices\/([^/]+)\/stats$/.exec(route);
    if (stats) {
        const device = subjectOf(new URLSearchParams({ device: decodeURIComponent(stats[1]) }));
        const metrics = {};
        for (const [name, value] of Object.entries(device.last?.metrics ?? {})) metrics[name] = { sample_count: device.count, avg: value, min: value - 1, max: value + 1, stddev: 0.5, last: value };
        return { device_id: device.id, region: device.region, ...statsOf([device]), metrics };
    }
    switch (route) {
        case '/devices': {
            const [after, prefix, region, state] = ['after', 'prefix', 'region', 'state'].map((name) => query.get(name) ?? '');
            const limit = Number(query.get('limit') ?? 100);
            const matching = devices.filter((device) => device.id > after && device.id.startsWith(prefix) && (!region || device.region === region) && (!state || device.state === state));
            return {
                devices: matching.slice(0, limit).map((device) => ({
                    device_id: device.id,
                    region: device.region,
                    state: device.state,
                    last_received_at: time(device.receivedAt),
                    last_measured_at: time(device.receivedAt),
                    sample_count: device.count,
                    last_temperature: device.last?.temperature ?? null,
                    last_humidity: device.last?.humidity ?? null,
                    overdue_seconds: device.state === 'late' || device.state === 'offline' ? (Date.now() - device.receivedAt) / 1000 - 60 : null,
                })),
                next: matching.length > limit ? matching[limit - 1].id : null,
            };
        }
        case '/regions': {
            const names = [...new Set(devices.map((device) => device.region))].sort((a, b) => (a === null ? 1 : b === null ? -1 : a < b ? -1 : 1));
            return { regions: names.map((region) => ({ region, ...statsOf(devices.filter((device) => device.region === region)) })).filter((region) => region.sample_count), next: null };
        }
        case '/liveness':
            return Object.fromEntries(['online', 'late', 'offline', 'never_seen', 'unknown'].map((state) => [state, devices.filter((device) => device.state === state).length]));
        case '/series':
            return series(subjectOf(query), query);
        case '/quantiles':
            return quantiles(subjectOf(query), query);
        case '/status': {
            const lag = Math.random() * 0.02;
            const projection = (name) => ({ projection: name, state: 'current', applied: ingest.accepted, lag_events: Math.floor(lag * 600), lag_seconds: lag, as_of: time(Date.now()), last_error: null });
            return {
                worker: { state: 'running', pid: 4711, since: time(kStarted - 5 * 3_600_000), last_error: null },
                projections: ['device', 'device_1m', 'device_1h', 'device_1d', 'region', 'region_1m', 'region_1h', 'region_1d'].map(projection),
                pipeline: ['log', 'batches', 'projections', 'notification'].map((stage) => ({ stage, state: stage === 'notification' ? 'fresh' : 'current', events: ingest.accepted, waiting: 0, lag_seconds: lag })),
                relay: option('--empty') ? [] : [
                    { sink: 'nats', state: 'connected', since: time(kStarted - 3_600_000), pending: 0, last_error: null },
                    { sink: 'redis', state: 'backing off', since: time(kStarted - 90_000), pending: 1520, last_error: 'connect: connection refused' },
                ],
                ingest: { ...ingest, stats_since: time(kStarted - 30 * 86_400_000) },
            };
        }
        case '/rejected':
            if (!isAdmin) throw new Problem(403, 'Forbidden', 'permission denied for view rejected_readings', { sqlstate: '42501' });
            return {
                rejected: rejected.slice(0, Number(query.get('limit') ?? 50)),
                by_sqlstate: rejected.reduce((sums, { sqlstate, times }) => ({ ...sums, [sqlstate]: (sums[sqlstate] ?? 0) + times }), {}),
            };
        case '/healthz': {
            const items = [
                { item: 'worker', state: 'ok', detail: 'running', hint: null },
                { item: 'relay redis', state: 'warning', detail: 'The relay has not reached the server for 90 seconds.', hint: 'Look whether Redis runs, and at telemetry_cqrs.relay_redis_url.' },
            ];
            return isAdmin ? { state: 'warning', items } : { state: option('--empty') ? 'ok' : 'warning' };
        }
        default:
            throw new Problem(404, 'Not Found', `there is no route ${route}`);
    }
}

function control(route, query) {
    switch (route) {
        case '/mock/cut':
            streams.forEach((stream) => stream.destroy());
            return {};
        case '/mock/lost':
            isLost = true;
            return {};
        case '/mock/flood':
            publishReadings(Number(query.get('events')));
            return {};
        case '/mock/quiet':
            isQuiet = query.get('on') === '1';
            return {};
        case '/mock/down':
            isDown = query.get('on') === '1';
            if (isDown) streams.forEach((stream) => stream.destroy());
            return {};
        case '/mock/offline': {
            const device = devices.find((candidate) => candidate.id === query.get('device'));
            device.state = 'offline';
            const text = publish('device.offline', { device_id: device.id, region: device.region, state: 'offline', since: time(Date.now()) });
            send(text);
            return {};
        }
        default:
            return { opened, next: eventId };
    }
}

const server = http.createServer((request, response) => {
    const url = new URL(request.url, 'http://localhost');
    const reply = (status, body, type = 'application/json') => {
        const text = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
        const tag = `"${createHash('sha1').update(text).digest('hex')}"`;
        const isSame = status === 200 && request.headers['if-none-match'] === tag;
        const head = { 'Content-Type': `${type}; charset=utf-8`, 'Cache-Control': 'private, no-cache', 'X-Content-Type-Options': 'nosniff' };
        if (status === 200) head.ETag = tag;
        if (status === 503) head['Retry-After'] = '1';
        const isPacked = /\bgzip\b/.test(request.headers['accept-encoding'] ?? '') && text.length > 1000;
        if (isPacked) Object.assign(head, { 'Content-Encoding': 'gzip', Vary: 'Accept-Encoding' });
        response.writeHead(isSame ? 304 : status, head);
        response.end(isSame ? undefined : isPacked ? gzipSync(text) : text);
    };
    if (url.pathname.startsWith('/mock/')) return reply(200, control(url.pathname, url.searchParams));
    if (url.pathname === '/') return reply(200, page, 'text/html');
    if (isDown) return reply(503, { type: 'about:blank', title: 'Service Unavailable', status: 503, detail: 'the server is starting' }, 'application/problem+json');
    const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1];
    const role = token === undefined && option('--anonymous') ? 'reader' : kRoles[token];
    if (role === undefined && url.pathname !== '/healthz') {
        return reply(401, { type: 'about:blank', title: 'Unauthorized', status: 401, detail: 'a valid token is needed' }, 'application/problem+json');
    }
    if (url.pathname === '/events') return openStream(request, response);
    try {
        reply(200, answerTo(url.pathname, url.searchParams, role));
    } catch (error) {
        if (!(error instanceof Problem)) throw error;
        reply(error.body.status, error.body, 'application/problem+json');
    }
});

server.listen(wantedPort, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}/`));
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
