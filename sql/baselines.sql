-- A baseline holds the statistics of the readings that the log need not keep. A rebuild and a comparison begin with it. A rebuild can be
-- cancelled. The worker may work as well; the answers are the same.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP DATABASE IF EXISTS telemetry_baselines;
CREATE DATABASE telemetry_baselines;
\c telemetry_baselines
CREATE EXTENSION telemetry_cqrs;
RESET client_min_messages;
\set SHOW_CONTEXT never
SET timezone = 'UTC';
CREATE PROCEDURE send(first int, last int) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM telemetry.ingest_telemetry_batch(
        ARRAY(SELECT 'device-' || i % 7 FROM generate_series(first, last) AS i), ARRAY(SELECT timestamptz '2024-05-01' + i * interval '17 s' FROM generate_series(first, last) AS i),
        ARRAY(SELECT sin(i) FROM generate_series(first, last) AS i), ARRAY(SELECT NULLIF(i % 90, 0)::float8 FROM generate_series(first, last) AS i), NULL,
        ARRAY(SELECT CASE WHEN i % 3 = 0 THEN jsonb_build_object('light', i) END FROM generate_series(first, last) AS i), ARRAY(SELECT CASE WHEN i % 2 = 0 THEN 'hall' END FROM generate_series(first, last) AS i));
END $$;
CREATE FUNCTION differing() RETURNS TABLE (projection text, differences bigint) LANGUAGE sql AS $$
    SELECT p.projection, (SELECT count(*) FROM telemetry.verify_projection(p.projection)) FROM telemetry.projection p ORDER BY 1
$$;
SELECT telemetry.create_projection('all_6h', 'all', '6 hours');
CALL send(1, 3000);
CALL telemetry.project_once();
CALL send(3001, 5000);
CALL telemetry.project_once();

-- The first two parts go into the baselines, the third does not.
SELECT telemetry.advance_baselines((SELECT max(batch_id) FROM telemetry.batch));
CALL telemetry.project_once();
CREATE TABLE kept AS SELECT max(batch_id) AS batch_id, (SELECT max(xid) FROM telemetry.event) AS xid FROM telemetry.batch;
CALL send(5001, 6000);
CALL telemetry.project_once();
SELECT c.projection, c.batch_id = k.batch_id AS is_there, c.events FROM telemetry.cursor c, kept k WHERE c.purpose = 'baseline' ORDER BY 1;
SELECT * FROM differing() WHERE differences > 0;

CREATE TABLE sent AS SELECT * FROM telemetry.measurements;

-- The readings up to there leave the log, as retention will do it.
CREATE TABLE before AS SELECT * FROM telemetry.device_stats_1h;
ALTER TABLE telemetry.event_1 DISABLE TRIGGER USER;
DELETE FROM telemetry.event_1 WHERE xid <= (SELECT xid FROM kept);
ALTER TABLE telemetry.event_1 ENABLE TRIGGER USER;
SELECT count(*) FROM telemetry.measurements;
SELECT * FROM differing() WHERE differences > 0;
SELECT count(telemetry.rebuild_projection(projection)::text) FROM telemetry.projection;
CALL send(6001, 6100);
CALL telemetry.project_once();
SELECT projection, purpose, events FROM telemetry.cursor WHERE events IS NOT NULL ORDER BY 1, 2;
SELECT * FROM differing() WHERE differences > 0;
SELECT sum(sample_count) FROM telemetry.device_stats;
SELECT sum(sample_count) FROM telemetry.region_stats_1d WHERE metric = 'temperature';
SELECT count(*) FROM before b JOIN telemetry.device_stats_1h n USING (time, device_id, metric) WHERE time < '2024-05-02' AND (b.sample_count, b.min, b.max, b.p50) IS DISTINCT FROM (n.sample_count, n.min, n.max, n.p50);

-- What somebody falsifies is named, and a rebuild mends it.
UPDATE telemetry.state_device SET sample_count = 1 WHERE key = 'device-3' AND generation = (SELECT generation FROM telemetry.cursor WHERE projection = 'device' AND purpose = 'current');
SELECT key, metric, found ->> 'sample_count' AS found, expected ->> 'sample_count' AS expected FROM telemetry.verify_projection('device');
SELECT telemetry.rebuild_projection('device');
CALL telemetry.project_once();
SELECT * FROM differing() WHERE differences > 0;

-- The baseline goes on.
SELECT telemetry.advance_baselines((SELECT max(batch_id) FROM telemetry.batch));
CALL telemetry.project_once();
SELECT count(*) FROM telemetry.cursor c WHERE c.purpose = 'baseline' AND c.events = 6100;
SELECT * FROM differing() WHERE differences > 0;

-- A whole segment of the log goes. Commands write to one segment, so the superuser makes another one of the readings that the baselines
-- have. Readers merge the two; then the older one is taken off, and dropped.
CREATE TABLE older AS SELECT max(xid) AS xid FROM telemetry.event;
CALL send(6101, 6400);
CALL telemetry.project_once();
CREATE TABLE shown AS SELECT projection, generation FROM telemetry.cursor WHERE purpose = 'current';
INSERT INTO sent SELECT * FROM telemetry.measurements WHERE event_id NOT IN (SELECT event_id FROM sent);
CREATE TABLE telemetry.event_0 () INHERITS (telemetry.event);
CREATE INDEX ON telemetry.event_0 (xid, event_id);
ALTER TABLE telemetry.event_1 DISABLE TRIGGER USER;
WITH moved AS (DELETE FROM telemetry.event_1 WHERE xid <= (SELECT xid FROM older) RETURNING *) INSERT INTO telemetry.event_0 SELECT * FROM moved;
ALTER TABLE telemetry.event_1 ENABLE TRIGGER USER;
SELECT (SELECT count(*) FROM telemetry.event_0) AS older, (SELECT count(*) FROM telemetry.event_1) AS newer, (SELECT count(*) FROM telemetry.measurements) AS in_log,
       (SELECT count(*) FROM telemetry.batch b, telemetry.read_events(b.batch_id)) AS in_batches;
SELECT * FROM differing() WHERE differences > 0;
ALTER TABLE telemetry.event_0 NO INHERIT telemetry.event;
SELECT count(*) AS in_log FROM telemetry.measurements;
SELECT * FROM differing() WHERE differences > 0;
DROP TABLE telemetry.event_0;
SELECT count(telemetry.rebuild_projection(projection)::text) FROM telemetry.projection;
CALL telemetry.project_once();
SELECT count(*) AS rebuilt FROM shown s JOIN telemetry.cursor c USING (projection) WHERE c.purpose = 'current' AND c.generation > s.generation;
SELECT * FROM differing() WHERE differences > 0;
-- Plain SQL over all that was sent says the same as the rebuilt statistics.
WITH value AS (
    SELECT device_id AS device, region, date_trunc('hour', measured_at) AS time, m.metric, m.value
    FROM sent, LATERAL (VALUES ('temperature', temperature), ('humidity', humidity), ('light', (metrics ->> 'light')::float8)) AS m (metric, value) WHERE value IS NOT NULL
), expected AS (
    SELECT g.grain, g.key, time, metric, count(*) AS sample_count, avg(value), min(value), max(value), stddev(value)
    FROM value, LATERAL (VALUES ('device', device), ('region', region)) AS g (grain, key) GROUP BY 1, 2, 3, 4
), actual AS (
    SELECT 'device' AS grain, device_id AS key, time, metric, sample_count, avg, min, max, stddev FROM telemetry.device_stats_1h
    UNION ALL SELECT 'region', region, time, metric, sample_count, avg, min, max, stddev FROM telemetry.region_stats_1h
)
SELECT (SELECT count(*) FROM sent) AS readings, count(a.*) AS buckets, count(*) FILTER (WHERE (e.sample_count, e.min, e.max) IS DISTINCT FROM (a.sample_count, a.min, a.max) OR abs(e.avg - a.avg) > 1e-9 OR abs(e.stddev - a.stddev) > 1e-9) AS differences
FROM expected e FULL JOIN actual a ON e.grain = a.grain AND COALESCE(e.key, '') = COALESCE(a.key, '') AND e.time = a.time AND e.metric = a.metric;
SELECT sum(sample_count) FROM telemetry.device_stats;
-- The next readings join what is left.
CALL send(6401, 6500);
CALL telemetry.project_once();
SELECT * FROM differing() WHERE differences > 0;
SELECT sum(sample_count) FROM telemetry.region_stats_1d WHERE metric = 'temperature';

-- A projection that is made now has only what the log holds, and no baseline yet. It cannot keep up, because it lacks readings.
SELECT telemetry.create_projection('late', 'all', quantiles => false);
\set VERBOSITY sqlstate
CALL telemetry.project_once();
\set VERBOSITY default
SELECT telemetry.drop_projection('late');

-- A rebuild is cancelled.
SELECT telemetry.pause_projection('region');
SELECT telemetry.rebuild_projection('region');
SELECT telemetry.rebuild_projection('region');
SELECT telemetry.cancel_rebuild('region');
SELECT telemetry.cancel_rebuild('region');
SELECT telemetry.resume_projection('region');
CALL telemetry.project_once();
SELECT count(*) FROM telemetry.cursor WHERE purpose = 'rebuild';
SELECT * FROM differing() WHERE differences > 0;
\c postgres
SET client_min_messages = warning;
DROP DATABASE telemetry_baselines WITH (FORCE);
