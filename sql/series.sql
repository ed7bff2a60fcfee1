-- series() gives a metric of one device or region at the resolution that a chart needs, exact at both ends and for the caller's snapshot.
\set SHOW_CONTEXT never
SET timezone = 'UTC';

-- A reading every ten seconds for three days, and one peak.
SELECT sum(b.accepted) FROM generate_series(0, 25) AS n, LATERAL (
    SELECT array_agg('series-1'::text) AS d, array_agg('2024-03-30'::timestamptz + i * interval '10 s') AS m, array_agg(CASE WHEN i = 12345 THEN 1000 ELSE 20 + 5 * sin(i / 1000.0) END) AS t,
           array_agg('{"light": 1}'::jsonb) AS j, array_agg('series hall'::text) AS r
    FROM generate_series(n * 1000, n * 1000 + 999) AS i WHERE i < 25920) AS a, LATERAL telemetry.ingest_telemetry_batch(d, m, t, NULL, NULL, j, r) AS b WHERE d IS NOT NULL;
CALL telemetry.project_once();

CREATE FUNCTION pg_temp.shown(begins timestamptz, ends timestamptz, max_points int, OUT points bigint, OUT first timestamptz, OUT last timestamptz, OUT step interval, OUT peak float8) LANGUAGE sql AS $$
    SELECT count(*), min(time), max(time), min(gap), max(max) FROM (SELECT s.*, s.time - lag(s.time) OVER (ORDER BY s.time) AS gap FROM telemetry.series('series-1', 'temperature', begins, ends, max_points) AS s) AS s
$$;
SELECT * FROM pg_temp.shown('2024-03-30 10:00:05', '2024-03-30 10:10:05', 100);
SELECT * FROM pg_temp.shown('2024-03-30 10:00:05', '2024-03-31 10:10:05', 500);
SELECT * FROM pg_temp.shown('2024-03-30', '2024-04-02', 20);
SELECT * FROM pg_temp.shown('2020-01-01', '2025-01-01', 300);

-- It is what plain SQL gives, with parts of buckets at both ends: by minute, hour and day.
CREATE FUNCTION pg_temp.differences(begins timestamptz, ends timestamptz, max_points int, unit text, zone text) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM telemetry.series('series-1', 'temperature', begins, ends, max_points, time_zone => zone) AS s FULL JOIN (
        SELECT greatest(date_trunc(unit, measured_at, zone), begins) AS time, avg(temperature), min(temperature), max(temperature) FROM telemetry.measurements
        WHERE device_id = 'series-1' AND measured_at >= begins AND measured_at < ends GROUP BY 1) AS m USING (time)
    WHERE (s.min, s.max) IS DISTINCT FROM (m.min, m.max) OR abs(s.value - m.avg) > 1e-9
$$;
SELECT accepted FROM telemetry.ingest_telemetry_batch((SELECT array_agg('series-1'::text) FROM generate_series(1, 1800)), (SELECT array_agg('2024-03-29'::timestamptz + i * interval '2 s') FROM generate_series(0, 1799) AS i), (SELECT array_agg(i % 17.0) FROM generate_series(0, 1799) AS i), NULL);
SELECT pg_temp.differences('2024-03-29 00:00:05', '2024-03-29 00:59:31', 100, 'minute', 'UTC');
SELECT pg_temp.differences('2024-03-30 10:00:05', '2024-04-01 13:17:15', 100, 'hour', 'UTC');
SELECT pg_temp.differences('2024-03-30 10:00:05', '2024-04-01 13:17:15', 5, 'day', 'UTC');
-- Days of a zone whose clocks are put forward in between.
SELECT pg_temp.differences('2024-03-30 10:00:05', '2024-04-01 13:17:15', 5, 'day', 'Europe/Berlin');
SELECT time FROM telemetry.series('series-1', 'temperature', '2024-03-30 10:00:05', '2024-04-01 13:17:15', 5, time_zone => 'Europe/Berlin');

-- The index by device and time serves raw readings, and both ends of a coarser series.
BEGIN;
SET LOCAL enable_seqscan = off;
-- The session may still count scans of earlier transactions.
CREATE FUNCTION pg_temp.scans(OUT of_index bigint, OUT of_log bigint) LANGUAGE sql VOLATILE AS $$
    SELECT pg_stat_get_xact_numscans('telemetry.event_1_readings'::regclass), pg_stat_get_xact_numscans('telemetry.event_1'::regclass)
$$;
SELECT of_index AS index_before, of_log AS log_before FROM pg_temp.scans() \gset
SELECT count(*) FROM telemetry.series('series-1', 'temperature', '2024-03-30 10:00:05', '2024-03-30 10:10:05', 100);
SELECT count(*) FROM telemetry.series('series-1', 'temperature', '2024-03-30 10:00:05', '2024-03-31 10:10:05', 100);
SELECT of_index - :index_before > 0 AS of_index, of_log - :log_before AS of_log FROM pg_temp.scans();
ROLLBACK;

-- Where the offset of a zone is no whole hour, a day begins with the hour that is nearest to its midnight, or with the next one if midnight is at
-- half past. The parts of hours at both ends of the span are exact.
CREATE FUNCTION pg_temp.day_differences(begins timestamptz, ends timestamptz, zone text, OUT points bigint, OUT of_true_days bigint, OUT differences bigint) LANGUAGE sql AS $$
    WITH r AS (SELECT measured_at, temperature, CASE WHEN hour >= begins AND hour + interval '1 hour' <= ends THEN hour + interval '30 min' - interval '1 us' ELSE measured_at END AS place
               FROM telemetry.measurements, date_trunc('hour', measured_at, 'UTC') AS hour WHERE device_id = 'series-1' AND measured_at >= begins AND measured_at < ends),
    m AS (SELECT greatest(date_trunc('day', place, zone), begins) AS time, avg(temperature), min(temperature), max(temperature) FROM r GROUP BY 1),
    d AS (SELECT greatest(date_trunc('day', measured_at, zone), begins) AS time, avg(temperature) FROM r GROUP BY 1)
    SELECT count(s.time), count(*) FILTER (WHERE abs(s.value - d.avg) <= 1e-9), count(*) FILTER (WHERE (s.min, s.max) IS DISTINCT FROM (m.min, m.max) OR abs(s.value - m.avg) > 1e-9)
    FROM telemetry.series('series-1', 'temperature', begins, ends, 5, time_zone => zone) AS s FULL JOIN m USING (time) FULL JOIN d USING (time)
$$;
SELECT zone, d.* FROM unnest(ARRAY['Asia/Kolkata', 'Asia/Kathmandu', 'America/St_Johns', 'Pacific/Marquesas', 'Pacific/Chatham', 'Asia/Tokyo']) AS zone, LATERAL pg_temp.day_differences('2024-03-30 10:00:05', '2024-04-01 13:17:15', zone) AS d;
SELECT zone, d.* FROM unnest(ARRAY['Asia/Kolkata', 'Asia/Kathmandu']) AS zone, LATERAL pg_temp.day_differences('2024-03-30 18:05:05', '2024-04-01 22:17:15', zone) AS d;
SELECT zone, d.* FROM unnest(ARRAY['Asia/Kolkata', 'Asia/Kathmandu']) AS zone, LATERAL pg_temp.day_differences('2024-03-30 10:00:05', '2024-04-01 18:47:15', zone) AS d;
SELECT time FROM telemetry.series('series-1', 'temperature', '2024-03-30 10:00:05', '2024-04-01 13:17:15', 5, time_zone => 'Asia/Kolkata');

-- lttb keeps the shape of the line; further metrics, regions, readings of one's own transaction.
SELECT count(*), round(min(value)::numeric, 2) AS min, round(max(value)::numeric, 2) AS max FROM telemetry.series('series-1', 'temperature', '2024-03-30', '2024-04-02', 50, 'lttb');
SELECT count(*), min(value), max(value) FROM telemetry.series('series-1', 'light', '2024-03-30 10:00', '2024-03-30 10:01');
SELECT count(*), max(max) FROM telemetry.region_series('series hall', 'temperature', '2024-03-30', '2024-04-02', 50);
BEGIN;
SELECT status FROM telemetry.ingest_telemetry('series-1', '2024-03-30 10:00:01', -100, region => 'series hall');
SELECT * FROM telemetry.series('series-1', 'temperature', '2024-03-30 10:00:01', '2024-03-30 10:00:09');
SELECT min(min) FROM telemetry.series('series-1', 'temperature', '2024-03-30', '2024-04-02', 5);
SELECT min(min) FROM telemetry.region_series('series hall', 'temperature', '2024-03-30 10:00', '2024-04-02', 50);
ROLLBACK;
SELECT count(*) FROM telemetry.series('series-nothing', 'temperature', '2024-03-30', '2024-04-02');
SELECT count(*) FROM telemetry.series('series-1', NULL, '2024-03-30', '2024-04-02');
\set VERBOSITY sqlstate
SELECT * FROM telemetry.series('series-1', 'temperature', '2024-03-30', 'infinity');
SELECT * FROM telemetry.series('series-1', 'temperature', '2024-03-30', '2024-03-29');
SELECT * FROM telemetry.series('series-1', 'temperature', '2024-03-30', '2024-04-02', 2);
SELECT * FROM telemetry.series('series-1', 'temperature', '2024-03-30', '2024-04-02', 20, 'random');
SELECT * FROM telemetry.series('series-1', 'temperature', '2024-03-30', '2024-04-02', time_zone => 'Middle/Earth');

\set VERBOSITY default

-- The series of a region is what plain SQL gives of all its devices: by reading, minute, hour and day.
CREATE FUNCTION pg_temp.region_differences(wanted text, metric text, begins timestamptz, ends timestamptz, max_points int, unit text, zone text = 'UTC', OUT points bigint, OUT differences bigint) LANGUAGE sql AS $$
    WITH r AS (
        SELECT measured_at, CASE metric WHEN 'temperature' THEN temperature WHEN 'humidity' THEN humidity ELSE (metrics ->> metric)::float8 END AS value
        FROM telemetry.measurements WHERE region IS NOT DISTINCT FROM wanted AND measured_at >= begins AND measured_at < ends
    ), m AS (
        SELECT CASE unit WHEN 'reading' THEN measured_at ELSE greatest(date_trunc(unit, measured_at, zone), begins) END AS time, CASE unit WHEN 'reading' THEN value ELSE 0 END AS reading,
               count(*) AS points, avg(value), min(value), max(value) FROM r WHERE value IS NOT NULL GROUP BY 1, 2
    ), s AS (
        SELECT time, CASE unit WHEN 'reading' THEN value ELSE 0 END AS reading, count(*) AS points, max(value) AS value, min(min), max(max), bool_and(s.metric = $2) AS is_named
        FROM telemetry.region_series(wanted, metric, begins, ends, max_points, time_zone => zone) AS s GROUP BY 1, 2
    )
    SELECT sum(s.points), count(*) FILTER (WHERE NOT COALESCE(is_named AND s.points = CASE unit WHEN 'reading' THEN m.points ELSE 1 END AND (s.min, s.max) = (m.min, m.max) AND abs(s.value - m.avg) <= 1e-9, false))
    FROM s FULL JOIN m USING (time, reading)
$$;
CREATE FUNCTION pg_temp.all_differences() RETURNS TABLE (region text, metric text, reading text, minute text, hour text, day text, day_in_tokyo text) LANGUAGE sql AS $$
    SELECT region, metric, (SELECT d FROM pg_temp.region_differences(region, metric, '2024-03-29 10:00:02', '2024-03-29 10:10:16', 1000, 'reading') AS d)::text,
           (SELECT d FROM pg_temp.region_differences(region, metric, '2024-03-29 10:00:02', '2024-03-29 10:59:31', 61, 'minute') AS d)::text,
           (SELECT d FROM pg_temp.region_differences(region, metric, '2024-03-30 10:00:05', '2024-04-01 13:17:15', 100, 'hour') AS d)::text,
           (SELECT d FROM pg_temp.region_differences(region, metric, '2024-03-30 10:00:05', '2024-04-01 13:17:15', 5, 'day') AS d)::text,
           (SELECT d FROM pg_temp.region_differences(region, metric, '2024-03-30 10:00:05', '2024-04-01 13:17:15', 5, 'day', 'Asia/Tokyo') AS d)::text
    FROM unnest(ARRAY['series hall', NULL]) AS region, unnest(ARRAY['temperature', 'humidity', 'light']) AS metric
$$;
-- Two devices send every other second for an hour, and every three minutes for three days. Readings of both belong to the region, and
-- others of both to none.
SELECT telemetry.register_device('series-2'), telemetry.register_device('series-3');
BEGIN;
SELECT sum(b.accepted) FROM (
    SELECT array_agg('series-' || 2 + i % 2 ORDER BY i) AS d, array_agg(at ORDER BY i) AS m, array_agg(20 + i % 17.0 ORDER BY i) AS t, array_agg(CASE WHEN i % 3 > 0 THEN 40 + i % 31.0 END ORDER BY i) AS h,
           array_agg(CASE WHEN i % 5 > 0 THEN jsonb_build_object('light', i % 97) END ORDER BY i) AS j, array_agg(CASE WHEN i % 7 > 1 THEN 'series hall' END ORDER BY i) AS r
    FROM (SELECT i, '2024-03-29 10:00'::timestamptz + i / 2 * interval '2 s' AS at FROM generate_series(0, 3599) AS i
          UNION ALL SELECT 3600 + i, '2024-03-30'::timestamptz + i * interval '90 s' FROM generate_series(0, 2879) AS i) AS n) AS a, LATERAL telemetry.ingest_telemetry_batch(d, m, t, h, NULL, j, r) AS b;
SELECT * FROM pg_temp.all_differences();
COMMIT;
CALL telemetry.project_once();
SELECT * FROM pg_temp.all_differences();
-- The first time belongs to the span, and the last one does not.
SELECT count(*), min(time), max(time) FROM telemetry.region_series('series hall', 'temperature', '2024-03-29 10:00:04', '2024-03-29 10:00:08');
SELECT count(*) FROM telemetry.region_series('series hall', 'temperature', '2024-03-29 10:00:04', '2024-03-29 10:00:04');
SELECT count(*), max(max) FROM telemetry.region_series('series hall', 'temperature', '2024-03-30', '2024-04-02', 50, 'lttb');
-- No readings, and no argument.
SELECT (SELECT count(*) FROM telemetry.region_series('series nowhere', 'temperature', '2024-03-29', '2024-04-02')) AS region,
       (SELECT count(*) FROM telemetry.region_series('series hall', 'noise', '2024-03-29', '2024-04-02')) AS metric,
       (SELECT count(*) FROM telemetry.region_series('series hall', 'temperature', '2014-03-29', '2014-04-02')) AS span,
       (SELECT count(*) FROM telemetry.region_series('series hall', NULL, '2024-03-29', '2024-04-02')) AS no_metric,
       (SELECT count(*) FROM telemetry.region_series('series hall', 'temperature', NULL, '2024-04-02')) AS no_begin,
       (SELECT count(*) FROM telemetry.region_series('series hall', 'temperature', '2024-03-29', NULL)) AS no_end,
       (SELECT count(*) FROM telemetry.region_series('series hall', 'temperature', '2024-03-29', '2024-04-02', NULL)) AS no_points,
       (SELECT count(*) FROM telemetry.region_series('series hall', 'temperature', '2024-03-29', '2024-04-02', thinning => NULL)) AS no_thinning,
       (SELECT count(*) FROM telemetry.region_series('series hall', 'temperature', '2024-03-29', '2024-04-02', time_zone => NULL)) AS no_zone;
\set VERBOSITY sqlstate
SELECT * FROM telemetry.region_series('series hall', 'temperature', '-infinity', '2024-03-30');
SELECT * FROM telemetry.region_series('series hall', 'temperature', '2024-03-30', 'infinity');
SELECT * FROM telemetry.region_series('series hall', 'temperature', '2024-03-30', '2024-03-29');
SELECT * FROM telemetry.region_series('series hall', 'temperature', '2024-03-30', '2024-04-02', 2);
SELECT * FROM telemetry.region_series('series hall', 'temperature', '2024-03-30', '2024-04-02', 100001);
SELECT * FROM telemetry.region_series('series hall', 'temperature', '2024-03-30', '2024-04-02', 20, 'random');
SELECT * FROM telemetry.region_series('series hall', 'temperature', '2024-03-30', '2024-04-02', time_zone => 'Middle/Earth');
