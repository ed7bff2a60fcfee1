-- People and tools read the log by measurements, events and read_events. The figures of the read models are computed by hand.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS telemetry_cqrs;
RESET client_min_messages;
SET timezone = 'UTC';

-- The readings come out of order, with a tie at the last time, missing values and two regions. Of 2, 4, 4, 4, 5, 5, 7, 9 the mean is 5 and the
-- sum of squared deviations 32, so that the sample's standard deviation is sqrt(32 / 7).
SELECT received, accepted FROM telemetry.ingest_telemetry_batch(
    array_fill('view-1'::text, ARRAY[8]),
    ARRAY['2024-05-01 10:05', '2024-05-01 10:01', '2024-05-01 10:07', '2024-05-01 10:03', '2024-05-01 10:01', '2024-05-01 10:04', '2024-05-01 10:07', '2024-05-01 10:06']::timestamptz[],
    ARRAY[2, 4, 4, 4, 5, 5, 7, 9], ARRAY[NULL, 50, NULL, NULL, NULL, NULL, NULL, 40],
    ARRAY['k1', 'k2', 'k3', 'k4', 'k5', 'k6', 'k7', 'k8'],
    ARRAY['{"light1": 10}', NULL, '{"light1": 30, "light2": 7}', NULL, NULL, NULL, NULL, '{"light1": 20}']::jsonb[],
    ARRAY['view hall', 'view hall', 'view yard', 'view hall', 'view hall', 'view hall', 'view yard', 'view hall']);
-- One reading has no value, one no region.
SELECT status FROM telemetry.ingest_telemetry('view-2', '2024-05-01 09:00', idempotency_key => 'k1');
SELECT status FROM telemetry.ingest_telemetry('view-3', '2024-05-01 09:00', -1.5, 99, 'k1', NULL, 'view hall');
CALL telemetry.project_once();

\x on
SELECT device_id, region, first_seen, last_seen, sample_count, avg_temperature, min_temperature, max_temperature,
       abs(stddev_temperature - sqrt(32.0 / 7)) < 1e-9 AS stddev_temperature_right, last_temperature,
       avg_humidity, min_humidity, max_humidity, abs(stddev_humidity - sqrt(50)) < 1e-9 AS stddev_humidity_right, last_humidity
FROM telemetry.device_stats WHERE device_id = 'view-1';
SELECT device_id, region, first_seen, last_seen, sample_count, avg_temperature, min_temperature, max_temperature, stddev_temperature, last_temperature,
       avg_humidity, min_humidity, max_humidity, stddev_humidity, last_humidity
FROM telemetry.device_stats WHERE device_id IN ('view-2', 'view-3') ORDER BY device_id;
\x off
SELECT d.last_received_at = m.last_received_at AS same_last_received_at, d.as_of >= m.last_received_at AS complete
FROM telemetry.device_stats d,
     (SELECT max(received_at) AS last_received_at FROM telemetry.measurements WHERE device_id = 'view-1') AS m
WHERE d.device_id = 'view-1';
SELECT metric, sample_count, avg, min, max, round(stddev::numeric, 9) AS stddev, first_value, first_at, last_value, last_at
FROM telemetry.device_metric_stats WHERE device_id = 'view-1' ORDER BY metric;
SELECT count(*) AS metrics_of_a_reading_without_values FROM telemetry.device_metric_stats WHERE device_id = 'view-2';
-- A region's figures go by the region of each reading: hall has 2, 4, 4, 5, 5, 9 and -1.5, yard has 4, 7.
SELECT region, first_seen, last_seen, sample_count, round(avg_temperature::numeric, 9) AS avg_temperature, min_temperature, max_temperature, last_temperature,
       round(avg_humidity::numeric, 9) AS avg_humidity, last_humidity
FROM telemetry.region_stats WHERE region LIKE 'view %' ORDER BY region;
SELECT region, metric, sample_count, avg, min, max, first_value, first_at, last_value, last_at
FROM telemetry.region_metric_stats WHERE region LIKE 'view %' AND metric LIKE 'light%' ORDER BY region, metric;
-- Readings without a region have a row of their own, once.
SELECT count(*) AS rows, sum(sample_count) = (SELECT count(*) FROM telemetry.measurements WHERE region IS NULL) AS all_of_them
FROM telemetry.region_stats WHERE region IS NULL;

-- A late reading moves the first value, not the last. One at the same time as the last wins by the greater value only.
SELECT status FROM telemetry.ingest_telemetry('view-1', '2024-04-01 00:00', 6, NULL, 'late', NULL, 'view attic');
SELECT status FROM telemetry.ingest_telemetry('view-1', '2024-05-01 10:07', 6, NULL, 'tie', NULL, 'view yard');
CALL telemetry.project_once();
SELECT region, first_seen, last_seen, sample_count, last_temperature FROM telemetry.device_stats WHERE device_id = 'view-1';
SELECT first_value, first_at, last_value, last_at FROM telemetry.device_metric_stats WHERE device_id = 'view-1' AND metric = 'temperature';
SELECT status FROM telemetry.ingest_telemetry('view-1', '2024-05-01 10:07', 8, NULL, 'tie2', NULL, 'view yard');
SELECT status FROM telemetry.ingest_telemetry('view-1', '2024-04-01 00:00', 3, NULL, 'late2', NULL, 'view attic');
CALL telemetry.project_once();
SELECT first_value, first_at, last_value, last_at FROM telemetry.device_metric_stats WHERE device_id = 'view-1' AND metric = 'temperature';

-- Of two regions at the last time the greater one counts, whatever the arrival order, in one batch or two.
SELECT accepted FROM telemetry.ingest_telemetry_batch(array_fill('view-5'::text, ARRAY[2]), array_fill('2024-05-01 10:00'::timestamptz, ARRAY[2]), ARRAY[1, 2], NULL, NULL, NULL, ARRAY['tie m', 'tie c']);
CALL telemetry.project_once();
SELECT region FROM telemetry.device_stats WHERE device_id = 'view-5';
SELECT accepted FROM telemetry.ingest_telemetry_batch(ARRAY['view-5'], ARRAY['2024-05-01 10:00'::timestamptz], ARRAY[3], NULL, NULL, NULL, ARRAY['tie b']);
CALL telemetry.project_once();
SELECT region FROM telemetry.device_stats WHERE device_id = 'view-5';
SELECT accepted FROM telemetry.ingest_telemetry_batch(ARRAY['view-5'], ARRAY['2024-05-01 10:00'::timestamptz], ARRAY[0], NULL, NULL, NULL, ARRAY['tie z']);
CALL telemetry.project_once();
SELECT region FROM telemetry.device_stats WHERE device_id = 'view-5';

-- events has the outbox shape, and absent fields are absent.
SELECT aggregatetype, aggregateid, type, version, created_at = (payload->>'received_at')::timestamptz AS created_when_received,
       payload - 'received_at' AS payload
FROM telemetry.events WHERE aggregateid IN ('view-2', 'view-3') ORDER BY aggregateid;
SELECT count(*) AS measurements_that_are_no_event
FROM telemetry.measurements m LEFT JOIN telemetry.events e ON e.id = m.event_id AND e.aggregateid = m.device_id WHERE e.id IS NULL;

-- Every event of the log is in exactly one batch, in the order of (xid, event_id), and a batch has as many as it says.
CREATE TEMP TABLE seen AS
    SELECT b.batch_id, r.position, r.id FROM telemetry.batch b,
    LATERAL (SELECT e.id, row_number() OVER () AS position FROM telemetry.read_events(b.batch_id) AS e) AS r;
SELECT count(*) = (SELECT count(*) FROM telemetry.event) AS all_events, count(*) = count(DISTINCT id) AS each_once FROM seen;
SELECT count(*) AS batches_with_another_count
FROM telemetry.batch b WHERE b.events <> (SELECT count(*) FROM seen s WHERE s.batch_id = b.batch_id);
SELECT count(*) AS out_of_order
FROM (SELECT (e.xid, e.event_id) <= lag((e.xid, e.event_id)) OVER (PARTITION BY s.batch_id ORDER BY s.position) AS wrong
      FROM seen s JOIN telemetry.event e ON e.event_id = s.id) AS o WHERE wrong;
SELECT count(*) AS rows_unlike_the_view
FROM telemetry.batch b, LATERAL telemetry.read_events(b.batch_id) AS r
WHERE NOT EXISTS (SELECT FROM telemetry.events e WHERE e.id = r.id AND e = r);
\set VERBOSITY sqlstate
SELECT * FROM telemetry.read_events(0);
SELECT * FROM telemetry.read_events(9223372036854775807);
\set VERBOSITY default
SELECT count(*) FROM telemetry.read_events(NULL);

-- A query for one device or region goes by its key. Servers before 17 add to an InitPlan what it returns.
CREATE FUNCTION pg_temp.plan_of(query text, OUT plan text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    FOR plan IN EXECUTE 'EXPLAIN (COSTS off) ' || query LOOP
        plan := replace(regexp_replace(plan, ' \(returns .*\)$', ''), '(InitPlan 1).col1', '$0');
        RETURN NEXT;
    END LOOP;
END $$;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT * FROM pg_temp.plan_of($$ SELECT sample_count FROM telemetry.device_stats WHERE device_id = 'view-1' $$);
SELECT * FROM pg_temp.plan_of($$ SELECT sample_count FROM telemetry.device_metric_stats WHERE device_id = 'view-1' AND metric = 'light' $$);
SELECT * FROM pg_temp.plan_of($$ SELECT sample_count FROM telemetry.region_stats WHERE region = 'north' $$);
SELECT * FROM pg_temp.plan_of($$ SELECT sample_count FROM telemetry.region_metric_stats WHERE region = 'north' AND metric = 'light' $$);
RESET enable_seqscan;
RESET enable_bitmapscan;

-- Nothing waits, and as many events were applied as the log holds.
SELECT projection, state, applied = (SELECT count(*) FROM telemetry.event) AS all_applied, lag_events, lag_seconds,
       as_of > now() - interval '1 minute' AS fresh, last_error, last_error_sqlstate, last_error_at
FROM telemetry.projection_status ORDER BY projection;
SELECT * FROM telemetry.projection_tail('device');
\set VERBOSITY sqlstate
SELECT telemetry.as_of('no such projection');
SELECT * FROM telemetry.projection_tail('no such projection');
-- project_once() raises 25001 inside a transaction block.
BEGIN;
CALL telemetry.project_once();
ROLLBACK;
BEGIN;
SELECT status FROM telemetry.ingest_telemetry('view-4', '2024-05-01 09:00', 1);
CALL telemetry.project_once();
ROLLBACK;
\set VERBOSITY default
