-- The rules that the registry keeps: limits of metrics, policies of single devices, regions; and calls without casts.
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET intervalstyle = 'postgres';
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS telemetry_cqrs;
RESET client_min_messages;
DELETE FROM telemetry.metric WHERE name IN ('temperature', 'humidity');

-- A reading brings the names of its metrics along. Its temperature and humidity have fields of their own.
SELECT status FROM telemetry.ingest_telemetry('rule-1', '2024-05-01 10:00+00', 21, 40, 'a', '{"rule_light": 10, "rule_co2": 400}');
SELECT name, kind, unit, minimum, maximum, registered_at IS NOT NULL AS registered FROM telemetry.metric WHERE name LIKE 'rule%' OR name IN ('temperature', 'humidity') ORDER BY name;
-- A reading that is refused or a conflict brings none, and neither does a member that is null.
SELECT status FROM telemetry.ingest_telemetry('', '2024-05-01 10:00+00', 21, 40, 'a', '{"rule_refused": 1}');
\set VERBOSITY terse
SELECT status FROM telemetry.ingest_telemetry('rule-1', '2024-05-01 10:00+00', 21, 40, 'a', '{"rule_conflict": 1}');
\set VERBOSITY default
SELECT status FROM telemetry.ingest_telemetry('rule-1', '2024-05-01 10:00+00', 21, 40, 'b', '{"rule_null": null}');
SELECT accepted, conflicts, rejected FROM telemetry.ingest_telemetry_batch(
    ARRAY['rule-1', 'rule-1', NULL], temperatures => ARRAY[1, 2, 3], idempotency_keys => ARRAY['c', 'a', 'e'],
    metrics => ARRAY['{"rule_batch": 1, "rule_light": 2}', '{"rule_conflict": 1}', '{"rule_refused": 1}']::jsonb[]);
SELECT name FROM telemetry.metric WHERE name LIKE 'rule%' ORDER BY name;

-- Limits and units.
SELECT telemetry.set_metric('rule_light', unit => 'lx', minimum => 0, maximum => 1000);
SELECT telemetry.set_metric('temperature', unit => '°C', minimum => -40);
SELECT telemetry.set_metric('humidity', maximum => 100);
SELECT name, kind, unit, minimum, maximum FROM telemetry.metric WHERE name IN ('rule_light', 'temperature', 'humidity') ORDER BY name;
SELECT status FROM telemetry.ingest_telemetry('rule-1', NULL, -40, 100, 'd', '{"rule_light": 1000}');
SELECT status FROM telemetry.ingest_telemetry('rule-1', NULL, NULL, NULL, 'e', '{"rule_light": 0}');
SELECT status FROM telemetry.ingest_telemetry('rule-1', NULL, 1, NULL, 'f', '{"rule_light": 1000.5, "rule_beside": 1}');
SELECT status FROM telemetry.ingest_telemetry('rule-1', NULL, -40.1, NULL, 'f');
SELECT status FROM telemetry.ingest_telemetry('rule-1', NULL, NULL, 101, 'f');
SELECT accepted, rejected FROM telemetry.ingest_telemetry_batch(ARRAY['rule-1', 'rule-2'], temperatures => ARRAY[-50, 20], idempotency_keys => ARRAY['g', 'g']);
SELECT sqlstate, reason FROM telemetry.rejected_readings WHERE device_id = 'rule-1' AND idempotency_key = 'g';
SELECT name FROM telemetry.metric WHERE name = 'rule_beside';
-- What an argument leaves out stays. These values take a part away.
SELECT telemetry.set_metric('rule_light', maximum => 2000);
SELECT telemetry.set_metric('rule_light', minimum => '-Infinity', unit => '');
SELECT telemetry.set_metric('rule_light');
SELECT kind, unit, minimum, maximum FROM telemetry.metric WHERE name = 'rule_light';
SELECT status FROM telemetry.ingest_telemetry('rule-1', NULL, NULL, NULL, 'h', '{"rule_light": -1}');
SELECT status FROM telemetry.ingest_telemetry('rule-1', NULL, NULL, NULL, 'i', '{"rule_light": 2001}');
SELECT telemetry.set_metric('rule_light', 'counter', maximum => 'Infinity');
SELECT kind, unit, minimum, maximum FROM telemetry.metric WHERE name = 'rule_light';
SELECT telemetry.set_metric('rule_light', minimum => 2, maximum => 1);
SELECT telemetry.set_metric('rule_light', minimum => 'NaN');
SELECT telemetry.set_metric('rule_light', maximum => '-Infinity');
SELECT telemetry.set_metric(NULL, 'gauge');
SELECT telemetry.set_metric(repeat('x', 129));
SELECT telemetry.set_metric(E'rule\nlight');
SELECT telemetry.set_metric('rule_light', unit => repeat('x', 65));
SELECT telemetry.set_metric('rule_light', unit => E'l\tx');
\set VERBOSITY terse
UPDATE telemetry.metric SET minimum = 2, maximum = 1 WHERE name = 'rule_light';
UPDATE telemetry.metric SET maximum = 'NaN' WHERE name = 'rule_light';
\set VERBOSITY default
SELECT telemetry.set_metric('temperature', minimum => '-Infinity'), telemetry.set_metric('humidity', maximum => 'Infinity');
-- The own transaction counts at once, and a rollback takes it back.
BEGIN;
SELECT telemetry.set_metric('temperature', maximum => 50);
SAVEPOINT before;
SELECT status FROM telemetry.ingest_telemetry('rule-1', NULL, 51, NULL, 'j');
ROLLBACK TO before;
SELECT telemetry.set_metric('temperature', maximum => 60);
SELECT status FROM telemetry.ingest_telemetry('rule-1', NULL, 51, NULL, 'j');
ROLLBACK TO before;
SELECT status FROM telemetry.ingest_telemetry('rule-1', NULL, 51, NULL, 'k');
ROLLBACK;
SELECT status FROM telemetry.ingest_telemetry('rule-1', NULL, 51, NULL, 'l');

-- A device may have a policy of its own.
SELECT telemetry.set_device_policy('rule-1', max_ahead => '2 days', max_age => '1 hour', age_action => 'clamp', max_metrics => 1, rate => 10, burst => 100);
SELECT device_id, max_ahead, ahead_action, max_age, age_action, max_metrics, rate, burst, set_at IS NOT NULL AS set FROM telemetry.device_policy;
SELECT status FROM telemetry.ingest_telemetry('rule-1', now() + interval '1 day', 1, NULL, 'm');
SELECT status FROM telemetry.ingest_telemetry('rule-1', now() - interval '1 day', 1, NULL, 'n');
SELECT measured_at = received_at AS clamped FROM telemetry.measurements WHERE device_id = 'rule-1' AND idempotency_key = 'n';
SELECT status FROM telemetry.ingest_telemetry('rule-1', NULL, 1, NULL, 'o', '{"rule_light": 1, "rule_co2": 2}');
SELECT accepted, rejected FROM telemetry.ingest_telemetry_batch(ARRAY['rule-1', 'rule-1', 'rule-2'], ARRAY[now() + interval '3 days', now() + interval '1 day', now() + interval '1 day'], idempotency_keys => ARRAY['p', 'q', 'p']);
DO $$
DECLARE
    words text;
BEGIN
    PERFORM telemetry.ingest_telemetry('rule-1', now() + interval '3 days', 1, NULL, 'r');
EXCEPTION WHEN SQLSTATE 'TC004' THEN
    GET STACKED DIAGNOSTICS words = PG_EXCEPTION_HINT;
    RAISE NOTICE '%', words;
END $$;
-- It is set as a whole, and a call with the device alone takes it away.
SELECT telemetry.set_device_policy('rule-1', ahead_action => 'quarantine');
SELECT max_ahead, ahead_action, max_age, age_action, max_metrics, rate, burst FROM telemetry.device_policy;
SELECT status FROM telemetry.ingest_telemetry('rule-1', now() + interval '1 day', 1, NULL, 'r');
BEGIN;
SELECT telemetry.set_device_policy('rule-1');
\set VERBOSITY terse
SELECT status FROM telemetry.ingest_telemetry('rule-1', now() + interval '1 day', 1, NULL, 's');
\set VERBOSITY default
ROLLBACK;
SELECT telemetry.set_device_policy('rule-1');
SELECT count(*) FROM telemetry.device_policy;
SELECT telemetry.set_device_policy('', max_metrics => 1);
SELECT telemetry.set_device_policy(NULL::text, max_metrics => 1);
SELECT telemetry.set_device_policy('rule-1', max_ahead => '366 days');
SELECT telemetry.set_device_policy('rule-1', max_age => '-1 s');
SELECT telemetry.set_device_policy('rule-1', ahead_action => 'ignore');
SELECT telemetry.set_device_policy('rule-1', age_action => '');
SELECT telemetry.set_device_policy('rule-1', max_metrics => 1025);
SELECT telemetry.set_device_policy('rule-1', rate => 'NaN');
SELECT telemetry.set_device_policy('rule-1', burst => -1);

-- Regions.
SELECT telemetry.register_device('rule-3', 'hall', '1 minute', '{"floor": 1}');
SELECT telemetry.register_device('rule-3', 'hall', '60 s', '{"floor": 1}');
SELECT telemetry.register_device('rule-3');
SELECT telemetry.register_device('rule-3', 'yard');
SELECT telemetry.register_device('rule-3', 'yard', '1 hour', '{}');
SELECT telemetry.register_device('rule-2', 'yard');
SELECT telemetry.relocate_device('rule-3', 'yard');
SELECT telemetry.relocate_device('rule-3', 'yard');
SELECT status FROM telemetry.ingest_telemetry('rule-3', '2024-05-01 10:00+00', 1, NULL, 'a');
SELECT telemetry.relocate_device('rule-3', NULL);
SELECT status FROM telemetry.ingest_telemetry('rule-3', '2024-05-01 10:00+00', 1, NULL, 'b');
SELECT idempotency_key, region FROM telemetry.measurements WHERE device_id = 'rule-3' ORDER BY 1;
SELECT telemetry.relocate_device('rule-none', 'yard');
SELECT telemetry.relocate_device('rule-3', ' yard');
SELECT telemetry.relocate_device('', 'yard');
SELECT telemetry.relocate_device(NULL::text, 'yard');
SELECT telemetry.set_expected_interval(E'rule-3\nof ' || repeat('no use ', 50), '1 minute');

-- A device or a key of type uuid needs no cast. An untyped value is a text.
SELECT status FROM telemetry.ingest_telemetry('A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'::uuid, NULL, 1);
SELECT status FROM telemetry.ingest_telemetry('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, '2024-05-01 10:00+00', 1, 2, 'key');
SELECT status FROM telemetry.ingest_telemetry('rule-4', '2024-05-01 10:00+00', 1, 2, 'b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid);
SELECT status FROM telemetry.ingest_telemetry('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, '2024-05-01 10:00+00', 1, 2, 'b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, '{"rule_co2": 1}', 'hall');
SELECT status FROM telemetry.ingest_telemetry(device_id => 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, temperature => 3, idempotency_key => 'key 2');
SELECT status FROM telemetry.ingest_telemetry(idempotency_key => 'c0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, device_id => 'rule-4', measured_at => NULL, temperature => 3, humidity => NULL, region => 'hall');
SELECT status FROM telemetry.ingest_telemetry('rule-4', NULL, 1, NULL, NULL::uuid);
SELECT status FROM telemetry.ingest_telemetry(NULL::uuid);
SELECT device_id, idempotency_key, region FROM telemetry.measurements WHERE device_id LIKE 'a0eebc99%' OR device_id = 'rule-4' ORDER BY event_id;
-- Each of these fits one function only.
SELECT status FROM telemetry.ingest_telemetry('rule-5');
SELECT status FROM telemetry.ingest_telemetry('rule-5', '2024-05-01 10:00+00');
SELECT status FROM telemetry.ingest_telemetry('rule-5', NULL, NULL, NULL, 'b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', NULL, NULL);
SELECT status FROM telemetry.ingest_telemetry(device_id => 'rule-5', idempotency_key => 'd');
SELECT status FROM telemetry.ingest_telemetry(NULL);
PREPARE untyped AS SELECT status FROM telemetry.ingest_telemetry($1, $2, $3, $4, $5, $6, $7);
SELECT parameter_types FROM pg_prepared_statements WHERE name = 'untyped';
EXECUTE untyped('rule-5', '2024-05-01 10:00+00', 1, 2, 'e', NULL, NULL);
DEALLOCATE untyped;
PREPARE named AS SELECT status FROM telemetry.ingest_telemetry(device_id => $1, idempotency_key => $2);
SELECT parameter_types FROM pg_prepared_statements WHERE name = 'named';
DEALLOCATE named;
PREPARE with_uuid(unknown, unknown, unknown, unknown, uuid) AS SELECT status FROM telemetry.ingest_telemetry($1, $2, $3, $4, $5);
SELECT parameter_types FROM pg_prepared_statements WHERE name = 'with_uuid';
EXECUTE with_uuid('rule-5', NULL, 1, 2, 'f0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11');
DEALLOCATE with_uuid;
PREPARE driver(varchar, timestamptz, float8, float8, varchar) AS SELECT status FROM telemetry.ingest_telemetry($1, $2, $3, $4, $5);
EXECUTE driver('rule-5', NULL, 1, 2, 'g');
DEALLOCATE driver;
-- Of the arrays, device_ids is enough.
SELECT received, accepted FROM telemetry.ingest_telemetry_batch(device_ids => '{rule-6,rule-7}');
SELECT received, accepted FROM telemetry.ingest_telemetry_batch(ARRAY['rule-6', 'rule-7']);
SELECT received, accepted FROM telemetry.ingest_telemetry_batch(ARRAY['rule-6'], temperatures => '{5}');
SELECT received, accepted FROM telemetry.ingest_telemetry_batch(device_ids => ARRAY['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid]::text[]);
SELECT telemetry.register_device('d0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, 'hall');
SELECT telemetry.relocate_device('d0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, 'yard');
SELECT telemetry.set_expected_interval('d0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, '1 minute');
SELECT telemetry.set_device_policy('d0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, max_metrics => 3);
SELECT d.device_id, region, expected_interval, max_metrics FROM telemetry.device d JOIN telemetry.device_policy USING (device_id);
SELECT telemetry.set_device_policy('d0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid);

-- Names of roles keep their capitals.
CREATE ROLE "Regress_Telemetry_Rule";
CREATE ROLE regress_telemetry_rule;
SELECT telemetry.grant_writer('Regress_Telemetry_Rule'), telemetry.grant_reader('"Regress_Telemetry_Rule"'), telemetry.grant_admin('REGRESS_TELEMETRY_RULE');
SELECT telemetry.grant_writer('"Regress_Telemetry_Rule"'::regrole), telemetry.grant_writer('Regress_Telemetry_Rule'::name);
SELECT r, has_function_privilege(r, 'telemetry.ingest_telemetry_batch(text[],timestamptz[],float8[],float8[],text[],jsonb[],text[],text)', 'EXECUTE') AS writes,
       has_table_privilege(r, 'telemetry.device_stats', 'SELECT') AS reads, has_function_privilege(r, 'telemetry.health()', 'EXECUTE') AS administers
FROM unnest(ARRAY['Regress_Telemetry_Rule', 'regress_telemetry_rule']::name[]) AS r;
SELECT telemetry.grant_writer('No_Such_Role');
SELECT telemetry.grant_writer('-');
SELECT telemetry.grant_writer(NULL::text);
DROP OWNED BY "Regress_Telemetry_Rule", regress_telemetry_rule;
DROP ROLE "Regress_Telemetry_Rule", regress_telemetry_rule;

DELETE FROM telemetry.metric WHERE name LIKE 'rule%' OR name IN ('temperature', 'humidity');
