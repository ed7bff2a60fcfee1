-- Compares a projection with its baseline and the log.

CREATE FUNCTION telemetry.differences(projection text, base integer, first_key text, end_before text, OUT key text, OUT bucket timestamptz, OUT metric text, OUT found jsonb, OUT expected jsonb) RETURNS SETOF record
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    cutoff timestamptz;
BEGIN
    -- A bucket that the worker may be deleting, or that a late reading has made anew, is left out.
    SELECT COALESCE(now() - s.retention + p.bucket, '-infinity') INTO cutoff
    FROM telemetry.projection p LEFT JOIN telemetry.projection_setting s ON s.projection = p.projection WHERE p.projection = differences.projection;
    cutoff := COALESCE(cutoff, '-infinity');
    RETURN QUERY EXECUTE format($query$
        WITH found AS MATERIALIZED (
            SELECT d.key, d.bucket, d.sample_count, d.first_seen, d.last_seen, d.last_received_at, d.region, d.metric_names, d.summaries
            FROM telemetry.%1$I d WHERE d.generation = (SELECT telemetry.shown_generation($1, false)) AND d.bucket >= $2 AND d.key >= $4 AND ($5 IS NULL OR d.key < $5)
            UNION ALL SELECT t.* FROM telemetry.folded_tail($1) AS t WHERE t.bucket >= $2 AND t.key COLLATE "C" >= $4 AND ($5 IS NULL OR t.key COLLATE "C" < $5)
        ), expected AS MATERIALIZED (
            SELECT d.key, d.bucket, d.sample_count, d.first_seen, d.last_seen, d.last_received_at, d.region, d.metric_names, d.summaries
            FROM telemetry.%1$I d WHERE d.generation = $3 AND d.bucket >= $2 AND d.key >= $4 AND ($5 IS NULL OR d.key < $5)
            UNION ALL SELECT l.* FROM telemetry.folded_log($1, $3) AS l WHERE l.bucket >= $2 AND l.key COLLATE "C" >= $4 AND ($5 IS NULL OR l.key COLLATE "C" < $5)
        ), found_group AS (
            SELECT f.key, f.bucket, sum(f.sample_count) AS sample_count, min(f.first_seen) AS first_seen, max(f.last_seen) AS last_seen, max(f.last_received_at) AS last_received_at,
                   (array_agg(f.region ORDER BY f.last_seen DESC NULLS LAST, f.region DESC NULLS LAST))[1] AS region FROM found f GROUP BY f.key, f.bucket
        ), expected_group AS (
            SELECT e.key, e.bucket, sum(e.sample_count) AS sample_count, min(e.first_seen) AS first_seen, max(e.last_seen) AS last_seen, max(e.last_received_at) AS last_received_at,
                   (array_agg(e.region ORDER BY e.last_seen DESC NULLS LAST, e.region DESC NULLS LAST))[1] AS region FROM expected e GROUP BY e.key, e.bucket
        ), found_metric AS (
            SELECT g.key, g.bucket, g.metric, CASE WHEN telemetry.has_overlap(g.s) THEN telemetry.recounted(g.s, $1, g.key, g.bucket, g.metric) ELSE g.s END AS s
            FROM (SELECT f.key, f.bucket, m.metric, telemetry.merge(m.summary) AS s
                  FROM found f CROSS JOIN LATERAL (SELECT unnest(ARRAY['temperature', 'humidity'] || f.metric_names) AS metric, unnest(f.summaries) AS summary) AS m WHERE m.summary IS NOT NULL GROUP BY 1, 2, 3) AS g
        ), expected_metric AS (
            SELECT g.key, g.bucket, g.metric, CASE WHEN telemetry.has_overlap(g.s) THEN telemetry.recounted(g.s, $1, g.key, g.bucket, g.metric) ELSE g.s END AS s
            FROM (SELECT e.key, e.bucket, m.metric, telemetry.merge(m.summary) AS s
                  FROM expected e CROSS JOIN LATERAL (SELECT unnest(ARRAY['temperature', 'humidity'] || e.metric_names) AS metric, unnest(e.summaries) AS summary) AS m WHERE m.summary IS NOT NULL GROUP BY 1, 2, 3) AS g
        )
        SELECT key, bucket, NULL::text, to_jsonb(f) - ARRAY['key', 'bucket'], to_jsonb(e) - ARRAY['key', 'bucket']
        FROM found_group f FULL JOIN expected_group e USING (key, bucket)
        WHERE (f.sample_count, f.first_seen, f.last_seen, f.last_received_at, f.region) IS DISTINCT FROM (e.sample_count, e.first_seen, e.last_seen, e.last_received_at, e.region)
        UNION ALL
        SELECT key, bucket, metric, f.s::text::jsonb, e.s::text::jsonb
        FROM found_metric f FULL JOIN expected_metric e USING (key, bucket, metric)
        WHERE NOT COALESCE(
            (telemetry.sample_count(f.s), telemetry.minimum(f.s), telemetry.maximum(f.s), telemetry.first_value(f.s), telemetry.first_at(f.s), telemetry.last_value(f.s), telemetry.last_at(f.s))
            = (telemetry.sample_count(e.s), telemetry.minimum(e.s), telemetry.maximum(e.s), telemetry.first_value(e.s), telemetry.first_at(e.s), telemetry.last_value(e.s), telemetry.last_at(e.s))
            AND (f.s::text::jsonb -> 'sketch') IS NOT DISTINCT FROM (e.s::text::jsonb -> 'sketch')
            -- Where the log has lost readings of a counter, nobody knows its resets.
            AND (telemetry.has_overlap(f.s) OR telemetry.has_overlap(e.s)
                 OR telemetry.resets(f.s) IS NOT DISTINCT FROM telemetry.resets(e.s)
                    AND (telemetry.increase(f.s) IS NOT DISTINCT FROM telemetry.increase(e.s)
                         OR abs(telemetry.increase(f.s)::numeric - telemetry.increase(e.s)::numeric) <= 1e-9 * abs(telemetry.increase(e.s)::numeric)))
            -- numeric, because a product of doubles can underflow. Values of both signs may cancel out, so the greatest one counts as well.
            AND (telemetry.avg(f.s) = telemetry.avg(e.s)
                 OR abs(telemetry.avg(f.s)::numeric - telemetry.avg(e.s)::numeric) <= greatest(1e-9 * abs(telemetry.avg(e.s)::numeric),
                        1e-14 * greatest(abs(telemetry.minimum(e.s)), abs(telemetry.maximum(e.s)))::numeric, 1e-12))
            AND (telemetry.stddev(f.s) IS NOT DISTINCT FROM telemetry.stddev(e.s)
                 OR abs(telemetry.stddev(f.s)::numeric - telemetry.stddev(e.s)::numeric) <= greatest(1e-9 * telemetry.stddev(e.s)::numeric,
                        1e-14 * greatest(abs(telemetry.minimum(e.s)), abs(telemetry.maximum(e.s)))::numeric, 1e-12)), false)
        ORDER BY 1, 2, 3$query$, 'state_' || projection) USING projection, cutoff, base, first_key, end_before;
END $$;
COMMENT ON FUNCTION telemetry.differences(text, integer, text, text) IS 'Compares a projection and its tail with another generation of it and the readings that this one has not consumed (NULL: with the whole log), for a range of keys. telemetry.verify_projection() calls it. Internal.';

CREATE FUNCTION telemetry.verify_projection(projection text, OUT key text, OUT bucket timestamptz, OUT metric text, OUT found jsonb, OUT expected jsonb) RETURNS SETOF record
    LANGUAGE plpgsql STABLE STRICT PARALLEL RESTRICTED SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM telemetry.require_projection(projection);
    PERFORM telemetry.require_statistics(projection);
    RETURN QUERY SELECT * FROM telemetry.differences(projection, (SELECT c.generation FROM telemetry.cursor c WHERE c.projection = verify_projection.projection AND c.purpose = 'baseline'), '', NULL);
END $$;
COMMENT ON FUNCTION telemetry.verify_projection(text) IS 'Computes a projection from its baseline and the log, compares that with its state and the readings that it has not applied yet, and returns what differs: a row for each key, bucket and metric; metric is NULL for what a key has beside metrics. No row: the projection is right. avg, stddev and increase may differ by 1e-9, or by 1e-14 of the greatest value, as they depend on the order of adding. It reads the whole log, or what comes after the baseline, in the caller''s snapshot, and its temporary files grow with the number of keys and buckets. Buckets that retention deletes are left out. telemetry.rebuild_projection() mends what it finds. 22023 for an unknown projection.';
