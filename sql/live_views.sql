-- The live views show the state and the tail under the reader's snapshot; verify_projection() compares the state with the log; a session may
-- refuse old statistics.
\set SHOW_CONTEXT never
SET timezone = 'UTC';

SELECT accepted FROM telemetry.ingest_telemetry_batch(
    ARRAY['live-1', 'live-1', 'live-2'], ARRAY['2024-06-01 10:01', '2024-06-01 10:02', '2024-06-01 11:00']::timestamptz[], ARRAY[1, 2, 3], ARRAY[50, NULL, 51], NULL,
    ARRAY['{"light": 1}', '{"light": 2}', NULL]::jsonb[], ARRAY['live hall', 'live hall', NULL]);
CALL telemetry.project_once();

-- Uncommitted readings of one's own, late ones among them, of a known and of a new device. Nobody else sees them.
BEGIN;
SELECT accepted FROM telemetry.ingest_telemetry_batch(
    ARRAY['live-1', 'live-1', 'live-3'], ARRAY['2024-06-01 09:00', '2024-06-01 12:00', '2024-06-01 12:00']::timestamptz[], ARRAY[-5, 9, 7], NULL, NULL,
    ARRAY[NULL, '{"noise": 3}', NULL]::jsonb[], ARRAY['live hall', 'live yard', 'live yard']);
SELECT device_id, region, first_seen, last_seen, sample_count, avg_temperature, min_temperature, max_temperature, last_temperature, avg_humidity
FROM telemetry.device_stats_live WHERE device_id LIKE 'live-%' ORDER BY 1;
SELECT device_id, region, sample_count FROM telemetry.device_stats WHERE device_id LIKE 'live-%' ORDER BY 1;
SELECT device_id, metric, sample_count, min, max, first_value, last_value, last_at FROM telemetry.device_metric_stats_live WHERE device_id LIKE 'live-%' ORDER BY 1, 2;
SELECT region, sample_count, avg_temperature FROM telemetry.region_stats_live WHERE region LIKE 'live%' ORDER BY 1;
SELECT region, metric, sample_count, avg FROM telemetry.region_metric_stats_live WHERE region LIKE 'live%' ORDER BY 1, 2;
SELECT time, device_id, metric, sample_count, avg, p50 IS NULL AS no_p50 FROM telemetry.device_stats_1m_live WHERE device_id = 'live-1' ORDER BY 1, 3;
SELECT time, metric, sample_count, avg, min, max, round(p50::numeric, 1) AS p50 FROM telemetry.device_stats_1d_live WHERE device_id = 'live-1' ORDER BY 1, 2;
SELECT time, region, metric, sample_count, avg FROM telemetry.region_stats_1h_live WHERE region LIKE 'live%' ORDER BY 1, 2, 3;
SELECT v.* FROM unnest(ARRAY['device', 'region', 'device_1m', 'device_1h', 'device_1d', 'region_1m', 'region_1h', 'region_1d']) AS p, LATERAL telemetry.verify_projection(p) AS v
WHERE v.key LIKE 'live%';
-- A savepoint that is rolled back takes them away again.
SAVEPOINT s;
SELECT status FROM telemetry.ingest_telemetry('live-2', '2024-06-01 13:00', 100);
SELECT sample_count FROM telemetry.device_stats_live WHERE device_id = 'live-2';
ROLLBACK TO s;
SELECT sample_count FROM telemetry.device_stats_live WHERE device_id = 'live-2';
ROLLBACK;
SELECT device_id, sample_count FROM telemetry.device_stats_live WHERE device_id LIKE 'live-%' ORDER BY 1;

-- One device's row comes by the index.
CREATE FUNCTION pg_temp.plan_of(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT json, COSTS off) ' || query INTO plan;
    RETURN plan;
END $$;
SET enable_seqscan = off;
SELECT pg_temp.plan_of($$ SELECT avg_temperature FROM telemetry.device_stats_live WHERE device_id = 'live-1' $$) ~ '"Index Cond": "\(\(generation = .*\) AND \(key = ''live-1''::text\) AND \(part = 0\)\)"' AS by_index;
SELECT pg_temp.plan_of($$ SELECT avg FROM telemetry.region_stats_1h_live WHERE region = 'live hall' AND time >= '2024-06-01 10:00' AND time < '2024-06-01 12:00' $$) ~ '"Index Cond": "\(\(generation = .*\) AND \(key = ''live hall''::text\) AND \(bucket >= ' AS by_index;
RESET enable_seqscan;

-- A query for one device folds the readings of that device only. Other conditions say nothing to the function, and are right as well.
CREATE FUNCTION pg_temp.dropped(query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    plan jsonb;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, FORMAT json, COSTS off, TIMING off, SUMMARY off) ' || query INTO plan;
    RETURN (SELECT sum((f ->> 'Rows Removed by Filter')::bigint) FROM jsonb_path_query(plan, '$.** ? (@."Function Name" == "folded_tail")') AS f);
END $$;
BEGIN;
SELECT accepted FROM telemetry.ingest_telemetry_batch(
    ARRAY['live-1', 'live-1', 'live-2', 'live-4'], ARRAY['2024-06-01 10:01', '2024-06-01 12:00', '2024-06-01 12:00', '2024-06-01 12:00']::timestamptz[], ARRAY[5, 9, 7, 8], NULL,
    ARRAY['a', 'b', 'c', 'd'], NULL, ARRAY['live hall', 'live yard', NULL, 'live yard']);
PREPARE by_text(text) AS SELECT device_id, sample_count FROM telemetry.device_stats_live WHERE device_id = $1;
PREPARE by_varchar(varchar) AS SELECT device_id, sample_count FROM telemetry.device_stats_live WHERE $1 = device_id;
SET plan_cache_mode = force_generic_plan;
EXECUTE by_text('live-1');
EXECUTE by_varchar('live-4');
EXECUTE by_text(NULL);
EXECUTE by_text('nobody');
SELECT pg_temp.dropped($$ EXECUTE by_text('live-1') $$), pg_temp.dropped($$ EXECUTE by_varchar('live-1') $$);
RESET plan_cache_mode;
SELECT pg_temp.dropped($$ SELECT * FROM telemetry.device_stats_live WHERE device_id = 'live-1' $$) AS device, pg_temp.dropped($$ SELECT * FROM telemetry.device_metric_stats_live WHERE device_id = 'live-1' AND metric = 'temperature' $$) AS metric,
       pg_temp.dropped($$ SELECT * FROM telemetry.device_stats_1h_live WHERE device_id = 'live-1' $$) AS hours, pg_temp.dropped($$ SELECT (SELECT sample_count FROM telemetry.device_stats_live WHERE device_id = 'live-1') $$) AS subquery,
       pg_temp.dropped($$ SELECT * FROM telemetry.device_stats_live WHERE device_id IN ('live-1', 'live-2') $$) > 0 AS one_of;
SELECT device_id, sample_count FROM telemetry.device_stats_live WHERE device_id IN ('live-1', 'live-4') ORDER BY 1;
SELECT device_id, sample_count FROM telemetry.device_stats_live WHERE device_id = 'live-1' OR sample_count = 1 AND device_id LIKE 'live-%' ORDER BY 1;
SELECT d, l.sample_count FROM unnest(ARRAY['live-4', 'live-1', 'live-2']) AS d, LATERAL (SELECT * FROM telemetry.device_stats_live WHERE device_id = d) AS l ORDER BY 1;
SELECT a.device_id, a.sample_count, b.device_id, b.sample_count FROM telemetry.device_stats_live a, telemetry.device_stats_live b WHERE a.device_id = 'live-1' AND b.device_id = 'live-4';
SELECT time, sample_count FROM telemetry.device_stats_1h_live WHERE device_id = 'live-1' AND metric = 'temperature' ORDER BY 1;
SELECT region, sample_count FROM telemetry.region_stats_live WHERE region = 'live yard';
SELECT key, sample_count FROM telemetry.folded_tail('device') WHERE key = 'live-1' COLLATE "C";
SELECT (telemetry.folded_tail('device')).key LIKE 'live-%' AS own ORDER BY 1 DESC LIMIT 1;
DEALLOCATE ALL;
ROLLBACK;

-- verify_projection() names what somebody falsified.
BEGIN;
UPDATE telemetry.state_device SET sample_count = 77 WHERE key = 'live-2';
UPDATE telemetry.state_device_1h SET summaries[1] = (SELECT telemetry.summary(4, '2024-06-01 11:00')) WHERE key = 'live-2';
DELETE FROM telemetry.state_region WHERE key = 'live hall';
SELECT key, bucket, metric, found - ARRAY['last_received_at'] AS found, expected - ARRAY['last_received_at'] AS expected FROM telemetry.verify_projection('device') WHERE key LIKE 'live%';
SELECT key, bucket, metric, found -> 'mean' AS found, expected -> 'mean' AS expected FROM telemetry.verify_projection('device_1h') WHERE key LIKE 'live%';
SELECT key, bucket, metric, found, expected -> 'sample_count' AS samples FROM telemetry.verify_projection('region') WHERE key LIKE 'live%';
ROLLBACK;
SELECT * FROM telemetry.verify_projection('nothing');

-- Statistics that are too old are refused, and the live ones are not.
SELECT telemetry.pause_projection('device');
SELECT status FROM telemetry.ingest_telemetry('live-2', '2024-06-01 13:00', 100);
SELECT pg_sleep(0.1);
SELECT avg_temperature FROM telemetry.device_stats WHERE device_id = 'live-2';
SET telemetry_cqrs.max_staleness = '50 ms';
\set VERBOSITY sqlstate
SELECT avg_temperature FROM telemetry.device_stats WHERE device_id = 'live-2';
SELECT count(*) FROM telemetry.device_metric_stats;
SELECT telemetry.as_of('device');
\set VERBOSITY default
SELECT avg_temperature FROM telemetry.device_stats_live WHERE device_id = 'live-2';
SET telemetry_cqrs.max_staleness = '1 h';
SELECT avg_temperature FROM telemetry.device_stats WHERE device_id = 'live-2';
RESET telemetry_cqrs.max_staleness;
SELECT telemetry.resume_projection('device');
CALL telemetry.project_once();
SET telemetry_cqrs.max_staleness = '50 ms';
SELECT avg_temperature FROM telemetry.device_stats WHERE device_id = 'live-2';
RESET telemetry_cqrs.max_staleness;

-- So is each view with as_of: that of a rollup, and that of a projection of one's own. Its live view is not. Projections that are paused grow old.
-- A projection that has applied nothing is as old as the log.
BEGIN;
SELECT telemetry.create_projection('live_own', 'all', '6 hours'), telemetry.create_projection('live_lasting', 'device', cadence => '0'), telemetry.create_projection('live_new', 'device');
SELECT telemetry.pause_projection('live_new');
COMMIT;
CREATE FUNCTION pg_temp.answer(view text, staleness text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('telemetry_cqrs.max_staleness', staleness, true);
    EXECUTE format('SELECT count(*) FROM telemetry.%I', view);
    RETURN 'answers';
EXCEPTION WHEN SQLSTATE 'TC103' THEN
    RETURN SQLSTATE;
END $$;
CREATE FUNCTION pg_temp.answers(of_all boolean, OUT views text, OUT in_50_ms text, OUT in_an_hour text, OUT live_in_50_ms text) RETURNS SETOF record LANGUAGE sql AS $$
    SELECT CASE WHEN of_all THEN 'all' ELSE v.relname END, string_agg(DISTINCT pg_temp.answer(v.relname, '50 ms'), ', '), string_agg(DISTINCT pg_temp.answer(v.relname, '1 h'), ', '), string_agg(DISTINCT pg_temp.answer(l.relname, '50 ms'), ', ')
    FROM pg_class v JOIN pg_attribute a ON a.attrelid = v.oid AND a.attname = 'as_of' LEFT JOIN pg_class l ON l.relnamespace = v.relnamespace AND l.relname = v.relname || '_live'
    WHERE v.relnamespace = 'telemetry'::regnamespace AND v.relkind = 'v' AND v.relname ~ '^(device|region|live_\w+)(_metric)?_stats(_1[mhd])?$' GROUP BY 1 ORDER BY 1
$$;
CALL telemetry.project_once();
SELECT bool_and(telemetry.pause_projection(projection)) FROM telemetry.projection WHERE projection ~ '^(device|region|live_own|live_lasting)';
SELECT status FROM telemetry.ingest_telemetry('live-2', '2024-06-01 14:00', 100);
SELECT pg_sleep(0.1);
SELECT * FROM pg_temp.answers(false);
SELECT bool_and(telemetry.resume_projection(projection)) FROM telemetry.pause WHERE projection ~ '^(device|region|live)';
CALL telemetry.project_once();
SELECT * FROM pg_temp.answers(true);
-- A snapshot that serves the whole transaction grows old, although nothing is missing in it.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) = 1 AS answers FROM telemetry.device_stats_1h WHERE device_id = 'live-2' AND metric = 'temperature' AND time = '2024-06-01 14:00';
SELECT pg_sleep(0.1);
SELECT * FROM pg_temp.answers(true);
COMMIT;
SELECT * FROM pg_temp.answers(true);
SELECT telemetry.drop_projection('live_own'), telemetry.drop_projection('live_lasting'), telemetry.drop_projection('live_new');

-- Values of both signs cancel out. The averages of state and log then differ by the rounding of the great values, which is no difference.
SELECT status FROM telemetry.ingest_telemetry('live-3', '2024-06-01 10:00', 1e-300, region => 'live signs');
SELECT status FROM telemetry.ingest_telemetry('live-3', '2024-06-01 10:01', 1.7976931348623157e308, region => 'live signs');
CALL telemetry.project_once();
SELECT status FROM telemetry.ingest_telemetry('live-3', '2024-06-01 10:02', 1e-300, region => 'live signs');
SELECT status FROM telemetry.ingest_telemetry('live-3', '2024-06-01 10:03', -1.7976931348623157e308, region => 'live signs');
CALL telemetry.project_once();
SELECT count(*) AS differences FROM telemetry.verify_projection('device') WHERE key = 'live-3';
