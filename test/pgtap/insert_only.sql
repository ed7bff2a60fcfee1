-- The log refuses every change of recorded events, in every session_replication_role, on the parent and on the segment.
BEGIN;
SELECT no_plan();
SET LOCAL search_path = public, pg_catalog;

SELECT results_eq($$ SELECT status FROM telemetry.ingest_telemetry('pgtap-log', '2024-05-01 10:00:00+00', 1, NULL, 'k') $$, ARRAY['accepted'], 'a reading to protect');

CREATE TEMP TABLE change (command text);
INSERT INTO change VALUES
    ('UPDATE telemetry.event SET temperature = 2'), ('UPDATE telemetry.event_1 SET temperature = 2'), ('UPDATE ONLY telemetry.event SET temperature = 2'),
    ($$ UPDATE telemetry.event SET region = 'x' WHERE device_id = 'pgtap-log' $$),
    ('DELETE FROM telemetry.event'), ('DELETE FROM telemetry.event_1'), ($$ DELETE FROM telemetry.event WHERE device_id = 'no such device' $$),
    ('TRUNCATE telemetry.event'), ('TRUNCATE ONLY telemetry.event'), ('TRUNCATE telemetry.event_1'), ('TRUNCATE telemetry.event CASCADE');

SET LOCAL session_replication_role = origin;
SELECT throws_ok(command, 'TC201', NULL, 'origin: ' || command) FROM change;
SET LOCAL session_replication_role = replica;
SELECT throws_ok(command, 'TC201', NULL, 'replica: ' || command) FROM change;
SET LOCAL session_replication_role = local;
SELECT throws_ok(command, 'TC201', NULL, 'local: ' || command) FROM change;
SET LOCAL session_replication_role = origin;

SELECT throws_ok($$ INSERT INTO telemetry.event (event_id, xid, measured_at, received_at, epoch, version, type, device_id)
                    VALUES (1, '1', now(), now(), 1, 1::smallint, 'telemetry.ingested', 'd') $$, '23514', NULL, 'no row lives in the parent');
SELECT throws_ok('UPDATE telemetry.measurements SET temperature = 2', 'TC201', NULL, 'nor through the view');
SELECT is((SELECT temperature FROM telemetry.measurements WHERE device_id = 'pgtap-log'), 1::double precision, 'the reading is as it was');

-- An altered segment stops the writers with an error that names it, instead of losing readings.
-- (throws_ok rolls back its command.)
CREATE FUNCTION pg_temp.skip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
SELECT throws_ok(change || $$; SELECT telemetry.ingest_telemetry('pgtap-log', '2024-05-01 10:00:00+00', 1, NULL, 'k2') $$, 'TC202', NULL, change)
FROM unnest(ARRAY[
    'CREATE TRIGGER skip BEFORE INSERT ON telemetry.event_1 FOR EACH ROW EXECUTE FUNCTION pg_temp.skip()',
    'CREATE TRIGGER skip AFTER INSERT ON telemetry.event_1 FOR EACH STATEMENT EXECUTE FUNCTION pg_temp.skip()',
    'CREATE RULE mine AS ON INSERT TO telemetry.event_1 DO ALSO NOTIFY rows',
    'ALTER TABLE telemetry.event_1 ENABLE ROW LEVEL SECURITY',
    'ALTER TABLE telemetry.event_1 ADD CONSTRAINT mine CHECK (temperature < 100)',
    'ALTER TABLE telemetry.event_1 ADD CONSTRAINT mine UNIQUE (event_id) DEFERRABLE',
    'DROP INDEX telemetry.event_1_fingerprint']) AS change;
-- Commands keep up further indexes.
SELECT lives_ok(change || $$; SELECT telemetry.ingest_telemetry('pgtap-log', '2024-05-01 10:00:00+00', 1, NULL, 'k of ' || $$ || quote_literal(change) || ')', change)
FROM unnest(ARRAY[
    'CREATE INDEX by_device ON telemetry.event_1 (device_id)',
    'CREATE UNIQUE INDEX by_event ON telemetry.event_1 (event_id)',
    'CREATE INDEX by_upper ON telemetry.event_1 (upper(device_id)) WHERE temperature > 0']) AS change;
SELECT is(telemetry_count.by_index, telemetry_count.all_rows, 'each row is in the further index')
FROM (SELECT (SELECT count(*) FROM telemetry.event_1 WHERE upper(device_id) = 'PGTAP-LOG' AND temperature > 0) AS by_index,
             (SELECT count(*) FROM telemetry.event_1 WHERE device_id = 'pgtap-log') AS all_rows) AS telemetry_count;
SELECT results_eq($$ SELECT status FROM telemetry.ingest_telemetry('pgtap-log', '2024-05-01 10:00:00+00', 1, NULL, 'k2') $$, ARRAY['accepted'], 'mended: stored');

SELECT * FROM finish();
ROLLBACK;
