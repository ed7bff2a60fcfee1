-- The worker calls these functions between its passes. The first ones make and fill further generations of a projection: rebuild,
-- baseline, audit.

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

CREATE FUNCTION telemetry.advance_baselines(batch bigint) RETURNS void
    AS 'MODULE_PATHNAME', 'telemetry_administer_between_passes' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.advance_baselines(bigint) IS 'Lets the baseline of each projection go on to this batch at least; one that has none gets one, if it was applied before. The projector does the work. When every telemetry.cursor has passed a batch, no projection needs the readings up to it any more: a rebuild begins with the baseline. The projector waits until the transaction ends. Internal.';

CREATE FUNCTION telemetry.advance_baselines_as_owner(batch bigint) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    lacking text;
BEGIN
    FOR lacking IN SELECT p.projection FROM telemetry.projection p JOIN telemetry.cursor u ON u.projection = p.projection AND u.purpose = 'current'
                   WHERE p.handler IS NULL AND NOT EXISTS (SELECT FROM telemetry.cursor c WHERE c.projection = p.projection AND c.purpose = 'baseline') LOOP
        PERFORM telemetry.add_generation(lacking, 'baseline');
    END LOOP;
    UPDATE telemetry.cursor c SET until_batch = batch WHERE c.purpose = 'baseline' AND c.until_batch < batch;
END $$;
COMMENT ON FUNCTION telemetry.advance_baselines_as_owner(bigint) IS 'Does the work of telemetry.advance_baselines(). Internal.';

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

CREATE FUNCTION telemetry.clear_quarantine(retention interval, max_rows bigint) RETURNS boolean LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
    portion CONSTANT integer := 2000;
    cleared bigint := 0;
    first_kept bigint;
BEGIN
    IF retention IS NOT NULL THEN
        DELETE FROM telemetry.rejected_readings r WHERE r.ctid = ANY (ARRAY(
            SELECT o.ctid FROM telemetry.rejected_readings o WHERE coalesce(o.last_received_at, o.received_at) < clock_timestamp() - retention
            ORDER BY coalesce(o.last_received_at, o.received_at) LIMIT portion FOR UPDATE SKIP LOCKED));
        GET DIAGNOSTICS cleared = ROW_COUNT;
    END IF;
    IF cleared >= portion THEN RETURN true; END IF;
    -- The ids have gaps, but they are distinct. So where the span of ids is no wider than that, no row needs to be counted.
    IF (SELECT max(r.rejected_id) FROM telemetry.rejected_readings r) - (SELECT min(r.rejected_id) FROM telemetry.rejected_readings r) >= max_rows THEN
        first_kept := (SELECT r.rejected_id FROM telemetry.rejected_readings r ORDER BY r.rejected_id DESC OFFSET max_rows - 1 LIMIT 1);
        DELETE FROM telemetry.rejected_readings r WHERE r.ctid = ANY (ARRAY(
            SELECT o.ctid FROM telemetry.rejected_readings o WHERE o.rejected_id < first_kept ORDER BY o.rejected_id LIMIT portion FOR UPDATE SKIP LOCKED));
        GET DIAGNOSTICS cleared = ROW_COUNT;
    END IF;
    RETURN cleared >= portion;
END $$;
COMMENT ON FUNCTION telemetry.clear_quarantine(interval, bigint) IS 'Deletes up to 4,000 rejected readings that are older than that, and the oldest ones beyond that number; NULL: no limit. It passes over rows that are locked, so nobody waits. Returns true if more may be left. Internal.';

CREATE FUNCTION telemetry.clear_verdicts(retention interval) RETURNS boolean LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
    portion CONSTANT integer := 200;
    cleared bigint;
BEGIN
    DELETE FROM telemetry.batch_verdict v WHERE v.ctid = ANY (ARRAY(
        SELECT o.ctid FROM telemetry.batch_verdict o WHERE o.received_at < clock_timestamp() - retention ORDER BY o.received_at LIMIT portion FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS cleared = ROW_COUNT;
    RETURN cleared >= portion;
END $$;
COMMENT ON FUNCTION telemetry.clear_verdicts(interval) IS 'Deletes up to 200 rows of telemetry.batch_verdict that are older than that. Returns true if more may be left. Internal.';
