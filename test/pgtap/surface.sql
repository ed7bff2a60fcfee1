-- The public surface has these objects, with these signatures, columns, comments and members. The lists stand here in full on
-- purpose: an object that appears, disappears or changes its type must change this file too.
BEGIN;
SELECT no_plan();
SET LOCAL search_path = public, pg_catalog;

SELECT has_extension('telemetry_cqrs');
SELECT has_schema('telemetry');
SELECT is((SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'telemetry_cqrs') IS NOT NULL, true, 'the extension has a schema');
SELECT throws_ok('CREATE EXTENSION telemetry_cqrs', '42710', NULL, 'a second CREATE EXTENSION is refused');

-- Every object of the schema belongs to the extension, and the extension has objects nowhere else.
SELECT bag_eq(
    $$ SELECT c.oid FROM pg_class c WHERE c.relnamespace = 'telemetry'::regnamespace AND c.relkind IN ('r', 'v', 'm', 'S', 'f', 'p') $$,
    $$ SELECT d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass
       WHERE e.extname = 'telemetry_cqrs' AND d.deptype = 'e' AND d.classid = 'pg_class'::regclass $$,
    'relations of the schema = relations of the extension');
SELECT bag_eq(
    $$ SELECT p.oid FROM pg_proc p WHERE p.pronamespace = 'telemetry'::regnamespace $$,
    $$ SELECT d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass
       WHERE e.extname = 'telemetry_cqrs' AND d.deptype = 'e' AND d.classid = 'pg_proc'::regclass $$,
    'routines of the schema = routines of the extension');
SELECT set_eq(
    $$ SELECT t.typname::text FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid
       WHERE t.typnamespace = 'telemetry'::regnamespace AND t.typelem = 0 AND (c.oid IS NULL OR c.relkind = 'c') $$,
    ARRAY['batch_receipt', 'receipt', 'summary'], 'types');

SELECT tables_are('telemetry', ARRAY[
    'audit', 'batch', 'batcher', 'checkpoint', 'cursor', 'dead_letter', 'device', 'device_metric_state', 'device_state', 'epoch', 'event', 'event_1', 'installation',
    'device_policy',
    'metric', 'offline_device', 'parked_event', 'pause', 'projection', 'projection_failure', 'projection_setting', 'redelivery', 'region_metric_state', 'region_state', 'rejected_readings', 'relay', 'state_device', 'state_device_1d', 'state_device_1h', 'state_device_1m', 'state_region', 'state_region_1d', 'state_region_1h', 'state_region_1m',
    'batch_verdict', 'http_token',
    'subscription', 'subscription_consumer', 'subscription_share']);
SELECT views_are('telemetry', ARRAY[
    'dead_letters', 'device_liveness', 'device_metric_stats', 'device_metric_stats_live', 'device_stats', 'device_stats_1d', 'device_stats_1d_live', 'device_stats_1h',
    'device_stats_1h_live', 'device_stats_1m', 'device_stats_1m_live', 'device_stats_live', 'events', 'measurements', 'pipeline_status',
    'projection_status', 'region_metric_stats', 'region_metric_stats_live', 'region_stats', 'region_stats_1d', 'region_stats_1d_live',
    'http_tokens', 'inbox', 'inbox_text',
    'region_stats_1h', 'region_stats_1h_live', 'region_stats_1m', 'region_stats_1m_live', 'region_stats_live', 'relay_status', 'stat_ingest', 'subscription_status']);
SELECT sequences_are('telemetry', ARRAY['event_id_seq', 'lease_seq', 'rejected_id_seq']);

-- Each routine has its name, arguments with defaults, result, kind, volatility, strictness, parallel safety and language here.
SELECT results_eq(
    $$ SELECT concat(p.proname, '(', pg_get_function_arguments(p.oid), ')') COLLATE "default",
              coalesce(pg_get_function_result(p.oid), ''),
              concat(p.prokind, ' ', p.provolatile, ' ', CASE WHEN p.proisstrict THEN 'strict' ELSE 'called' END, ' ', p.proparallel, ' ', l.lanname) COLLATE "default"
       FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
       WHERE p.pronamespace = 'telemetry'::regnamespace
       ORDER BY p.proname COLLATE "C", 1 $$,
    $$ VALUES
        ('ack(subscription text, lease bigint)', 'void', 'f v called u c'),
        ('ack_as_owner(subscription text, lease bigint, caller text)', 'void', 'f v called u plpgsql'),
        ('add_generation(projection text, purpose text)', 'void', 'f v called u plpgsql'),
        ('adopt_relations()', 'void', 'f v called u plpgsql'), ('adopt_relay(sink text DEFAULT NULL::text)', 'bigint', 'f v called u c'), ('adopt_relay_as_owner(sink text, caller text)', 'bigint', 'f v called u plpgsql'),
        ('advance_baselines(batch bigint)', 'void', 'f v called u c'),
        ('advance_baselines_as_owner(batch bigint)', 'void', 'f v called u plpgsql'),
        ('announce_installation()', 'void', 'f v called u c'),
        ('announce_registry_change()', 'trigger', 'f v called u c'),
        ('as_of(projection text)', 'timestamp with time zone', 'f s strict r c'),
        ('avg(telemetry.summary)', 'double precision', 'f i strict s c'),
        ('batch_tail(OUT events bigint, OUT oldest_received_at timestamp with time zone, OUT as_of timestamp with time zone)', 'record', 'f s called r c'),
        ('batch_verdicts(token text)', 'TABLE(item_index bigint, verdict text, sqlstate text, reason text, event_id bigint)', 'f v strict u c'),
        ('begin_audit(audit_interval interval)', 'boolean', 'f v called u plpgsql'),
        ('begin_intake()', 'trigger', 'f v called u c'),
        ('bucket_summaries(projection text, key text, metric text, begins timestamp with time zone, ends timestamp with time zone, OUT "time" timestamp with time zone, OUT summary telemetry.summary)', 'SETOF record', 'f s called r plpgsql'),
        ('bury_dead(s telemetry.subscription)', 'void', 'f v called u plpgsql'),
        ('cancel_rebuild(projection text)', 'void', 'f v called u c'), ('cancel_rebuild_as_owner(projection text)', 'void', 'f v called u plpgsql'),
        ('check_new_projection(projection text)', 'void', 'f s called u plpgsql'),
        ('check_reading(device_id text, measured_at timestamp with time zone DEFAULT NULL::timestamp with time zone, temperature double precision DEFAULT NULL::double precision, humidity double precision DEFAULT NULL::double precision, idempotency_key text DEFAULT NULL::text, metrics jsonb DEFAULT NULL::jsonb, region text DEFAULT NULL::text, OUT verdict text, OUT sqlstate text, OUT reason text, OUT hint text, OUT event_id bigint)',
            'record', 'f v called u c'),
        ('clear_buckets(projection text, generation integer, begin_with text, cutoff timestamp with time zone)', 'text', 'f v called u plpgsql'), ('clear_generations(projection text)', 'boolean', 'f v called u plpgsql'),
        ('clear_quarantine(retention interval, max_rows bigint)', 'boolean', 'f v called u plpgsql'), ('clear_verdicts(retention interval)', 'boolean', 'f v called u plpgsql'),
        ('compare_audit(projection text, begin_with text)', 'text', 'f v called u plpgsql'), ('copy_baseline(projection text, target integer)', 'void', 'f v called u plpgsql'),
        ('countable_events()', 'bigint', 'f i called s sql'),
        ('counter_summary(value double precision, at timestamp with time zone)', 'telemetry.summary', 'a i called s internal'),
        ('create_handler_projection(projection text, handler regprocedure, from_start boolean DEFAULT true)', 'void', 'f v called u c'),
        ('create_handler_projection_as_owner(projection text, handler regprocedure, from_start boolean, runs_as text)', 'void', 'f v called u plpgsql'),
        ('create_http_token(role regrole, description text DEFAULT NULL::text, expires_at timestamp with time zone DEFAULT NULL::timestamp with time zone)', 'text', 'f v called u c'),
        ('create_http_token_as_owner(role regrole, description text, expires_at timestamp with time zone, caller text)', 'text', 'f v called u plpgsql'),
        ('create_projection(projection text, grain text, bucket interval DEFAULT NULL::interval, metrics text[] DEFAULT NULL::text[], devices text DEFAULT NULL::text, regions text[] DEFAULT NULL::text[], quantiles boolean DEFAULT true, cadence interval DEFAULT ''00:00:01''::interval)',
            'void', 'f v called u c'),
        ('create_projection_as_owner(projection text, grain text, bucket interval, metrics text[], devices text, regions text[], quantiles boolean, cadence interval)', 'void', 'f v called u plpgsql'),
        ('create_subscription(subscription text, starts_at timestamp with time zone DEFAULT ''infinity''::timestamp with time zone, devices text[] DEFAULT NULL::text[], regions text[] DEFAULT NULL::text[], types text[] DEFAULT NULL::text[], consumer_role text DEFAULT NULL::text, max_attempts integer DEFAULT 5, retry_delay interval DEFAULT ''00:00:01''::interval, required boolean DEFAULT true, max_lag interval DEFAULT ''7 days''::interval)', 'void', 'f v called u c'),
        ('create_subscription_as_owner(subscription text, starts_at timestamp with time zone, devices text[], regions text[], types text[], consumer_role text, max_attempts integer, retry_delay interval, required boolean, max_lag interval, caller text)', 'void', 'f v called u plpgsql'),
        ('current_place(OUT system_identifier bigint, OUT database oid, OUT log oid, OUT timeline integer)', 'record', 'f v called r c'),
        ('differences(projection text, base integer, first_key text, end_before text, OUT key text, OUT bucket timestamp with time zone, OUT metric text, OUT found jsonb, OUT expected jsonb)', 'SETOF record', 'f s called r plpgsql'),
        ('drop_projection(projection text)', 'void', 'f v called u c'), ('drop_projection_as_owner(projection text)', 'void', 'f v called u plpgsql'),
        ('drop_subscription(subscription text)', 'void', 'f v called u c'),
        ('drop_subscription_as_owner(subscription text, caller text)', 'void', 'f v called u plpgsql'),
        ('end_audits()', 'void', 'f v called u sql'),
        ('end_intake()', 'trigger', 'f v called u c'),
        ('end_lease(h telemetry.subscription_share)', 'void', 'f v called u plpgsql'),
        ('estimated_status(total_events bigint, oldest_unbatched timestamp with time zone, OUT projection text, OUT state text, OUT applied bigint, OUT lag_events bigint, OUT lag_seconds double precision, OUT as_of timestamp with time zone, OUT cadence interval, OUT parked_events bigint, OUT rebuilt_events bigint, OUT audited_at timestamp with time zone, OUT audit_differences bigint)', 'SETOF record', 'f s called r sql'),
        ('extend_lease(subscription text, lease bigint, lease_time interval)', 'void', 'f v called u c'),
        ('extend_lease_as_owner(subscription text, lease bigint, lease_time interval, caller text)', 'void', 'f v called u plpgsql'),
        ('fail_redelivery(s telemetry.subscription, head telemetry.redelivery, reason text)', 'void', 'f v called u plpgsql'),
        ('fail_share(s telemetry.subscription, h telemetry.subscription_share, reason text, delay interval, counts boolean)', 'telemetry.subscription_share', 'f v called u plpgsql'),
        ('first_at(telemetry.summary)', 'timestamp with time zone', 'f i strict s c'),
        ('first_value(telemetry.summary)', 'double precision', 'f i strict s c'),
        ('folded_log(projection text, generation integer, OUT key text, OUT bucket timestamp with time zone, OUT sample_count bigint, OUT first_seen timestamp with time zone, OUT last_seen timestamp with time zone, OUT last_received_at timestamp with time zone, OUT region text, OUT metric_names text[], OUT summaries telemetry.summary[])',
            'SETOF record', 'f s called r c'),
        ('folded_tail(projection text, OUT key text, OUT bucket timestamp with time zone, OUT sample_count bigint, OUT first_seen timestamp with time zone, OUT last_seen timestamp with time zone, OUT last_received_at timestamp with time zone, OUT region text, OUT metric_names text[], OUT summaries telemetry.summary[])',
            'SETOF record', 'f s strict r c'),
        ('follow_from(batch bigint)', 'bigint', 'f s strict r plpgsql'),
        ('grant_admin(role regrole)', 'void', 'f v called u plpgsql'), ('grant_admin(role text)', 'void', 'f v called u sql'),
        ('grant_reader(role regrole)', 'void', 'f v called u plpgsql'),
        ('grant_reader(role text)', 'void', 'f v called u sql'),
        ('grant_writer(role regrole)', 'void', 'f v called u plpgsql'), ('grant_writer(role text)', 'void', 'f v called u sql'),
        ('handle_reading_index(internal)', 'index_am_handler', 'f v called u c'),
        ('has_overlap(telemetry.summary)', 'boolean', 'f i strict s c'),
        ('health(OUT item text, OUT state text, OUT detail text, OUT hint text)', 'SETOF record', 'f v called u plpgsql'),
        ('health_limits(OUT lag_warning interval, OUT lag_error interval, OUT blocked_warning interval, OUT blocked_error interval, OUT held_warning interval, OUT held_error interval, OUT dead_rows bigint, OUT queue_warning double precision, OUT queue_error double precision, OUT rejected_warning interval, OUT starting interval, OUT retention_margin interval, OUT unmerged bigint, OUT consumer_warning interval)',
            'record', 'f i called s sql'),
        ('http_status(OUT worker integer, OUT state text, OUT pid integer, OUT since timestamp with time zone, OUT last_error text, OUT last_error_at timestamp with time zone)', 'SETOF record', 'f v called r c'),
        ('in_utc(at timestamp with time zone)', 'text', 'f s strict u sql'),
        ('inbox_receipt()', 'telemetry.batch_receipt', 'f v strict r c'),
        ('increase(telemetry.summary)', 'double precision', 'f i strict s c'),
        ('ingest_statistics(OUT accepted bigint, OUT duplicates bigint, OUT conflicts bigint, OUT rejected bigint, OUT rolled_back bigint, OUT raised bigint, OUT commands bigint, OUT batches bigint, OUT stats_since timestamp with time zone, OUT last_error_sqlstate text, OUT last_error_at timestamp with time zone)',
            'record', 'f v called r c'),
        ('ingest_telemetry(device_id text, measured_at timestamp with time zone DEFAULT NULL::timestamp with time zone, temperature double precision DEFAULT NULL::double precision, humidity double precision DEFAULT NULL::double precision, idempotency_key text DEFAULT NULL::text, metrics jsonb DEFAULT NULL::jsonb, region text DEFAULT NULL::text)',
            'telemetry.receipt', 'f v called u c'),
        ('ingest_telemetry(device_id text, measured_at timestamp with time zone, temperature double precision, humidity double precision, idempotency_key uuid, metrics jsonb DEFAULT NULL::jsonb, region text DEFAULT NULL::text)',
            'telemetry.receipt', 'f v called u c'),
        ('ingest_telemetry(device_id uuid, measured_at timestamp with time zone DEFAULT NULL::timestamp with time zone, temperature double precision DEFAULT NULL::double precision, humidity double precision DEFAULT NULL::double precision, idempotency_key text DEFAULT NULL::text, metrics jsonb DEFAULT NULL::jsonb, region text DEFAULT NULL::text)',
            'telemetry.receipt', 'f v called u c'),
        ('ingest_telemetry(device_id uuid, measured_at timestamp with time zone, temperature double precision, humidity double precision, idempotency_key uuid, metrics jsonb DEFAULT NULL::jsonb, region text DEFAULT NULL::text)',
            'telemetry.receipt', 'f v called u c'),
        ('ingest_telemetry_batch(device_ids text[], measured_ats timestamp with time zone[] DEFAULT NULL::timestamp with time zone[], temperatures double precision[] DEFAULT NULL::double precision[], humidities double precision[] DEFAULT NULL::double precision[], idempotency_keys text[] DEFAULT NULL::text[], metrics jsonb[] DEFAULT NULL::jsonb[], regions text[] DEFAULT NULL::text[], on_error text DEFAULT ''quarantine''::text)',
            'telemetry.batch_receipt', 'f v called u c'),
        ('ingest_telemetry_batch(readings json, on_error text DEFAULT ''quarantine''::text, time_unit text DEFAULT NULL::text)', 'telemetry.batch_receipt', 'f v called u c'),
        ('ingest_telemetry_batch(readings jsonb, on_error text DEFAULT ''quarantine''::text, time_unit text DEFAULT NULL::text)', 'telemetry.batch_receipt', 'f v called u c'),
        ('ingest_telemetry_batch(readings text, on_error text DEFAULT ''quarantine''::text, time_unit text DEFAULT NULL::text)', 'telemetry.batch_receipt', 'f v called u c'),
        ('is_background_worker(pid integer)', 'boolean', 'f v strict r c'),
        ('last_at(telemetry.summary)', 'timestamp with time zone', 'f i strict s c'),
        ('last_value(telemetry.summary)', 'double precision', 'f i strict s c'),
        ('leased_events(first_lane smallint, last_lane smallint, start_batch_id bigint, start_partial_xid xid8, start_partial_event_id bigint, end_batch_id bigint, end_partial_xid xid8, end_partial_event_id bigint, devices text[], regions text[], types text[])', 'TABLE(lane smallint, device_id text, batch_id bigint, xid xid8, event_id bigint, epoch integer, type text, version smallint, payload json, received_at timestamp with time zone)', 'f v called u c'),
        ('library_version()', 'text', 'f s called s c'),
        ('log_status(OUT state text, OUT epoch integer, OUT opened_at timestamp with time zone)', 'record', 'f s called r c'),
        ('make_automatic(relation regclass)', 'void', 'f v strict u c'), ('make_view(projection text, view_name text)', 'void', 'f v called u plpgsql'),
        ('mark_lost_subscriptions()', 'bigint', 'f v called u plpgsql'),
        ('maximum(telemetry.summary)', 'double precision', 'f i strict s c'),
        ('merge(telemetry.summary)', 'telemetry.summary', 'a i called s internal'),
        ('metric_families(OUT place integer, OUT name text, OUT type text, OUT help text)', 'SETOF record', 'f i called s sql'),
        ('metric_sample(name text, value double precision, VARIADIC labels text[] DEFAULT ''{}''::text[])', 'text', 'f i called s plpgsql'), ('metric_samples()', 'text[]', 'f s called r plpgsql'),
        ('metric_states(name text, state text, states text[], VARIADIC labels text[] DEFAULT ''{}''::text[])', 'text[]', 'f i called s sql'),
        ('metrics_text(samples text[], items text[], states text[])', 'text', 'f s called r plpgsql'),
        ('minimum(telemetry.summary)', 'double precision', 'f i strict s c'),
        ('nack(subscription text, lease bigint, reason text DEFAULT NULL::text, events bigint[] DEFAULT NULL::bigint[], delay interval DEFAULT NULL::interval, counts boolean DEFAULT true)', 'void', 'f v called u c'),
        ('nack_as_owner(subscription text, lease bigint, reason text, events bigint[], delay interval, counts boolean, caller text)', 'void', 'f v called u plpgsql'),
        ('next_batch(subscription text, max_events integer DEFAULT 1000, lease_time interval DEFAULT ''00:00:30''::interval, consumer text DEFAULT NULL::text)', 'TABLE(lease bigint, id bigint, type text, version smallint, device_id text, payload json, created_at timestamp with time zone, epoch integer, attempt integer)', 'f v called u c'),
        ('note_offline_devices(most integer, watching_since timestamp with time zone, OUT device_id text, OUT region text, OUT since timestamp with time zone, OUT idempotency_key text, OUT details jsonb)', 'SETOF record', 'f v called u sql'),
        ('note_online_devices(most integer, OUT device_id text, OUT region text, OUT since timestamp with time zone, OUT idempotency_key text, OUT details jsonb)', 'SETOF record', 'f v called u sql'),
        ('open_metrics()', 'text', 'f v called u plpgsql'),
        ('pause_projection(projection text)', 'boolean', 'f v strict u c'), ('pause_relay(sink text DEFAULT NULL::text)', 'bigint', 'f v called u c'), ('pause_relay_as_owner(sink text, caller text)', 'bigint', 'f v called u plpgsql'),
        ('place_at(starts_at timestamp with time zone)', 'bigint', 'f s called u sql'),
        ('project_once()', '', 'p v called u c'),
        ('projection_tail(projection text, OUT events bigint, OUT oldest_received_at timestamp with time zone)', 'record', 'f s strict r c'),
        ('put_aside(s telemetry.subscription, h telemetry.subscription_share, events bigint[], reason text, pause interval, counts boolean)', 'bigint', 'f v called u plpgsql'),
        ('quantile(telemetry.summary, fraction double precision)', 'double precision', 'f i strict s c'),
        ('quota_status(OUT refused_by_device bigint, OUT refused_by_total bigint, OUT refused_by_backlog bigint, OUT unbounded bigint, OUT last_refused_at timestamp with time zone, OUT backlog bigint)', 'record', 'f v called r c'),
        ('raw_values(grain text, key text, metric text, begins timestamp with time zone, first_ends timestamp with time zone, second_begins timestamp with time zone, ends timestamp with time zone, OUT at timestamp with time zone, OUT value double precision)', 'SETOF record', 'f s called r plpgsql'),
        ('read_events(batch bigint)', 'SETOF telemetry.events', 'f s strict r c'),
        ('reading_index_status(index regclass, OUT table_blocks bigint, OUT tail_blocks bigint, OUT noted_blocks bigint, OUT entries bigint, OUT runs bigint, OUT free_pages bigint)', 'record', 'f v strict r c'),
        ('rebuild_projection(projection text)', 'void', 'f v called u c'), ('rebuild_projection_as_owner(projection text)', 'void', 'f v called u plpgsql'),
        ('recounted(counter telemetry.summary, projection text, key text, bucket timestamp with time zone, metric text)', 'telemetry.summary', 'f s called r plpgsql'),
        ('redrive_rejected(sqlstates text[] DEFAULT NULL::text[], device_ids text[] DEFAULT NULL::text[], sources text[] DEFAULT NULL::text[], tokens text[] DEFAULT NULL::text[], since timestamp with time zone DEFAULT NULL::timestamp with time zone, max_readings integer DEFAULT 10000, after bigint DEFAULT 0, OUT examined bigint, OUT accepted bigint, OUT duplicates bigint, OUT conflicts bigint, OUT rejected bigint, OUT skipped bigint, OUT last_rejected_id bigint)',
            'record', 'f v called u c'),
        ('refresh_cache()', 'bigint', 'f v called u c'), ('refresh_cache_as_owner(caller text)', 'bigint', 'f v called u plpgsql'),
        ('refuse_change()', 'trigger', 'f v called u c'),
        ('region_series(region text, metric_name text, "from" timestamp with time zone, "to" timestamp with time zone, max_points integer DEFAULT 500, thinning text DEFAULT ''minmax''::text, time_zone text DEFAULT ''UTC''::text, OUT "time" timestamp with time zone, OUT metric text, OUT value double precision, OUT min double precision, OUT max double precision)',
            'SETOF record', 'f s called r sql'),
        ('register_device(device_id text, region text DEFAULT NULL::text, expected_interval interval DEFAULT NULL::interval, attributes jsonb DEFAULT NULL::jsonb)',
            'boolean', 'f v called u c'),
        ('register_device(device_id uuid, region text DEFAULT NULL::text, expected_interval interval DEFAULT NULL::interval, attributes jsonb DEFAULT NULL::jsonb)',
            'boolean', 'f v called u sql'),
        ('relay_report(OUT sink text, OUT state text, OUT since timestamp with time zone, OUT server text, OUT sent bigint, OUT acknowledged bigint, OUT duplicates bigint, OUT failures bigint, OUT late_repeats bigint, OUT pending bigint, OUT note text, OUT last_failure_phase text, OUT last_error text, OUT last_error_at timestamp with time zone, OUT pid integer)', 'SETOF record', 'f v called r c'),
        ('relocate_device(device_id text, region text)', 'boolean', 'f v called u c'), ('relocate_device(device_id uuid, region text)', 'boolean', 'f v called u sql'),
        ('remove_shares(subscription text)', 'void', 'f v called u plpgsql'),
        ('replay_dead_letters(subscription text, events bigint[] DEFAULT NULL::bigint[])', 'bigint', 'f v called u c'),
        ('replay_dead_letters_as_owner(subscription text, events bigint[], caller text)', 'bigint', 'f v called u plpgsql'),
        ('replay_parked(projection text, events bigint[] DEFAULT NULL::bigint[])', 'bigint', 'f v called u c'), ('replay_parked_as_owner(projection text, events bigint[])', 'bigint', 'f v called u plpgsql'),
        ('require_lease(subscription text, lease bigint)', 'telemetry.subscription_share', 'f v called u plpgsql'),
        ('require_lease_time(lease_time interval)', 'void', 'f i called u plpgsql'),
        ('require_projection(projection text)', 'void', 'f s strict r c'),
        ('require_sink(sink text)', 'void', 'f s called u plpgsql'),
        ('require_statistics(projection text)', 'void', 'f s called u plpgsql'),
        ('require_subscription(subscription text, caller text, may_be_lost boolean)', 'telemetry.subscription', 'f s called u plpgsql'),
        ('resets(telemetry.summary)', 'bigint', 'f i strict s c'),
        ('restart_subscription(subscription text, starts_at timestamp with time zone DEFAULT ''infinity''::timestamp with time zone)', 'void', 'f v called u c'),
        ('restart_subscription_as_owner(subscription text, starts_at timestamp with time zone, caller text)', 'void', 'f v called u plpgsql'),
        ('resume_projection(projection text)', 'boolean', 'f v strict u c'), ('resume_relay(sink text DEFAULT NULL::text)', 'bigint', 'f v called u c'), ('resume_relay_as_owner(sink text, caller text)', 'bigint', 'f v called u plpgsql'),
        ('retry_pause(first_pause interval, attempts integer)', 'interval', 'f i called u sql'),
        ('revoke_http_token(token_id text)', 'boolean', 'f v strict u c'), ('revoke_http_token_as_owner(token_id text)', 'boolean', 'f v called u sql'),
        ('role_named(role text)', 'regrole', 'f s called u plpgsql'),
        ('sample_count(telemetry.summary)', 'bigint', 'f i strict s c'),
        ('series(device_id text, metric_name text, "from" timestamp with time zone, "to" timestamp with time zone, max_points integer DEFAULT 500, thinning text DEFAULT ''minmax''::text, time_zone text DEFAULT ''UTC''::text, statistic text DEFAULT ''avg''::text, OUT "time" timestamp with time zone, OUT metric text, OUT value double precision, OUT min double precision, OUT max double precision)',
            'SETOF record', 'f s called r sql'),
        ('series_of(grain text, key text, metric text, begins timestamp with time zone, ends timestamp with time zone, max_points integer, thinning text, time_zone text, statistic text, OUT "time" timestamp with time zone, OUT value double precision, OUT min double precision, OUT max double precision)',
            'SETOF record', 'f s called r plpgsql'),
        ('set_cadence(projection text, cadence interval)', 'void', 'f v called u c'), ('set_cadence_as_owner(projection text, cadence interval)', 'void', 'f v called u plpgsql'),
        ('set_device_policy(device_id text, max_ahead interval DEFAULT NULL::interval, ahead_action text DEFAULT NULL::text, max_age interval DEFAULT NULL::interval, age_action text DEFAULT NULL::text, max_metrics integer DEFAULT NULL::integer, rate double precision DEFAULT NULL::double precision, burst double precision DEFAULT NULL::double precision)', 'void', 'f v called u c'),
        ('set_device_policy(device_id uuid, max_ahead interval DEFAULT NULL::interval, ahead_action text DEFAULT NULL::text, max_age interval DEFAULT NULL::interval, age_action text DEFAULT NULL::text, max_metrics integer DEFAULT NULL::integer, rate double precision DEFAULT NULL::double precision, burst double precision DEFAULT NULL::double precision)', 'void', 'f v called u sql'),
        ('set_device_policy_as_owner(device_id text, max_ahead interval, ahead_action text, max_age interval, age_action text, max_metrics integer, rate double precision, burst double precision)', 'void', 'f v called u plpgsql'),
        ('set_expected_interval(device_id text, expected_interval interval)', 'void', 'f v called u c'),
        ('set_expected_interval(device_id uuid, expected_interval interval)', 'void', 'f v called u sql'),
        ('set_failure_policy(projection text, policy text)', 'void', 'f v called u c'), ('set_failure_policy_as_owner(projection text, policy text)', 'void', 'f v called u plpgsql'),
        ('set_metric(name text, kind text DEFAULT NULL::text, unit text DEFAULT NULL::text, minimum double precision DEFAULT NULL::double precision, maximum double precision DEFAULT NULL::double precision)', 'void', 'f v called u c'),
        ('set_metric_as_owner(name text, kind text, unit text, minimum double precision, maximum double precision)', 'void', 'f v called u plpgsql'),
        ('set_retention(projection text, retention interval)', 'void', 'f v called u c'), ('set_retention_as_owner(projection text, retention interval)', 'void', 'f v called u plpgsql'),
        ('settle_readings(index regclass)', 'void', 'f v strict u c'),
        ('setup(OUT item text, OUT state text, OUT detail text, OUT hint text, OUT command text)', 'SETOF record', 'f v called u plpgsql'),
        ('shown_generation(projection text, is_guarded boolean)', 'integer', 'f s strict r c'),
        ('start_relay(sink text, starts_at timestamp with time zone)', 'boolean', 'f v called u plpgsql'),
        ('start_share(subscription text, starts_at timestamp with time zone)', 'void', 'f v called u sql'),
        ('stat_ingest_reset()', 'void', 'f v called r c'),
        ('stddev(telemetry.summary)', 'double precision', 'f i strict s c'),
        ('summary(value double precision, at timestamp with time zone)', 'telemetry.summary', 'a i called s internal'),
        ('summary_add(internal, double precision, timestamp with time zone)', 'internal', 'f i called s c'),
        ('summary_add_counter(internal, double precision, timestamp with time zone)', 'internal', 'f i called s c'),
        ('summary_combine(internal, internal)', 'internal', 'f i called s c'),
        ('summary_deserialize(bytea, internal)', 'internal', 'f i strict s c'),
        ('summary_final(internal)', 'telemetry.summary', 'f i strict s c'),
        ('summary_in(cstring)', 'telemetry.summary', 'f i strict s c'),
        ('summary_merge(internal, telemetry.summary)', 'internal', 'f i called s c'),
        ('summary_out(telemetry.summary)', 'cstring', 'f i strict s c'),
        ('summary_recv(internal)', 'telemetry.summary', 'f i strict s c'),
        ('summary_send(telemetry.summary)', 'bytea', 'f i strict s c'),
        ('summary_serialize(internal)', 'bytea', 'f i strict s c'),
        ('table_obstacles(OUT "table" regclass, OUT object text, OUT reason text, OUT command text)', 'SETOF record', 'f s called r c'),
        ('take_inbox_row()', 'trigger', 'f v called u c'), ('take_inbox_text_row()', 'trigger', 'f v called u c'),
        ('take_share(subscription text, consumer text, most integer, lease_time interval, caller text, OUT first_lane smallint, OUT last_lane smallint, OUT batch_id bigint, OUT partial_xid xid8, OUT partial_event_id bigint, OUT at_most bigint, OUT most_events integer, OUT lease bigint, OUT is_retry boolean, OUT devices text[], OUT regions text[], OUT types text[], OUT held text[])', 'record', 'f v called u plpgsql'),
        ('thinned(times timestamp with time zone[], "values" double precision[], minima double precision[], maxima double precision[], max_points integer, thinning text)', 'integer[]', 'f i strict s c'),
        ('trigger_defects(OUT "table" text, OUT trigger text, OUT defect text, OUT command text)', 'SETOF record', 'f s called s sql'),
        ('verify_projection(projection text, OUT key text, OUT bucket timestamp with time zone, OUT metric text, OUT found jsonb, OUT expected jsonb)', 'SETOF record', 'f s strict r plpgsql'),
        ('wait_for(token text, seconds double precision, projection text DEFAULT ''device''::text)', 'text', 'f v strict u c'),
        ('wait_for(token text, timeout interval DEFAULT ''00:00:10''::interval, projection text DEFAULT ''device''::text)', 'text', 'f v strict u c'),
        ('wait_for(token text, timeout text, projection text DEFAULT ''device''::text)', 'text', 'f v strict u c'),
        ('with_known_resets(telemetry.summary)', 'telemetry.summary', 'f i strict s c'), ('with_resets(counter telemetry.summary, counted telemetry.summary)', 'telemetry.summary', 'f i strict s c'),
        ('worker_status(OUT preloaded boolean, OUT pid integer, OUT state text, OUT since timestamp with time zone, OUT last_error text, OUT last_error_at timestamp with time zone)',
            'record', 'f v called r c') $$,
    'routines');
SELECT set_eq(
    $$ SELECT p.proname::text FROM pg_proc p WHERE p.pronamespace = 'telemetry'::regnamespace AND p.prosecdef $$,
    ARRAY['follow_from', 'health', 'metric_samples', 'metrics_text', 'recounted', 'series_of', 'setup', 'verify_projection'], 'SECURITY DEFINER only where nothing is changed: elsewhere rights change inside the C code');
SELECT is_empty(
    $$ SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
       WHERE p.pronamespace = 'telemetry'::regnamespace AND l.lanname NOT IN ('c', 'internal')
         AND NOT coalesce(p.proconfig @> ARRAY['search_path=pg_catalog, pg_temp'], false) $$,
    'functions that are neither C nor aggregates fix their search_path');

-- The columns of composite types and views stand in their order.
SELECT results_eq(
    $$ SELECT concat(c.relname, '.', a.attname) COLLATE "default", format_type(a.atttypid, a.atttypmod)
       FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
       WHERE c.relnamespace = 'telemetry'::regnamespace AND c.relkind IN ('c', 'v') AND a.attnum > 0 AND NOT a.attisdropped AND c.relname !~ '_live$'
       ORDER BY c.relname COLLATE "C", a.attnum $$,
    $$ VALUES
        ('batch_receipt.received', 'integer'), ('batch_receipt.accepted', 'integer'), ('batch_receipt.duplicates', 'integer'),
        ('batch_receipt.conflicts', 'integer'), ('batch_receipt.rejected', 'integer'), ('batch_receipt.first_event_id', 'bigint'),
        ('batch_receipt.last_event_id', 'bigint'), ('batch_receipt.token', 'text'),
        ('dead_letters.subscription', 'text'), ('dead_letters.id', 'bigint'), ('dead_letters.device_id', 'text'), ('dead_letters.type', 'text'),
        ('dead_letters.version', 'smallint'), ('dead_letters.payload', 'json'), ('dead_letters.created_at', 'timestamp with time zone'), ('dead_letters.epoch', 'integer'),
        ('dead_letters.attempts', 'integer'), ('dead_letters.last_error', 'text'), ('dead_letters.died_at', 'timestamp with time zone'),
        ('device_liveness.device_id', 'text'), ('device_liveness.region', 'text'), ('device_liveness.state', 'text'),
        ('device_liveness.last_received_at', 'timestamp with time zone'), ('device_liveness.last_measured_at', 'timestamp with time zone'), ('device_liveness.expected_interval', 'interval'),
        ('device_liveness.overdue_by', 'interval'), ('device_liveness.offline_at', 'timestamp with time zone'), ('device_liveness.as_of', 'timestamp with time zone'),
        ('device_metric_stats.device_id', 'text'), ('device_metric_stats.metric', 'text'), ('device_metric_stats.sample_count', 'bigint'),
        ('device_metric_stats.avg', 'double precision'), ('device_metric_stats.min', 'double precision'), ('device_metric_stats.max', 'double precision'),
        ('device_metric_stats.stddev', 'double precision'), ('device_metric_stats.first_value', 'double precision'),
        ('device_metric_stats.first_at', 'timestamp with time zone'), ('device_metric_stats.last_value', 'double precision'),
        ('device_metric_stats.last_at', 'timestamp with time zone'), ('device_metric_stats.as_of', 'timestamp with time zone'),
        ('device_stats.device_id', 'text'), ('device_stats.region', 'text'), ('device_stats.first_seen', 'timestamp with time zone'),
        ('device_stats.last_seen', 'timestamp with time zone'), ('device_stats.last_received_at', 'timestamp with time zone'), ('device_stats.sample_count', 'bigint'),
        ('device_stats.avg_temperature', 'double precision'), ('device_stats.min_temperature', 'double precision'),
        ('device_stats.max_temperature', 'double precision'), ('device_stats.stddev_temperature', 'double precision'), ('device_stats.last_temperature', 'double precision'),
        ('device_stats.avg_humidity', 'double precision'), ('device_stats.min_humidity', 'double precision'),
        ('device_stats.max_humidity', 'double precision'), ('device_stats.stddev_humidity', 'double precision'), ('device_stats.last_humidity', 'double precision'),
        ('device_stats.as_of', 'timestamp with time zone'),
        ('device_stats_1d.time', 'timestamp with time zone'), ('device_stats_1d.device_id', 'text'), ('device_stats_1d.metric', 'text'),
        ('device_stats_1d.sample_count', 'bigint'), ('device_stats_1d.avg', 'double precision'), ('device_stats_1d.min', 'double precision'),
        ('device_stats_1d.max', 'double precision'), ('device_stats_1d.stddev', 'double precision'), ('device_stats_1d.first_value', 'double precision'),
        ('device_stats_1d.last_value', 'double precision'), ('device_stats_1d.p50', 'double precision'), ('device_stats_1d.p95', 'double precision'),
        ('device_stats_1d.p99', 'double precision'), ('device_stats_1d.increase', 'double precision'), ('device_stats_1d.resets', 'bigint'), ('device_stats_1d.as_of', 'timestamp with time zone'),
        ('device_stats_1h.time', 'timestamp with time zone'), ('device_stats_1h.device_id', 'text'), ('device_stats_1h.metric', 'text'),
        ('device_stats_1h.sample_count', 'bigint'), ('device_stats_1h.avg', 'double precision'), ('device_stats_1h.min', 'double precision'),
        ('device_stats_1h.max', 'double precision'), ('device_stats_1h.stddev', 'double precision'), ('device_stats_1h.first_value', 'double precision'),
        ('device_stats_1h.last_value', 'double precision'), ('device_stats_1h.p50', 'double precision'), ('device_stats_1h.p95', 'double precision'),
        ('device_stats_1h.p99', 'double precision'), ('device_stats_1h.increase', 'double precision'), ('device_stats_1h.resets', 'bigint'), ('device_stats_1h.as_of', 'timestamp with time zone'),
        ('device_stats_1m.time', 'timestamp with time zone'), ('device_stats_1m.device_id', 'text'), ('device_stats_1m.metric', 'text'),
        ('device_stats_1m.sample_count', 'bigint'), ('device_stats_1m.avg', 'double precision'), ('device_stats_1m.min', 'double precision'),
        ('device_stats_1m.max', 'double precision'), ('device_stats_1m.stddev', 'double precision'), ('device_stats_1m.first_value', 'double precision'),
        ('device_stats_1m.last_value', 'double precision'), ('device_stats_1m.p50', 'double precision'), ('device_stats_1m.p95', 'double precision'),
        ('device_stats_1m.p99', 'double precision'), ('device_stats_1m.increase', 'double precision'), ('device_stats_1m.resets', 'bigint'), ('device_stats_1m.as_of', 'timestamp with time zone'),
        ('events.id', 'bigint'), ('events.aggregatetype', 'text'), ('events.aggregateid', 'text'), ('events.type', 'text'), ('events.version', 'smallint'),
        ('events.payload', 'jsonb'), ('events.created_at', 'timestamp with time zone'), ('events.epoch', 'integer'),
        ('http_tokens.token_id', 'text'), ('http_tokens.role', 'text'), ('http_tokens.description', 'text'), ('http_tokens.created_by', 'text'), ('http_tokens.created_at', 'timestamp with time zone'), ('http_tokens.expires_at', 'timestamp with time zone'), ('http_tokens.state', 'text'),
        ('inbox.device_id', 'text'), ('inbox.measured_at', 'timestamp with time zone'), ('inbox.temperature', 'double precision'), ('inbox.humidity', 'double precision'), ('inbox.idempotency_key', 'text'), ('inbox.metrics', 'jsonb'), ('inbox.region', 'text'),
        ('inbox_text.device_id', 'text'), ('inbox_text.measured_at', 'text'), ('inbox_text.temperature', 'text'), ('inbox_text.humidity', 'text'), ('inbox_text.idempotency_key', 'text'), ('inbox_text.metrics', 'text'), ('inbox_text.region', 'text'),
        ('measurements.event_id', 'bigint'), ('measurements.device_id', 'text'), ('measurements.region', 'text'), ('measurements.measured_at', 'timestamp with time zone'),
        ('measurements.received_at', 'timestamp with time zone'), ('measurements.temperature', 'double precision'), ('measurements.humidity', 'double precision'),
        ('measurements.metrics', 'jsonb'), ('measurements.idempotency_key', 'text'),
        ('pipeline_status.stage', 'text'), ('pipeline_status.state', 'text'), ('pipeline_status.events', 'bigint'), ('pipeline_status.waiting', 'bigint'),
        ('pipeline_status.lag_seconds', 'double precision'), ('pipeline_status.as_of', 'timestamp with time zone'), ('pipeline_status.detail', 'text'),
        ('projection_status.projection', 'text'), ('projection_status.state', 'text'), ('projection_status.applied', 'bigint'),
        ('projection_status.lag_events', 'bigint'), ('projection_status.lag_seconds', 'double precision'), ('projection_status.as_of', 'timestamp with time zone'),
        ('projection_status.last_error', 'text'), ('projection_status.last_error_sqlstate', 'text'), ('projection_status.last_error_at', 'timestamp with time zone'),
        ('projection_status.paused_at', 'timestamp with time zone'), ('projection_status.paused_by', 'text'),
        ('projection_status.cadence', 'interval'), ('projection_status.retention', 'interval'), ('projection_status.rebuilt_events', 'bigint'), ('projection_status.failure_policy', 'text'), ('projection_status.parked_events', 'bigint'), ('projection_status.audited_at', 'timestamp with time zone'), ('projection_status.audit_differences', 'bigint'),
        ('receipt.event_id', 'bigint'), ('receipt.status', 'text'), ('receipt.received_at', 'timestamp with time zone'), ('receipt.token', 'text'),
        ('region_metric_stats.region', 'text'), ('region_metric_stats.metric', 'text'), ('region_metric_stats.sample_count', 'bigint'),
        ('region_metric_stats.avg', 'double precision'), ('region_metric_stats.min', 'double precision'), ('region_metric_stats.max', 'double precision'),
        ('region_metric_stats.stddev', 'double precision'), ('region_metric_stats.first_value', 'double precision'),
        ('region_metric_stats.first_at', 'timestamp with time zone'), ('region_metric_stats.last_value', 'double precision'),
        ('region_metric_stats.last_at', 'timestamp with time zone'), ('region_metric_stats.as_of', 'timestamp with time zone'),
        ('region_stats.region', 'text'), ('region_stats.first_seen', 'timestamp with time zone'),
        ('region_stats.last_seen', 'timestamp with time zone'), ('region_stats.last_received_at', 'timestamp with time zone'), ('region_stats.sample_count', 'bigint'),
        ('region_stats.avg_temperature', 'double precision'), ('region_stats.min_temperature', 'double precision'),
        ('region_stats.max_temperature', 'double precision'), ('region_stats.stddev_temperature', 'double precision'), ('region_stats.last_temperature', 'double precision'),
        ('region_stats.avg_humidity', 'double precision'), ('region_stats.min_humidity', 'double precision'),
        ('region_stats.max_humidity', 'double precision'), ('region_stats.stddev_humidity', 'double precision'), ('region_stats.last_humidity', 'double precision'),
        ('region_stats.as_of', 'timestamp with time zone'),
        ('region_stats_1d.time', 'timestamp with time zone'), ('region_stats_1d.region', 'text'), ('region_stats_1d.metric', 'text'),
        ('region_stats_1d.sample_count', 'bigint'), ('region_stats_1d.avg', 'double precision'), ('region_stats_1d.min', 'double precision'),
        ('region_stats_1d.max', 'double precision'), ('region_stats_1d.stddev', 'double precision'), ('region_stats_1d.first_value', 'double precision'),
        ('region_stats_1d.last_value', 'double precision'), ('region_stats_1d.p50', 'double precision'), ('region_stats_1d.p95', 'double precision'),
        ('region_stats_1d.p99', 'double precision'), ('region_stats_1d.as_of', 'timestamp with time zone'),
        ('region_stats_1h.time', 'timestamp with time zone'), ('region_stats_1h.region', 'text'), ('region_stats_1h.metric', 'text'),
        ('region_stats_1h.sample_count', 'bigint'), ('region_stats_1h.avg', 'double precision'), ('region_stats_1h.min', 'double precision'),
        ('region_stats_1h.max', 'double precision'), ('region_stats_1h.stddev', 'double precision'), ('region_stats_1h.first_value', 'double precision'),
        ('region_stats_1h.last_value', 'double precision'), ('region_stats_1h.p50', 'double precision'), ('region_stats_1h.p95', 'double precision'),
        ('region_stats_1h.p99', 'double precision'), ('region_stats_1h.as_of', 'timestamp with time zone'),
        ('region_stats_1m.time', 'timestamp with time zone'), ('region_stats_1m.region', 'text'), ('region_stats_1m.metric', 'text'),
        ('region_stats_1m.sample_count', 'bigint'), ('region_stats_1m.avg', 'double precision'), ('region_stats_1m.min', 'double precision'),
        ('region_stats_1m.max', 'double precision'), ('region_stats_1m.stddev', 'double precision'), ('region_stats_1m.first_value', 'double precision'),
        ('region_stats_1m.last_value', 'double precision'), ('region_stats_1m.p50', 'double precision'), ('region_stats_1m.p95', 'double precision'),
        ('region_stats_1m.p99', 'double precision'), ('region_stats_1m.as_of', 'timestamp with time zone'),
        ('relay_status.sink', 'text'), ('relay_status.state', 'text'), ('relay_status.since', 'timestamp with time zone'), ('relay_status.server', 'text'),
        ('relay_status.acknowledged_batch', 'bigint'), ('relay_status.lag_events', 'bigint'), ('relay_status.lag_seconds', 'double precision'), ('relay_status.sent', 'bigint'),
        ('relay_status.acknowledged', 'bigint'), ('relay_status.duplicates', 'bigint'), ('relay_status.pending', 'bigint'), ('relay_status.failures', 'bigint'),
        ('relay_status.late_repeats', 'bigint'), ('relay_status.last_failure_phase', 'text'), ('relay_status.last_error', 'text'), ('relay_status.last_error_at', 'timestamp with time zone'),
        ('relay_status.note', 'text'), ('relay_status.paused_at', 'timestamp with time zone'), ('relay_status.paused_by', 'text'), ('relay_status.adopted_at', 'timestamp with time zone'),
        ('relay_status.adopted_by', 'text'), ('relay_status.refresh_requested_at', 'timestamp with time zone'), ('relay_status.pid', 'integer'),
        ('stat_ingest.received', 'bigint'), ('stat_ingest.accepted', 'bigint'), ('stat_ingest.duplicates', 'bigint'), ('stat_ingest.conflicts', 'bigint'),
        ('stat_ingest.rejected', 'bigint'), ('stat_ingest.rolled_back', 'bigint'), ('stat_ingest.raised', 'bigint'), ('stat_ingest.commands', 'bigint'),
        ('stat_ingest.batches', 'bigint'), ('stat_ingest.last_error_sqlstate', 'text'), ('stat_ingest.last_error_at', 'timestamp with time zone'),
        ('stat_ingest.stats_since', 'timestamp with time zone'),
        ('subscription_status.subscription', 'text'), ('subscription_status.state', 'text'), ('subscription_status.consumer_role', 'text'), ('subscription_status.lag_events', 'bigint'),
        ('subscription_status.lag_seconds', 'double precision'), ('subscription_status.consumed_batch', 'bigint'), ('subscription_status.leases', 'bigint'), ('subscription_status.leased_events', 'bigint'),
        ('subscription_status.shares', 'bigint'), ('subscription_status.waiting_redeliveries', 'bigint'), ('subscription_status.dead_letters', 'bigint'), ('subscription_status.last_error', 'text'),
        ('subscription_status.last_error_at', 'timestamp with time zone'), ('subscription_status.required', 'boolean'), ('subscription_status.max_lag', 'interval'), ('subscription_status.devices', 'text[]'),
        ('subscription_status.regions', 'text[]'), ('subscription_status.types', 'text[]'), ('subscription_status.max_attempts', 'integer'), ('subscription_status.retry_delay', 'interval'),
        ('subscription_status.created_at', 'timestamp with time zone'), ('subscription_status.lost_at', 'timestamp with time zone'), ('subscription_status.lost_because', 'text') $$,
    'columns of composite types and views');

-- A live twin has the columns of the view, but for as_of.
SELECT is_empty(
    $$ SELECT c.relname, a.attname, l.attname
       FROM pg_class c JOIN pg_class t ON t.relnamespace = c.relnamespace AND t.relname = c.relname || '_live'
       JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND a.attname <> 'as_of'
       LEFT JOIN pg_attribute l ON l.attrelid = t.oid AND l.attnum = a.attnum
       WHERE c.relnamespace = 'telemetry'::regnamespace AND (a.attname, a.atttypid, a.attcollation) IS DISTINCT FROM (l.attname, l.atttypid, l.attcollation) $$,
    'columns of live views');

-- Identifiers are compared byte by byte. Nobody compares those of the inboxes, which have no rows.
SELECT is_empty(
    $$ SELECT c.relname, a.attname, l.collname
       FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_collation l ON l.oid = a.attcollation
       WHERE c.relnamespace = 'telemetry'::regnamespace AND c.relkind IN ('r', 'v')
         AND a.attname IN ('device_id', 'region', 'idempotency_key', 'metric', 'consumer') AND l.collname <> 'C' AND c.relname NOT IN ('inbox', 'inbox_text') $$,
    'identifiers have collation "C"');

-- Every public object has a comment. The comment of an internal object has the word Internal.
SELECT is_empty(
    $$ SELECT c.oid::regclass FROM pg_class c WHERE c.relnamespace = 'telemetry'::regnamespace AND c.relkind IN ('r', 'v', 'S')
         AND coalesce(length(obj_description(c.oid, 'pg_class')), 0) < 20 $$,
    'comments on tables, views and sequences');
SELECT is_empty(
    $$ SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = 'telemetry'::regnamespace
         AND coalesce(length(obj_description(p.oid, 'pg_proc')), 0) < 15 $$,
    'comments on routines');
SELECT is_empty(
    $$ SELECT t.oid::regtype FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid
       WHERE t.typnamespace = 'telemetry'::regnamespace AND t.typelem = 0 AND (c.oid IS NULL OR c.relkind = 'c')
         AND coalesce(length(obj_description(t.oid, 'pg_type')), 0) < 20 $$,
    'comments on types');
SELECT ok(length(obj_description('telemetry'::regnamespace, 'pg_namespace')) > 20, 'a comment on the schema');
SELECT ok(length(obj_description((SELECT oid FROM pg_extension WHERE extname = 'telemetry_cqrs'), 'pg_extension')) > 20, 'a comment on the extension');
SELECT matches(obj_description('telemetry.ingest_telemetry(text, timestamptz, float8, float8, text, jsonb, text)'::regprocedure, 'pg_proc'),
    'SELECT \* FROM telemetry\.ingest_telemetry', 'the comment says how a receipt is asked for');

-- Triggers guard the log, announce changes of the registry and take what is inserted into the inboxes; one of them fires where replication applies these. The log has no further
-- index of an ordinary kind, because each would cost every writer.
SELECT results_eq(
    $$ SELECT t.tgrelid::regclass::text, t.tgname::text COLLATE "default", t.tgenabled::text, t.tgtype::int FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
       WHERE c.relnamespace = 'telemetry'::regnamespace AND NOT t.tgisinternal ORDER BY 1, 2 $$,
    -- tgtype: 1 row, 2 before, 4 insert, 8 delete, 16 update, 32 truncate, 64 instead
    $$ VALUES ('telemetry.device', 'announce_change', 'A', 8 + 16 + 32), ('telemetry.device', 'announce_replicated_change', 'R', 1 + 8 + 16),
              ('telemetry.device_policy', 'announce_change', 'A', 1 + 4 + 8 + 16), ('telemetry.device_policy', 'announce_truncate', 'A', 32),
              ('telemetry.event', 'insert_only', 'A', 2 + 8 + 16 + 32), ('telemetry.event_1', 'insert_only', 'A', 2 + 8 + 16 + 32),
              ('telemetry.event_1', 'insert_only_rows', 'A', 1 + 2 + 8 + 16),
              ('telemetry.inbox', 'begin_intake', 'O', 2 + 4), ('telemetry.inbox', 'end_intake', 'O', 4), ('telemetry.inbox', 'take_row', 'O', 1 + 4 + 64),
              ('telemetry.inbox_text', 'begin_intake', 'O', 2 + 4), ('telemetry.inbox_text', 'end_intake', 'O', 4), ('telemetry.inbox_text', 'take_row', 'O', 1 + 4 + 64),
              ('telemetry.metric', 'announce_change', 'A', 1 + 8 + 16), ('telemetry.metric', 'announce_limits', 'A', 1 + 4), ('telemetry.metric', 'announce_truncate', 'A', 32) $$,
    'triggers of the log, the registry and the inboxes');
SELECT results_eq(
    $$ SELECT indexdef FROM pg_indexes WHERE schemaname = 'telemetry' AND tablename IN ('event', 'event_1') ORDER BY indexname $$,
    $$ VALUES ('CREATE UNIQUE INDEX event_1_fingerprint ON telemetry.event_1 USING btree (fingerprint)'),
              ('CREATE INDEX event_1_readings ON telemetry.event_1 USING telemetry_readings (device_id, measured_at)'),
              ('CREATE INDEX event_1_xid_event_id ON telemetry.event_1 USING btree (xid, event_id)') $$,
    'indexes of the log');
SELECT results_eq(
    $$ SELECT m.amname::text COLLATE "default", m.amtype::text, c.opcname::text COLLATE "default", c.opcintype::regtype::text, c.opcdefault, amvalidate(c.oid)
       FROM pg_am m JOIN pg_opclass c ON c.opcmethod = m.oid JOIN pg_depend d ON d.classid = 'pg_opclass'::regclass AND d.objid = c.oid AND d.deptype = 'e'
       ORDER BY 3 $$,
    $$ VALUES ('telemetry_readings', 'i', 'device_ops', 'text', true, true), ('telemetry_readings', 'i', 'time_ops', 'timestamp with time zone', true, true) $$,
    'the access method of the index by device and time, and its operator classes');
SELECT is_empty(
    $$ SELECT m.amname FROM pg_am m WHERE m.amname = 'telemetry_readings' AND coalesce(length(obj_description(m.oid, 'pg_am')), 0) < 20
       UNION ALL
       SELECT c.opcname FROM pg_opclass c WHERE c.opcnamespace = 'telemetry'::regnamespace AND coalesce(length(obj_description(c.oid, 'pg_opclass')), 0) < 20 $$,
    'comments on the access method and the operator classes');
SELECT results_eq(
    $$ SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'telemetry.event'::regclass $$,
    $$ VALUES ('telemetry.event_1') $$, 'one segment');
-- An index on a column that changes with every batch would make each update of a state row a non-HOT one.
SELECT results_eq(
    $$ SELECT i.indrelid::regclass::text, array_agg(a.attname::text COLLATE "default" ORDER BY k.position)
       FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, position)
       JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
       WHERE i.indrelid::regclass::text IN ('telemetry.state_device', 'telemetry.state_region', 'telemetry.state_device_1m', 'telemetry.batcher')
       GROUP BY i.indrelid, i.indexrelid ORDER BY 1, 2 $$,
    $$ VALUES ('telemetry.batcher', ARRAY['epoch']), ('telemetry.state_device', ARRAY['generation', 'key', 'bucket', 'part']), ('telemetry.state_device', ARRAY['region', 'generation']),
              ('telemetry.state_device_1m', ARRAY['generation', 'key', 'bucket', 'part']), ('telemetry.state_region', ARRAY['generation', 'key', 'bucket', 'part']) $$,
    'state tables are indexed by what hardly changes');

-- A dump carries every table and sequence with user data whole.
SELECT set_eq(
    $$ SELECT unnest(extconfig)::regclass::text FROM pg_extension WHERE extname = 'telemetry_cqrs' $$,
    $$ SELECT c.oid::regclass::text FROM pg_class c
       WHERE c.relnamespace = 'telemetry'::regnamespace AND c.relkind IN ('r', 'S') AND c.oid <> 'telemetry.event'::regclass $$,
    'every table and sequence is dumped, but the parent of the log, which is always empty');
SELECT results_eq($$ SELECT c.relation::regclass::text COLLATE "default", c.condition::text COLLATE "default" FROM pg_extension, unnest(extconfig, extcondition) AS c (relation, condition) WHERE extname = 'telemetry_cqrs' AND c.condition <> '' $$,
    $$ VALUES ('telemetry.projection'::text, 'WHERE NOT is_own'::text) $$, 'and dumped whole, but for the definitions that the extension makes');

-- Only the administrator changes the settings of policy and projector.
SELECT results_eq(
    $$ SELECT name::text COLLATE "default", vartype, coalesce(unit, ''), context FROM pg_settings WHERE name LIKE 'telemetry\_cqrs.%' ORDER BY name COLLATE "C" $$,
    $$ VALUES ('telemetry_cqrs.age_action', 'enum', '', 'sighup'), ('telemetry_cqrs.ahead_action', 'enum', '', 'sighup'), ('telemetry_cqrs.audit_interval', 'integer', 's', 'sighup'), ('telemetry_cqrs.auto_register', 'bool', '', 'sighup'), ('telemetry_cqrs.batch_retention', 'integer', 's', 'sighup'),
              ('telemetry_cqrs.coalesce', 'integer', 'ms', 'sighup'), ('telemetry_cqrs.device_burst', 'integer', '', 'sighup'), ('telemetry_cqrs.device_rate', 'real', '', 'sighup'), ('telemetry_cqrs.expected_interval', 'integer', 's', 'sighup'), ('telemetry_cqrs.http_allow_origin', 'string', '', 'sighup'), ('telemetry_cqrs.http_anonymous_role', 'string', '', 'sighup'), ('telemetry_cqrs.http_body', 'integer', 'kB', 'sighup'), ('telemetry_cqrs.http_connections', 'integer', '', 'sighup'),
              ('telemetry_cqrs.http_listen', 'string', '', 'sighup'), ('telemetry_cqrs.http_timeout', 'integer', 'ms', 'sighup'), ('telemetry_cqrs.http_workers', 'integer', '', 'sighup'),
              ('telemetry_cqrs.launcher_interval', 'integer', 'ms', 'sighup'),
              ('telemetry_cqrs.liveness_interval', 'integer', 's', 'sighup'),
              ('telemetry_cqrs.max_age', 'integer', 's', 'sighup'), ('telemetry_cqrs.max_ahead', 'integer', 's', 'sighup'), ('telemetry_cqrs.max_backlog', 'integer', '', 'sighup'), ('telemetry_cqrs.max_batch_readings', 'integer', '', 'sighup'),
              ('telemetry_cqrs.max_devices', 'integer', '', 'sighup'), ('telemetry_cqrs.max_metric_names', 'integer', '', 'sighup'),
              ('telemetry_cqrs.max_metrics', 'integer', '', 'sighup'),
              ('telemetry_cqrs.max_staleness', 'integer', 'ms', 'user'),
              ('telemetry_cqrs.nats_stream', 'string', '', 'sighup'), ('telemetry_cqrs.nats_url', 'string', '', 'sighup'), ('telemetry_cqrs.nats_window', 'integer', '', 'sighup'),
              ('telemetry_cqrs.notify_payload', 'enum', '', 'sighup'), ('telemetry_cqrs.poll_interval', 'integer', 'ms', 'sighup'), ('telemetry_cqrs.quarantine_retention', 'integer', 's', 'sighup'), ('telemetry_cqrs.quarantine_rows', 'integer', '', 'sighup'), ('telemetry_cqrs.redis_expiry', 'integer', 's', 'sighup'),
              ('telemetry_cqrs.redis_url', 'string', '', 'sighup'), ('telemetry_cqrs.relay_ca_file', 'string', '', 'sighup'), ('telemetry_cqrs.start_worker', 'bool', '', 'sighup'), ('telemetry_cqrs.total_burst', 'integer', '', 'sighup'), ('telemetry_cqrs.total_rate', 'real', '', 'sighup'), ('telemetry_cqrs.verdict_retention', 'integer', 's', 'sighup') $$,
    'settings');
SELECT is(current_setting('telemetry_cqrs.auto_register'), 'on', 'unknown devices are registered unless told otherwise');
SELECT is(current_setting('telemetry_cqrs.max_ahead')::interval, '5 minutes', 'clocks may be five minutes ahead unless told otherwise');
SELECT is(current_setting('telemetry_cqrs.notify_payload'), 'events', 'notifications carry events unless told otherwise');
SELECT is_empty($$ SELECT name FROM pg_settings WHERE name LIKE 'telemetry\_cqrs.%' AND coalesce(short_desc, '') = '' $$, 'every setting says what it does');
SELECT throws_ok('SET telemetry_cqrs.auto_register = off', '55P02', NULL, 'a session cannot change policy');
SELECT throws_ok('SET telemetry_cqrs.no_such_setting = 1', '42602', NULL, 'the prefix is reserved');

SELECT * FROM finish();
ROLLBACK;
