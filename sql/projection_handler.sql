-- A handler is called with each batch exactly once, in the transaction that records it, as the role that made the projection.
\set SHOW_CONTEXT never
SET timezone = 'UTC';
CREATE ROLE telemetry_handler_maker;
SELECT telemetry.grant_admin('telemetry_handler_maker');
CREATE SCHEMA handling AUTHORIZATION telemetry_handler_maker;
SET ROLE telemetry_handler_maker;
CREATE TABLE handling.seen (id bigint PRIMARY KEY, device_id text, temperature float8, batch bigint, by text, path text);
CREATE TABLE handling.mood (fails boolean, sends boolean);
INSERT INTO handling.mood VALUES (false, false);
CREATE FUNCTION handling.take(batch bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO handling.seen
    SELECT e.id, e.aggregateid, (e.payload ->> 'temperature')::float8, batch, current_user, current_setting('search_path') FROM telemetry.read_events(batch) AS e WHERE e.aggregateid LIKE 'handled-%';
    IF (SELECT fails FROM handling.mood) THEN RAISE EXCEPTION 'not in the mood' USING ERRCODE = 'P0077'; END IF;
    IF (SELECT sends FROM handling.mood) THEN PERFORM telemetry.ingest_telemetry('handled-3', now(), 1); END IF;
END $$;

SELECT accepted FROM telemetry.ingest_telemetry_batch(ARRAY['handled-1', 'handled-2'], NULL, ARRAY[1, 2], NULL);
CALL telemetry.project_once();
SELECT telemetry.create_handler_projection('taking', 'handling.take(bigint)');
CALL telemetry.project_once();
SELECT device_id, temperature, by, path FROM handling.seen ORDER BY 1;
SELECT accepted FROM telemetry.ingest_telemetry_batch(ARRAY['handled-1', 'handled-2'], NULL, ARRAY[3, 4], NULL);
CALL telemetry.project_once();
SELECT device_id, temperature FROM handling.seen ORDER BY temperature;
SELECT state, applied = (SELECT count(*) FROM telemetry.events) AS all_applied, lag_events FROM telemetry.projection_status WHERE projection = 'taking';

-- It fails: nothing of that batch is there, the others go on, and it gets the batch again. The worker tries as well, so it is kept away
-- meanwhile.
UPDATE handling.mood SET fails = true;
SELECT status FROM telemetry.ingest_telemetry('handled-1', NULL, 5);
\set VERBOSITY sqlstate
CALL telemetry.project_once();
\set VERBOSITY default
SELECT count(*) FROM handling.seen WHERE temperature = 5;
SELECT sample_count FROM telemetry.device_stats WHERE device_id = 'handled-1';
UPDATE handling.mood SET fails = false, sends = true;
\set VERBOSITY sqlstate
CALL telemetry.project_once();
\set VERBOSITY default
UPDATE handling.mood SET sends = false;
CALL telemetry.project_once();
SELECT device_id, temperature FROM handling.seen ORDER BY temperature;

-- One that begins with the next batch.
SELECT telemetry.pause_projection('taking');
CREATE TABLE handling.late (batch bigint);
CREATE FUNCTION handling.note(batch bigint) RETURNS boolean LANGUAGE sql AS 'INSERT INTO handling.late VALUES (batch) RETURNING true';
SELECT telemetry.create_handler_projection('noting', 'handling.note(bigint)', false);
CALL telemetry.project_once();
SELECT count(*) FROM handling.late;
SELECT status FROM telemetry.ingest_telemetry('handled-1', NULL, 6);
CALL telemetry.project_once();
SELECT count(*) FROM handling.late;
SELECT lag_events FROM telemetry.projection_status WHERE projection = 'noting';

-- The functions refuse these.
\set VERBOSITY sqlstate
SELECT telemetry.create_handler_projection('noting', 'handling.note(bigint)');
SELECT telemetry.create_handler_projection('other', 'pg_catalog.lower(text)');
SELECT telemetry.create_handler_projection('batch', 'handling.note(bigint)');
SELECT telemetry.rebuild_projection('noting');
SELECT * FROM telemetry.verify_projection('noting');
\set VERBOSITY default
SELECT telemetry.drop_projection('noting'), telemetry.drop_projection('taking');
RESET ROLE;
SELECT count(*) FROM telemetry.cursor WHERE projection IN ('noting', 'taking');
\set VERBOSITY terse
DROP SCHEMA handling CASCADE;
DROP OWNED BY telemetry_handler_maker;
DROP ROLE telemetry_handler_maker;
