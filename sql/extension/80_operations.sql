-- An administrator runs and pauses the projections, and grants rights.

CREATE PROCEDURE telemetry.project_once()
    AS 'MODULE_PATHNAME', 'telemetry_project_once' LANGUAGE C;
COMMENT ON PROCEDURE telemetry.project_once() IS 'Applies everything that was committed before the call to all projections, in transactions of its own. It is for servers without the worker. 25001 inside a transaction block.';

CREATE FUNCTION telemetry.pause_projection(projection text) RETURNS boolean
    AS 'MODULE_PATHNAME', 'telemetry_pause_projection' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.pause_projection(text) IS 'Pauses a projection (device, region) until telemetry.resume_projection(). Neither the worker nor telemetry.project_once() applies readings to it that are committed after the pause has committed. A pass under way is finished, the other projections go on, and batches are kept until this one has caught up. The pause survives restart, dump and restore. Returns true if the projection was not paused before. 22023 for an unknown projection.';

CREATE FUNCTION telemetry.resume_projection(projection text) RETURNS boolean
    AS 'MODULE_PATHNAME', 'telemetry_resume_projection' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.resume_projection(text) IS 'Resumes a paused projection, which catches up from exactly where it was paused. In a restored database, where nothing is applied before the first command, the call also opens the log, whether that projection is paused or not. Then the worker applies the readings of the dump that had not been applied. Returns true if the call ended a pause or opened the log. 22023 for an unknown projection.';

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
                   'telemetry.region_stats, telemetry.region_metric_stats, telemetry.projection_status, telemetry.pipeline_status, telemetry.stat_ingest, telemetry.batch TO %s', role);
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
                   'telemetry.stat_ingest_reset(), telemetry.pause_projection(text), telemetry.resume_projection(text) TO %s', role);
    EXECUTE format('GRANT EXECUTE ON PROCEDURE telemetry.project_once() TO %s', role);
    EXECUTE format('GRANT SELECT ON telemetry.device, telemetry.rejected_readings, telemetry.batcher, telemetry.cursor, telemetry.epoch, telemetry.projection_failure, telemetry.projection, telemetry.pause TO %s', role);
END $$;
COMMENT ON FUNCTION telemetry.grant_admin(regrole) IS 'Lets a role read, send, register devices, run, pause and resume projections, look at rejected readings, and see what is missing or wrong. The extension''s owner and superusers may call it.';
