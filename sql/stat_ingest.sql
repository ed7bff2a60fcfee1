-- stat_ingest counts each reading in one column, whatever becomes of its transaction. The expected numbers are counted by hand.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS telemetry_cqrs;
RESET client_min_messages;
\set VERBOSITY sqlstate
\set show 'SELECT received, accepted, duplicates AS dup, conflicts AS con, rejected AS rej, rolled_back AS back, raised, commands AS com, batches AS bat, last_error_sqlstate AS error FROM telemetry.stat_ingest'
CREATE FUNCTION pg_temp.send(key text, value double precision = 1, device text = 'stat-1') RETURNS text LANGUAGE sql AS $$
    SELECT status FROM telemetry.ingest_telemetry(device, '2024-05-01 10:00:00+00', value, NULL, key)
$$;
CREATE FUNCTION pg_temp.send_batch(keys text[], on_error text = 'quarantine', device text = 'stat-1') RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', received, accepted, duplicates, conflicts, rejected)
    FROM telemetry.ingest_telemetry_batch(
        (SELECT array_agg(CASE k WHEN 'bad' THEN '' ELSE device END) FROM unnest(keys) AS k),
        (SELECT array_agg('2024-05-01 10:00:00+00'::timestamptz) FROM unnest(keys) AS k),
        (SELECT array_agg(CASE k WHEN 'taken' THEN 99 ELSE 1 END) FROM unnest(keys) AS k), NULL, keys, on_error => on_error)
$$;
SELECT telemetry.stat_ingest_reset();
:show;
SELECT stats_since <= clock_timestamp() AS since, last_error_at IS NULL AS no_error FROM telemetry.stat_ingest;

-- Single calls bring one of each verdict; the last two raise.
SELECT pg_temp.send('taken');
SELECT pg_temp.send('taken');
SELECT pg_temp.send('taken', 2);
SELECT pg_temp.send('a', 1, '');
:show;
SELECT last_error_at BETWEEN stats_since AND clock_timestamp() AS error_at FROM telemetry.stat_ingest;

-- A batch of five stores two and has one of each other verdict. The next is refused as a whole by its third reading, and the last is malformed.
SELECT pg_temp.send_batch(ARRAY['b', 'c', 'b', 'taken', 'bad']);
:show;
SELECT pg_temp.send_batch(ARRAY['d', 'e', 'bad', 'f'], 'abort');
SELECT pg_temp.send_batch(ARRAY['d', 'e', 'taken', 'f'], 'abort');
SELECT pg_temp.send_batch(ARRAY['d', 'e'], 'whatever');
:show;

-- A transaction counts when it is over. A whole one is rolled back, whatever its verdicts were.
BEGIN;
SELECT pg_temp.send('g'), pg_temp.send('taken');
:show;
ROLLBACK;
:show;
-- An error later in the statement rolls back as well, and so does one at commit.
SELECT 1 / (length(pg_temp.send('g')) - length('accepted'));
:show;
CREATE TEMP TABLE deferred (a integer UNIQUE DEFERRABLE INITIALLY DEFERRED);
BEGIN;
INSERT INTO deferred VALUES (1), (1);
SELECT pg_temp.send('g');
COMMIT;
:show;

-- Savepoints: the top stores 1, a stores 2. Inside a are b and c: c is rolled back, b released, then a rolled back. Then come 1 more and a released pair of 2.
BEGIN;
SELECT pg_temp.send('h1');
SAVEPOINT a;
SELECT pg_temp.send('h2'), pg_temp.send('h3');
SAVEPOINT b;
SELECT pg_temp.send('h4');
SAVEPOINT c;
SELECT pg_temp.send('h5');
ROLLBACK TO c;
RELEASE b;
SELECT pg_temp.send('h6');
ROLLBACK TO a;
SELECT pg_temp.send('h7');
SAVEPOINT d;
SAVEPOINT e;
SELECT pg_temp.send('h8');
SAVEPOINT f;
SELECT pg_temp.send('h9');
RELEASE d;
COMMIT;
-- Accepted are h1, h7, h8, h9; rolled back are h2 to h6.
:show;
-- After an error in a savepoint the transaction goes on.
BEGIN;
SAVEPOINT a;
SELECT pg_temp.send('i1');
SELECT pg_temp.send('taken', 3);
ROLLBACK TO a;
SELECT pg_temp.send('i2');
COMMIT;
:show;

-- In exception blocks each tenth of 100 readings fails with its block.
DO $$ BEGIN
    FOR i IN 1 .. 100 LOOP
        BEGIN
            PERFORM pg_temp.send('j' || i);
            IF i % 10 = 0 THEN RAISE EXCEPTION 'no'; END IF;
        EXCEPTION WHEN raise_exception THEN
        END;
    END LOOP;
END $$;
:show;
-- A procedure may end transactions.
CREATE PROCEDURE pg_temp.ends() LANGUAGE plpgsql AS $$ BEGIN
    PERFORM pg_temp.send('k1');
    COMMIT;
    PERFORM pg_temp.send('k2'), pg_temp.send('k3');
    ROLLBACK;
    PERFORM pg_temp.send('k4');
END $$;
CALL pg_temp.ends();
:show;

-- A prepared transaction counts when it is prepared, and nothing takes it back.
BEGIN;
SELECT telemetry.ingest_telemetry('stat-2', '2024-05-01 10:00:00+00', 1) IS NOT NULL AS sent;
PREPARE TRANSACTION 'stat_ingest_1';
BEGIN;
SELECT telemetry.ingest_telemetry('stat-3', '2024-05-01 10:00:00+00', 1) IS NOT NULL AS sent;
PREPARE TRANSACTION 'stat_ingest_2';
:show;
COMMIT PREPARED 'stat_ingest_1';
ROLLBACK PREPARED 'stat_ingest_2';
:show;

-- A receipt taken apart calls once a column: the log has one row, and the other calls are repeats.
SELECT (telemetry.ingest_telemetry('stat-4', '2024-05-01 10:00:00+00', 1)).status, (telemetry.ingest_telemetry('stat-4', '2024-05-01 10:00:00+00', 1)).received_at IS NOT NULL AS received;
:show;
-- A read-only transaction counts as well.
BEGIN READ ONLY;
SELECT pg_temp.send('l');
ROLLBACK;
:show;
-- Other commands are no readings.
SELECT telemetry.register_device('stat-5');
:show;

-- accepted = rows of the log, and the one that was prepared and rolled back.
SELECT accepted - count(*) AS difference FROM telemetry.stat_ingest, telemetry.measurements WHERE device_id LIKE 'stat-%' GROUP BY accepted;
SELECT telemetry.stat_ingest_reset();
:show;
