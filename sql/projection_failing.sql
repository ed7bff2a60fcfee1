-- A projection that cannot write does not stop the others, and goes on where it stood when it can write again.
-- The answers are the same with a worker beside it and without.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP DATABASE IF EXISTS telemetry_failing;
CREATE DATABASE telemetry_failing;
\c telemetry_failing
CREATE EXTENSION telemetry_cqrs;
RESET client_min_messages;
\set SHOW_CONTEXT never

CREATE FUNCTION refuse(sample_count bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF sample_count > 1 THEN RAISE 'no more than one, please' USING ERRCODE = 'P0042'; END IF;
    RETURN sample_count;
END $$;
SELECT status FROM telemetry.ingest_telemetry('a', '2024-05-01 10:00', 1, NULL, 'k1', '{"light1": 1}', 'hall');
CALL telemetry.project_once();
CREATE INDEX refusing ON telemetry.state_device (public.refuse(sample_count));

SELECT status FROM telemetry.ingest_telemetry('a', '2024-05-01 10:01', 2, NULL, 'k2', '{"light1": 2}', 'hall');
SELECT status FROM telemetry.ingest_telemetry('b', '2024-05-01 10:00', 3, NULL, 'k1', '{"light1": 3}', 'yard');
CALL telemetry.project_once();
SELECT device_id, sample_count FROM telemetry.device_stats ORDER BY device_id;
SELECT device_id, sample_count FROM telemetry.device_metric_stats WHERE metric = 'light1' ORDER BY device_id;
SELECT region, sample_count FROM telemetry.region_stats ORDER BY region;
SELECT projection, applied FROM telemetry.projection_status ORDER BY projection;
SELECT projection, batch_id IS NULL AS follows, events, events = (SELECT sum(b.events) FROM telemetry.batch b WHERE b.batch_id <= c.batch_id) AS agrees
FROM telemetry.cursor c ORDER BY projection;
SELECT sum(events) AS in_batches FROM telemetry.batch;
SELECT * FROM telemetry.projection_tail('region');
SELECT events FROM telemetry.projection_tail('device');
SELECT telemetry.as_of('device') < max(received_at) AS device_is_behind, telemetry.as_of('region') > max(received_at) AS region_is_not FROM telemetry.measurements;

-- The others go on without it.
SELECT status FROM telemetry.ingest_telemetry('c', '2024-05-01 10:02', 4, NULL, 'k1', NULL, 'hall');
CALL telemetry.project_once();
SELECT region, sample_count FROM telemetry.region_stats ORDER BY region;
SELECT events FROM telemetry.projection_tail('device');

DROP INDEX telemetry.refusing;
SELECT status FROM telemetry.ingest_telemetry('a', '2024-05-01 10:03', 5, NULL, 'k4');
CALL telemetry.project_once();
SELECT device_id, sample_count, round(avg_temperature::numeric, 9) AS avg_temperature FROM telemetry.device_stats ORDER BY device_id;
SELECT region, sample_count FROM telemetry.region_stats ORDER BY region;
SELECT projection, applied, applied = (SELECT count(*) FROM telemetry.event) AS all_applied FROM telemetry.projection_status ORDER BY projection;
SELECT projection, batch_id IS NULL AS follows, events, events = (SELECT sum(b.events) FROM telemetry.batch b WHERE b.batch_id <= c.batch_id) AS agrees
FROM telemetry.cursor c ORDER BY projection;
SELECT sum(events) AS in_batches FROM telemetry.batch;
SELECT projection, state, lag_events FROM telemetry.projection_status ORDER BY projection;

-- An index that is only slow is kept up.
CREATE INDEX kept_up ON telemetry.state_device (sample_count);
SELECT status FROM telemetry.ingest_telemetry('a', '2024-05-01 10:04', 6, NULL, 'k5');
CALL telemetry.project_once();
SET enable_seqscan = off;
SELECT key FROM telemetry.state_device WHERE sample_count = 4;
SELECT key FROM telemetry.state_device WHERE sample_count = 3;
RESET enable_seqscan;

-- project_once() runs neither in a function nor where nothing may be written.
CREATE PROCEDURE wrapped() LANGUAGE plpgsql AS $$ BEGIN CALL telemetry.project_once(); END $$;
CALL wrapped();
DO $$ BEGIN CALL telemetry.project_once(); END $$;
CREATE PROCEDURE with_work_of_its_own() LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_current_xact_id(); CALL telemetry.project_once(); END $$;
CALL with_work_of_its_own();
CREATE FUNCTION in_a_function() RETURNS void LANGUAGE plpgsql AS $$ BEGIN CALL telemetry.project_once(); END $$;
SELECT in_a_function();
SET default_transaction_read_only = on;
CALL telemetry.project_once();
RESET default_transaction_read_only;
SET default_transaction_isolation = serializable;
SELECT status FROM telemetry.ingest_telemetry('a', '2024-05-01 10:05', 7, NULL, 'k6');
CALL telemetry.project_once();
RESET default_transaction_isolation;
SELECT sample_count FROM telemetry.device_stats WHERE device_id = 'a';
\c postgres
SET client_min_messages = warning;
DROP DATABASE telemetry_failing WITH (FORCE);
