-- The worker and project_once() leave a paused projection out, and it catches up exactly.
\set VERBOSITY terse
SELECT status, token AS before FROM telemetry.ingest_telemetry('pause', '2024-05-01 10:00+00', 1, NULL, 'k1', NULL, 'pause') \gset
SELECT :'status', telemetry.wait_for(:'before', '1 min', 'device'), telemetry.wait_for(:'before', '1 min', 'region');

SELECT telemetry.pause_projection('region'), telemetry.pause_projection('region');
SELECT projection, state = 'paused' AS paused, paused_at <= now() AS since, paused_by = session_user AS by FROM telemetry.projection_status ORDER BY 1;
SELECT token AS during FROM telemetry.ingest_telemetry('pause', '2024-05-01 10:01+00', 3, NULL, 'k2', NULL, 'pause') \gset
SELECT telemetry.wait_for(:'during', '1 min', 'device'), telemetry.wait_for(:'during', '0', 'region'), telemetry.wait_for(:'before', '0', 'region');
CALL telemetry.project_once();
SELECT d.sample_count AS device, r.sample_count AS region, d.as_of > r.as_of AS region_is_behind
FROM telemetry.device_stats d, telemetry.region_stats r WHERE d.device_id = 'pause' AND r.region = 'pause';
SELECT projection, lag_events FROM telemetry.projection_status ORDER BY 1;

-- With both paused, batches and their notifications go on.
SELECT telemetry.pause_projection('device');
SELECT max(batch_id) AS batch FROM telemetry.batch \gset
SELECT token AS during FROM telemetry.ingest_telemetry('pause', '2024-05-01 10:02+00', 5, NULL, 'k3', NULL, 'pause') \gset
CALL telemetry.project_once();
SELECT telemetry.wait_for(:'during', '0', 'device') AS device, (SELECT count(*) FROM telemetry.read_events(:batch + 1)) AS in_next_batch;

-- A resume that is rolled back is none.
BEGIN;
SELECT telemetry.resume_projection('device');
ROLLBACK;
SELECT telemetry.wait_for(:'during', '100 ms', 'device');

SELECT telemetry.resume_projection('device'), telemetry.resume_projection('device');
SELECT telemetry.wait_for(:'during', '1 min', 'device'), telemetry.wait_for(:'during', '0', 'region');
SELECT telemetry.resume_projection('region');
SELECT telemetry.wait_for(:'during', '1 min', 'region');
SELECT sample_count, avg_temperature, last_temperature FROM telemetry.device_stats WHERE device_id = 'pause';
SELECT sample_count, avg_temperature, last_temperature FROM telemetry.region_stats WHERE region = 'pause';
SELECT projection, state, lag_events, paused_at, paused_by FROM telemetry.projection_status ORDER BY 1;
SELECT count(*) FROM telemetry.pause;

-- Unknown names and read-only transactions are refused.
SELECT telemetry.pause_projection('batch');
SELECT telemetry.pause_projection('no such');
SELECT telemetry.resume_projection('no such');
SELECT telemetry.pause_projection(NULL) IS NULL AS null_in_null_out;
BEGIN READ ONLY;
SELECT telemetry.pause_projection('device');
ROLLBACK;
