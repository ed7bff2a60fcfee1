-- Counters: increase and resets in the rollups of devices, in users' own aggregates, in the live views and in series().
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SELECT telemetry.set_metric('meter', 'counter');
SELECT telemetry.set_metric('meter', 'counter');
SELECT telemetry.set_metric('no_meter', 'gauge');
SELECT name, kind FROM telemetry.metric WHERE name IN ('meter', 'no_meter') ORDER BY name;
SELECT telemetry.set_metric('meter', 'sometimes');
SELECT telemetry.set_metric('meter', NULL);  -- the kind stays as it is
SELECT telemetry.set_metric('', 'counter');
-- Somebody else's time zone has a day of 23 hours.
SET timezone = 'Europe/Berlin';

CREATE FUNCTION pg_temp.send(device text, ats timestamptz[], meters float8[]) RETURNS bigint LANGUAGE sql AS $$
    SELECT accepted FROM telemetry.ingest_telemetry_batch(array_fill(device, ARRAY[cardinality(ats)]), ats, meters, NULL, NULL,
        (SELECT array_agg(jsonb_build_object('meter', m, 'gauge', m) ORDER BY n) FROM unnest(meters) WITH ORDINALITY AS m (m, n)))
$$;
CREATE VIEW pg_temp.shown AS
    SELECT 'state' AS of, s.time, s.device_id, s.metric, s.sample_count, s.min, s.max, s.avg, s.first_value, s.last_value, s.increase, s.resets FROM telemetry.device_stats_1m s
    UNION ALL SELECT 'live', s.time, s.device_id, s.metric, s.sample_count, s.min, s.max, s.avg, s.first_value, s.last_value, s.increase, s.resets FROM telemetry.device_stats_1m_live s;
-- What the views have to show, from the readings.
CREATE VIEW pg_temp.counted AS
    SELECT date_bin('1 minute', r.measured_at, '2000-01-01 00:00+00') AS time, r.device_id, 'meter' AS metric, count(*) AS sample_count,
           COALESCE(sum(CASE WHEN r.value >= r.before THEN r.value - r.before ELSE r.value END) FILTER (WHERE r.before IS NOT NULL), 0) AS increase, count(*) FILTER (WHERE r.value < r.before) AS resets
    FROM (SELECT m.device_id, m.measured_at, (m.metrics ->> 'meter')::float8 AS value,
                 lag((m.metrics ->> 'meter')::float8) OVER (PARTITION BY m.device_id, date_bin('1 minute', m.measured_at, '2000-01-01 00:00+00') ORDER BY m.measured_at, (m.metrics ->> 'meter')::float8) AS before
          FROM telemetry.measurements m WHERE m.device_id LIKE 'counter-%') AS r
    GROUP BY 1, 2;
CREATE VIEW pg_temp.wrong AS
    (SELECT 'missing', * FROM pg_temp.counted EXCEPT ALL SELECT 'missing', s.time, s.device_id, s.metric, s.sample_count, s.increase, s.resets FROM pg_temp.shown s WHERE s.of = 'live' AND s.metric = 'meter' AND s.device_id LIKE 'counter-%')
    UNION ALL
    (SELECT 'shown', s.time, s.device_id, s.metric, s.sample_count, s.increase, s.resets FROM pg_temp.shown s WHERE s.of = 'live' AND s.metric = 'meter' AND s.device_id LIKE 'counter-%' EXCEPT ALL SELECT 'shown', * FROM pg_temp.counted);

-- A reset, and a minute with one reading. A gauge has neither increase nor resets.
SELECT pg_temp.send('counter-1', '{2024-07-01 10:00:10+00, 2024-07-01 10:00:20+00, 2024-07-01 10:00:50+00, 2024-07-01 10:01:30+00}', '{5, 9, 3, 8}');
CALL telemetry.project_once();
SELECT s.time AT TIME ZONE 'UTC' AS time, s.metric, s.sample_count, s.min, s.max, round(s.avg::numeric, 2) AS avg, s.first_value, s.last_value, s.increase, s.resets
FROM pg_temp.shown s WHERE s.of = 'state' AND s.device_id = 'counter-1' ORDER BY 1, 2;
-- A later reading of the minute is put behind the others, and one before them in front. So is one of the same time with a greater value.
SELECT pg_temp.send('counter-1', '{2024-07-01 10:00:55+00}', '{4}');
CALL telemetry.project_once();
SELECT pg_temp.send('counter-1', '{2024-07-01 10:00:05+00, 2024-07-01 10:00:55+00}', '{50, 6}');
CALL telemetry.project_once();
SELECT s.increase, s.resets FROM pg_temp.shown s WHERE s.of = 'state' AND s.device_id = 'counter-1' AND s.metric = 'meter' AND s.time = '2024-07-01 10:00+00';
-- Readings between them show one more reset, and that two counted too little.
SELECT pg_temp.send('counter-1', '{2024-07-01 10:00:15+00, 2024-07-01 10:00:07+00, 2024-07-01 10:00:20+00}', '{1, 60, 2}');
SELECT s.of, s.increase, s.resets FROM pg_temp.shown s WHERE s.of = 'live' AND s.device_id = 'counter-1' AND s.metric = 'meter' AND s.time = '2024-07-01 10:00+00';
SELECT v.* FROM telemetry.verify_projection('device_1m') AS v WHERE v.key LIKE 'counter-%';
CALL telemetry.project_once();
SELECT s.of, s.sample_count, s.increase, s.resets FROM pg_temp.shown s WHERE s.device_id = 'counter-1' AND s.metric = 'meter' AND s.time = '2024-07-01 10:00+00' ORDER BY 1;
SELECT * FROM pg_temp.wrong;
-- Readings of one's own that are not committed are in the live view. What a subtransaction took back is not.
BEGIN;
SELECT pg_temp.send('counter-1', '{2024-07-01 10:00:52+00, 2024-07-01 10:01:10+00}', '{2, 1}');
SAVEPOINT s;
SELECT pg_temp.send('counter-1', '{2024-07-01 10:01:20+00}', '{0}');
ROLLBACK TO s;
SELECT s.time AT TIME ZONE 'UTC' AS time, s.sample_count, s.increase, s.resets FROM pg_temp.shown s WHERE s.of = 'live' AND s.device_id = 'counter-1' AND s.metric = 'meter' ORDER BY 1;
SELECT * FROM pg_temp.wrong;
ROLLBACK;

-- Hours and days, and what was merged from minutes. Regions and statistics over all time have no increase.
SELECT s.metric, s.sample_count, s.increase, s.resets, s.p50 IS NULL AS no_p50 FROM telemetry.device_stats_1h s WHERE s.device_id = 'counter-1' ORDER BY 1;
SELECT s.metric, s.increase, s.resets FROM telemetry.device_stats_1d_live s WHERE s.device_id = 'counter-1' ORDER BY 1;
CREATE VIEW pg_temp.minute AS
    SELECT d.key, d.bucket, m.summary FROM telemetry.state_device_1m d
    CROSS JOIN LATERAL unnest(ARRAY['temperature', 'humidity'] || d.metric_names, d.summaries) AS m (metric, summary)
    WHERE d.generation = (SELECT c.generation FROM telemetry.cursor c WHERE c.projection = 'device_1m' AND c.purpose = 'current') AND m.metric = 'meter';
SELECT telemetry.increase(telemetry.merge(m.summary ORDER BY m.bucket)) AS in_order, telemetry.increase(telemetry.merge(m.summary ORDER BY m.bucket DESC)) AS backwards,
       telemetry.resets(telemetry.merge(m.summary)) AS resets FROM pg_temp.minute m WHERE m.key = 'counter-1';
SELECT telemetry.increase(m.summary) AS increase, telemetry.resets(m.summary) AS resets, telemetry.sample_count(m.summary) AS samples
FROM (SELECT telemetry.merge(u.s) AS summary FROM telemetry.state_device d, unnest(d.summaries) AS u (s) WHERE d.key = 'counter-1' AND d.part = 0) AS m;

-- series() shows how much the counter has grown since the span began, at each resolution, also inside a minute.
SELECT s.time AT TIME ZONE 'UTC' AS time, s.metric, s.value, s.min, s.max FROM telemetry.series('counter-1', 'meter', '2024-07-01 10:00:07+00', '2024-07-01 10:02+00', statistic => 'increase') AS s;
SELECT pg_temp.send('counter-2', array_agg('2024-07-02 00:00+00'::timestamptz + i * interval '37 s'), array_agg((i * 7 % 1000)::float8)) FROM generate_series(0, 11999) AS i;
SELECT pg_temp.send('counter-2', array_agg('2024-07-02 00:00:01+00'::timestamptz + i * interval '370 s'), array_agg((i * 70 % 1000 + 1)::float8)) FROM generate_series(0, 1199) AS i;
CREATE FUNCTION pg_temp.grown(device text, begins timestamptz, ends timestamptz) RETURNS float8 LANGUAGE sql AS $$
    SELECT sum(CASE WHEN r.value >= r.before THEN r.value - r.before ELSE r.value END)
    FROM (SELECT (m.metrics ->> 'meter')::float8 AS value, lag((m.metrics ->> 'meter')::float8) OVER (ORDER BY m.measured_at, (m.metrics ->> 'meter')::float8) AS before
          FROM telemetry.measurements m WHERE m.device_id = device AND m.measured_at >= begins AND m.measured_at < ends) AS r WHERE r.before IS NOT NULL
$$;
CALL telemetry.project_once();
SELECT pg_temp.send('counter-2', '{2024-07-02 12:30:00.5+00, 2024-07-04 12:30:00.5+00}', '{3, 5}');
SELECT ends, max_points, count(*) AS points, min(s.value) >= 0 AS is_positive, bool_and(s.min <= s.value AND s.value = s.max) AS is_band, max(s.value) = pg_temp.grown('counter-2', '2024-07-02 00:00:40+00', ends) AS is_right,
       bool_and(s.value >= s.before) AS ascends
FROM (VALUES ('2024-07-02 01:00+00'::timestamptz, 500), ('2024-07-02 01:00+00', 10), ('2024-07-07 04:05:06+00', 2000), ('2024-07-07 04:05:06+00', 100), ('2024-07-07 04:05:06+00', 3)) AS v (ends, max_points)
CROSS JOIN LATERAL (SELECT s.*, lag(s.value, 1, 0) OVER (ORDER BY s.time) AS before FROM telemetry.series('counter-2', 'meter', '2024-07-02 00:00:40+00', ends, max_points, 'lttb', statistic => 'increase') AS s) AS s
GROUP BY ends, max_points ORDER BY ends, max_points DESC;
SELECT max(s.max) FROM telemetry.series('counter-2', 'meter', '2024-07-02', '2024-07-08', 100) AS s;
SELECT * FROM telemetry.series('counter-2', 'gauge', '2024-07-02', '2024-07-08', statistic => 'increase');
SELECT * FROM telemetry.series('counter-2', 'meter', '2024-07-02', '2024-07-08', statistic => 'median');

-- A metric that becomes a counter changes only what comes later, until the projection is rebuilt. Temperature may be one.
SELECT telemetry.set_metric('temperature', 'counter');
SELECT pg_temp.send('counter-3', '{2024-07-01 10:00:10+00, 2024-07-01 10:01:10+00, 2024-07-01 10:01:20+00}', '{5, 9, 3}'), pg_temp.send('counter-1', '{2024-07-01 10:01:31+00}', '{9}');
CALL telemetry.project_once();
SELECT s.device_id, s.time AT TIME ZONE 'UTC' AS time, s.metric, s.increase, s.resets FROM pg_temp.shown s WHERE s.of = 'state' AND s.device_id IN ('counter-1', 'counter-3') AND s.metric IN ('temperature', 'meter') ORDER BY 1, 2, 3;
SELECT v.key, v.bucket AT TIME ZONE 'UTC' AS bucket, v.metric, v.found -> 'counter' AS found, v.expected -> 'counter' AS expected FROM telemetry.verify_projection('device_1m') AS v WHERE v.key = 'counter-1';
SELECT telemetry.rebuild_projection('device_1m');
CALL telemetry.project_once();
SELECT s.time AT TIME ZONE 'UTC' AS time, s.metric, s.increase, s.resets FROM pg_temp.shown s WHERE s.of = 'state' AND s.device_id = 'counter-1' AND s.metric IN ('temperature', 'meter') ORDER BY 1, 2;
SELECT v.* FROM unnest(ARRAY['device_1m', 'region_1m']) AS p, LATERAL telemetry.verify_projection(p) AS v WHERE v.key LIKE 'counter-%';
SELECT * FROM pg_temp.wrong;
-- A reset that somebody falsified is named.
BEGIN;
UPDATE telemetry.state_device_1m d SET summaries[1] = replace(d.summaries[1]::text, '"fallen_from":9', '"fallen_from":8')::telemetry.summary
WHERE d.key = 'counter-3' AND d.bucket = '2024-07-01 10:01+00';
SELECT v.key, v.bucket AT TIME ZONE 'UTC' AS bucket, v.metric, v.found -> 'counter' AS found, v.expected -> 'counter' AS expected FROM telemetry.verify_projection('device_1m') AS v WHERE v.key LIKE 'counter-%';
ROLLBACK;
-- As a gauge, it has no increase from now on.
SELECT telemetry.set_metric('temperature', 'gauge');
SELECT pg_temp.send('counter-3', '{2024-07-01 10:01:30+00}', '{4}');
CALL telemetry.project_once();
SELECT s.metric, s.sample_count, s.increase, s.resets FROM pg_temp.shown s WHERE s.of = 'state' AND s.device_id = 'counter-3' AND s.time = '2024-07-01 10:01+00' ORDER BY 1;

-- Where the log has lost readings, those resets stay that are known.
BEGIN;
SELECT pg_temp.send('counter-1', '{2024-07-01 10:00:16+00}', '{1000}');
SELECT s.increase, s.resets FROM pg_temp.shown s WHERE s.of = 'live' AND s.device_id = 'counter-1' AND s.metric = 'meter' AND s.time = '2024-07-01 10:00+00';
ALTER TABLE telemetry.event_1 DISABLE TRIGGER ALL;
DELETE FROM telemetry.event_1 WHERE device_id = 'counter-1' AND measured_at < '2024-07-01 10:00:06+00';
SELECT s.increase, s.resets FROM pg_temp.shown s WHERE s.of = 'live' AND s.device_id = 'counter-1' AND s.metric = 'meter' AND s.time = '2024-07-01 10:00+00';
ROLLBACK;

-- The aggregates: any order, also in parallel; NULL is skipped.
SELECT telemetry.increase(s) AS increase, telemetry.resets(s) AS resets, telemetry.sample_count(s) AS samples, telemetry.quantile(s, 0.5) IS NOT NULL AS has_quantiles
FROM (SELECT telemetry.counter_summary(v, at ORDER BY v DESC) FROM (VALUES (5, '2024-07-01'::timestamptz), (9, '2024-07-02'), (3, '2024-07-03'), (NULL, '2024-07-04'), (7, NULL)) AS v (v, at)) AS a (s);
SELECT telemetry.counter_summary(v, now()) IS NULL AS nothing FROM (VALUES (NULL::float8)) AS v (v);
SELECT telemetry.counter_summary('NaN', now());
CREATE TABLE pg_temp_readings AS
    SELECT i % 3 AS device, '2024-07-01'::timestamptz + (i / 3) * interval '1 s' AS at, ((i * 7919) % 100003 % (1 + i % 500))::float8 AS value FROM generate_series(1, 60000) AS i;
CREATE TABLE pg_temp_expected AS
    SELECT r.device, sum(CASE WHEN r.value >= r.before THEN r.value - r.before ELSE r.value END) AS increase, count(*) FILTER (WHERE r.value < r.before) AS resets
    FROM (SELECT p.*, lag(p.value) OVER (PARTITION BY p.device ORDER BY p.at, p.value) AS before FROM pg_temp_readings p) AS r WHERE r.before IS NOT NULL GROUP BY 1;
ANALYZE pg_temp_readings;
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SELECT device, telemetry.increase(s) = e.increase AS is_increase, telemetry.resets(s) = e.resets AS is_resets
FROM (SELECT p.device, telemetry.counter_summary(p.value, p.at) AS s FROM pg_temp_readings p GROUP BY 1) AS c JOIN pg_temp_expected e USING (device) ORDER BY 1;
-- Merged from hours of a device; of three devices nothing is known.
CREATE TABLE pg_temp_hours AS SELECT p.device, date_trunc('hour', p.at) AS hour, telemetry.counter_summary(p.value, p.at) AS s FROM pg_temp_readings p GROUP BY 1, 2;
ANALYZE pg_temp_hours;
SELECT device, telemetry.increase(s) = e.increase AS is_increase, telemetry.resets(s) = e.resets AS is_resets
FROM (SELECT h.device, telemetry.merge(h.s) AS s FROM pg_temp_hours h GROUP BY 1) AS c JOIN pg_temp_expected e USING (device) ORDER BY 1;
SELECT telemetry.increase(telemetry.merge(h.s)) AS increase, telemetry.resets(telemetry.merge(h.s)) AS resets, telemetry.sample_count(telemetry.merge(h.s)) AS samples FROM pg_temp_hours h;
SELECT telemetry.resets(telemetry.merge(s)) AS of_gauge_and_counter FROM (SELECT h.s FROM pg_temp_hours h WHERE h.device = 0 UNION ALL SELECT telemetry.summary(1, '2024-08-01')) AS m (s);
RESET ALL;
-- All forms read back.
SELECT bool_and(h.s::text::telemetry.summary::text = h.s::text) AS text, bool_and(telemetry.summary_send(h.s::text::telemetry.summary) = telemetry.summary_send(h.s)) AS binary FROM pg_temp_hours h;
CREATE TEMP TABLE received (device int, hour timestamptz, s telemetry.summary);
\copy (SELECT * FROM pg_temp_hours) TO PROGRAM 'cat >"$PG_ABS_BUILDDIR/counters.bin"' (FORMAT binary)
\copy received FROM PROGRAM 'cat "$PG_ABS_BUILDDIR/counters.bin"' (FORMAT binary)
\! rm "$PG_ABS_BUILDDIR/counters.bin"
SELECT count(*) FROM (SELECT device, hour, s::text FROM received EXCEPT SELECT device, hour, s::text FROM pg_temp_hours) AS d;
DROP TABLE pg_temp_readings, pg_temp_expected, pg_temp_hours;
SELECT telemetry.set_metric('meter', 'gauge');
