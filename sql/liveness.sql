-- How often a device is expected to send, and what device_liveness says of it. The borders are at exactly one and three intervals, as counted by
-- hand. test/tap/315_liveness.pl tests the events.
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET datestyle = 'ISO';

-- Intervals that nobody can expect.
SELECT telemetry.register_device('alive-0', expected_interval => '0');
SELECT telemetry.register_device('alive-0', expected_interval => '-1 s');
SELECT telemetry.register_device('alive-0', expected_interval => '366 days');
SELECT count(*) FROM telemetry.device WHERE device_id = 'alive-0';

SELECT telemetry.register_device('alive-' || i, 'alive hall', '1 h') FROM generate_series(1, 6) AS i;
SELECT telemetry.register_device('alive-7');
SELECT telemetry.register_device('alive-8', 'alive yard', '1 h');
SELECT telemetry.set_expected_interval('alive-none', '1 h');
SELECT telemetry.set_expected_interval(NULL, '1 h');
SELECT telemetry.set_expected_interval('alive-1', '0');
SELECT telemetry.set_expected_interval('alive-1', '-00:00:00.000001');
SELECT telemetry.set_expected_interval('alive-1', '365 days 00:00:00.000001');
SELECT telemetry.set_expected_interval('alive-1', '365 days'), telemetry.set_expected_interval('alive-2', '00:00:00.000001'), telemetry.set_expected_interval('alive-3', NULL);
SELECT device_id, expected_interval FROM telemetry.device WHERE device_id LIKE 'alive-_' ORDER BY 1;
SELECT telemetry.set_expected_interval('alive-' || i, '1 h') FROM generate_series(1, 3) AS i;

SELECT accepted FROM telemetry.ingest_telemetry_batch(ARRAY(SELECT 'alive-' || i FROM generate_series(1, 7) AS i), array_fill('2024-06-01 10:00'::timestamptz, ARRAY[7]), array_fill(1, ARRAY[7]), NULL, NULL, NULL,
    ARRAY['alive street', NULL, NULL, NULL, NULL, NULL, NULL]);
CALL telemetry.project_once();

-- The last readings were received at these times by the server's clock. What the device's clock says changes nothing. No
-- pass runs meanwhile, because it locks all tables first.
BEGIN;
LOCK TABLE telemetry.state_device IN SHARE ROW EXCLUSIVE MODE;
CREATE TEMP TABLE age (device_id, age) AS VALUES ('alive-1', interval '0'), ('alive-2', '1 h'), ('alive-3', '1 h 0.000001 s'), ('alive-4', '3 h'), ('alive-5', '3 h 0.000001 s'), ('alive-6', '10 days'), ('alive-7', '10 days');
UPDATE telemetry.state_device SET last_received_at = now() - age, last_seen = '2024-06-01 10:00' FROM age WHERE key = device_id;
SELECT device_id, region, state, now() - last_received_at AS silence, last_measured_at, expected_interval, overdue_by, offline_at - now() AS offline_in, as_of >= now() AS is_complete
FROM telemetry.device_liveness WHERE device_id LIKE 'alive-_' ORDER BY 1;
SELECT state, count(*) FROM telemetry.device_liveness WHERE region LIKE 'alive%' GROUP BY state ORDER BY state COLLATE "C";
-- The registry's region counts until there is a reading. A retired device has no row.
UPDATE telemetry.device SET status = 'retired' WHERE device_id = 'alive-6';
SELECT device_id, region, state FROM telemetry.device_liveness WHERE device_id IN ('alive-1', 'alive-6', 'alive-8') ORDER BY 1;
-- Months count 30 days. Earlier versions stored any interval, and some of them say nothing.
UPDATE telemetry.device SET expected_interval = CASE device_id WHEN 'alive-1' THEN interval '-1 h' WHEN 'alive-2' THEN '0' WHEN 'alive-3' THEN '178000000 years' WHEN 'alive-4' THEN '1 month' WHEN 'alive-5' THEN '1 s' END
WHERE device_id BETWEEN 'alive-1' AND 'alive-5';
UPDATE telemetry.state_device SET last_received_at = now() - interval '30 days' WHERE key = 'alive-4';
SELECT device_id, state, expected_interval, overdue_by FROM telemetry.device_liveness WHERE device_id BETWEEN 'alive-1' AND 'alive-5' ORDER BY 1;
UPDATE telemetry.state_device SET last_received_at = last_received_at - interval '0.000001 s' WHERE key = 'alive-4';
SELECT device_id, state, expected_interval, overdue_by FROM telemetry.device_liveness WHERE device_id = 'alive-4';
ROLLBACK;

-- While readings wait, the state is that of as_of: here that of the last pass.
SELECT telemetry.pause_projection('device');
SELECT status FROM telemetry.ingest_telemetry('alive-2', NULL, 2);
BEGIN;
LOCK TABLE telemetry.state_device IN SHARE ROW EXCLUSIVE MODE;
UPDATE telemetry.state_device SET last_received_at = now() - CASE key WHEN 'alive-1' THEN interval '2 h' ELSE '4 h' END WHERE key IN ('alive-1', 'alive-2');
UPDATE telemetry.cursor SET as_of = now() - interval '150 min' WHERE projection = 'device' AND purpose = 'current';
UPDATE telemetry.batcher SET as_of = now() - interval '150 min', batched_as_of = now() - interval '150 min';
SELECT device_id, state, overdue_by, now() - as_of AS behind FROM telemetry.device_liveness WHERE device_id IN ('alive-1', 'alive-2') ORDER BY 1;
-- A session may refuse statistics that are so old.
SET LOCAL telemetry_cqrs.max_staleness = '1h';
\set VERBOSITY sqlstate
SELECT state FROM telemetry.device_liveness WHERE device_id = 'alive-1';
\set VERBOSITY default
ROLLBACK;
SELECT telemetry.resume_projection('device');
CALL telemetry.project_once();

-- The query of one device finds its rows by the keys.
CREATE FUNCTION pg_temp.plan_of(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    SET LOCAL enable_seqscan = off;
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        IF line ~ 'Scan' AND line !~ 'Function Scan' THEN RETURN NEXT trim(line); END IF;
    END LOOP;
END $$;
SELECT * FROM pg_temp.plan_of($$ SELECT * FROM telemetry.device_liveness WHERE device_id = 'alive-1' $$);
