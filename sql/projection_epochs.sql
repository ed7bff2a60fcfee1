-- A restored copy has epochs of another place, and a command opens one of its own. The test puts rows into the tables by hand, as a dump
-- of another place would. The answers are the same with a worker beside it and without.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP DATABASE IF EXISTS telemetry_epochs;
CREATE DATABASE telemetry_epochs;
\c telemetry_epochs
CREATE EXTENSION telemetry_cqrs;
RESET client_min_messages;
\set SHOW_CONTEXT never
SET timezone = 'UTC';

CREATE FUNCTION add_event(event_id bigint, epoch int, xid xid8, device_id text, temperature float8) RETURNS void LANGUAGE sql AS $$
    INSERT INTO telemetry.event_1 (event_id, xid, measured_at, received_at, temperature, epoch, version, type, device_id, region)
    VALUES ($1, $3, '2024-05-01'::timestamptz + $1 * interval '1 second', '2024-05-01'::timestamptz + $1 * interval '1 second', $5, $2, 1,
            'telemetry.ingested', $4, 'there')
$$;
-- The other place's log has transactions 3, 10, 20, 4000000000000 and 4000000000001. Its batcher has read 3 and 10, while 20 was in progress.
SELECT setval('telemetry.event_id_seq', 1000);
INSERT INTO telemetry.epoch VALUES (1, 42, 42, 42, 1, '3', '2024-04-30');
SELECT add_event(1, 1, '3', 'x', 1), add_event(2, 1, '10', 'x', 2), add_event(3, 1, '20', 'x', 4), add_event(4, 1, '4000000000000', 'x', 8),
       add_event(5, 1, '4000000000000', 'y', 16), add_event(6, 1, '4000000000001', 'y', 32);
INSERT INTO telemetry.state_device SELECT 1, 'x', '-infinity', 0, 2, '2024-05-01 00:00:01', '2024-05-01 00:00:02', '2024-05-01 00:00:02',
    'there', NULL, ARRAY['{"version":1,"count":2,"mean":1.5,"m2":0.5,"min":1,"max":2,"first_value":1,"last_value":2,"first_at":767836801000000,"last_at":767836802000000}', NULL]::telemetry.summary[];
INSERT INTO telemetry.state_region SELECT 1, 'there', '-infinity', 0, 2, '2024-05-01 00:00:01', '2024-05-01 00:00:02', '2024-05-01 00:00:02',
    NULL, NULL, ARRAY['{"version":1,"count":2,"mean":1.5,"m2":0.5,"min":1,"max":2,"first_value":1,"last_value":2,"first_at":767836801000000,"last_at":767836802000000}', NULL]::telemetry.summary[];
INSERT INTO telemetry.batch VALUES (1, 1, '3:3:', NULL, NULL, '20:21:20', NULL, NULL, 2, clock_timestamp());
INSERT INTO telemetry.batcher VALUES (1, '20:21:20', NULL, NULL, '20:21:20', NULL, NULL, 2, 0, 1, false, '2024-05-01 00:01', '2024-05-01 00:01');
INSERT INTO telemetry.cursor VALUES ('device', 1, 'current', true, true), ('region', 1, 'current', true, true);

-- While the log is restored nothing is written, but queries work.
CALL telemetry.project_once();
SELECT epoch, snapshot, events, open_events, last_batch_id, drained, as_of FROM telemetry.batcher ORDER BY epoch;
SELECT device_id, sample_count, as_of FROM telemetry.device_stats ORDER BY device_id;
SELECT * FROM telemetry.projection_tail('device');
SELECT projection, state = 'current' AS is_current, applied, lag_events, as_of FROM telemetry.projection_status ORDER BY projection;
SELECT id FROM telemetry.read_events(1);

-- The first reading here opens an epoch of its own. The projector applies the rest of the old one first.
SELECT status FROM telemetry.ingest_telemetry('z', '2024-05-02', 64);
CALL telemetry.project_once();
SELECT device_id, region, sample_count, avg_temperature, last_temperature FROM telemetry.device_stats ORDER BY device_id;
SELECT region, sample_count, round(avg_temperature::numeric, 6) AS avg_temperature FROM telemetry.region_stats ORDER BY region;
SELECT epoch, events, open_events, drained FROM telemetry.batcher ORDER BY epoch;
SELECT batch_id, epoch, CASE WHEN epoch = 1 THEN from_snapshot::text WHEN pg_snapshot_xmax(from_snapshot) = (SELECT min(first_xid) FROM telemetry.epoch WHERE epoch = 2) THEN 'first_xid' END AS from_snapshot,
    CASE WHEN epoch = 1 THEN to_snapshot END AS to_snapshot, events FROM telemetry.batch ORDER BY batch_id;
SELECT b.batch_id, array_agg(r.payload->>'temperature') FROM telemetry.batch b, telemetry.read_events(b.batch_id) AS r GROUP BY 1 ORDER BY 1;
SELECT projection, state, applied, lag_events FROM telemetry.projection_status ORDER BY projection;

-- Transaction numbers of the other place mean nothing here: a window passes over a row of the drained epoch.
BEGIN;
SELECT status FROM telemetry.ingest_telemetry('z', '2024-05-03', 65);
SELECT add_event(9, 1, pg_current_xact_id(), 'z', 1000);
COMMIT;
CALL telemetry.project_once();
SELECT device_id, sample_count, max_temperature FROM telemetry.device_stats ORDER BY device_id;
SELECT batch_id, b.events, array_agg(r.payload->>'temperature') FROM telemetry.batch b, telemetry.read_events(b.batch_id) AS r WHERE b.epoch = 2 GROUP BY 1, 2 ORDER BY 1;

-- On a later timeline of this place the projector applies in the old epoch what was written before it, and the old one is drained.
BEGIN;
INSERT INTO telemetry.epoch SELECT DISTINCT 3, system_identifier, database_oid, log_oid, timeline, pg_current_xact_id(), clock_timestamp() FROM telemetry.epoch WHERE epoch = 2;
UPDATE telemetry.epoch SET timeline = timeline - 1 WHERE epoch = 2;
SELECT add_event(7, 2, pg_current_xact_id(), 'late', 1);
COMMIT;
SELECT add_event(8, 3, pg_current_xact_id(), 'new', 1);
CALL telemetry.project_once();
SELECT device_id, sample_count FROM telemetry.device_stats ORDER BY device_id;
SELECT epoch, drained FROM telemetry.batcher WHERE epoch > 1 ORDER BY epoch;
-- Each epoch has a range of 2^40 numbers, in which there is no gap.
SELECT range, min(number) = 1 AND max(number) = count(*) AS numbered_without_gaps FROM (SELECT batch_id / 1099511627776 AS range, batch_id % 1099511627776 AS number FROM telemetry.batch) AS b GROUP BY 1 ORDER BY 1;
\c postgres
SET client_min_messages = warning;
DROP DATABASE telemetry_epochs WITH (FORCE);
