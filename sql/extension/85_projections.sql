-- An administrator runs, pauses and defines the projections.

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

CREATE FUNCTION telemetry.require_statistics(projection text) RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF (SELECT p.handler IS NOT NULL FROM telemetry.projection p WHERE p.projection = require_statistics.projection) THEN
        RAISE EXCEPTION 'projection % keeps no statistics', quote_ident(projection) USING ERRCODE = 'invalid_parameter_value',
            DETAIL = 'It calls a function for each batch.', HINT = 'What the function has written belongs to you.';
    END IF;
END $$;
COMMENT ON FUNCTION telemetry.require_statistics(text) IS 'Raises 22023 for a projection that calls a handler. Internal.';

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

CREATE FUNCTION telemetry.set_failure_policy(projection text, policy text) RETURNS void
    AS 'MODULE_PATHNAME', 'telemetry_administer' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.set_failure_policy(text, text) IS 'Sets what becomes of an event on which a projection fails. pause (as it is made): the projection waits before the batch of the event and tries again, after a minute at most; nothing is left out. park: the projector halves the batch until it has found the event, puts it aside in telemetry.parked_event, and goes on without it. It parks nothing if the projection fails on each of several events or on more than 100 of a batch, or if the cause is not an event: a lock, a missing right or table, a full disk. The other projections go on either way. 22023 for an unknown projection or policy.';

CREATE FUNCTION telemetry.set_failure_policy_as_owner(projection text, policy text) RETURNS void LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM telemetry.require_projection(projection);
    IF policy IS NULL OR policy NOT IN ('pause', 'park') THEN
        RAISE EXCEPTION 'invalid failure policy' USING ERRCODE = 'invalid_parameter_value', DETAIL = format('The policy is %L.', policy), HINT = 'Policies are: pause, park.';
    END IF;
    INSERT INTO telemetry.projection_setting (projection, failure_policy) VALUES (set_failure_policy_as_owner.projection, set_failure_policy_as_owner.policy)
    ON CONFLICT ON CONSTRAINT projection_setting_pkey DO UPDATE SET failure_policy = excluded.failure_policy;
END $$;
COMMENT ON FUNCTION telemetry.set_failure_policy_as_owner(text, text) IS 'Does the work of telemetry.set_failure_policy(). Internal.';

CREATE FUNCTION telemetry.replay_parked(projection text, events bigint[] = NULL) RETURNS bigint
    AS 'MODULE_PATHNAME', 'telemetry_administer_between_passes' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.replay_parked(text, bigint[]) IS 'Sends parked events of a projection through it again: these (telemetry.parked_event.event_id), or all if NULL. The worker or telemetry.project_once() applies them. An event that succeeds leaves telemetry.parked_event in the transaction that applies it; one that fails again stays there with the new cause. Returns how many events will be tried. 22023 for an unknown projection.';

CREATE FUNCTION telemetry.replay_parked_as_owner(projection text, events bigint[]) RETURNS bigint LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    due bigint;
BEGIN
    PERFORM telemetry.require_projection(projection);
    UPDATE telemetry.parked_event p SET is_due = true WHERE p.projection = replay_parked_as_owner.projection AND (events IS NULL OR p.event_id = ANY (events));
    -- A rebuild or a baseline may lack the same event.
    SELECT count(DISTINCT p.event_id) INTO due FROM telemetry.parked_event p WHERE p.projection = replay_parked_as_owner.projection AND p.is_due;
    IF due > 0 THEN
        INSERT INTO telemetry.projection_setting (projection, replays) VALUES (replay_parked_as_owner.projection, true)
        ON CONFLICT ON CONSTRAINT projection_setting_pkey DO UPDATE SET replays = true;
    END IF;
    RETURN due;
END $$;
COMMENT ON FUNCTION telemetry.replay_parked_as_owner(text, bigint[]) IS 'Does the work of telemetry.replay_parked(). Internal.';

CREATE FUNCTION telemetry.create_projection(
    projection text,
    grain      text,
    bucket     interval = NULL,
    metrics    text[] = NULL,
    devices    text = NULL,
    regions    text[] = NULL,
    quantiles  boolean = true,
    cadence    interval = '1 s'
) RETURNS void
    AS 'MODULE_PATHNAME', 'telemetry_administer' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.create_projection(text, text, interval, text[], text, text[], boolean, interval) IS
'Makes a projection of one''s own, and the views telemetry.<projection>_stats and telemetry.<projection>_stats_live of it. grain: it keeps statistics of each device, of each region or of all readings together (device | region | all). bucket: for each span of this length (UTC), which divides a day; NULL: over all time. metrics: only of these; devices: only of devices that match this LIKE pattern; regions: only of readings of these; NULL: of all. quantiles: the view has p50, p95 and p99. cadence: how long it lets readings gather.
The worker fills it from the beginning of the log. The view shows what is there meanwhile, and telemetry.projection_status says rebuilding. telemetry.grant_reader() lets a role read the view. Errors: 22023 for an invalid argument, 42710 if the projection or its view exists.';

CREATE FUNCTION telemetry.check_new_projection(projection text) RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF projection IS NULL OR projection !~ '^[a-z][a-z0-9_]{0,39}$' OR projection = 'batch' THEN
        RAISE EXCEPTION 'invalid name of a projection' USING ERRCODE = 'invalid_parameter_value', DETAIL = format('The name is %L.', projection),
            HINT = 'Give 1 to 40 small letters, digits and underscores, beginning with a letter. The name batch is taken.';
    END IF;
    IF EXISTS (SELECT FROM telemetry.projection p WHERE p.projection = check_new_projection.projection)
       OR to_regclass(format('telemetry.%I', projection || '_stats')) IS NOT NULL OR to_regclass(format('telemetry.%I', projection || '_stats_live')) IS NOT NULL THEN
        RAISE EXCEPTION 'projection % exists', quote_ident(projection) USING ERRCODE = 'duplicate_object',
            DETAIL = format('There is a projection of this name, or the relation telemetry.%I.', projection || '_stats'), HINT = 'Choose another name, or call telemetry.drop_projection() first.';
    END IF;
END $$;
COMMENT ON FUNCTION telemetry.check_new_projection(text) IS 'Raises 22023 for an invalid name of a projection, 42710 for one that is taken. Internal.';

CREATE FUNCTION telemetry.create_projection_as_owner(projection text, grain text, bucket interval, metrics text[], devices text, regions text[], quantiles boolean, cadence interval)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    width CONSTANT numeric := extract(epoch FROM bucket);
    view_name CONSTANT text := projection || '_stats';
    made regclass;
    grantee text;
BEGIN
    PERFORM telemetry.check_new_projection(projection);
    IF grain IS NULL OR grain NOT IN ('device', 'region', 'all') THEN
        RAISE EXCEPTION 'invalid grain' USING ERRCODE = 'invalid_parameter_value', DETAIL = format('The grain is %L.', grain), HINT = 'Grains are: device, region, all.';
    END IF;
    IF width <= 0 OR width > 86400 OR 86400 % width <> 0 OR extract(month FROM bucket) <> 0 OR extract(year FROM bucket) <> 0 THEN
        RAISE EXCEPTION 'invalid bucket' USING ERRCODE = 'invalid_parameter_value', DETAIL = format('The bucket is %s.', bucket),
            HINT = 'Give a time that divides a day, such as 15 minutes, or NULL for statistics over all time.';
    END IF;
    IF quantiles IS NULL THEN
        RAISE EXCEPTION 'quantiles is NULL' USING ERRCODE = 'invalid_parameter_value', DETAIL = 'Whether to keep quantiles is not said.', HINT = 'Give true or false.';
    END IF;
    IF cadence IS NULL OR cadence < interval '0' OR cadence > interval '1 day' THEN
        RAISE EXCEPTION 'cadence is out of range' USING ERRCODE = 'invalid_parameter_value', DETAIL = format('The cadence is %s.', COALESCE(cadence::text, 'NULL')),
            HINT = 'Give a time from 0 to 1 day.';
    END IF;
    EXECUTE format('CREATE TABLE telemetry.%I (LIKE telemetry.state_region INCLUDING ALL) WITH (fillfactor = %s)', 'state_' || projection, CASE WHEN bucket < interval '1 day' THEN 85 ELSE 50 END);
    EXECUTE format('COMMENT ON TABLE telemetry.%I IS %L', 'state_' || projection, format('Holds the state of the projection "%s", as telemetry.state_region holds that of "region". Internal; query telemetry.%I.', projection, view_name));
    INSERT INTO telemetry.projection (projection, grain, bucket, quantiles, cadence, metrics, devices, regions, is_own)
    VALUES (projection, grain, justify_hours(bucket), quantiles, cadence, metrics, devices, regions, false);
    PERFORM telemetry.make_view(projection, view_name);
    EXECUTE format('COMMENT ON VIEW telemetry.%I IS %L', view_name, format('Shows the statistics of the projection "%s". The row is complete up to as_of.', projection));
    -- Default privileges give no role a right here, as the install script has it.
    FOR made, grantee IN
        SELECT c.oid::regclass, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END
        FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) AS a
        WHERE c.relnamespace = 'telemetry'::regnamespace AND c.relname IN ('state_' || projection, view_name, view_name || '_live') AND a.grantee <> c.relowner
    LOOP
        EXECUTE format('REVOKE ALL ON %s FROM %s', made, grantee);
    END LOOP;
    EXECUTE format('COMMENT ON VIEW telemetry.%I IS %L', view_name || '_live', format('Shows the statistics of the projection "%s", exact for the reader''s snapshot.', projection));
    PERFORM telemetry.adopt_relations();
END $$;
COMMENT ON FUNCTION telemetry.create_projection_as_owner(text, text, interval, text[], text, text[], boolean, interval) IS 'Does the work of telemetry.create_projection(). Internal.';

CREATE FUNCTION telemetry.create_handler_projection(projection text, handler regprocedure, from_start boolean = true) RETURNS void
    AS 'MODULE_PATHNAME', 'telemetry_create_handler_projection' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.create_handler_projection(text, regprocedure, boolean) IS
'Makes a projection that calls a function with the number of each batch: handler(batch bigint). The function reads telemetry.read_events(batch), and does with the events what it likes. The call and the record that the batch is done are one transaction, so the function''s writes count each event exactly once, whatever crashes when.
The function runs as the role that calls create_handler_projection(), in the projector, restricted as an index function is; search_path is pg_catalog, pg_temp. It must not store readings (55000). A call of it keeps the projector from everything else meanwhile. If it fails, the same batch comes again, after 1, 2, 4 ... 60 s; the other projections go on, and telemetry.projection_status says why. An old batch may have up to 100,000 events.
from_start: from the first batch of the log on; otherwise from the next one. Errors: 22023 for an invalid name or function, 42710 if the projection exists.';

CREATE FUNCTION telemetry.create_handler_projection_as_owner(projection text, handler regprocedure, from_start boolean, runs_as text) RETURNS void LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM telemetry.check_new_projection(projection);
    IF handler IS NULL OR NOT EXISTS (SELECT FROM pg_proc p WHERE p.oid = handler AND p.prokind = 'f' AND p.pronargs = 1 AND p.proargtypes[0] = 'bigint'::regtype AND NOT p.proretset) THEN
        RAISE EXCEPTION 'invalid handler' USING ERRCODE = 'invalid_parameter_value', DETAIL = format('The handler is %s.', COALESCE(handler::text, 'NULL')),
            HINT = 'Give a function with one argument of type bigint, which returns one value: create_handler_projection(''name'', ''my_schema.my_function(bigint)'').';
    END IF;
    IF from_start IS NULL THEN
        RAISE EXCEPTION 'from_start is NULL' USING ERRCODE = 'invalid_parameter_value', DETAIL = 'Where the handler begins is not said.', HINT = 'Give true or false.';
    END IF;
    INSERT INTO telemetry.projection (projection, grain, quantiles, cadence, handler, runs_as, is_own)
    SELECT projection, 'batch', false, '0', format('%I.%I', n.nspname, p.proname), runs_as, false FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.oid = handler;
    IF NOT from_start THEN
        INSERT INTO telemetry.cursor (projection, generation, purpose, is_filled, is_copied, batch_id, events, as_of)
        SELECT projection, 1, 'current', true, true, b.batch_id, (SELECT COALESCE(sum(o.events), 0) FROM telemetry.batch o WHERE o.batch_id <= b.batch_id), b.created_at
        FROM telemetry.batch b ORDER BY b.batch_id DESC LIMIT 1;
    END IF;
END $$;
COMMENT ON FUNCTION telemetry.create_handler_projection_as_owner(text, regprocedure, boolean, text) IS 'Does the work of telemetry.create_handler_projection(). Internal.';

CREATE FUNCTION telemetry.drop_projection(projection text) RETURNS void
    AS 'MODULE_PATHNAME', 'telemetry_administer_between_passes' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.drop_projection(text) IS 'Drops a projection of one''s own with its view and its statistics. The projector waits until the transaction ends. Errors: 22023 for an unknown projection and for one of the extension''s own, which can only be paused; 2BP01 if another object depends on the view.';

CREATE FUNCTION telemetry.drop_projection_as_owner(projection text) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM telemetry.require_projection(projection);
    IF (SELECT p.is_own FROM telemetry.projection p WHERE p.projection = drop_projection_as_owner.projection) THEN
        RAISE EXCEPTION 'projection % belongs to the extension', quote_ident(projection) USING ERRCODE = 'invalid_parameter_value',
            DETAIL = 'Only projections that telemetry.create_projection() made can be dropped.', HINT = 'telemetry.pause_projection() stops it.';
    END IF;
    IF (SELECT p.handler IS NULL FROM telemetry.projection p WHERE p.projection = drop_projection_as_owner.projection) THEN
        EXECUTE format('DROP VIEW IF EXISTS telemetry.%I, telemetry.%I', projection || '_stats_live', projection || '_stats');
        EXECUTE format('DROP TABLE IF EXISTS telemetry.%I', 'state_' || projection);
    END IF;
    DELETE FROM telemetry.projection p WHERE p.projection = drop_projection_as_owner.projection;
    DELETE FROM telemetry.projection_setting p WHERE p.projection = drop_projection_as_owner.projection;
    DELETE FROM telemetry.pause p WHERE p.projection = drop_projection_as_owner.projection;
    DELETE FROM telemetry.parked_event p WHERE p.projection = drop_projection_as_owner.projection;
    DELETE FROM telemetry.projection_failure p WHERE p.projection IN (drop_projection_as_owner.projection, drop_projection_as_owner.projection || ' (rebuild)');
    DELETE FROM telemetry.audit p WHERE p.projection = drop_projection_as_owner.projection;
    DELETE FROM telemetry.cursor p WHERE p.projection = drop_projection_as_owner.projection;
END $$;
COMMENT ON FUNCTION telemetry.drop_projection_as_owner(text) IS 'Does the work of telemetry.drop_projection(). Internal.';

CREATE FUNCTION telemetry.rebuild_projection(projection text) RETURNS void
    AS 'MODULE_PATHNAME', 'telemetry_administer' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.rebuild_projection(text) IS 'Lets the worker compute a projection anew from the log, beside the statistics that the views show. It begins with the projection''s baseline if there is one, otherwise with the first reading. When the new statistics hold everything, the views show them from one transaction on, and the worker deletes the old ones. Readers wait for nothing, and nothing is notified. telemetry.projection_status.rebuilt_events shows how far it is, and telemetry.cancel_rebuild() ends it. Errors: 22023 for an unknown projection, 55006 while a rebuild is under way, 55000 before the projection was applied for the first time.';

CREATE FUNCTION telemetry.rebuild_projection_as_owner(projection text) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM telemetry.require_projection(projection);
    PERFORM telemetry.require_statistics(projection);
    IF EXISTS (SELECT FROM telemetry.cursor c WHERE c.projection = rebuild_projection_as_owner.projection AND c.purpose = 'rebuild') THEN
        RAISE EXCEPTION 'projection % is being rebuilt', quote_ident(projection) USING ERRCODE = 'object_in_use',
            DETAIL = 'An earlier call of telemetry.rebuild_projection() is not done.', HINT = 'telemetry.projection_status shows how far it is. telemetry.cancel_rebuild() ends it.';
    END IF;
    IF NOT EXISTS (SELECT FROM telemetry.cursor c WHERE c.projection = rebuild_projection_as_owner.projection) THEN
        RAISE EXCEPTION 'projection % has no statistics', quote_ident(projection) USING ERRCODE = 'object_not_in_prerequisite_state',
            DETAIL = 'The worker has applied nothing to it yet.', HINT = 'There is nothing to rebuild. The worker fills it from the log.';
    END IF;
    DELETE FROM telemetry.audit a WHERE a.projection = rebuild_projection_as_owner.projection;
    PERFORM telemetry.add_generation(projection, 'rebuild');
END $$;
COMMENT ON FUNCTION telemetry.rebuild_projection_as_owner(text) IS 'Does the work of telemetry.rebuild_projection(). Internal.';

CREATE FUNCTION telemetry.cancel_rebuild(projection text) RETURNS void
    AS 'MODULE_PATHNAME', 'telemetry_administer_between_passes' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.cancel_rebuild(text) IS 'Ends a rebuild that is under way. The views go on to show the statistics that they show now, and the worker deletes those of the rebuild. Errors: 22023 for an unknown projection, 55000 if no rebuild is under way.';

CREATE FUNCTION telemetry.cancel_rebuild_as_owner(projection text) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM telemetry.require_projection(projection);
    DELETE FROM telemetry.parked_event p USING telemetry.cursor c
    WHERE c.projection = cancel_rebuild_as_owner.projection AND c.purpose = 'rebuild' AND p.projection = c.projection AND p.generation = c.generation;
    DELETE FROM telemetry.cursor c WHERE c.projection = cancel_rebuild_as_owner.projection AND c.purpose = 'rebuild';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'projection % is not being rebuilt', quote_ident(projection) USING ERRCODE = 'object_not_in_prerequisite_state',
            DETAIL = 'The last rebuild has ended, or there was none.', HINT = 'telemetry.projection_status.rebuilt_events shows rebuilds that are under way.';
    END IF;
END $$;
COMMENT ON FUNCTION telemetry.cancel_rebuild_as_owner(text) IS 'Does the work of telemetry.cancel_rebuild(). Internal.';
