-- An administrator runs and pauses the projections, and grants rights.

CREATE PROCEDURE telemetry.project_once()
    AS 'MODULE_PATHNAME', 'telemetry_project_once' LANGUAGE C;
COMMENT ON PROCEDURE telemetry.project_once() IS 'Applies everything that was committed before the call to all projections, in transactions of its own. It is for servers without the worker. 25001 inside a transaction block.';

CREATE FUNCTION telemetry.pause_projection(projection text) RETURNS boolean
    AS 'MODULE_PATHNAME', 'telemetry_pause_projection' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.pause_projection(text) IS 'Pauses a projection (telemetry.projection_status lists them) until telemetry.resume_projection(). Neither the worker nor telemetry.project_once() applies readings to it that are committed after the pause has committed. A pass under way is finished, the other projections go on, and batches are kept until this one has caught up. The pause survives restart, dump and restore. Returns true if the projection was not paused before. 22023 for an unknown projection.';

CREATE FUNCTION telemetry.resume_projection(projection text) RETURNS boolean
    AS 'MODULE_PATHNAME', 'telemetry_resume_projection' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.resume_projection(text) IS 'Resumes a paused projection, which catches up from exactly where it was paused. In a restored database, where nothing is applied before the first command, the call also opens the log, whether that projection is paused or not. Then the worker applies the readings of the dump that had not been applied. Returns true if the call ended a pause or opened the log. 22023 for an unknown projection.';

-- An administrator defines projections by functions of two parts. The one that he calls is C, and runs the second one, f_as_owner, as
-- the extension's owner.
CREATE FUNCTION telemetry.require_projection(projection text) RETURNS void
    AS 'MODULE_PATHNAME', 'telemetry_require_projection' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION telemetry.require_projection(text) IS 'Raises 22023 unless there is such a projection. Internal.';

CREATE FUNCTION telemetry.set_cadence(projection text, cadence interval) RETURNS void
    AS 'MODULE_PATHNAME', 'telemetry_administer' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.set_cadence(text, interval) IS 'Sets how long a projection lets readings gather before it applies them. With 0 it applies them at once. A longer cadence writes fewer rows, because readings of one device and bucket become one row. NULL: what the projection was made with. 22023 for an unknown projection and a time outside of 0 to 1 day.';

CREATE FUNCTION telemetry.set_cadence_as_owner(projection text, cadence interval) RETURNS void LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM telemetry.require_projection(projection);
    IF cadence < interval '0' OR cadence > interval '1 day' THEN
        RAISE EXCEPTION 'cadence is out of range' USING ERRCODE = 'invalid_parameter_value', DETAIL = format('The cadence is %s.', cadence),
            HINT = 'Give a time from 0 to 1 day, or NULL for what the projection was made with.';
    END IF;
    INSERT INTO telemetry.projection_setting (projection, cadence) VALUES (set_cadence_as_owner.projection, set_cadence_as_owner.cadence)
    ON CONFLICT ON CONSTRAINT projection_setting_pkey DO UPDATE SET cadence = excluded.cadence;
END $$;
COMMENT ON FUNCTION telemetry.set_cadence_as_owner(text, interval) IS 'Does the work of telemetry.set_cadence(). Internal.';

CREATE FUNCTION telemetry.set_retention(projection text, retention interval) RETURNS void
    AS 'MODULE_PATHNAME', 'telemetry_administer' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.set_retention(text, interval) IS 'Sets how long a projection keeps a bucket after the bucket began. The worker deletes older ones, some at a time. A reading that arrives later than that makes its bucket anew, and the bucket has only such readings until the worker deletes it. NULL: for ever. 22023 for an unknown projection, for one without buckets, for a time shorter than a bucket, and for months and years.';

CREATE FUNCTION telemetry.set_retention_as_owner(projection text, retention interval) RETURNS void LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    width CONSTANT interval := (SELECT p.bucket FROM telemetry.projection p WHERE p.projection = set_retention_as_owner.projection);
BEGIN
    PERFORM telemetry.require_projection(projection);
    IF width IS NULL THEN
        RAISE EXCEPTION 'projection % has no buckets', quote_ident(projection) USING ERRCODE = 'invalid_parameter_value',
            DETAIL = 'It keeps one row for each device or region.', HINT = 'Retention is for projections with buckets, such as device_1m.';
    END IF;
    IF retention < width OR extract(year FROM retention) > 0 OR extract(month FROM retention) > 0 THEN
        RAISE EXCEPTION 'retention is out of range' USING ERRCODE = 'invalid_parameter_value', DETAIL = format('The retention is %s, a bucket is %s.', retention, width),
            HINT = 'Give days, hours or minutes, at least as long as a bucket, or NULL to keep the buckets for ever.';
    END IF;
    INSERT INTO telemetry.projection_setting (projection, retention) VALUES (set_retention_as_owner.projection, set_retention_as_owner.retention)
    ON CONFLICT ON CONSTRAINT projection_setting_pkey DO UPDATE SET retention = excluded.retention;
END $$;
COMMENT ON FUNCTION telemetry.set_retention_as_owner(text, interval) IS 'Does the work of telemetry.set_retention(). Internal.';

CREATE FUNCTION telemetry.announce_installation() RETURNS void
    AS 'MODULE_PATHNAME', 'telemetry_announce_installation' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.announce_installation() IS 'Announces the installation when the transaction commits: the launcher looks at this database, and every session looks up the extension''s relations anew. Internal.';

CREATE FUNCTION telemetry.grant_reader(role regrole) RETURNS void LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = role) THEN
        RAISE EXCEPTION 'there is no such role' USING ERRCODE = 'undefined_object', DETAIL = format('The role was given as %L.', role),
            HINT = 'Give the name of a role that CREATE ROLE has made.';
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA telemetry TO %s', role);
    EXECUTE format('GRANT SELECT ON telemetry.measurements, telemetry.events, telemetry.device_stats, telemetry.device_metric_stats, '
                   'telemetry.region_stats, telemetry.region_metric_stats, telemetry.device_stats_1m, telemetry.device_stats_1h, telemetry.device_stats_1d, '
                   'telemetry.region_stats_1m, telemetry.region_stats_1h, telemetry.region_stats_1d, telemetry.projection_status, telemetry.pipeline_status, telemetry.stat_ingest, telemetry.batch TO %s', role);
    EXECUTE format('GRANT EXECUTE ON FUNCTION telemetry.sample_count(telemetry.summary), telemetry.avg(telemetry.summary), '
                   'telemetry.stddev(telemetry.summary), telemetry.minimum(telemetry.summary), telemetry.maximum(telemetry.summary), '
                   'telemetry.first_value(telemetry.summary), telemetry.first_at(telemetry.summary), '
                   'telemetry.last_value(telemetry.summary), telemetry.last_at(telemetry.summary), '
                   'telemetry.quantile(telemetry.summary, double precision), '
                   'telemetry.summary(double precision, timestamptz), telemetry.merge(telemetry.summary), '
                   'telemetry.read_events(bigint), telemetry.follow_from(bigint), telemetry.as_of(text), telemetry.projection_tail(text), telemetry.worker_status(), '
                   'telemetry.wait_for(text, interval, text), telemetry.library_version(), telemetry.ingest_statistics(), telemetry.log_status(), telemetry.batch_tail() TO %s', role);
END $$;
COMMENT ON FUNCTION telemetry.grant_reader(regrole) IS 'Lets a role query every view, summarise values, and read events batch by batch. The extension''s owner and superusers may call it.';

CREATE FUNCTION telemetry.grant_writer(role regrole) RETURNS void LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = role) THEN
        RAISE EXCEPTION 'there is no such role' USING ERRCODE = 'undefined_object', DETAIL = format('The role was given as %L.', role),
            HINT = 'Give the name of a role that CREATE ROLE has made.';
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA telemetry TO %s', role);
    EXECUTE format('GRANT EXECUTE ON FUNCTION telemetry.wait_for(text, interval, text), '
                   'telemetry.ingest_telemetry(text, timestamptz, double precision, double precision, text, jsonb, text), '
                   'telemetry.ingest_telemetry_batch(text[], timestamptz[], double precision[], double precision[], text[], jsonb[], text[], text) TO %s', role);
END $$;
COMMENT ON FUNCTION telemetry.grant_writer(regrole) IS 'Lets a role send readings and wait for its own, and nothing else. The extension''s owner and superusers may call it.';

CREATE FUNCTION telemetry.grant_admin(role regrole) RETURNS void LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM telemetry.grant_reader(role);
    PERFORM telemetry.grant_writer(role);
    EXECUTE format('GRANT EXECUTE ON FUNCTION telemetry.register_device(text, text, interval, jsonb), telemetry.health(), telemetry.setup(), telemetry.is_background_worker(integer), '
                   'telemetry.stat_ingest_reset(), telemetry.pause_projection(text), telemetry.resume_projection(text), '
                   'telemetry.set_cadence(text, interval), telemetry.set_retention(text, interval) TO %s', role);
    EXECUTE format('GRANT EXECUTE ON PROCEDURE telemetry.project_once() TO %s', role);
    EXECUTE format('GRANT SELECT ON telemetry.device, telemetry.rejected_readings, telemetry.batcher, telemetry.cursor, telemetry.epoch, telemetry.projection_failure, telemetry.projection, telemetry.projection_setting, telemetry.pause TO %s', role);
END $$;
COMMENT ON FUNCTION telemetry.grant_admin(regrole) IS 'Lets a role read, send, register devices, run, pause and resume projections, look at rejected readings, and see what is missing or wrong. The extension''s owner and superusers may call it.';
