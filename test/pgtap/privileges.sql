-- PUBLIC has one right, and each of the three grants gives exactly its own list.
BEGIN;
SELECT no_plan();
SET LOCAL search_path = public, pg_catalog;

CREATE ROLE telemetry_test_none;
CREATE ROLE telemetry_test_reader;
CREATE ROLE telemetry_test_writer;
CREATE ROLE telemetry_test_admin;
SELECT lives_ok($$ SELECT telemetry.grant_reader('telemetry_test_reader') $$, 'grant_reader');
SELECT lives_ok($$ SELECT telemetry.grant_writer('telemetry_test_writer') $$, 'grant_writer');
SELECT lives_ok($$ SELECT telemetry.grant_admin('telemetry_test_admin') $$, 'grant_admin');
-- A second grant is no error.
SELECT lives_ok($$ SELECT telemetry.grant_reader('telemetry_test_reader'), telemetry.grant_writer('telemetry_test_writer'), telemetry.grant_admin('telemetry_test_admin') $$, 'again');
SELECT throws_ok(format('SELECT telemetry.%s(%s)', f, r), '42704', 'there is no such role', f || ' of ' || r)
FROM unnest(ARRAY['grant_reader', 'grant_writer', 'grant_admin']) AS f, unnest(ARRAY['NULL', '''-''', '4000000000']) AS r;

-- Each right in the schema has a row here. Grantee 0 is PUBLIC; an object without an acl would have the built-in default.
CREATE VIEW pg_temp.granted AS
    SELECT a.grantee, what, object, a.privilege_type, a.is_grantable FROM (
        SELECT 'schema' AS what, n.nspname::text AS object, coalesce(n.nspacl, acldefault('n', n.nspowner)) AS acl
        FROM pg_namespace n WHERE n.nspname = 'telemetry'
        UNION ALL
        SELECT 'relation', c.relname, coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner))
        FROM pg_class c WHERE c.relnamespace = 'telemetry'::regnamespace AND c.relkind IN ('r', 'v', 'S')
        UNION ALL
        SELECT 'column', c.relname || '.' || t.attname, t.attacl
        FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid WHERE c.relnamespace = 'telemetry'::regnamespace AND t.attacl IS NOT NULL
        UNION ALL
        SELECT 'routine', p.proname, coalesce(p.proacl, acldefault('f', p.proowner))
        FROM pg_proc p WHERE p.pronamespace = 'telemetry'::regnamespace
        UNION ALL
        SELECT 'type', t.typname, coalesce(t.typacl, acldefault('T', t.typowner))
        FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid
        WHERE t.typnamespace = 'telemetry'::regnamespace AND t.typelem = 0 AND (c.oid IS NULL OR c.relkind = 'c')
    ) AS o, LATERAL aclexplode(o.acl) AS a;

SELECT set_eq($$ SELECT object::text, privilege_type::text FROM pg_temp.granted WHERE grantee = 0 $$, $$ VALUES ('shown_generation', 'EXECUTE') $$, 'one function for PUBLIC');
SELECT is_empty($$ SELECT what, object FROM pg_temp.granted WHERE is_grantable AND grantee IN (SELECT oid FROM pg_roles WHERE rolname LIKE 'telemetry\_test\_%') $$, 'no role may hand on its rights');
SELECT is_empty($$ SELECT what, object FROM pg_temp.granted WHERE grantee = 'telemetry_test_none'::regrole $$, 'nothing for a role without a grant');

CREATE TEMP TABLE reads (what text, object text, privilege_type text);
INSERT INTO reads VALUES ('schema', 'telemetry', 'USAGE');
INSERT INTO reads SELECT 'relation', o, 'SELECT' FROM unnest(ARRAY['measurements', 'events', 'device_stats', 'device_metric_stats',
    'region_stats', 'region_metric_stats', 'device_stats_1m', 'device_stats_1h', 'device_stats_1d', 'region_stats_1m', 'region_stats_1h', 'region_stats_1d',
    'device_stats_live', 'device_metric_stats_live', 'region_stats_live', 'region_metric_stats_live',
    'device_stats_1m_live', 'device_stats_1h_live', 'device_stats_1d_live', 'region_stats_1m_live', 'region_stats_1h_live', 'region_stats_1d_live',
    'device_liveness', 'projection_status', 'pipeline_status', 'stat_ingest', 'batch', 'subscription_status', 'dead_letters', 'relay_status']) AS o;
INSERT INTO reads SELECT 'routine', o, 'EXECUTE' FROM unnest(ARRAY['sample_count', 'avg', 'stddev', 'minimum', 'maximum', 'first_value', 'first_at',
    'last_value', 'last_at', 'quantile', 'increase', 'resets', 'has_overlap', 'recounted', 'with_known_resets', 'summary', 'counter_summary', 'merge', 'read_events', 'follow_from', 'as_of', 'projection_tail', 'worker_status', 'library_version', 'ingest_statistics', 'quota_status', 'log_status',
    'batch_tail', 'folded_tail', 'series', 'region_series', 'series_of', 'wait_for', 'next_batch', 'ack', 'nack', 'extend_lease', 'replay_dead_letters', 'relay_report', 'current_place', 'http_status', 'open_metrics', 'metric_samples', 'metrics_text']) AS o;
CREATE TEMP TABLE writes (LIKE reads);
INSERT INTO writes VALUES ('schema', 'telemetry', 'USAGE'), ('routine', 'ingest_telemetry', 'EXECUTE'), ('routine', 'ingest_telemetry_batch', 'EXECUTE'), ('routine', 'wait_for', 'EXECUTE'), ('routine', 'inbox_receipt', 'EXECUTE'), ('routine', 'check_reading', 'EXECUTE'), ('routine', 'batch_verdicts', 'EXECUTE'),
    ('relation', 'inbox', 'INSERT'), ('relation', 'inbox', 'SELECT'), ('relation', 'inbox_text', 'INSERT'), ('relation', 'inbox_text', 'SELECT');
CREATE TEMP TABLE administers (LIKE reads);
INSERT INTO administers SELECT 'routine', o, 'EXECUTE' FROM unnest(ARRAY['redrive_rejected', 'register_device', 'relocate_device', 'set_device_policy', 'set_expected_interval', 'project_once', 'health', 'setup', 'stat_ingest_reset',
    'pause_projection', 'resume_projection', 'set_cadence', 'set_retention', 'set_metric', 'set_failure_policy', 'replay_parked', 'create_projection', 'create_handler_projection', 'drop_projection', 'rebuild_projection', 'cancel_rebuild', 'verify_projection', 'is_background_worker',
    'create_subscription', 'restart_subscription', 'drop_subscription', 'pause_relay', 'resume_relay', 'adopt_relay', 'refresh_cache', 'create_http_token', 'revoke_http_token']) AS o;
INSERT INTO administers SELECT 'relation', o, 'SELECT' FROM unnest(ARRAY['device', 'rejected_readings', 'batcher', 'cursor', 'epoch', 'projection_failure', 'projection', 'projection_setting', 'parked_event', 'audit', 'pause', 'metric', 'device_policy', 'offline_device', 'relay', 'http_tokens']) AS o;

SELECT set_eq($$ SELECT what, object, privilege_type FROM pg_temp.granted WHERE grantee = 'telemetry_test_reader'::regrole $$,
    'SELECT * FROM reads', 'the rights of a reader');
SELECT set_eq($$ SELECT what, object, privilege_type FROM pg_temp.granted WHERE grantee = 'telemetry_test_writer'::regrole $$,
    'SELECT * FROM writes', 'the rights of a writer');
SELECT set_eq($$ SELECT what, object, privilege_type FROM pg_temp.granted WHERE grantee = 'telemetry_test_admin'::regrole $$,
    'SELECT * FROM reads UNION SELECT * FROM writes UNION SELECT * FROM administers', 'the rights of an admin');

-- The roles also try their rights. A role without a grant may not even use the schema.
SET LOCAL ROLE telemetry_test_none;
SELECT throws_ok('SELECT * FROM telemetry.device_stats', '42501', NULL, 'a role without a grant reads nothing');
SELECT throws_ok($$ SELECT * FROM telemetry.ingest_telemetry('pgtap-0', NULL, 1) $$, '42501', NULL, 'a role without a grant sends nothing');
RESET ROLE;

SET LOCAL ROLE telemetry_test_writer;
SELECT results_eq($$ SELECT status FROM telemetry.ingest_telemetry('pgtap-1', '2024-05-01 10:00:00+00', 1, 2, 'k', '{"a": 3}', 'hall') $$, ARRAY['accepted'], 'a writer stores, and the device is registered');
SELECT results_eq($$ SELECT status FROM telemetry.ingest_telemetry('pgtap-1', '2024-05-01 10:00:00+00', 1, 2, 'k', '{"a": 3}', 'hall') $$, ARRAY['duplicate'], 'a writer is told of the duplicate');
SELECT throws_ok($$ SELECT * FROM telemetry.ingest_telemetry('pgtap-1', '2024-05-01 10:00:00+00', 9, 2, 'k') $$, 'TC009', NULL, 'and of the conflict');
SELECT results_eq($$ SELECT received, accepted, duplicates, conflicts, rejected FROM telemetry.ingest_telemetry_batch(
        ARRAY['pgtap-1', 'pgtap-1', 'pgtap-2', ''], ARRAY['2024-05-01 10:00:00+00', NULL, NULL, NULL]::timestamptz[], ARRAY[1, 9, 1, 1], ARRAY[2, NULL, NULL, NULL],
        ARRAY['k', 'k', 'k', 'k'], ARRAY['{"a": 3}', NULL, NULL, NULL]::jsonb[], ARRAY['hall', NULL, NULL, NULL]) $$,
    'VALUES (4, 1, 1, 1, 1)', 'a writer sends batches, and the quarantine keeps refused readings');
SELECT is(current_user::text, 'telemetry_test_writer', 'and is itself again afterwards');
-- TC102 instead of 42501 says that the right is there, but the open transaction is in the way.
SELECT throws_ok(format('SELECT telemetry.wait_for(%L)', token), 'TC102', NULL, 'a writer waits for its own, after the commit')
FROM telemetry.ingest_telemetry('pgtap-1', '2024-05-01 10:00:00+00', 1, 2, 'k', '{"a": 3}', 'hall');
SELECT throws_ok('SELECT * FROM telemetry.' || o, '42501', NULL, 'a writer does not read ' || o)
FROM unnest(ARRAY['measurements', 'events', 'device_stats', 'projection_status', 'event', 'event_1', 'device', 'rejected_readings', 'installation', 'epoch',
                  'state_device', 'batcher', 'cursor', 'checkpoint', 'batch', 'batch_verdict', 'event_id_seq', 'read_events(1)', 'worker_status()', 'redrive_rejected()']) AS o;
SELECT throws_ok(c, '42501', NULL, 'a writer may not: ' || c)
FROM unnest(ARRAY[$$ SELECT telemetry.register_device('pgtap-3') $$, 'CALL telemetry.project_once()', $$ SELECT nextval('telemetry.event_id_seq') $$,
    $$ SELECT telemetry.grant_reader('telemetry_test_writer') $$, 'SELECT telemetry.announce_installation()',
    $$ INSERT INTO telemetry.device (device_id) VALUES ('pgtap-3') $$, 'INSERT INTO telemetry.event_1 SELECT * FROM telemetry.event_1',
    'CREATE TABLE telemetry.mine ()', $$ SELECT telemetry.pause_projection('device') $$, $$ SELECT telemetry.resume_projection('device') $$]) AS c;
RESET ROLE;
SELECT is((SELECT count(*) FROM telemetry.rejected_readings WHERE payload->>'device_id' IN ('pgtap-1', '')
           AND payload->>'idempotency_key' = 'k' AND sqlstate IN ('TC001', 'TC009')), 2::bigint, 'both refused readings of the batch are kept');

SET LOCAL ROLE telemetry_test_reader;
SELECT lives_ok('SELECT * FROM telemetry.' || o, 'a reader reads ' || o)
FROM unnest(ARRAY['measurements', 'events', 'device_stats', 'device_metric_stats', 'region_stats', 'region_metric_stats', 'projection_status',
                  $$as_of('device')$$, $$as_of('region')$$, $$projection_tail('device')$$, 'worker_status()']) AS o;
SELECT throws_ok('SELECT * FROM telemetry.read_events(0)', 'TC203', NULL, 'a reader may ask for the events of a batch');
SELECT throws_ok($$ SELECT telemetry.wait_for('1') $$, '22023', NULL, 'a reader may wait');
SELECT throws_ok('SELECT * FROM telemetry.' || o, '42501', NULL, 'a reader does not read ' || o)
FROM unnest(ARRAY['event', 'event_1', 'device', 'rejected_readings', 'installation', 'epoch', 'device_state', 'device_metric_state', 'region_state',
                  'region_metric_state', 'state_device', 'state_region', 'batcher', 'cursor', 'checkpoint', 'projection_failure', 'event_id_seq', 'rejected_id_seq']) AS o;
SELECT throws_ok(c, '42501', NULL, 'a reader may not: ' || c)
FROM unnest(ARRAY[$$ SELECT telemetry.ingest_telemetry('pgtap-4', NULL, 1) $$, $$ SELECT telemetry.ingest_telemetry_batch(ARRAY['pgtap-4'], NULL, ARRAY[1], NULL) $$,
    $$ SELECT telemetry.register_device('pgtap-4') $$, 'CALL telemetry.project_once()', $$ SELECT telemetry.grant_writer('telemetry_test_reader') $$,
    'SELECT telemetry.announce_installation()', 'UPDATE telemetry.measurements SET temperature = 1', 'DELETE FROM telemetry.device_stats',
    $$ SELECT telemetry.pause_projection('device') $$, $$ SELECT telemetry.resume_projection('device') $$]) AS c;
RESET ROLE;

SET LOCAL ROLE telemetry_test_admin;
SELECT results_eq($$ SELECT telemetry.register_device('pgtap-5', 'hall'), telemetry.register_device('pgtap-5', 'yard') $$, 'VALUES (true, false)', 'an admin registers devices');
SELECT results_eq($$ SELECT status FROM telemetry.ingest_telemetry('pgtap-5', '2024-05-01 10:00:00+00', 1) $$, ARRAY['accepted'], 'an admin sends');
-- 25001 instead of 42501 says that the right is there, but the transaction block is in the way.
SELECT throws_ok('CALL telemetry.project_once()', '25001', NULL, 'an admin runs projections by hand');
SELECT results_eq($$ SELECT telemetry.pause_projection('region'), telemetry.resume_projection('region') $$, 'VALUES (true, true)', 'an admin pauses projections');
SELECT lives_ok('SELECT * FROM telemetry.' || o, 'an admin reads ' || o)
FROM unnest(ARRAY['measurements', 'events', 'device_stats', 'device_metric_stats', 'region_stats', 'region_metric_stats', 'projection_status',
                  'device', 'rejected_readings', 'batcher', 'cursor', 'epoch', 'projection_failure']) AS o;
SELECT throws_ok('SELECT * FROM telemetry.' || o, '42501', NULL, 'an admin does not read ' || o)
FROM unnest(ARRAY['event', 'event_1', 'installation', 'state_device', 'event_id_seq']) AS o;
SELECT throws_ok(c, '42501', NULL, 'an admin may not: ' || c)
FROM unnest(ARRAY[$$ UPDATE telemetry.device SET region = 'x' $$, 'DELETE FROM telemetry.rejected_readings', 'DELETE FROM telemetry.batch',
    $$ SELECT telemetry.grant_admin('telemetry_test_none') $$, 'SELECT telemetry.announce_installation()']) AS c;
RESET ROLE;

-- All of this needs no more than a role that owns nothing and is member of nothing, because the code inside acts as the extension's
-- owner.
SELECT is((SELECT count(*) FROM telemetry.device WHERE device_id LIKE 'pgtap-%'), 3::bigint, 'devices that were registered');

SELECT * FROM finish();
ROLLBACK;
