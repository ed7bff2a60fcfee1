-- A projection that parks goes on without the events on which it fails, and gets them again when somebody asks for it. A server-wide
-- worker may apply as well; the answers are the same.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP DATABASE IF EXISTS telemetry_parking;
CREATE DATABASE telemetry_parking;
\c telemetry_parking
CREATE EXTENSION telemetry_cqrs;
RESET client_min_messages;
\set SHOW_CONTEXT never
SET timezone = 'UTC';

-- Statistics: an index of the DBA's refuses the rows of one device.
CREATE FUNCTION refuse(key text, sample_count bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF key = 'poison' THEN RAISE 'not this one' USING ERRCODE = 'P0042'; END IF;
    RETURN sample_count;
END $$;
SELECT telemetry.set_failure_policy('device', 'park');
SELECT accepted FROM telemetry.ingest_telemetry_batch(ARRAY['a', 'b'], ARRAY['2024-05-01 10:00', '2024-05-01 10:00']::timestamptz[], ARRAY[1, 2], NULL, ARRAY['k1', 'k1']);
CALL telemetry.project_once();
CREATE INDEX refusing ON telemetry.state_device (public.refuse(key, sample_count));
SELECT accepted FROM telemetry.ingest_telemetry_batch(
    ARRAY(SELECT CASE WHEN i % 40 = 7 THEN 'poison' ELSE 'device-' || i % 5 END FROM generate_series(1, 100) AS i),
    ARRAY(SELECT timestamptz '2024-05-01 10:01' + i * interval '1 s' FROM generate_series(1, 100) AS i), ARRAY(SELECT i::float8 FROM generate_series(1, 100) AS i), NULL,
    ARRAY(SELECT 'k' || i FROM generate_series(1, 100) AS i));
CALL telemetry.project_once();
CALL telemetry.project_once();
SELECT device_id, sample_count, max_temperature FROM telemetry.device_stats ORDER BY device_id COLLATE "C";
SELECT p.projection, e.aggregateid, e.payload ->> 'temperature' AS temperature, p.sqlstate, p.message, p.failures, p.is_due
FROM telemetry.parked_event p JOIN telemetry.events e ON e.id = p.event_id ORDER BY e.id;
SELECT projection, state, applied, lag_events, failure_policy, parked_events FROM telemetry.projection_status WHERE projection IN ('device', 'region') ORDER BY 1;
SELECT state, detail, hint FROM telemetry.health() WHERE item = 'projection device';
SELECT * FROM telemetry.verify_projection('device');
SELECT sample_count FROM telemetry.region_stats;
SELECT device_id, sample_count FROM telemetry.device_stats_live ORDER BY device_id COLLATE "C" DESC LIMIT 2;

-- They fail again, are counted, and stay. One that is sent through alone is tried alone.
SELECT telemetry.replay_parked('device');
CALL telemetry.project_once();
SELECT telemetry.replay_parked('device', ARRAY[(SELECT min(event_id) FROM telemetry.parked_event)]);
CALL telemetry.project_once();
SELECT failures, is_due FROM telemetry.parked_event ORDER BY event_id;
SELECT replays FROM telemetry.projection_setting;

-- A rebuild tries them anew, and has parked events of its own.
SELECT telemetry.rebuild_projection('device');
CALL telemetry.project_once();
SELECT generation = (SELECT c.generation FROM telemetry.cursor c WHERE c.projection = 'device') AS of_the_rebuild, failures FROM telemetry.parked_event ORDER BY event_id;
SELECT * FROM telemetry.verify_projection('device');

-- The cause is gone: they are applied, exactly once.
DROP INDEX telemetry.refusing;
SELECT telemetry.replay_parked('device');
SELECT status FROM telemetry.ingest_telemetry('a', '2024-05-01 11:00', 5, NULL, 'k5');
CALL telemetry.project_once();
SELECT count(*) FROM telemetry.parked_event;
SELECT device_id, sample_count, max_temperature FROM telemetry.device_stats ORDER BY device_id COLLATE "C" DESC LIMIT 1;
SELECT * FROM telemetry.verify_projection('device');
SELECT telemetry.replay_parked('device');

-- An event is not parked if it is not at fault: each one fails, or the cause is something else.
CREATE FUNCTION refuse_all(n bigint, state text) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE 'nothing' USING ERRCODE = state; END $$;
SELECT telemetry.pause_projection('device');
TRUNCATE telemetry.state_device;
CREATE INDEX refusing ON telemetry.state_device (public.refuse_all(sample_count, 'P0043'));
SELECT accepted FROM telemetry.ingest_telemetry_batch(ARRAY['a', 'b'], ARRAY['2024-05-01 12:00', '2024-05-01 12:00']::timestamptz[], ARRAY[1, 2], NULL, ARRAY['k12', 'k12']);
CALL telemetry.project_once();
SELECT telemetry.resume_projection('device');
\set VERBOSITY sqlstate
CALL telemetry.project_once();
\set VERBOSITY default
BEGIN;
DROP INDEX telemetry.refusing;
CREATE INDEX refusing ON telemetry.state_device (public.refuse_all(sample_count, '42P01'));
COMMIT;
\set VERBOSITY sqlstate
CALL telemetry.project_once();
\set VERBOSITY default
SELECT count(*) FROM telemetry.parked_event;
DROP INDEX telemetry.refusing;
CALL telemetry.project_once();

-- A handler: read_events() leaves out what it fails on. Nothing of a failed try stays.
CREATE TABLE handled (id bigint PRIMARY KEY, device_id text, value int);
CREATE FUNCTION handle(batch bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.handled SELECT e.id, e.aggregateid, NULL FROM telemetry.read_events(batch) AS e;
    UPDATE public.handled h SET value = 100 / (e.payload -> 'metrics' ->> 'divisor')::int FROM telemetry.read_events(batch) AS e WHERE h.id = e.id AND e.payload -> 'metrics' ? 'divisor';
END $$;
SELECT telemetry.create_handler_projection('dividing', 'handle(bigint)', false);
SELECT telemetry.set_failure_policy('dividing', 'park');
SELECT accepted FROM telemetry.ingest_telemetry_batch(
    ARRAY(SELECT 'divided-' || i FROM generate_series(1, 50) AS i), NULL, NULL, NULL, NULL, ARRAY(SELECT jsonb_build_object('divisor', i % 20) FROM generate_series(1, 50) AS i));
CALL telemetry.project_once();
SELECT count(*), sum(value) FROM handled;
SELECT e.aggregateid, p.sqlstate, p.message FROM telemetry.parked_event p JOIN telemetry.events e ON e.id = p.event_id WHERE p.projection = 'dividing' ORDER BY e.id;
CREATE OR REPLACE FUNCTION handle(batch bigint) RETURNS void LANGUAGE sql AS $$
    INSERT INTO public.handled SELECT e.id, e.aggregateid, -1 FROM telemetry.read_events(batch) AS e
$$;
SELECT telemetry.replay_parked('dividing');
CALL telemetry.project_once();
SELECT device_id, value FROM handled WHERE value < 0 ORDER BY device_id;
SELECT count(*) FROM telemetry.parked_event;

-- A rebuild begins with the baseline and with what that one has parked, and the baseline keeps it. All of them get the events again.
CREATE INDEX refusing ON telemetry.state_device (public.refuse(key, sample_count));
SELECT telemetry.advance_baselines(max(batch_id)) FROM telemetry.batch;
CALL telemetry.project_once();
SELECT telemetry.rebuild_projection('device');
CALL telemetry.project_once();
SELECT c.purpose, count(*) FROM telemetry.parked_event p LEFT JOIN telemetry.cursor c USING (projection, generation) GROUP BY 1 ORDER BY 1;
SELECT * FROM telemetry.verify_projection('device');
DROP INDEX telemetry.refusing;
SELECT telemetry.replay_parked('device');
CALL telemetry.project_once();
SELECT count(*) FROM telemetry.parked_event;
SELECT sample_count FROM telemetry.device_stats WHERE device_id = 'poison';
SELECT * FROM telemetry.verify_projection('device');

-- Bad arguments, and a projection that goes.
\set VERBOSITY sqlstate
SELECT telemetry.set_failure_policy('device', 'ignore');
SELECT telemetry.set_failure_policy('device', NULL);
SELECT telemetry.set_failure_policy('nobody', 'park');
SELECT telemetry.replay_parked('nobody');
\set VERBOSITY default
SELECT telemetry.drop_projection('dividing');
SELECT projection, failure_policy FROM telemetry.projection_setting ORDER BY 1;
\c postgres
SET client_min_messages = warning;
DROP DATABASE telemetry_parking WITH (FORCE);
