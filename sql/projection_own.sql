-- Projections of one's own: they are filled from the history of the log, keep up afterwards, and go without a trace. A rebuild replaces
-- what somebody falsified.
\set SHOW_CONTEXT never
SET timezone = 'UTC';

SELECT accepted FROM telemetry.ingest_telemetry_batch(
    ARRAY['lab-1', 'lab-1', 'lab-2', 'hall-1', 'lab-1'],
    ARRAY['2024-05-01 10:01', '2024-05-01 10:14', '2024-05-01 10:16', '2024-05-01 10:05', '2024-05-01 10:44']::timestamptz[],
    ARRAY[1, 2, 3, 4, 5], ARRAY[50, NULL, 51, 52, 53], NULL,
    ARRAY['{"light": 1}', '{"light": 2, "noise": 7}', NULL, '{"light": 4}', '{"light": 8}']::jsonb[],
    ARRAY['own north', 'own north', 'own south', 'own north', 'own north']);
CALL telemetry.project_once();

-- The worker leaves them alone while they are paused.
BEGIN;
SELECT telemetry.create_projection('lab_15m', 'device', '15 minutes', devices => 'lab-%', metrics => ARRAY['temperature', 'light']);
SELECT telemetry.create_projection('north', 'all', regions => ARRAY['own north'], quantiles => false, cadence => '0');
SELECT telemetry.create_projection('region_6h', 'region', '6 hours', metrics => ARRAY['light'], regions => ARRAY['own north', 'own south']);
SELECT telemetry.pause_projection(p) FROM unnest(ARRAY['lab_15m', 'north', 'region_6h']) AS p;
COMMIT;
SELECT projection, state, applied, lag_events > 4 AS some_wait, cadence FROM telemetry.projection_status WHERE projection IN ('lab_15m', 'north', 'region_6h') ORDER BY 1;
SELECT * FROM telemetry.lab_15m_stats;
SELECT telemetry.resume_projection(p) FROM unnest(ARRAY['lab_15m', 'north', 'region_6h']) AS p;
CALL telemetry.project_once();
SELECT projection, state, applied > 4 AS is_applied, lag_events FROM telemetry.projection_status WHERE projection IN ('lab_15m', 'north', 'region_6h') ORDER BY 1;
SELECT time, device_id, metric, sample_count, avg, first_value, last_value, round(p50::numeric, 1) AS p50 FROM telemetry.lab_15m_stats ORDER BY time, device_id, metric;
SELECT metric, sample_count, min, max, p50 FROM telemetry.north_stats ORDER BY metric;
SELECT time, region, metric, sample_count, avg, round(p95::numeric, 1) AS p95 FROM telemetry.region_6h_stats ORDER BY region;

-- They keep up, with late readings too. One that has no cadence follows.
SELECT accepted FROM telemetry.ingest_telemetry_batch(ARRAY['lab-2', 'hall-1'], ARRAY['2024-05-01 10:02', '2024-05-01 10:02']::timestamptz[], ARRAY[9, 10], NULL, NULL, NULL, ARRAY['own north', 'own north']);
CALL telemetry.project_once();
SELECT time, device_id, metric, sample_count, avg FROM telemetry.lab_15m_stats WHERE device_id = 'lab-2' ORDER BY time, metric;
SELECT metric, sample_count, min, max FROM telemetry.north_stats ORDER BY metric;
SELECT projection, batch_id IS NULL AS follows FROM telemetry.cursor WHERE projection IN ('lab_15m', 'north') ORDER BY 1;

-- A rebuild of each kind: it is invisible until it holds everything.
SELECT telemetry.pause_projection(p) FROM unnest(ARRAY['lab_15m', 'north', 'device']) AS p;
UPDATE telemetry.state_lab_15m SET sample_count = 77, summaries = NULL, metric_names = NULL WHERE key = 'lab-1';
DELETE FROM telemetry.state_north;
UPDATE telemetry.state_device SET first_seen = '1999-01-01' WHERE key = 'lab-1';
SELECT telemetry.rebuild_projection('lab_15m'), telemetry.rebuild_projection('north'), telemetry.rebuild_projection('device');
SELECT telemetry.rebuild_projection('north');
SELECT projection, state, rebuilt_events FROM telemetry.projection_status WHERE rebuilt_events IS NOT NULL ORDER BY 1;
SELECT first_seen FROM telemetry.device_stats WHERE device_id = 'lab-1';
SELECT telemetry.resume_projection(p) FROM unnest(ARRAY['lab_15m', 'north', 'device']) AS p;
CALL telemetry.project_once();
SELECT projection, generation, purpose, is_filled FROM telemetry.cursor WHERE projection IN ('lab_15m', 'north', 'device', 'region') ORDER BY 1;
SELECT time, device_id, metric, sample_count, avg FROM telemetry.lab_15m_stats WHERE device_id = 'lab-1' ORDER BY time, metric;
SELECT metric, sample_count, min, max FROM telemetry.north_stats ORDER BY metric;
SELECT first_seen, sample_count FROM telemetry.device_stats WHERE device_id = 'lab-1';
SELECT telemetry.clear_generations('device') AS has_more;
SELECT count(DISTINCT generation) FROM telemetry.state_device;

-- Default privileges give nobody a right to the relations of a projection.
CREATE ROLE telemetry_own_stranger;
BEGIN;
ALTER DEFAULT PRIVILEGES IN SCHEMA telemetry GRANT ALL ON TABLES TO telemetry_own_stranger, PUBLIC;
SELECT telemetry.create_projection('unshared', 'all');
SELECT count(*) AS relations, bool_or(has_table_privilege('telemetry_own_stranger', oid, 'SELECT, INSERT, UPDATE, DELETE')) AS is_shared FROM pg_class WHERE relname ~ '^(state_unshared|unshared_stats(_live)?)$';
ROLLBACK;
DROP ROLE telemetry_own_stranger;

-- The functions refuse these.
\set VERBOSITY sqlstate
SELECT telemetry.create_projection('north', 'all');
SELECT telemetry.create_projection('North', 'all');
SELECT telemetry.create_projection('x', 'floor');
SELECT telemetry.create_projection('x', 'all', '7 minutes');
SELECT telemetry.create_projection('x', 'all', '1 month');
SELECT telemetry.create_projection('x', 'all', cadence => '-1 s');
SELECT telemetry.create_projection('device_metric', 'all');
SELECT telemetry.rebuild_projection('nothing');
SELECT telemetry.drop_projection('device_1m');
SELECT telemetry.set_retention('device', '1 day');
SELECT telemetry.set_retention('device_1h', '1 minute');
SELECT telemetry.set_retention('device_1h', '1 month');
SELECT telemetry.set_cadence('device_1h', '2 days');
\set VERBOSITY default

-- Old buckets go, a part at a time; the caller goes on with the key that it gets.
BEGIN;
SELECT telemetry.set_retention('lab_15m', '1 hour'), telemetry.set_cadence('lab_15m', '2 s');
SELECT retention, cadence FROM telemetry.projection_status WHERE projection = 'lab_15m';
ROLLBACK;
SELECT telemetry.clear_buckets('lab_15m', (SELECT generation FROM telemetry.cursor WHERE projection = 'lab_15m'), '', '2024-05-01 10:10') = 'lab-2' || chr(1) AS goes_on;
SELECT telemetry.clear_buckets('lab_15m', (SELECT generation FROM telemetry.cursor WHERE projection = 'lab_15m'), 'lab-2' || chr(1), '2024-05-01 10:10');
SELECT DISTINCT time, device_id FROM telemetry.lab_15m_stats ORDER BY 1, 2;

-- Nothing is left of one that was dropped, and DROP EXTENSION drops the others.
SELECT telemetry.drop_projection('lab_15m');
SELECT count(*) FROM pg_class WHERE relname LIKE '%lab_15m%';
SELECT count(*) FROM telemetry.cursor WHERE projection = 'lab_15m';
CALL telemetry.project_once();
BEGIN;
DROP EXTENSION telemetry_cqrs;
SELECT count(*) FROM pg_class WHERE relname IN ('state_north', 'north_stats');
ROLLBACK;
SELECT telemetry.drop_projection('north'), telemetry.drop_projection('region_6h');
