-- Roles that own nothing and are members of nothing use the whole surface. Each table, view, sequence and routine of the schema has a
-- row here with the outcome for a reader, a writer and an admin: '' for success, otherwise the SQLSTATE. An object without a row fails
-- the test.
BEGIN;
SELECT no_plan();
SET LOCAL search_path = public, pg_catalog;

CREATE ROLE telemetry_test_reader;
CREATE ROLE telemetry_test_writer;
CREATE ROLE telemetry_test_admin;
SELECT lives_ok($$ SELECT telemetry.grant_reader('telemetry_test_reader'), telemetry.grant_writer('telemetry_test_writer'), telemetry.grant_admin('telemetry_test_admin') $$, 'three bare roles');
SELECT lives_ok($$ SELECT telemetry.create_subscription('bare', consumer_role => 'telemetry_test_reader') $$, 'a subscription for the reader');

CREATE TEMP TABLE surface (object text PRIMARY KEY, reader text, writer text, admin text, command text);
-- Every reader may query these.
INSERT INTO surface SELECT o, '', '42501', '', 'SELECT * FROM telemetry.' || o
FROM unnest(ARRAY['measurements', 'events', 'device_stats', 'device_metric_stats', 'region_stats', 'region_metric_stats', 'projection_status',
                  'device_stats_1m', 'device_stats_1h', 'device_stats_1d', 'region_stats_1m', 'region_stats_1h', 'region_stats_1d',
                  'device_stats_live', 'device_metric_stats_live', 'region_stats_live', 'region_metric_stats_live',
                  'device_stats_1m_live', 'device_stats_1h_live', 'device_stats_1d_live', 'region_stats_1m_live', 'region_stats_1h_live', 'region_stats_1d_live',
                  'device_liveness', 'pipeline_status', 'stat_ingest', 'subscription_status', 'dead_letters', 'relay_status']) AS o;
INSERT INTO surface SELECT o || '(telemetry.summary)', '', '42501', '',
                           'SELECT telemetry.' || o || $$('{"version":1,"count":2,"mean":3,"m2":2,"min":2,"max":4,"first_value":2,"last_value":4,"first_at":767872800000000,"last_at":767872801000000}'::telemetry.summary)$$
FROM unnest(ARRAY['avg', 'stddev', 'minimum', 'maximum', 'sample_count', 'first_value', 'first_at', 'last_value', 'last_at', 'increase', 'resets', 'has_overlap']) AS o;
INSERT INTO surface VALUES
    ('quantile(telemetry.summary,double precision)', '', '42501', '',
        $$ SELECT telemetry.quantile('{"version":1,"count":1,"mean":3,"m2":0,"min":3,"max":3,"first_value":3,"last_value":3,"first_at":0,"last_at":0}', 0.5) $$),
    ('summary(double precision,timestamp with time zone)', '', '42501', '', 'SELECT telemetry.summary(1, now())'),
    ('counter_summary(double precision,timestamp with time zone)', '', '42501', '', 'SELECT telemetry.counter_summary(1, now())'),
    ('recounted(telemetry.summary,text,text,timestamp with time zone,text)', '', '42501', '', $$ SELECT telemetry.recounted(telemetry.counter_summary(1, now()), 'device_1m', 'bare-1', now(), 'a') $$),
    ('with_resets(telemetry.summary,telemetry.summary)', '42501', '42501', '42501', 'SELECT telemetry.with_resets(telemetry.counter_summary(1, now()), telemetry.counter_summary(1, now()))'),
    ('merge(telemetry.summary)', '', '42501', '', 'SELECT telemetry.merge(NULL)'),
    ('as_of(text)', '', '42501', '', $$ SELECT telemetry.as_of('device'), telemetry.as_of('region') $$),
    ('shown_generation(text,boolean)', '', '', '', $$ SELECT telemetry.shown_generation('device', true) $$),
    ('projection_tail(text)', '', '42501', '', $$ SELECT * FROM telemetry.projection_tail('device') $$),
    ('folded_tail(text)', '', '42501', '', $$ SELECT * FROM telemetry.folded_tail('device') $$),
    ('folded_log(text,integer)', '42501', '42501', '42501', $$ SELECT * FROM telemetry.folded_log('device', 1) $$),
    ('differences(text,integer,text,text)', '42501', '42501', '42501', $$ SELECT * FROM telemetry.differences('device', 1, '', '') $$),
    ('with_known_resets(telemetry.summary)', '', '42501', '', 'SELECT telemetry.with_known_resets(telemetry.counter_summary(1, now()))'),
    ('series(text,text,timestamp with time zone,timestamp with time zone,integer,text,text,text)', '', '42501', '', $$ SELECT * FROM telemetry.series('bare-1', 'temperature', '2024-01-01', '2024-01-02') $$),
    ('region_series(text,text,timestamp with time zone,timestamp with time zone,integer,text,text)', '', '42501', '', $$ SELECT * FROM telemetry.region_series('hall', 'temperature', '2024-01-01', '2024-01-02') $$),
    ('series_of(text,text,text,timestamp with time zone,timestamp with time zone,integer,text,text,text)', '', '42501', '', $$ SELECT * FROM telemetry.series_of('device', 'bare-1', 'temperature', '2024-01-01', '2024-01-02', 100, 'lttb', 'UTC', 'avg') $$),
    ('bucket_summaries(text,text,text,timestamp with time zone,timestamp with time zone)', '42501', '42501', '42501', $$ SELECT * FROM telemetry.bucket_summaries('device_1m', 'bare-1', 'temperature', '2024-01-01', '2024-01-02') $$),
    ('raw_values(text,text,text,timestamp with time zone,timestamp with time zone,timestamp with time zone,timestamp with time zone)', '42501', '42501', '42501', $$ SELECT * FROM telemetry.raw_values('device', 'bare-1', 'temperature', '2024-01-01', '2024-01-02', '2024-01-02', '2024-01-02') $$),
    ('thinned(timestamp with time zone[],double precision[],double precision[],double precision[],integer,text)', '42501', '42501', '42501', $$ SELECT telemetry.thinned('{}', '{}', '{}', '{}', 3, 'lttb') $$),
    ('verify_projection(text)', '42501', '42501', '', $$ SELECT * FROM telemetry.verify_projection('device') $$),
    ('batch_tail()', '', '42501', '', 'SELECT * FROM telemetry.batch_tail()'),
    ('log_status()', '', '42501', '', 'SELECT * FROM telemetry.log_status()'),
    ('is_background_worker(integer)', '42501', '42501', '', 'SELECT telemetry.is_background_worker(1)'),
    ('worker_status()', '', '42501', '', 'SELECT * FROM telemetry.worker_status()'),
    ('ingest_statistics()', '', '42501', '', 'SELECT * FROM telemetry.ingest_statistics()'),
    ('quota_status()', '', '42501', '', 'SELECT * FROM telemetry.quota_status()'),
    ('open_metrics()', '', '42501', '', 'SELECT telemetry.open_metrics()'),
    ('metric_samples()', '', '42501', '', 'SELECT telemetry.metric_samples()'),
    ('metrics_text(text[],text[],text[])', '', '42501', '', $$ SELECT telemetry.metrics_text('{}', NULL, NULL) $$),
    ('countable_events()', '42501', '42501', '42501', 'SELECT telemetry.countable_events()'),
    ('estimated_status(bigint,timestamp with time zone)', '42501', '42501', '42501', 'SELECT * FROM telemetry.estimated_status(0, now())'),
    ('metric_families()', '42501', '42501', '42501', 'SELECT * FROM telemetry.metric_families()'),
    ('metric_sample(text,double precision,text[])', '42501', '42501', '42501', $$ SELECT telemetry.metric_sample('devices', 1) $$),
    ('metric_states(text,text,text[],text[])', '42501', '42501', '42501', $$ SELECT telemetry.metric_states('devices', 'a', '{a}') $$),
    ('library_version()', '', '42501', '', 'SELECT telemetry.library_version()'),
    -- The right is there, but there is no batch 0.
    ('read_events(bigint)', 'TC203', '42501', 'TC203', 'SELECT * FROM telemetry.read_events(0)'),
    ('follow_from(bigint)', '', '42501', '', 'SELECT telemetry.follow_from(1)'),
    -- A consumer needs the rights of a reader, and must be a member of the consumer_role. There is no lease 0.
    ('next_batch(text,integer,interval,text)', '', '42501', '42501', $$ SELECT * FROM telemetry.next_batch('bare') $$),
    ('ack(text,bigint)', 'TC206', '42501', '42501', $$ SELECT telemetry.ack('bare', 0) $$),
    ('nack(text,bigint,text,bigint[],interval,boolean)', 'TC206', '42501', '42501', $$ SELECT telemetry.nack('bare', 0) $$),
    ('extend_lease(text,bigint,interval)', 'TC206', '42501', '42501', $$ SELECT telemetry.extend_lease('bare', 0, '1 s') $$),
    ('replay_dead_letters(text,bigint[])', '', '42501', '42501', $$ SELECT telemetry.replay_dead_letters('bare') $$),
-- A writer may call these.
    ('ingest_telemetry(text,timestamp with time zone,double precision,double precision,text,jsonb,text)', '42501', '', '',
        $$ SELECT * FROM telemetry.ingest_telemetry('bare-1', now(), 1, 2, 'k', '{"a": 3}', 'hall') $$),
    ('ingest_telemetry(uuid,timestamp with time zone,double precision,double precision,text,jsonb,text)', '42501', '', '', $$ SELECT * FROM telemetry.ingest_telemetry('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, now(), 1, 2, 'k') $$),
    ('ingest_telemetry(text,timestamp with time zone,double precision,double precision,uuid,jsonb,text)', '42501', '', '', $$ SELECT * FROM telemetry.ingest_telemetry('bare-1', now(), 1, 2, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid) $$),
    ('ingest_telemetry(uuid,timestamp with time zone,double precision,double precision,uuid,jsonb,text)', '42501', '', '', $$ SELECT * FROM telemetry.ingest_telemetry('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, now(), 1, 2, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid) $$),
    ('ingest_telemetry_batch(text[],timestamp with time zone[],double precision[],double precision[],text[],jsonb[],text[],text)', '42501', '', '',
        $$ SELECT * FROM telemetry.ingest_telemetry_batch(ARRAY['bare-1', ''], ARRAY[now(), NULL], ARRAY[1, 2], ARRAY[3, 4], ARRAY['k2', 'k3'], NULL, ARRAY['hall', 'yard'], 'quarantine') $$),
    -- The right is there, but the text is no token.
    ('wait_for(text,double precision,text)', '22023', '22023', '22023', $$ SELECT telemetry.wait_for('no token', 1) $$),
    ('wait_for(text,text,text)', '22023', '22023', '22023', $$ SELECT telemetry.wait_for('no token', '1 s') $$),
    ('wait_for(text,interval,text)', '22023', '22023', '22023', $$ SELECT telemetry.wait_for('no token') $$),
-- An admin may call these.
    ('check_reading(text,timestamp with time zone,double precision,double precision,text,jsonb,text)', '42501', '', '',
        $$ SELECT * FROM telemetry.check_reading('bare-1', now(), 1, 2, 'k9', '{"a": 3}', 'hall') $$),
    -- The right is there, but there is no such batch.
    ('batch_verdicts(text)', '42501', 'TC203', 'TC203', $$ SELECT * FROM telemetry.batch_verdicts('1:3:1-2') $$),
    ('redrive_rejected(text[],text[],text[],text[],timestamp with time zone,integer,bigint)', '42501', '42501', '', $$ SELECT * FROM telemetry.redrive_rejected() $$),
    ('register_device(text,text,interval,jsonb)', '42501', '42501', '', $$ SELECT telemetry.register_device('bare-2', 'hall', '1 minute', '{"a": 1}') $$),
    ('register_device(uuid,text,interval,jsonb)', '42501', '42501', '', $$ SELECT telemetry.register_device('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, 'hall') $$),
    ('set_device_policy(text,interval,text,interval,text,integer,double precision,double precision)', '42501', '42501', '', $$ SELECT telemetry.set_device_policy('bare-2', max_metrics => 3) $$),
    ('set_device_policy(uuid,interval,text,interval,text,integer,double precision,double precision)', '42501', '42501', '', $$ SELECT telemetry.set_device_policy('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, max_metrics => 3) $$),
    ('set_device_policy_as_owner(text,interval,text,interval,text,integer,double precision,double precision)', '42501', '42501', '42501', $$ SELECT telemetry.set_device_policy_as_owner('bare-2', NULL, NULL, NULL, NULL, 3, NULL, NULL) $$),
    -- The right is there, but no such device is registered.
    ('relocate_device(text,text)', '42501', '42501', 'TC002', $$ SELECT telemetry.relocate_device('bare-none', 'hall') $$),
    ('relocate_device(uuid,text)', '42501', '42501', 'TC002', $$ SELECT telemetry.relocate_device('b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, 'hall') $$),
    ('set_expected_interval(uuid,interval)', '42501', '42501', 'TC002', $$ SELECT telemetry.set_expected_interval('b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, '1 minute') $$),
    ('set_expected_interval(text,interval)', '42501', '42501', 'TC002', $$ SELECT telemetry.set_expected_interval('bare-none', '1 minute') $$),
    -- The right is there, but the transaction block is in the way.
    ('project_once()', '42501', '42501', '25001', 'CALL telemetry.project_once()'),
    ('pause_projection(text)', '42501', '42501', '', $$ SELECT telemetry.pause_projection('device') $$),
    ('resume_projection(text)', '42501', '42501', '', $$ SELECT telemetry.resume_projection('device') $$),
    ('create_projection(text,text,interval,text[],text,text[],boolean,interval)', '42501', '42501', '', $$ SELECT telemetry.create_projection('bare', 'all') $$),
    ('create_handler_projection(text,regprocedure,boolean)', '42501', '42501', '22023', $$ SELECT telemetry.create_handler_projection('bare_handler', NULL) $$),
    ('create_handler_projection_as_owner(text,regprocedure,boolean,text)', '42501', '42501', '42501', $$ SELECT telemetry.create_handler_projection_as_owner('bare_handler', NULL, true, 'postgres') $$),
    ('check_new_projection(text)', '42501', '42501', '42501', $$ SELECT telemetry.check_new_projection('bare_handler') $$),
    ('require_statistics(text)', '42501', '42501', '42501', $$ SELECT telemetry.require_statistics('device') $$),
    ('drop_projection(text)', '42501', '42501', '22023', $$ SELECT telemetry.drop_projection('nothing') $$),
    ('set_failure_policy(text,text)', '42501', '42501', '', $$ SELECT telemetry.set_failure_policy('device', 'pause') $$),
    ('replay_parked(text,bigint[])', '42501', '42501', '', $$ SELECT telemetry.replay_parked('device') $$),
    ('cancel_rebuild(text)', '42501', '42501', '22023', $$ SELECT telemetry.cancel_rebuild('nothing') $$),
    ('rebuild_projection(text)', '42501', '42501', '22023', $$ SELECT telemetry.rebuild_projection('nothing') $$),
    ('set_cadence(text,interval)', '42501', '42501', '', $$ SELECT telemetry.set_cadence('device_1m', '2 s') $$),
    ('set_retention(text,interval)', '42501', '42501', '', $$ SELECT telemetry.set_retention('device_1m', '1 day') $$),
    ('http_status()', '', '42501', '', 'SELECT * FROM telemetry.http_status()'),
    ('create_http_token(regrole,text,timestamp with time zone)', '42501', '42501', '42704', $$ SELECT telemetry.create_http_token(1::oid::regrole) $$),
    ('revoke_http_token(text)', '42501', '42501', '', $$ SELECT telemetry.revoke_http_token('nothing') $$),
    ('create_http_token_as_owner(regrole,text,timestamp with time zone,text)', '42501', '42501', '42501', $$ SELECT telemetry.create_http_token_as_owner(1::oid::regrole, NULL, NULL, 'postgres') $$),
    ('revoke_http_token_as_owner(text)', '42501', '42501', '42501', $$ SELECT telemetry.revoke_http_token_as_owner('nothing') $$),
    ('set_metric(text,text,text,double precision,double precision)', '42501', '42501', '', $$ SELECT telemetry.set_metric('a', 'counter') $$),
    ('create_subscription(text,timestamp with time zone,text[],text[],text[],text,integer,interval,boolean,interval)', '42501', '42501', '', $$ SELECT telemetry.create_subscription('bare_too') $$),
    ('restart_subscription(text,timestamp with time zone)', '42501', '42501', '', $$ SELECT telemetry.restart_subscription('bare') $$),
    ('drop_subscription(text)', '42501', '42501', '', $$ SELECT telemetry.drop_subscription('bare') $$),
    ('health()', '42501', '42501', '', 'SELECT * FROM telemetry.health()'),
    ('setup()', '42501', '42501', '', 'SELECT * FROM telemetry.setup()'),
    ('stat_ingest_reset()', '42501', '42501', '', 'SELECT telemetry.stat_ingest_reset()'),
-- The right is there, but nothing was ever sent.
    ('pause_relay(text)', '42501', '42501', '22023', $$ SELECT telemetry.pause_relay('nats') $$),
    ('resume_relay(text)', '42501', '42501', '22023', $$ SELECT telemetry.resume_relay('nats') $$),
    ('adopt_relay(text)', '42501', '42501', '', 'SELECT telemetry.adopt_relay()'),
    ('refresh_cache()', '42501', '42501', '', 'SELECT telemetry.refresh_cache()'),
    ('relay_report()', '', '42501', '', 'SELECT * FROM telemetry.relay_report()'),
    ('current_place()', '', '42501', '', 'SELECT * FROM telemetry.current_place()'),
-- These are for the owner of the extension.
    ('start_relay(text,timestamp with time zone)', '42501', '42501', '42501', $$ SELECT telemetry.start_relay('nats', now()) $$),
    ('require_sink(text)', '42501', '42501', '42501', $$ SELECT telemetry.require_sink('nats') $$),
    ('pause_relay_as_owner(text,text)', '42501', '42501', '42501', $$ SELECT telemetry.pause_relay_as_owner(NULL, 'me') $$),
    ('resume_relay_as_owner(text,text)', '42501', '42501', '42501', $$ SELECT telemetry.resume_relay_as_owner(NULL, 'me') $$),
    ('adopt_relay_as_owner(text,text)', '42501', '42501', '42501', $$ SELECT telemetry.adopt_relay_as_owner(NULL, 'me') $$),
    ('refresh_cache_as_owner(text)', '42501', '42501', '42501', $$ SELECT telemetry.refresh_cache_as_owner('me') $$),
    ('grant_reader(regrole)', '42501', '42501', '42501', $$ SELECT telemetry.grant_reader('telemetry_test_reader'::regrole) $$),
    ('grant_reader(text)', '42501', '42501', '42501', $$ SELECT telemetry.grant_reader('telemetry_test_reader') $$),
    ('grant_writer(regrole)', '42501', '42501', '42501', $$ SELECT telemetry.grant_writer('telemetry_test_reader'::regrole) $$),
    ('grant_writer(text)', '42501', '42501', '42501', $$ SELECT telemetry.grant_writer('telemetry_test_reader') $$),
    ('grant_admin(regrole)', '42501', '42501', '42501', $$ SELECT telemetry.grant_admin('telemetry_test_reader'::regrole) $$),
    ('grant_admin(text)', '42501', '42501', '42501', $$ SELECT telemetry.grant_admin('telemetry_test_reader') $$),
    ('role_named(text)', '42501', '42501', '42501', $$ SELECT telemetry.role_named('telemetry_test_reader') $$),
    ('announce_installation()', '42501', '42501', '42501', 'SELECT telemetry.announce_installation()'),
    ('require_projection(text)', '42501', '42501', '42501', $$ SELECT telemetry.require_projection('device') $$),
    ('make_view(text,text)', '42501', '42501', '42501', $$ SELECT telemetry.make_view('device_1m', 'device_stats_1m') $$),
    ('make_automatic(regclass)', '42501', '42501', '42501', $$ SELECT telemetry.make_automatic('telemetry.device_stats') $$),
    ('adopt_relations()', '42501', '42501', '42501', $$ SELECT telemetry.adopt_relations() $$),
    ('clear_generations(text)', '42501', '42501', '42501', $$ SELECT telemetry.clear_generations('device') $$),
    ('clear_quarantine(interval,bigint)', '42501', '42501', '42501', $$ SELECT telemetry.clear_quarantine('1 day', 1) $$),
    ('clear_verdicts(interval)', '42501', '42501', '42501', $$ SELECT telemetry.clear_verdicts('1 day') $$),
    ('clear_buckets(text,integer,text,timestamp with time zone)', '42501', '42501', '42501', $$ SELECT telemetry.clear_buckets('device_1m', 1, '', now()) $$),
    ('add_generation(text,text)', '42501', '42501', '42501', $$ SELECT telemetry.add_generation('device', 'audit') $$),
    ('advance_baselines(bigint)', '42501', '42501', '42501', $$ SELECT telemetry.advance_baselines(1) $$),
    ('copy_baseline(text,integer)', '42501', '42501', '42501', $$ SELECT telemetry.copy_baseline('device', 1) $$),
    ('begin_audit(interval)', '42501', '42501', '42501', $$ SELECT telemetry.begin_audit('1 day') $$),
    ('compare_audit(text,text)', '42501', '42501', '42501', $$ SELECT telemetry.compare_audit('device', '') $$),
    ('note_offline_devices(integer,timestamp with time zone)', '42501', '42501', '42501', $$ SELECT telemetry.note_offline_devices(1, now()) $$),
    ('note_online_devices(integer)', '42501', '42501', '42501', $$ SELECT telemetry.note_online_devices(1) $$),
    ('in_utc(timestamp with time zone)', '42501', '42501', '42501', $$ SELECT telemetry.in_utc(now()) $$),
    ('end_audits()', '42501', '42501', '42501', $$ SELECT telemetry.end_audits() $$),
    ('create_projection_as_owner(text,text,interval,text[],text,text[],boolean,interval)', '42501', '42501', '42501', $$ SELECT telemetry.create_projection_as_owner('bare', 'all', NULL, NULL, NULL, NULL, true, '0') $$),
    ('drop_projection_as_owner(text)', '42501', '42501', '42501', $$ SELECT telemetry.drop_projection_as_owner('bare') $$),
    ('set_failure_policy_as_owner(text,text)', '42501', '42501', '42501', $$ SELECT telemetry.set_failure_policy_as_owner('device', 'pause') $$),
    ('replay_parked_as_owner(text,bigint[])', '42501', '42501', '42501', $$ SELECT telemetry.replay_parked_as_owner('device', NULL) $$),
    ('advance_baselines_as_owner(bigint)', '42501', '42501', '42501', $$ SELECT telemetry.advance_baselines_as_owner(1) $$),
    ('cancel_rebuild_as_owner(text)', '42501', '42501', '42501', $$ SELECT telemetry.cancel_rebuild_as_owner('device') $$),
    ('rebuild_projection_as_owner(text)', '42501', '42501', '42501', $$ SELECT telemetry.rebuild_projection_as_owner('device') $$),
    ('set_cadence_as_owner(text,interval)', '42501', '42501', '42501', $$ SELECT telemetry.set_cadence_as_owner('device_1m', '2 s') $$),
    ('set_retention_as_owner(text,interval)', '42501', '42501', '42501', $$ SELECT telemetry.set_retention_as_owner('device_1m', '1 day') $$),
    ('set_metric_as_owner(text,text,text,double precision,double precision)', '42501', '42501', '42501', $$ SELECT telemetry.set_metric_as_owner('a', 'counter', NULL, NULL, NULL) $$),
    ('ack_as_owner(text,bigint,text)', '42501', '42501', '42501', $$ SELECT telemetry.ack_as_owner('bare', 0, 'postgres') $$),
    ('bury_dead(telemetry.subscription)', '42501', '42501', '42501', $$ SELECT telemetry.bury_dead(NULL) $$),
    ('create_subscription_as_owner(text,timestamp with time zone,text[],text[],text[],text,integer,interval,boolean,interval,text)', '42501', '42501', '42501', $$ SELECT telemetry.create_subscription_as_owner('bare_too', 'infinity', NULL, NULL, NULL, NULL, 1, '0', true, '1 day', 'postgres') $$),
    ('drop_subscription_as_owner(text,text)', '42501', '42501', '42501', $$ SELECT telemetry.drop_subscription_as_owner('bare', 'postgres') $$),
    ('end_lease(telemetry.subscription_share)', '42501', '42501', '42501', $$ SELECT telemetry.end_lease(NULL) $$),
    ('extend_lease_as_owner(text,bigint,interval,text)', '42501', '42501', '42501', $$ SELECT telemetry.extend_lease_as_owner('bare', 0, '1 s', 'postgres') $$),
    ('fail_redelivery(telemetry.subscription,telemetry.redelivery,text)', '42501', '42501', '42501', $$ SELECT telemetry.fail_redelivery(NULL, NULL, NULL) $$),
    ('fail_share(telemetry.subscription,telemetry.subscription_share,text,interval,boolean)', '42501', '42501', '42501', $$ SELECT telemetry.fail_share(NULL, NULL, NULL, NULL, true) $$),
    ('leased_events(smallint,smallint,bigint,xid8,bigint,bigint,xid8,bigint,text[],text[],text[])', '42501', '42501', '42501', $$ SELECT * FROM telemetry.leased_events(0::smallint, 255::smallint, 0, NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL) $$),
    ('mark_lost_subscriptions()', '42501', '42501', '42501', $$ SELECT telemetry.mark_lost_subscriptions() $$),
    ('nack_as_owner(text,bigint,text,bigint[],interval,boolean,text)', '42501', '42501', '42501', $$ SELECT telemetry.nack_as_owner('bare', 0, NULL, NULL, NULL, true, 'postgres') $$),
    ('place_at(timestamp with time zone)', '42501', '42501', '42501', $$ SELECT telemetry.place_at(now()) $$),
    ('put_aside(telemetry.subscription,telemetry.subscription_share,bigint[],text,interval,boolean)', '42501', '42501', '42501', $$ SELECT telemetry.put_aside(NULL, NULL, NULL, NULL, NULL, true) $$),
    ('remove_shares(text)', '42501', '42501', '42501', $$ SELECT telemetry.remove_shares('bare') $$),
    ('replay_dead_letters_as_owner(text,bigint[],text)', '42501', '42501', '42501', $$ SELECT telemetry.replay_dead_letters_as_owner('bare', NULL, 'postgres') $$),
    ('require_lease(text,bigint)', '42501', '42501', '42501', $$ SELECT telemetry.require_lease('bare', 0) $$),
    ('require_lease_time(interval)', '42501', '42501', '42501', $$ SELECT telemetry.require_lease_time('1 s') $$),
    ('require_subscription(text,text,boolean)', '42501', '42501', '42501', $$ SELECT telemetry.require_subscription('bare', 'postgres', true) $$),
    ('restart_subscription_as_owner(text,timestamp with time zone,text)', '42501', '42501', '42501', $$ SELECT telemetry.restart_subscription_as_owner('bare', now(), 'postgres') $$),
    ('retry_pause(interval,integer)', '42501', '42501', '42501', $$ SELECT telemetry.retry_pause('1 s', 1) $$),
    ('start_share(text,timestamp with time zone)', '42501', '42501', '42501', $$ SELECT telemetry.start_share('bare', now()) $$),
    ('take_share(text,text,integer,interval,text)', '42501', '42501', '42501', $$ SELECT telemetry.take_share('bare', 'one', 1, '1 s', 'postgres') $$),
    ('lease_seq', '42501', '42501', '42501', $$ SELECT nextval('telemetry.lease_seq') $$),
    ('inbox_receipt()', '42501', '', '', 'SELECT telemetry.inbox_receipt()'),
    ('ingest_telemetry_batch(json,text,text)', '42501', '', '', $$ SELECT telemetry.ingest_telemetry_batch('[]'::json) $$),
    ('ingest_telemetry_batch(jsonb,text,text)', '42501', '', '', $$ SELECT telemetry.ingest_telemetry_batch('[]'::jsonb) $$),
    ('ingest_telemetry_batch(text,text,text)', '42501', '', '', $$ SELECT telemetry.ingest_telemetry_batch('[]') $$),
    ('inbox', '42501', '', '', $$ INSERT INTO telemetry.inbox (device_id, temperature) VALUES ('bare-1', 1) RETURNING temperature $$),
    ('inbox_text', '42501', '', '', $$ INSERT INTO telemetry.inbox_text (device_id, temperature) VALUES ('bare-1', '1') RETURNING temperature $$),
    ('health_limits()', '42501', '42501', '42501', 'SELECT * FROM telemetry.health_limits()'),
    ('reading_index_status(regclass)', '42501', '42501', '42501', $$ SELECT telemetry.reading_index_status('telemetry.event_1_readings') $$),
    ('settle_readings(regclass)', '42501', '42501', '42501', $$ SELECT telemetry.settle_readings('telemetry.event_1_readings') $$),
    ('trigger_defects()', '42501', '42501', '42501', 'SELECT * FROM telemetry.trigger_defects()'),
    ('event_id_seq', '42501', '42501', '42501', $$ SELECT nextval('telemetry.event_id_seq') $$),
    ('rejected_id_seq', '42501', '42501', '42501', $$ SELECT nextval('telemetry.rejected_id_seq') $$);
-- An admin may read some tables, a reader the list of batches. No role writes one.
INSERT INTO surface SELECT o, '42501', '42501', '', 'SELECT * FROM telemetry.' || o
FROM unnest(ARRAY['audit', 'batcher', 'cursor', 'device', 'device_policy', 'epoch', 'http_tokens', 'metric', 'offline_device', 'parked_event', 'pause', 'projection', 'projection_failure', 'projection_setting', 'rejected_readings', 'relay']) AS o;
INSERT INTO surface VALUES ('batch', '', '42501', '', 'SELECT * FROM telemetry.batch');
INSERT INTO surface SELECT o, '42501', '42501', '42501', 'SELECT * FROM telemetry.' || o
FROM unnest(ARRAY['batch_verdict', 'checkpoint', 'dead_letter', 'http_token', 'redelivery', 'subscription', 'subscription_consumer', 'subscription_share', 'device_metric_state', 'device_state', 'event', 'event_1', 'installation', 'region_metric_state', 'region_state', 'state_device', 'state_device_1d', 'state_device_1h', 'state_device_1m', 'state_region',
                  'state_region_1d', 'state_region_1h', 'state_region_1m']) AS o;
-- Only the server calls trigger functions, the functions of the type and of its aggregates, and table_obstacles() for health().
INSERT INTO surface SELECT o, '42501', '42501', '42501', NULL
FROM unnest(ARRAY['begin_intake()', 'end_intake()', 'take_inbox_row()', 'take_inbox_text_row()', 'refuse_change()', 'handle_reading_index(internal)', 'announce_registry_change()', 'table_obstacles()', 'summary_in(cstring)', 'summary_out(telemetry.summary)', 'summary_recv(internal)',
                  'summary_send(telemetry.summary)', 'summary_add(internal,double precision,timestamp with time zone)', 'summary_add_counter(internal,double precision,timestamp with time zone)', 'summary_merge(internal,telemetry.summary)',
                  'summary_combine(internal,internal)', 'summary_serialize(internal)', 'summary_deserialize(bytea,internal)', 'summary_final(internal)']) AS o;

SELECT bag_eq('SELECT object FROM surface',
    $$ SELECT replace(p.oid::regprocedure::text, 'telemetry.' || p.proname, p.proname) FROM pg_proc p WHERE p.pronamespace = 'telemetry'::regnamespace
       UNION ALL
       SELECT c.relname::text FROM pg_class c WHERE c.relnamespace = 'telemetry'::regnamespace AND c.relkind IN ('r', 'v', 'm', 'S', 'f', 'p') $$,
    'every object of the schema has a row');
SELECT is_empty($$ SELECT object, privilege FROM surface, unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS privilege,
                          unnest(ARRAY['reader', 'writer', 'admin']) AS role
                   WHERE CASE WHEN object !~ '\(|_seq$' AND NOT (object ~ '^inbox' AND privilege = 'INSERT' AND role <> 'reader') THEN has_table_privilege('telemetry_test_' || role, 'telemetry.' || object, privilege) END $$, 'no role writes a table or view, but writers the inboxes');

-- try() executes a command as the current role and takes it back. It returns '', or the SQLSTATE and message of the error.
CREATE FUNCTION pg_temp.try(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE command;
    RAISE SQLSTATE 'UU000';
EXCEPTION WHEN OTHERS THEN
    RETURN CASE SQLSTATE WHEN 'UU000' THEN '' ELSE SQLSTATE || ': ' || SQLERRM END;
END $$;
GRANT SELECT ON surface TO PUBLIC;
SET LOCAL ROLE telemetry_test_reader;
SELECT matches(pg_temp.try(command), '^' || reader || CASE reader WHEN '' THEN '$' ELSE ': ' END, 'reader: ' || command) FROM surface WHERE command IS NOT NULL ORDER BY object;
RESET ROLE;
SET LOCAL ROLE telemetry_test_writer;
SELECT matches(pg_temp.try(command), '^' || writer || CASE writer WHEN '' THEN '$' ELSE ': ' END, 'writer: ' || command) FROM surface WHERE command IS NOT NULL ORDER BY object;
RESET ROLE;
SET LOCAL ROLE telemetry_test_admin;
SELECT matches(pg_temp.try(command), '^' || admin || CASE admin WHEN '' THEN '$' ELSE ': ' END, 'admin: ' || command) FROM surface WHERE command IS NOT NULL ORDER BY object;
RESET ROLE;
SELECT is_empty($$ SELECT object, role FROM surface, unnest(ARRAY['reader', 'writer', 'admin']) AS role
                   WHERE command IS NULL AND has_function_privilege('telemetry_test_' || role, 'telemetry.' || object, 'EXECUTE') $$, 'no role may call internal functions');

-- No role reaches the schema's objects by a search_path of its own, and none makes an object in the schema.
SET LOCAL ROLE telemetry_test_writer;
SELECT matches(pg_temp.try('CREATE FUNCTION telemetry.mine() RETURNS int LANGUAGE sql AS $f$ SELECT 1 $f$'), '^42501', 'a writer makes no function in the schema');
SELECT matches(pg_temp.try('CREATE VIEW telemetry.mine AS SELECT 1'), '^42501', 'and no view');
SELECT matches(pg_temp.try('COMMENT ON VIEW telemetry.device_stats IS NULL'), '^42501', 'and no comment');
SELECT matches(pg_temp.try('DROP EXTENSION telemetry_cqrs'), '^42501', 'and the extension stays');
RESET ROLE;

-- A writer tries to change each setting for the session, for itself and for the database. A setting of the server is refused with
-- 55P02, a setting of superusers with 42501.
CREATE TEMP VIEW setting AS
    SELECT name, quote_literal(reset_val) AS value,
           CASE context WHEN 'user' THEN '^$' WHEN 'superuser' THEN '^42501' ELSE '^55P02' END AS outcome
    FROM pg_settings WHERE name LIKE 'telemetry\_cqrs.%';
GRANT SELECT ON setting TO PUBLIC;
SELECT cmp_ok(count(*), '>=', 7::bigint, 'settings') FROM setting;
SET LOCAL ROLE telemetry_test_writer;
SELECT matches(pg_temp.try(format('SET %s = %s', name, value)), outcome, 'writer: SET ' || name) FROM setting ORDER BY name;
SELECT matches(pg_temp.try(format('SET LOCAL %s = %s', name, value)), outcome, 'writer: SET LOCAL ' || name) FROM setting ORDER BY name;
SELECT matches(pg_temp.try(format('SELECT set_config(%L, %s, false)', name, value)), outcome, 'writer: set_config ' || name) FROM setting ORDER BY name;
SELECT matches(pg_temp.try(format('ALTER ROLE telemetry_test_writer SET %s = %s', name, value)), outcome, 'writer: ALTER ROLE SET ' || name) FROM setting ORDER BY name;
SELECT matches(pg_temp.try(format('ALTER DATABASE %I SET %s = %s', current_database(), name, value)), '^42501', 'writer: ALTER DATABASE SET ' || name) FROM setting ORDER BY name;
SELECT matches(pg_temp.try(format('SHOW %s', name)), '^$', 'writer: SHOW ' || name) FROM setting ORDER BY name;
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
