-- An administrator gives roles the rights of a reader, a writer and an administrator.

CREATE FUNCTION telemetry.grant_reader(role regrole) RETURNS void LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    view_name text;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = role) THEN
        RAISE EXCEPTION 'there is no such role' USING ERRCODE = 'undefined_object', DETAIL = format('The role was given as %L.', role),
            HINT = 'Give the name of a role that CREATE ROLE has made.';
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA telemetry TO %s', role);
    EXECUTE format('GRANT SELECT ON telemetry.measurements, telemetry.events, telemetry.device_stats, telemetry.device_metric_stats, '
                   'telemetry.region_stats, telemetry.region_metric_stats, telemetry.device_stats_1m, telemetry.device_stats_1h, telemetry.device_stats_1d, '
                   'telemetry.region_stats_1m, telemetry.region_stats_1h, telemetry.region_stats_1d, '
                   'telemetry.device_stats_live, telemetry.device_metric_stats_live, telemetry.region_stats_live, telemetry.region_metric_stats_live, '
                   'telemetry.device_stats_1m_live, telemetry.device_stats_1h_live, telemetry.device_stats_1d_live, telemetry.region_stats_1m_live, telemetry.region_stats_1h_live, telemetry.region_stats_1d_live, '
                   'telemetry.device_liveness, telemetry.projection_status, telemetry.pipeline_status, telemetry.stat_ingest, telemetry.batch, telemetry.subscription_status, telemetry.dead_letters, telemetry.relay_status TO %s', role);
    EXECUTE format('GRANT EXECUTE ON FUNCTION telemetry.sample_count(telemetry.summary), telemetry.avg(telemetry.summary), '
                   'telemetry.stddev(telemetry.summary), telemetry.minimum(telemetry.summary), telemetry.maximum(telemetry.summary), '
                   'telemetry.first_value(telemetry.summary), telemetry.first_at(telemetry.summary), '
                   'telemetry.last_value(telemetry.summary), telemetry.last_at(telemetry.summary), '
                   'telemetry.quantile(telemetry.summary, double precision), telemetry.increase(telemetry.summary), telemetry.resets(telemetry.summary), '
                   'telemetry.summary(double precision, timestamptz), telemetry.counter_summary(double precision, timestamptz), telemetry.merge(telemetry.summary), '
                   'telemetry.next_batch(text, integer, interval, text), telemetry.ack(text, bigint), telemetry.nack(text, bigint, text, bigint[], interval, boolean), telemetry.extend_lease(text, bigint, interval), telemetry.replay_dead_letters(text, bigint[]), '
                   'telemetry.read_events(bigint), telemetry.follow_from(bigint), telemetry.as_of(text), telemetry.projection_tail(text), telemetry.worker_status(), '
                   'telemetry.wait_for(text, interval, text), telemetry.wait_for(text, double precision, text), telemetry.wait_for(text, text, text), telemetry.library_version(), telemetry.ingest_statistics(), telemetry.quota_status(), telemetry.log_status(), telemetry.batch_tail(), telemetry.folded_tail(text), '
                   'telemetry.relay_report(), telemetry.current_place(), telemetry.http_status(), telemetry.open_metrics(), telemetry.metric_samples(), telemetry.metrics_text(text[], text[], text[]), '
                   'telemetry.has_overlap(telemetry.summary), telemetry.recounted(telemetry.summary, text, text, timestamptz, text), telemetry.with_known_resets(telemetry.summary), '
                   'telemetry.series(text, text, timestamptz, timestamptz, integer, text, text, text), telemetry.region_series(text, text, timestamptz, timestamptz, integer, text, text), '
                   'telemetry.series_of(text, text, text, timestamptz, timestamptz, integer, text, text, text) TO %s', role);
    FOR view_name IN SELECT p.projection || '_stats' FROM telemetry.projection p WHERE NOT p.is_own AND p.handler IS NULL LOOP
        EXECUTE format('GRANT SELECT ON telemetry.%I, telemetry.%I TO %s', view_name, view_name || '_live', role);
    END LOOP;
END $$;
COMMENT ON FUNCTION telemetry.grant_reader(regrole) IS 'Lets a role query every view, summarise values, read events batch by batch, and consume the subscriptions whose consumer_role it is a member of. The extension''s owner and superusers may call it.';

CREATE FUNCTION telemetry.grant_writer(role regrole) RETURNS void LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = role) THEN
        RAISE EXCEPTION 'there is no such role' USING ERRCODE = 'undefined_object', DETAIL = format('The role was given as %L.', role),
            HINT = 'Give the name of a role that CREATE ROLE has made.';
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA telemetry TO %s', role);
    EXECUTE format('GRANT EXECUTE ON FUNCTION telemetry.wait_for(text, interval, text), telemetry.wait_for(text, double precision, text), telemetry.wait_for(text, text, text), '
                   'telemetry.ingest_telemetry(text, timestamptz, double precision, double precision, text, jsonb, text), '
                   'telemetry.check_reading(text, timestamptz, double precision, double precision, text, jsonb, text), telemetry.batch_verdicts(text), '
                   'telemetry.ingest_telemetry(uuid, timestamptz, double precision, double precision, text, jsonb, text), '
                   'telemetry.ingest_telemetry(text, timestamptz, double precision, double precision, uuid, jsonb, text), '
                   'telemetry.ingest_telemetry(uuid, timestamptz, double precision, double precision, uuid, jsonb, text), '
                   'telemetry.ingest_telemetry_batch(text[], timestamptz[], double precision[], double precision[], text[], jsonb[], text[], text), '
                   'telemetry.ingest_telemetry_batch(json, text, text), telemetry.ingest_telemetry_batch(jsonb, text, text), telemetry.ingest_telemetry_batch(text, text, text), '
                   'telemetry.inbox_receipt() TO %s', role);
    -- RETURNING needs SELECT. A query of an inbox finds nothing.
    EXECUTE format('GRANT INSERT, SELECT ON telemetry.inbox, telemetry.inbox_text TO %s', role);
END $$;
COMMENT ON FUNCTION telemetry.grant_writer(regrole) IS 'Lets a role send readings, check them, see their verdicts and wait for its own, and nothing else. The extension''s owner and superusers may call it.';

CREATE FUNCTION telemetry.grant_admin(role regrole) RETURNS void LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM telemetry.grant_reader(role);
    PERFORM telemetry.grant_writer(role);
    EXECUTE format('GRANT EXECUTE ON FUNCTION telemetry.register_device(text, text, interval, jsonb), telemetry.set_expected_interval(text, interval), telemetry.redrive_rejected(text[], text[], text[], text[], timestamptz, integer, bigint), telemetry.health(), telemetry.setup(), telemetry.is_background_worker(integer), '
                   'telemetry.stat_ingest_reset(), telemetry.pause_projection(text), telemetry.resume_projection(text), '
                   'telemetry.set_cadence(text, interval), telemetry.set_retention(text, interval), telemetry.set_failure_policy(text, text), telemetry.replay_parked(text, bigint[]), telemetry.set_metric(text, text, text, double precision, double precision), '
                   'telemetry.relocate_device(text, text), telemetry.set_device_policy(text, interval, text, interval, text, integer, double precision, double precision), '
                   'telemetry.register_device(uuid, text, interval, jsonb), telemetry.relocate_device(uuid, text), telemetry.set_expected_interval(uuid, interval), '
                   'telemetry.set_device_policy(uuid, interval, text, interval, text, integer, double precision, double precision), '
                   'telemetry.create_projection(text, text, interval, text[], text, text[], boolean, interval), telemetry.create_handler_projection(text, regprocedure, boolean), telemetry.drop_projection(text), telemetry.rebuild_projection(text), telemetry.cancel_rebuild(text), telemetry.verify_projection(text), '
                   'telemetry.create_subscription(text, timestamptz, text[], text[], text[], text, integer, interval, boolean, interval), telemetry.restart_subscription(text, timestamptz), telemetry.drop_subscription(text), '
                   'telemetry.pause_relay(text), telemetry.resume_relay(text), telemetry.adopt_relay(text), telemetry.refresh_cache(), '
                   'telemetry.create_http_token(regrole, text, timestamptz), telemetry.revoke_http_token(text) TO %s', role);
    EXECUTE format('GRANT EXECUTE ON PROCEDURE telemetry.project_once() TO %s', role);
    EXECUTE format('GRANT SELECT ON telemetry.device, telemetry.rejected_readings, telemetry.batcher, telemetry.cursor, telemetry.epoch, telemetry.projection_failure, telemetry.projection, telemetry.projection_setting, telemetry.parked_event, telemetry.audit, telemetry.pause, telemetry.metric, telemetry.device_policy, telemetry.offline_device, telemetry.relay, telemetry.http_tokens TO %s', role);
END $$;
COMMENT ON FUNCTION telemetry.grant_admin(regrole) IS 'Lets a role read, send, register devices, run, pause and resume projections, instruct the relay, look at rejected readings and send them again, and see what is missing or wrong. The extension''s owner and superusers may call it.';

-- An untyped name goes here, as it stands or as SQL writes names. As a regrole it would lose its capitals.
CREATE FUNCTION telemetry.role_named(role text) RETURNS regrole LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found regrole := COALESCE((SELECT r.oid::regrole FROM pg_roles r WHERE r.rolname = role), to_regrole(role));
BEGIN
    IF found IS NULL OR found = 0 THEN
        RAISE EXCEPTION 'there is no such role' USING ERRCODE = 'undefined_object', DETAIL = format('The role was given as %L.', role),
            HINT = 'Give the name of a role that CREATE ROLE has made.';
    END IF;
    RETURN found;
END $$;
COMMENT ON FUNCTION telemetry.role_named(text) IS 'Finds a role by its name, or else by its name as SQL writes it. 42704 if there is none. Internal.';

CREATE FUNCTION telemetry.grant_reader(role text) RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp
    AS $$ SELECT telemetry.grant_reader(telemetry.role_named(role)) $$;
COMMENT ON FUNCTION telemetry.grant_reader(text) IS 'Does what telemetry.grant_reader(regrole) does, for the name of a role. 42704 if there is none.';
CREATE FUNCTION telemetry.grant_writer(role text) RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp
    AS $$ SELECT telemetry.grant_writer(telemetry.role_named(role)) $$;
COMMENT ON FUNCTION telemetry.grant_writer(text) IS 'Does what telemetry.grant_writer(regrole) does, for the name of a role. 42704 if there is none.';
CREATE FUNCTION telemetry.grant_admin(role text) RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp
    AS $$ SELECT telemetry.grant_admin(telemetry.role_named(role)) $$;
COMMENT ON FUNCTION telemetry.grant_admin(text) IS 'Does what telemetry.grant_admin(regrole) does, for the name of a role. 42704 if there is none.';
