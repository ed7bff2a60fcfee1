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
CREATE FUNCTION telemetry.set_metric(name text, kind text) RETURNS void
    AS 'MODULE_PATHNAME', 'telemetry_administer' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.set_metric(text, text) IS
'Says that a metric is a gauge or a counter; a metric of which nothing was said is a gauge. Of a counter, the statistics of devices by minute, hour, day and other buckets have its increase and resets besides. temperature and humidity may be counters, too.
It changes only what is applied from now on, and the increase of a bucket that has older readings stays NULL. telemetry.rebuild_projection() computes the history of a projection again. 22023 for an unknown kind and an empty name.';

CREATE FUNCTION telemetry.set_metric_as_owner(name text, kind text) RETURNS void LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF name IS NULL OR name = '' THEN
        RAISE EXCEPTION 'a metric needs a name' USING ERRCODE = 'invalid_parameter_value', DETAIL = format('The name is %L.', name), HINT = 'Give the name under which readings have it.';
    END IF;
    IF kind IS NULL OR kind NOT IN ('gauge', 'counter') THEN
        RAISE EXCEPTION 'unknown kind of metric' USING ERRCODE = 'invalid_parameter_value', DETAIL = format('The kind is %L.', kind), HINT = 'Kinds are: gauge, counter.';
    END IF;
    IF kind = COALESCE((SELECT m.kind FROM telemetry.metric m WHERE m.name = set_metric_as_owner.name), 'gauge') THEN RETURN; END IF;
    INSERT INTO telemetry.metric (name, kind) VALUES (set_metric_as_owner.name, set_metric_as_owner.kind)
    ON CONFLICT ON CONSTRAINT metric_pkey DO UPDATE SET kind = excluded.kind;
    RAISE NOTICE 'metric % is a % from now on', quote_ident(name), kind
        USING DETAIL = 'What projections have applied stays as it is.', HINT = 'SELECT telemetry.rebuild_projection(...) computes the history of a projection again.';
END $$;
COMMENT ON FUNCTION telemetry.set_metric_as_owner(text, text) IS 'Does the work of telemetry.set_metric(). Internal.';

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

-- These functions make and fill further generations of a projection: rebuild, baseline, audit.
CREATE FUNCTION telemetry.add_generation(projection text, purpose text) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    greatest_stored integer;
BEGIN
    -- Nobody else adds one meanwhile.
    PERFORM FROM telemetry.projection p WHERE p.projection = add_generation.projection FOR UPDATE;
    EXECUTE format('SELECT max(s.generation) FROM telemetry.%I s', 'state_' || projection) INTO greatest_stored;
    INSERT INTO telemetry.cursor (projection, generation, purpose, is_filled, is_copied, batch_id, events, as_of, until_batch)
    SELECT add_generation.projection, COALESCE(greatest(greatest_stored, max(c.generation)), 0) + 1, add_generation.purpose, false, count(*) FILTER (WHERE c.purpose = 'baseline') = 0, 0, 0, '-infinity', 0
    FROM telemetry.cursor c WHERE c.projection = add_generation.projection;
END $$;
COMMENT ON FUNCTION telemetry.add_generation(text, text) IS 'Makes a generation of a projection, which begins with the rows of the baseline if there is one. Internal.';

CREATE FUNCTION telemetry.advance_baselines(batch bigint) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    lacking text;
BEGIN
    FOR lacking IN SELECT p.projection FROM telemetry.projection p JOIN telemetry.cursor u ON u.projection = p.projection AND u.purpose = 'current'
                   WHERE p.handler IS NULL AND NOT EXISTS (SELECT FROM telemetry.cursor c WHERE c.projection = p.projection AND c.purpose = 'baseline') LOOP
        PERFORM telemetry.add_generation(lacking, 'baseline');
    END LOOP;
    UPDATE telemetry.cursor c SET until_batch = batch WHERE c.purpose = 'baseline' AND c.until_batch < batch;
END $$;
COMMENT ON FUNCTION telemetry.advance_baselines(bigint) IS 'Lets the baseline of each projection go on to this batch at least; one that has none gets one, if it was applied before. The projector does the work. When every telemetry.cursor has passed a batch, no projection needs the readings up to it any more: a rebuild begins with the baseline. Internal.';

-- The worker calls these between its passes.
CREATE FUNCTION telemetry.make_automatic(relation regclass) RETURNS void
    AS 'MODULE_PATHNAME', 'telemetry_make_automatic' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.make_automatic(regclass) IS 'Lets DROP EXTENSION drop a relation. A dump carries the relation, and not that property. Internal.';

CREATE FUNCTION telemetry.adopt_relations() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM telemetry.make_automatic(r.relation)
    FROM telemetry.projection p
    CROSS JOIN LATERAL (VALUES (to_regclass(format('telemetry.%I', 'state_' || p.projection))), (to_regclass(format('telemetry.%I', p.projection || '_stats'))), (to_regclass(format('telemetry.%I', p.projection || '_stats_live')))) AS r (relation)
    WHERE NOT p.is_own AND p.handler IS NULL AND r.relation IS NOT NULL
      AND NOT EXISTS (SELECT FROM pg_depend d JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
                      WHERE d.classid = 'pg_class'::regclass AND d.objid = r.relation AND e.extname = 'telemetry_cqrs');
END $$;
COMMENT ON FUNCTION telemetry.adopt_relations() IS 'Lets DROP EXTENSION drop the tables and views of projections that telemetry.create_projection() made, also in a restored database. Internal.';

CREATE FUNCTION telemetry.clear_generations(projection text) RETURNS boolean LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
    cleared bigint;
BEGIN
    -- A projection without a cursor was restored without its positions, or its first pass is under way.
    IF NOT EXISTS (SELECT FROM telemetry.cursor c WHERE c.projection = clear_generations.projection) THEN RETURN false; END IF;
    EXECUTE format($delete$
        WITH RECURSIVE stored AS (
            SELECT (SELECT min(s.generation) FROM telemetry.%1$I s) AS generation
            UNION ALL
            SELECT (SELECT min(s.generation) FROM telemetry.%1$I s WHERE s.generation > p.generation) FROM stored p WHERE p.generation IS NOT NULL
        )
        DELETE FROM telemetry.%1$I s WHERE s.ctid = ANY (ARRAY(
            SELECT o.ctid FROM stored g CROSS JOIN LATERAL (SELECT r.ctid FROM telemetry.%1$I r WHERE r.generation = g.generation LIMIT 20000) AS o
            WHERE g.generation NOT IN (SELECT c.generation FROM telemetry.cursor c WHERE c.projection = $1) LIMIT 20000))$delete$, 'state_' || projection) USING projection;
    GET DIAGNOSTICS cleared = ROW_COUNT;
    RETURN cleared >= 20000;
END $$;
COMMENT ON FUNCTION telemetry.clear_generations(text) IS 'Deletes up to 20,000 rows of generations that no cursor has. Returns true if more may be left. Internal.';

CREATE FUNCTION telemetry.copy_baseline(projection text, target integer) RETURNS void LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
    base CONSTANT telemetry.cursor := (SELECT c FROM telemetry.cursor c WHERE c.projection = copy_baseline.projection AND c.purpose = 'baseline');
    copied bigint;
BEGIN
    EXECUTE format($insert$
        WITH last_row AS MATERIALIZED (SELECT l.key, l.bucket, l.part FROM telemetry.%1$I l WHERE l.generation = $1 ORDER BY l.generation DESC, l.key DESC, l.bucket DESC, l.part DESC LIMIT 1)
        INSERT INTO telemetry.%1$I (generation, key, bucket, part, sample_count, first_seen, last_seen, last_received_at, region, metric_names, summaries)
        SELECT $1, s.key, s.bucket, s.part, s.sample_count, s.first_seen, s.last_seen, s.last_received_at, s.region, s.metric_names, s.summaries FROM telemetry.%1$I s
        WHERE s.generation = $2 AND (s.key, s.bucket, s.part) > (COALESCE((SELECT key FROM last_row), ''), COALESCE((SELECT bucket FROM last_row), '-infinity'), COALESCE((SELECT part FROM last_row), -1))
        ORDER BY s.generation, s.key, s.bucket, s.part LIMIT 10000$insert$, 'state_' || projection) USING target, base.generation;
    GET DIAGNOSTICS copied = ROW_COUNT;
    IF copied = 10000 THEN RETURN; END IF;
    INSERT INTO telemetry.parked_event (projection, generation, event_id, batch_id, sqlstate, message, failed_at, failures, is_due)
    SELECT p.projection, target, p.event_id, p.batch_id, p.sqlstate, p.message, p.failed_at, p.failures, p.is_due
    FROM telemetry.parked_event p WHERE p.projection = copy_baseline.projection AND p.generation = base.generation;
    UPDATE telemetry.cursor c SET is_copied = true, batch_id = base.batch_id, events = base.events, as_of = base.as_of
    WHERE c.projection = copy_baseline.projection AND c.generation = target;
END $$;
COMMENT ON FUNCTION telemetry.copy_baseline(text, integer) IS 'Copies up to 10,000 further rows of the baseline of a projection to another generation. After the last one that generation stands where the baseline stands. The baseline stands still meanwhile. Internal.';

CREATE FUNCTION telemetry.begin_audit(audit_interval interval) RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    chosen text;
BEGIN
    SELECT c.projection INTO chosen
    FROM telemetry.projection p JOIN telemetry.cursor c ON c.projection = p.projection AND c.purpose = 'current' AND c.is_filled LEFT JOIN telemetry.audit a ON a.projection = p.projection
    WHERE p.handler IS NULL AND COALESCE(a.finished_at < now() - audit_interval, true)
      AND NOT EXISTS (SELECT FROM telemetry.pause z WHERE z.projection = p.projection)
      AND NOT EXISTS (SELECT FROM telemetry.parked_event e WHERE e.projection = p.projection)
      AND NOT EXISTS (SELECT FROM telemetry.cursor r WHERE r.projection = p.projection AND r.purpose = 'rebuild')
    ORDER BY a.finished_at NULLS FIRST, p.projection LIMIT 1;
    IF chosen IS NULL THEN RETURN false; END IF;
    INSERT INTO telemetry.audit (projection, begun_at, differences) VALUES (chosen, clock_timestamp(), 0)
    ON CONFLICT ON CONSTRAINT audit_pkey DO UPDATE SET begun_at = excluded.begun_at;
    PERFORM telemetry.add_generation(chosen, 'audit');
    RETURN true;
END $$;
COMMENT ON FUNCTION telemetry.begin_audit(interval) IS 'Begins the audit of the projection whose last one is longest ago, if that is longer than this. Returns whether there is one. Internal.';

CREATE FUNCTION telemetry.compare_audit(projection text, begin_with text) RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    audited CONSTANT integer := (SELECT c.generation FROM telemetry.cursor c WHERE c.projection = compare_audit.projection AND c.purpose = 'audit');
    end_before text;
    count_of_slice bigint;
    first_of_slice jsonb;
BEGIN
    EXECUTE format('SELECT s.key FROM telemetry.%I s WHERE s.generation = $1 AND s.key >= $2 ORDER BY s.generation, s.key OFFSET 20000 LIMIT 1', 'state_' || projection)
    INTO end_before USING audited, begin_with;
    -- Nothing lies between a text and the same text with the least character after it.
    IF end_before = begin_with THEN end_before := end_before || chr(1); END IF;
    SELECT count(*), (array_agg(to_jsonb(d)))[1] INTO count_of_slice, first_of_slice FROM telemetry.differences(projection, audited, begin_with, end_before) AS d;
    UPDATE telemetry.audit a SET differences = CASE WHEN begin_with = '' THEN 0 ELSE a.differences END + count_of_slice,
        example = CASE WHEN begin_with = '' THEN first_of_slice ELSE COALESCE(a.example, first_of_slice) END, finished_at = CASE WHEN end_before IS NULL THEN clock_timestamp() ELSE a.finished_at END
    WHERE a.projection = compare_audit.projection;
    IF end_before IS NULL THEN
        DELETE FROM telemetry.parked_event p WHERE p.projection = compare_audit.projection AND p.generation = audited;
        DELETE FROM telemetry.cursor c WHERE c.projection = compare_audit.projection AND c.generation = audited;
    END IF;
    RETURN end_before;
END $$;
COMMENT ON FUNCTION telemetry.compare_audit(text, text) IS 'Compares a projection with its audit, from a key on, and ends the audit after the last key. Returns the key to go on with; NULL: it has ended. Internal.';

CREATE FUNCTION telemetry.end_audits() RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    DELETE FROM telemetry.parked_event p USING telemetry.cursor c WHERE c.purpose = 'audit' AND p.projection = c.projection AND p.generation = c.generation;
    DELETE FROM telemetry.cursor c WHERE c.purpose = 'audit'
$$;
COMMENT ON FUNCTION telemetry.end_audits() IS 'Ends the audits that are under way, without a result. Internal.';

-- It visits each key by the index. So its cost follows the number of keys, and not the number of buckets that stay.
CREATE FUNCTION telemetry.clear_buckets(projection text, generation integer, begin_with text, cutoff timestamptz) RETURNS text LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
    last_key text;
    cleared bigint;
BEGIN
    EXECUTE format($delete$
        WITH RECURSIVE key AS (
            SELECT (SELECT s.key FROM telemetry.%1$I s WHERE s.generation = $1 AND s.key >= $2 ORDER BY s.generation, s.key LIMIT 1) AS key
            UNION ALL
            SELECT (SELECT s.key FROM telemetry.%1$I s WHERE s.generation = $1 AND s.key > k.key ORDER BY s.generation, s.key LIMIT 1)
            FROM key k WHERE k.key IS NOT NULL
        ), visited AS MATERIALIZED (
            SELECT k.key FROM key k WHERE k.key IS NOT NULL LIMIT 1000
        ), cleared AS (
            DELETE FROM telemetry.%1$I s WHERE s.ctid = ANY (ARRAY(
                SELECT o.ctid FROM visited v CROSS JOIN LATERAL (
                    SELECT b.ctid FROM telemetry.%1$I b WHERE b.generation = $1 AND b.key = v.key AND b.bucket < $3) AS o
                LIMIT 10000))
            RETURNING 1
        )
        SELECT max(v.key COLLATE "C"), (SELECT count(*) FROM cleared) FROM visited v$delete$, 'state_' || projection)
    INTO last_key, cleared USING generation, begin_with, cutoff;
    IF last_key IS NULL THEN RETURN NULL; END IF;
    -- Nothing lies between a text and the same text with the least character after it.
    RETURN CASE WHEN cleared >= 10000 THEN begin_with ELSE last_key || chr(1) END;
END $$;
COMMENT ON FUNCTION telemetry.clear_buckets(text, integer, text, timestamptz) IS 'Deletes up to 10,000 rows of a generation, of buckets that began before a time, of up to 1,000 keys from a key on. Returns the key to go on with; NULL: no key is left. Internal.';

CREATE FUNCTION telemetry.announce_installation() RETURNS void
    AS 'MODULE_PATHNAME', 'telemetry_announce_installation' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.announce_installation() IS 'Announces the installation when the transaction commits: the launcher looks at this database, and every session looks up the extension''s relations anew. Internal.';

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
                   'telemetry.projection_status, telemetry.pipeline_status, telemetry.stat_ingest, telemetry.batch TO %s', role);
    EXECUTE format('GRANT EXECUTE ON FUNCTION telemetry.sample_count(telemetry.summary), telemetry.avg(telemetry.summary), '
                   'telemetry.stddev(telemetry.summary), telemetry.minimum(telemetry.summary), telemetry.maximum(telemetry.summary), '
                   'telemetry.first_value(telemetry.summary), telemetry.first_at(telemetry.summary), '
                   'telemetry.last_value(telemetry.summary), telemetry.last_at(telemetry.summary), '
                   'telemetry.quantile(telemetry.summary, double precision), telemetry.increase(telemetry.summary), telemetry.resets(telemetry.summary), '
                   'telemetry.summary(double precision, timestamptz), telemetry.counter_summary(double precision, timestamptz), telemetry.merge(telemetry.summary), '
                   'telemetry.read_events(bigint), telemetry.follow_from(bigint), telemetry.as_of(text), telemetry.projection_tail(text), telemetry.worker_status(), '
                   'telemetry.wait_for(text, interval, text), telemetry.library_version(), telemetry.ingest_statistics(), telemetry.log_status(), telemetry.batch_tail(), telemetry.folded_tail(text), '
                   'telemetry.has_overlap(telemetry.summary), telemetry.recounted(telemetry.summary, text, text, timestamptz, text), telemetry.with_known_resets(telemetry.summary), '
                   'telemetry.series(text, text, timestamptz, timestamptz, integer, text, text, text), telemetry.region_series(text, text, timestamptz, timestamptz, integer, text, text), '
                   'telemetry.series_of(text, text, text, timestamptz, timestamptz, integer, text, text, text) TO %s', role);
    FOR view_name IN SELECT p.projection || '_stats' FROM telemetry.projection p WHERE NOT p.is_own AND p.handler IS NULL LOOP
        EXECUTE format('GRANT SELECT ON telemetry.%I, telemetry.%I TO %s', view_name, view_name || '_live', role);
    END LOOP;
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
                   'telemetry.set_cadence(text, interval), telemetry.set_retention(text, interval), telemetry.set_failure_policy(text, text), telemetry.replay_parked(text, bigint[]), telemetry.set_metric(text, text), '
                   'telemetry.create_projection(text, text, interval, text[], text, text[], boolean, interval), telemetry.create_handler_projection(text, regprocedure, boolean), telemetry.drop_projection(text), telemetry.rebuild_projection(text), telemetry.cancel_rebuild(text), telemetry.verify_projection(text) TO %s', role);
    EXECUTE format('GRANT EXECUTE ON PROCEDURE telemetry.project_once() TO %s', role);
    EXECUTE format('GRANT SELECT ON telemetry.device, telemetry.rejected_readings, telemetry.batcher, telemetry.cursor, telemetry.epoch, telemetry.projection_failure, telemetry.projection, telemetry.projection_setting, telemetry.parked_event, telemetry.audit, telemetry.pause, telemetry.metric TO %s', role);
END $$;
COMMENT ON FUNCTION telemetry.grant_admin(regrole) IS 'Lets a role read, send, register devices, run, pause and resume projections, look at rejected readings, and see what is missing or wrong. The extension''s owner and superusers may call it.';
