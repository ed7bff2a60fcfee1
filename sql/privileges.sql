-- Roles with each of the three grants do what the grant is for. test/pgtap/privileges.sql has the full list of rights.
\set SHOW_CONTEXT never
\set VERBOSITY sqlstate
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS telemetry_cqrs;
DROP ROLE IF EXISTS regress_telemetry_none, regress_telemetry_reader, regress_telemetry_writer, regress_telemetry_admin, "regress_telemetry ""odd"" Name";
RESET client_min_messages;
CREATE ROLE regress_telemetry_none;
CREATE ROLE regress_telemetry_reader;
CREATE ROLE regress_telemetry_writer;
CREATE ROLE regress_telemetry_admin;
CREATE ROLE "regress_telemetry ""odd"" Name";
SELECT telemetry.grant_reader('regress_telemetry_reader');
SELECT telemetry.grant_writer('regress_telemetry_writer');
SELECT telemetry.grant_admin('regress_telemetry_admin');
SELECT telemetry.grant_reader('"regress_telemetry ""odd"" Name"'), telemetry.grant_writer('"regress_telemetry ""odd"" Name"'), telemetry.grant_admin('"regress_telemetry ""odd"" Name"');

-- A role without a grant may do nothing.
SET ROLE regress_telemetry_none;
SELECT * FROM telemetry.device_stats;
SELECT status FROM telemetry.ingest_telemetry('privilege-1', NULL, 1);
RESET ROLE;

-- A writer registers the device, stores, is told of duplicates, and reads nothing.
SET ROLE regress_telemetry_writer;
SELECT status FROM telemetry.ingest_telemetry('privilege-1', '2024-05-01 10:00:00+00', 1, NULL, 'k');
SELECT status FROM telemetry.ingest_telemetry('privilege-1', '2024-05-01 10:00:00+00', 1, NULL, 'k');
SELECT status FROM telemetry.ingest_telemetry('privilege-1', '2024-05-01 10:00:00+00', 2, NULL, 'k');
SELECT received, accepted, duplicates, conflicts, rejected
FROM telemetry.ingest_telemetry_batch(ARRAY['privilege-1', 'privilege-2', ''], NULL, ARRAY[1, 2, 3], NULL, ARRAY['k', 'k', 'k']);
SELECT session_user = 'regress_telemetry_writer' OR current_user = 'regress_telemetry_writer' AS still_the_writer;
SELECT * FROM telemetry.measurements;
SELECT * FROM telemetry.event;
SELECT * FROM telemetry.rejected_readings;
SELECT * FROM telemetry.device;
SELECT * FROM telemetry.installation;
INSERT INTO telemetry.event_1 SELECT * FROM telemetry.event_1;
SELECT nextval('telemetry.event_id_seq');
SELECT telemetry.register_device('privilege-3');
CALL telemetry.project_once();
SELECT telemetry.grant_admin('regress_telemetry_writer');
RESET ROLE;
SELECT count(*) FROM telemetry.measurements WHERE device_id LIKE 'privilege-%';

-- A reader reads views, events of a batch and the status, and sends nothing.
CALL telemetry.project_once();
SET ROLE regress_telemetry_reader;
SELECT device_id, sample_count, avg_temperature, as_of IS NOT NULL AS as_of FROM telemetry.device_stats WHERE device_id = 'privilege-1';
SELECT device_id, metric, avg FROM telemetry.device_metric_stats WHERE device_id = 'privilege-1';
SELECT count(*) > 0 AS rows FROM telemetry.region_stats;
SELECT count(*) > 0 AS rows FROM telemetry.region_metric_stats;
SELECT temperature FROM telemetry.measurements WHERE device_id = 'privilege-1' ORDER BY temperature LIMIT 1;
SELECT aggregateid FROM telemetry.events WHERE aggregateid = 'privilege-1' LIMIT 1;
SELECT count(*) > 0 AS rows FROM telemetry.read_events(1);
SELECT projection, state FROM telemetry.projection_status ORDER BY 1;
SELECT preloaded IS NOT NULL AS answered FROM telemetry.worker_status();
SELECT status FROM telemetry.ingest_telemetry('privilege-4', NULL, 1);
SELECT telemetry.ingest_telemetry_batch(ARRAY['privilege-4'], NULL, ARRAY[1], NULL);
SELECT * FROM telemetry.event;
SELECT * FROM telemetry.event_1;
SELECT * FROM telemetry.state_device;
SELECT * FROM telemetry.rejected_readings;
SELECT * FROM telemetry.installation;
SELECT telemetry.register_device('privilege-4');
CALL telemetry.project_once();
RESET ROLE;

-- An admin reads, sends, registers, projects, and looks at rejected readings. The log and its secret stay closed.
SET ROLE regress_telemetry_admin;
SELECT telemetry.register_device('privilege-5', 'hall');
SELECT status FROM telemetry.ingest_telemetry('privilege-5', '2024-05-01 10:00:00+00', 1, NULL, 'k');
CALL telemetry.project_once();
SELECT device_id, region, sample_count FROM telemetry.device_stats WHERE device_id = 'privilege-5';
SELECT region FROM telemetry.device WHERE device_id = 'privilege-5';
SELECT count(*) > 0 AS rows FROM telemetry.rejected_readings;
SELECT count(*) > 0 AS rows FROM telemetry.batch;
SELECT count(*) > 0 AS rows FROM telemetry.batcher;
SELECT count(*) > 0 AS rows FROM telemetry.epoch;
SELECT count(*) AS rows FROM telemetry.projection_failure;
SELECT * FROM telemetry.installation;
SELECT * FROM telemetry.event_1;
UPDATE telemetry.device SET region = 'x';
DELETE FROM telemetry.rejected_readings;
RESET ROLE;

-- A writer's own functions, search_path and triggers do not run with the owner's rights, because commands do not look up the caller's operators.
CREATE SCHEMA regress_telemetry_trap AUTHORIZATION regress_telemetry_writer;
SET ROLE regress_telemetry_writer;
CREATE FUNCTION regress_telemetry_trap.caught(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trap'; END $$;
CREATE OPERATOR regress_telemetry_trap.= (LEFTARG = text, RIGHTARG = text, FUNCTION = regress_telemetry_trap.caught);
SET search_path = regress_telemetry_trap, pg_catalog;
SELECT status FROM telemetry.ingest_telemetry('privilege-6', '2024-05-01 10:00:00+00', 1, NULL, 'k', NULL, 'hall');
SELECT received, accepted FROM telemetry.ingest_telemetry_batch(ARRAY['privilege-6'], NULL, ARRAY[2], NULL, ARRAY['k2']);
RESET search_path;
RESET ROLE;
DROP SCHEMA regress_telemetry_trap CASCADE;

REVOKE ALL ON ALL TABLES IN SCHEMA telemetry FROM regress_telemetry_reader, regress_telemetry_writer, regress_telemetry_admin, "regress_telemetry ""odd"" Name";
REVOKE ALL ON ALL ROUTINES IN SCHEMA telemetry FROM regress_telemetry_reader, regress_telemetry_writer, regress_telemetry_admin, "regress_telemetry ""odd"" Name";
REVOKE ALL ON SCHEMA telemetry FROM regress_telemetry_reader, regress_telemetry_writer, regress_telemetry_admin, "regress_telemetry ""odd"" Name";
DROP ROLE regress_telemetry_none, regress_telemetry_reader, regress_telemetry_writer, regress_telemetry_admin, "regress_telemetry ""odd"" Name";
