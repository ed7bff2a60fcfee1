-- The event log takes inserts only, from every role and under every session_replication_role.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS telemetry_cqrs;
RESET client_min_messages;

CREATE FUNCTION pg_temp.outcome(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    detail text; hint text;
BEGIN
    EXECUTE command;
    RETURN 'done';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
    RETURN SQLSTATE || CASE WHEN hint = '' THEN ' [no hint]' ELSE '' END;
END $$;

SELECT status FROM telemetry.ingest_telemetry('log-1', '2024-05-01 10:00:00+00', 1, NULL, 'k');

SELECT role, command, pg_temp.outcome(command) AS outcome
FROM (VALUES ('origin'), ('replica'), ('local')) AS r (role)
CROSS JOIN LATERAL set_config('session_replication_role', role, false) AS s
CROSS JOIN (VALUES
    (1, 'UPDATE telemetry.event SET temperature = 2'),
    (2, 'UPDATE telemetry.event_1 SET temperature = 2'),
    (3, 'UPDATE ONLY telemetry.event SET temperature = 2'),
    (4, 'DELETE FROM telemetry.event'),
    (5, 'DELETE FROM telemetry.event_1'),
    (6, 'DELETE FROM telemetry.event_1 WHERE false'),
    (7, 'TRUNCATE telemetry.event'),
    (8, 'TRUNCATE ONLY telemetry.event'),
    (9, 'TRUNCATE telemetry.event_1'),
    (10, 'UPDATE telemetry.measurements SET temperature = 2'),
    (11, 'DELETE FROM telemetry.measurements')) AS c (n, command)
ORDER BY role, n;
RESET session_replication_role;

-- No row can live in the parent.
SELECT pg_temp.outcome($$ INSERT INTO telemetry.event (event_id, xid, measured_at, received_at, epoch, version, type, device_id)
                          VALUES (1, '1', now(), now(), 1, 1::smallint, 'telemetry.ingested', 'd') $$) AS insert_into_parent;

SELECT temperature FROM telemetry.measurements WHERE device_id = 'log-1';
