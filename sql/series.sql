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
CREATE FUNCTION pg_temp.scans(OUT of_index boolean, OUT of_log bigint) LANGUAGE sql VOLATILE AS $$
    SELECT pg_stat_get_xact_numscans('telemetry.event_1_readings'::regclass) > 0, pg_stat_get_xact_numscans('telemetry.event_1'::regclass)
$$;
SELECT * FROM pg_temp.scans();
SELECT count(*) FROM telemetry.series('series-1', 'temperature', '2024-03-30 10:00:05', '2024-03-30 10:10:05', 100);
SELECT count(*) FROM telemetry.series('series-1', 'temperature', '2024-03-30 10:00:05', '2024-03-31 10:10:05', 100);
SELECT * FROM pg_temp.scans();
ROLLBACK;

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
