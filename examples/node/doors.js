#!/usr/bin/env node
// Sends readings through each door and reads the answers, with node-postgres and pg-copy-streams.
//
//     doors.js DEVICE [prepared]    prepared: with named statements, which do not go through every pooler
//
// Connects by the PG* variables. Packages: `npm install` here. doc/manual/drivers.md says which types to bind.
'use strict';

const { Client } = require('pg');
const { from: copyFrom } = require('pg-copy-streams');
const { Readable } = require('stream');
const { pipeline } = require('stream/promises');

const MEASURED_AT = new Date('2026-03-01T12:00:00Z');
const [device, mode] = process.argv.slice(2);
const later = (seconds) => new Date(MEASURED_AT.getTime() + 1000 * seconds);

// A named statement is prepared once for each session.
const names = new Map();
function query(client, text, values) {
    if (mode !== 'prepared') return client.query(text, values);
    if (!names.has(text)) names.set(text, `statement ${names.size + 1}`);
    return client.query({ name: names.get(text), text, values });
}

// Prints a receipt of a batch, and the items that are not simply stored.
async function showReceipt(client, door, { token, ...counts }) {
    console.log(`${door}: ${Object.entries(counts).map(([name, count]) => `${name} ${count}`).join(' ')}`);
    const { rows } = await query(client,
        `SELECT item_index, verdict, sqlstate FROM telemetry.batch_verdicts($1)
         WHERE verdict <> 'accepted' ORDER BY item_index`, [token]);
    for (const { item_index, verdict, sqlstate } of rows) {
        console.log(`${door} item ${item_index}: ${verdict} ${sqlstate ?? '-'}`);
    }
    return token;
}

// A real client sends the whole call again after a lost connection, 40001, 40P01 or TC101, as telemetry.js does.
async function sendReading(client, { key, temperature, metrics }) {
    // node-postgres sends a plain object as JSON, and undefined as NULL. event_id comes as a string, because it is a bigint.
    const { rows } = await query(client,
        `SELECT event_id, status, token FROM telemetry.ingest_telemetry(
             $1, $2, temperature => $3, idempotency_key => $4, metrics => $5)`,
        [device, MEASURED_AT, temperature, key, metrics]);
    return rows[0];
}

async function sendOne(client) {
    const reading = { key: `${device}:1`, temperature: 21.5, metrics: { battery: 3.7 } };
    const first = await sendReading(client, reading);
    console.log(`one: ${first.status}`);
    const again = await sendReading(client, reading);
    console.log(`repeat: ${again.status} of ${again.event_id === first.event_id ? 'the same' : 'another'} event`);
}

async function sendRefused(client) {
    try {
        await sendReading(client, { key: `${device}:bad`, temperature: NaN });
    } catch (error) {
        console.log(`refused: ${error.code} ${error.message}\ndetail: ${error.detail}\nhint: ${error.hint}`);
    }
}

async function sendJson(client) {
    const items = [
        { device_id: device, measured_at: MEASURED_AT, temperature: 21.5, idempotency_key: `${device}:1`,
          metrics: { battery: 3.7 } },
        { device_id: device, measured_at: later(60), temperature: 21.7, idempotency_key: `${device}:2` },
        { device_id: device, temprature: 21.9, idempotency_key: `${device}:3` },
    ];
    // JSON.stringify is needed: node-postgres makes an SQL array of a JavaScript array, which is no JSON.
    const send = (list, type) => query(client,
        `SELECT received, accepted, duplicates, conflicts, rejected, token
         FROM telemetry.ingest_telemetry_batch($1${type})`, [JSON.stringify(list)]);
    await showReceipt(client, 'json', (await send(items, '::json')).rows[0]);
    // A text without a type does as well.
    console.log(`text: ${(await send(items.slice(0, 2), '')).rows[0].duplicates} duplicates`);
}

// A line of COPY in the text format: a tab separates columns, \N is NULL.
const escapes = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' };
const field = (value) => (value == null ? '\\N' : String(value).replace(/[\\\t\n\r]/g, (c) => escapes[c]));
const line = (...values) => `${values.map(field).join('\t')}\n`;

function* copyLines() {
    for (let n = 1; n <= 1000; n++) {
        yield line(device, later(3600 + n).toISOString(), n === 500 ? NaN : 20 + n / 1000, `${device}:copy:${n}`);
    }
}

async function sendCopy(client) {
    // The receipt is asked for in the same transaction, because through a pooler the next one may run in another session.
    await client.query('BEGIN');
    await pipeline(Readable.from(copyLines()),
        client.query(copyFrom('COPY telemetry.inbox (device_id, measured_at, temperature, idempotency_key) FROM STDIN')));
    const { rows } = await query(client,
        'SELECT received, accepted, duplicates, conflicts, rejected, token FROM telemetry.inbox_receipt()', []);
    await client.query('COMMIT');
    return showReceipt(client, 'copy', rows[0]);
}

async function waitFor(client, token) {
    const { outcome } = (await query(client, 'SELECT telemetry.wait_for($1) AS outcome', [token])).rows[0];
    const { rows } = await query(client, 'SELECT sample_count FROM telemetry.device_stats WHERE device_id = $1', [device]);
    console.log(`waited: ${outcome}, ${rows[0].sample_count} readings`);
}

async function main() {
    const client = new Client({ application_name: 'example_node' });
    await client.connect();
    try {
        await sendOne(client);
        await sendRefused(client);
        await sendJson(client);
        await waitFor(client, await sendCopy(client));
    } finally {
        await client.end();
    }
}

if (!device || ![undefined, 'prepared'].includes(mode)) {
    console.error('doors.js DEVICE [prepared]');
    process.exit(2);
}
main().catch((error) => {
    console.error(`${error.code}: ${error.message}`);
    process.exit(1);
});
