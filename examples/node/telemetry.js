#!/usr/bin/env node
// Sends readings, waits for its own writes and follows events, with node-postgres.
//
//     telemetry.js send DEVICE KEY TEMPERATURE    one reading, then the device's statistics with it
//     telemetry.js batch DEVICE TEMPERATURE...    many at once; prints what was refused
//     telemetry.js follow BATCH COUNT             events from that batch on, until COUNT have been seen
//
// Connects by the PG* variables. Packages: node-pg of Debian, or `npm install` here.
'use strict';

const { Client } = require('pg');

const MEASURED_AT = '2026-03-01 12:00+00'; // a real device takes the time of its clock
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function withConnection(work) {
    const client = new Client({ application_name: 'example_node' });
    client.on('error', () => {}); // the running query fails with the same error
    try {
        await client.connect();
        return await work(client);
    } finally {
        await client.end().catch(() => {});
    }
}

// Runs work(client) until it succeeds; every call has a key, so that a repetition stores nothing twice.
//
// A lost connection leaves open whether the server has stored the reading; if it has, the answer to the repetition is "duplicate".
// 40001 and 40P01 say that the server has undone the transaction because of another one, TC101 that another session is storing the key.
async function withRetry(work) {
    for (let pause = 100; ; pause = Math.min(2 * pause, 5000)) {
        try {
            return await withConnection(work);
        } catch (error) {
            // An error of the server has a code of five characters; an error of the network has another code or none.
            const ofServer = /^[0-9A-Z]{5}$/.test(error.code ?? '') && error.severity !== undefined;
            if (ofServer && !/^(08|57P|53300|40001|40P01|TC101)/.test(error.code)) throw error; // a refused reading stays refused
            console.error(`again after: ${ofServer ? error.code : 'connection lost'}\n${error.message}`);
            await sleep(pause);
        }
    }
}

async function send(device, key, temperature) {
    const stored = await withRetry((client) =>
        client.query('SELECT event_id, status, token FROM telemetry.ingest_telemetry($1, $2, $3, NULL, $4)', [
            device, MEASURED_AT, Number(temperature), key,
        ]));
    const { event_id, status, token } = stored.rows[0];
    await withRetry(async (client) => {
        // The statistics follow within milliseconds. A client that wants its own reading in them waits for the token.
        const waited = (await client.query('SELECT telemetry.wait_for($1) AS outcome', [token])).rows[0].outcome;
        const stats = (await client.query(
            'SELECT sample_count, avg_temperature FROM telemetry.device_stats WHERE device_id = $1', [device])).rows[0]
            ?? { sample_count: 0, avg_temperature: null }; // there is no row when the wait timed out
        console.log(`event ${event_id} ${status}, ${waited}: ${stats.sample_count} readings, average ${stats.avg_temperature}`);
    });
}

async function batch(device, temperatures) {
    const keys = temperatures.map((_, i) => `${device}:${i + 1}`);
    const receipt = (await withRetry((client) =>
        client.query(
            `SELECT received, accepted, duplicates, conflicts, rejected
             FROM telemetry.ingest_telemetry_batch($1, $2, $3, $4, $5)`,
            [keys.map(() => device), keys.map(() => MEASURED_AT), temperatures.map(Number), keys.map(() => null), keys]))).rows[0];
    console.log(Object.entries(receipt).map(([name, count]) => `${name} ${count}`).join(' '));
    if (receipt.conflicts + receipt.rejected > 0) {
        const refused = await withRetry((client) =>
            client.query(
                `SELECT payload->>'idempotency_key' AS key, sqlstate FROM telemetry.rejected_readings
                 WHERE payload->>'idempotency_key' = ANY ($1) ORDER BY rejected_id`,
                [keys]));
        for (const { key, sqlstate } of refused.rows) console.log(`refused ${key} ${sqlstate}`);
    }
}

// The query reads the events of some batches from a number on. follow_from() raises TC203 when telemetry_cqrs.batch_retention has passed
// the number, or when the number is of another history of the log. Then start over from the statistics or from telemetry.events.
const EVENTS = `
    SELECT b.batch_id, e.id, e.aggregateid, e.payload->>'idempotency_key' AS key
    FROM (SELECT batch_id FROM telemetry.batch WHERE batch_id >= telemetry.follow_from($1) ORDER BY batch_id LIMIT 10) AS b,
        LATERAL telemetry.read_events(b.batch_id) AS e
    ORDER BY b.batch_id`;

// A NOTIFY only says when to look. The client reads the batches by their numbers, so it misses nothing that happened while it did not
// listen. Keep the number of the next batch where you keep the effects of the events.
async function follow(nextBatch, wanted) {
    let seen = 0;
    await withRetry(async (client) => {
        let wake = () => {};
        let notified = false;
        client.on('notification', () => { notified = true; wake(); });
        client.on('end', () => wake());
        await client.query('LISTEN telemetry_ingested');
        while (seen < wanted) {
            notified = false;
            const events = (await client.query(EVENTS, [nextBatch])).rows;
            for (const { batch_id, id, aggregateid, key } of events) {
                console.log(`event ${id} ${aggregateid} ${key}`);
                nextBatch = Number(batch_id) + 1;
            }
            seen += events.length;
            if (events.length === 0 && !notified) {
                // The client waits five seconds at most, because a notification may have been lost with a connection.
                let timer;
                await new Promise((resolve) => { wake = resolve; timer = setTimeout(resolve, 5000); });
                clearTimeout(timer);
            }
        }
    });
}

const [what, ...rest] = process.argv.slice(2);
let done;
if (what === 'send' && rest.length === 3) done = send(...rest);
else if (what === 'batch' && rest.length > 1) done = batch(rest[0], rest.slice(1));
else if (what === 'follow' && rest.length === 2) done = follow(Number(rest[0]), Number(rest[1]));
else {
    console.error('telemetry.js send DEVICE KEY TEMPERATURE | batch DEVICE TEMPERATURE... | follow BATCH COUNT');
    process.exit(2);
}
done.catch((error) => {
    console.error(error.message);
    process.exit(1);
});
