#!/usr/bin/env node
// Consumes a durable subscription into a table of its own, each event exactly once, with node-postgres.
//
//     consumer.js create SUBSCRIPTION                  makes the table and the subscription, which begins with the oldest event
//     consumer.js run SUBSCRIPTION NAME [SECONDS]      consumes until SIGTERM or SIGINT; SECONDS: how long a lease lasts (30)
//
// Start as many as you want, each with a NAME of its own; they share the devices. Connects by the PG* variables, also through pgbouncer in
// transaction mode. Packages: node-pg of Debian, or `npm install` here.
'use strict';

const { Client } = require('pg');

const TABLE = `CREATE TABLE IF NOT EXISTS processed (
    event_id bigint, epoch integer, device_id text NOT NULL, fahrenheit double precision NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY, PRIMARY KEY (event_id, epoch))`;
const LONGEST_PAUSE = 2000; // milliseconds

let stopping = false;
let wake = () => {};
async function pauseFor(ms) {
    if (stopping) return;
    let timer;
    await new Promise((resolve) => { wake = resolve; timer = setTimeout(resolve, ms); });
    clearTimeout(timer);
}

async function withConnection(work) {
    const client = new Client({ application_name: 'example_consumer_node' });
    client.on('error', () => {}); // the running query fails with the same error
    try {
        await client.connect();
        return await work(client);
    } finally {
        await client.end().catch(() => {});
    }
}

const ofServer = (error) => /^[0-9A-Z]{5}$/.test(error.code ?? '') && error.severity !== undefined;
const isConnectionLost = (error) => !ofServer(error) || /^(08|57P)/.test(error.code);

async function create(subscription) {
    await withConnection(async (client) => {
        await client.query(TABLE);
        await client.query("SELECT telemetry.create_subscription($1, '-infinity')", [subscription]);
    });
}

// What the consumer does with an event. An exception says that the event cannot be processed.
function processEvent(payload) {
    const celsius = payload.temperature;
    if (typeof celsius !== 'number') throw new Error('there is no temperature');
    if (celsius < -273.15) throw new Error(`${celsius} degrees are colder than possible`);
    return (celsius * 9) / 5 + 32;
}

// Processes the events of a lease. The results and the answer are one transaction, so both count or neither does.
async function store(client, subscription, lease, events) {
    const results = [];
    const failedDevices = new Set();
    const failed = [];
    let reason;
    for (const { id, epoch, device_id: device, payload } of events) {
        try {
            if (failedDevices.has(device)) throw new Error('an earlier event of the device has failed');
            results.push({ id, epoch, device, fahrenheit: processEvent(payload) });
        } catch (error) {
            reason ??= `event ${id}: ${error.message}`;
            failedDevices.add(device);
            failed.push(id);
        }
    }
    await client.query('BEGIN');
    // The answer comes first: from now on no other consumer can get the events, unless this transaction fails.
    if (failed.length > 0) {
        // Those that failed come again, with the later ones of their devices. The others count as processed.
        await client.query('SELECT telemetry.nack($1, $2, $3, $4::bigint[])', [subscription, lease, reason, failed]);
    } else {
        await client.query('SELECT telemetry.ack($1, $2)', [subscription, lease]);
    }
    await client.query(
        `INSERT INTO processed (event_id, epoch, device_id, fahrenheit)
         SELECT * FROM unnest($1::bigint[], $2::integer[], $3::text[], $4::float8[])`,
        ['id', 'epoch', 'device', 'fahrenheit'].map((column) => results.map((result) => result[column])));
    await client.query('COMMIT');
    console.log(`processed ${results.length}` + (failed.length > 0 ? `, gave back ${failed.length}: ${reason}` : ''));
}

// Returns whether there was something to do.
async function consumeOnce(client, subscription, name, seconds) {
    const { rows } = await client.query(
        `SELECT lease, id, epoch, device_id, payload
         FROM telemetry.next_batch($1, 500, make_interval(secs => $2), $3)`, [subscription, seconds, name]);
    if (rows.length === 0) return false;
    const { lease } = rows[0];
    try {
        await store(client, subscription, lease, rows);
    } catch (error) {
        if (isConnectionLost(error)) throw error; // the lease ends by itself, unless the server has stored the results
        await client.query('ROLLBACK');
        if (error.code === 'TC206') {
            // The consumer was too slow, and another one has the events. The results were rolled back.
            console.log('lease lost');
        } else {
            // One of the results cannot be stored. Ever fewer events come at a time, until the one that is to blame comes alone.
            console.log(`gave the lease back: ${error.message}`);
            await client.query('SELECT telemetry.nack($1, $2, $3)', [subscription, lease, error.message]);
        }
    }
    return true;
}

async function run(subscription, name, seconds) {
    for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => { stopping = true; wake(); });
    let pause = 50;
    const rest = async () => { await pauseFor(pause); pause = Math.min(2 * pause, LONGEST_PAUSE); };
    while (!stopping) {
        try {
            await withConnection(async (client) => {
                while (!stopping) {
                    if (await consumeOnce(client, subscription, name, seconds)) pause = 50;
                    else await rest();
                }
            });
        } catch (error) {
            // An unknown subscription, a right that is missing and a subscription that is lost (TC205) stay so.
            if (!isConnectionLost(error) && !/^(53300|40001|40P01)/.test(error.code)) throw error;
            console.error(`again after: ${error.message}`);
            await rest();
        }
    }
    console.log('stopped');
}

const [what, ...rest] = process.argv.slice(2);
let done;
if (what === 'create' && rest.length === 1) done = create(rest[0]);
else if (what === 'run' && (rest.length === 2 || rest.length === 3)) done = run(rest[0], rest[1], Number(rest[2] ?? 30));
else {
    console.error('consumer.js create SUBSCRIPTION | run SUBSCRIPTION NAME [SECONDS]');
    process.exit(2);
}
done.catch((error) => {
    console.error(`${error.code}: ${error.message}`);
    process.exit(1);
});
