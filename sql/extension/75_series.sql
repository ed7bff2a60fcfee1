-- A series of one metric, at the resolution that a chart needs.

CREATE FUNCTION telemetry.thinned(times timestamptz[], "values" double precision[], minima double precision[], maxima double precision[], max_points integer, thinning text) RETURNS integer[]
    AS 'MODULE_PATHNAME', 'telemetry_thin_series' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION telemetry.thinned(timestamptz[], double precision[], double precision[], double precision[], integer, text) IS 'Returns the numbers of the points that stay. The arrays are of one length, without NULL and ascend by time. Internal.';

-- This function reads the log. Its statement has one condition for each grain, because the log has an index by device and time.
CREATE FUNCTION telemetry.raw_values(grain text, key text, metric text, begins timestamptz, first_ends timestamptz, second_begins timestamptz, ends timestamptz, OUT at timestamptz, OUT value double precision) RETURNS SETOF record
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF begins >= first_ends AND second_begins >= ends THEN RETURN; END IF;
    RETURN QUERY EXECUTE format(
        'SELECT r.at, r.value FROM (
             SELECT m.measured_at AS at, CASE $2 WHEN ''temperature'' THEN m.temperature WHEN ''humidity'' THEN m.humidity ELSE (m.metrics ->> $2)::double precision END AS value
             FROM telemetry.measurements m WHERE %s AND (m.measured_at >= $3 AND m.measured_at < $4 OR m.measured_at >= $5 AND m.measured_at < $6)) AS r
         WHERE r.value IS NOT NULL',
        CASE grain WHEN 'device' THEN 'm.device_id = $1' ELSE 'm.region IS NOT DISTINCT FROM NULLIF($1, '''')' END) USING key, metric, begins, first_ends, second_begins, ends;
END $$;
COMMENT ON FUNCTION telemetry.raw_values(text, text, text, timestamptz, timestamptz, timestamptz, timestamptz) IS 'Returns the values of a metric that a device or a region measured in two spans of time. Internal.';

-- This function finds one key and metric of a projection, the tail included.
CREATE FUNCTION telemetry.bucket_summaries(projection text, key text, metric text, begins timestamptz, ends timestamptz, OUT "time" timestamptz, OUT summary telemetry.summary) RETURNS SETOF record
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF begins >= ends THEN RETURN; END IF;
    RETURN QUERY EXECUTE format(
        'SELECT g.bucket, telemetry.with_known_resets(CASE WHEN telemetry.has_overlap(g.summary) THEN telemetry.recounted(g.summary, $1, $2, g.bucket, $3) ELSE g.summary END) FROM (
         SELECT s.bucket, telemetry.merge(m.summary) AS summary FROM (
             SELECT d.bucket, d.metric_names, d.summaries FROM telemetry.%I d
             WHERE d.generation = (SELECT telemetry.shown_generation($1, false)) AND d.key = $2 AND d.bucket >= $4 AND d.bucket < $5
             UNION ALL SELECT t.bucket, t.metric_names, t.summaries FROM telemetry.folded_tail($1) AS t WHERE t.key = $2 AND t.bucket >= $4 AND t.bucket < $5) AS s
         CROSS JOIN LATERAL (SELECT unnest(ARRAY[''temperature'', ''humidity''] || s.metric_names) AS metric, unnest(s.summaries) AS summary) AS m
         WHERE m.metric = $3 AND m.summary IS NOT NULL GROUP BY s.bucket) AS g', 'state_' || projection) USING projection, key, metric, begins, ends;
END $$;
COMMENT ON FUNCTION telemetry.bucket_summaries(text, text, text, timestamptz, timestamptz) IS 'Returns the summaries of one key and metric in the buckets that begin in a span of time. Internal.';

CREATE FUNCTION telemetry.series_of(grain text, key text, metric text, begins timestamptz, ends timestamptz, max_points integer, thinning text, time_zone text, statistic text,
    OUT "time" timestamptz, OUT value double precision, OUT min double precision, OUT max double precision) RETURNS SETOF record
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    -- The span lies inside these, whose borders are those of whole buckets.
    first_minute timestamptz;
    last_minute timestamptz;
    first_hour timestamptz;
    last_hour timestamptz;
    length double precision;
    affordable CONSTANT bigint := 10 * max_points::bigint;
    resolution text;
    points record;
BEGIN
    IF key IS NULL OR metric IS NULL OR begins IS NULL OR ends IS NULL OR max_points IS NULL OR thinning IS NULL OR time_zone IS NULL OR statistic IS NULL THEN RETURN; END IF;
    IF NOT (isfinite(begins) AND isfinite(ends)) OR ends < begins THEN
        RAISE EXCEPTION 'invalid span of time' USING ERRCODE = 'invalid_parameter_value', DETAIL = format('It is from %s to %s.', begins, ends), HINT = 'Give two finite times in their order.';
    END IF;
    IF max_points NOT BETWEEN 3 AND 100000 THEN
        RAISE EXCEPTION 'max_points is out of range' USING ERRCODE = 'invalid_parameter_value', DETAIL = format('It is %s.', max_points), HINT = 'Give a number from 3 to 100000.';
    END IF;
    IF thinning NOT IN ('minmax', 'lttb') THEN
        RAISE EXCEPTION 'unknown way of thinning' USING ERRCODE = 'invalid_parameter_value', DETAIL = format('It is %L.', thinning), HINT = 'Ways are: minmax, lttb.';
    END IF;
    IF statistic NOT IN ('avg', 'increase') THEN
        RAISE EXCEPTION 'unknown statistic' USING ERRCODE = 'invalid_parameter_value', DETAIL = format('It is %L.', statistic), HINT = 'Statistics are: avg, increase.';
    END IF;
    IF statistic = 'increase' AND NOT EXISTS (SELECT FROM telemetry.metric m WHERE m.name = metric AND m.kind = 'counter') THEN
        RAISE EXCEPTION 'metric % is no counter', quote_ident(metric) USING ERRCODE = 'invalid_parameter_value', DETAIL = 'Only a counter has an increase.',
            HINT = format('SELECT telemetry.set_metric(%L, ''counter'') makes it one.', metric);
    END IF;
    PERFORM timezone(time_zone, begins);
    first_minute := date_bin('1 minute', begins + interval '1 minute - 1 us', '2000-01-01 00:00+00');
    last_minute := date_bin('1 minute', ends, '2000-01-01 00:00+00');
    first_hour := date_bin('1 hour', begins + interval '1 hour - 1 us', '2000-01-01 00:00+00');
    last_hour := date_bin('1 hour', ends, '2000-01-01 00:00+00');
    length := extract(epoch FROM ends - begins);
    -- The finest resolution that has at most ten times as many points as are wanted.
    resolution := CASE WHEN length <= 60 * affordable THEN 'minute' WHEN length <= 3600 * affordable THEN 'hour' ELSE 'day' END;
    IF resolution = 'minute' AND COALESCE((SELECT sum(telemetry.sample_count(b.summary)) FROM telemetry.bucket_summaries(grain || '_1m', key, metric, begins - interval '1 minute', ends) AS b), 0) <= affordable THEN
        resolution := 'raw';
    END IF;
    WITH raw AS (
        SELECT r.* FROM telemetry.raw_values(grain, key, metric, begins, CASE resolution WHEN 'raw' THEN ends ELSE least(first_minute, ends) END,
                                             CASE resolution WHEN 'raw' THEN ends ELSE greatest(first_minute, last_minute) END, ends) AS r
    ), piece AS (
        SELECT r.at, COALESCE(telemetry.summary(r.value, r.at) FILTER (WHERE statistic = 'avg'), telemetry.counter_summary(r.value, r.at) FILTER (WHERE statistic = 'increase')) AS summary,
               interval '0' AS middle
        FROM raw r WHERE resolution <> 'raw' OR statistic = 'increase' GROUP BY r.at
        UNION ALL
        SELECT b.*, interval '0' FROM telemetry.bucket_summaries(grain || '_1m', key, metric, first_minute, CASE resolution WHEN 'raw' THEN first_minute WHEN 'minute' THEN last_minute ELSE least(first_hour, last_minute) END) AS b
        UNION ALL
        SELECT b.*, interval '0' FROM telemetry.bucket_summaries(grain || '_1m', key, metric, greatest(first_hour, last_hour), CASE WHEN resolution IN ('hour', 'day') THEN last_minute ELSE first_minute END) AS b
        WHERE last_hour >= first_hour
        UNION ALL
        SELECT b.*, interval '30 min - 1 us' FROM telemetry.bucket_summaries(grain || '_1h', key, metric, first_hour, CASE WHEN resolution IN ('hour', 'day') THEN last_hour ELSE first_hour END) AS b
    ), bucket AS (
        -- A whole hour belongs to the day that has its middle. If that is midnight itself, it belongs to the day before.
        SELECT greatest(CASE resolution WHEN 'raw' THEN p.at WHEN 'minute' THEN date_bin('1 minute', p.at, '2000-01-01 00:00+00') WHEN 'hour' THEN date_bin('1 hour', p.at, '2000-01-01 00:00+00')
                        ELSE date_trunc('day', p.at + p.middle, time_zone) END, begins) AS at,
               telemetry.merge(p.summary) AS summary
        FROM piece p GROUP BY 1
    ), step AS (
        -- A bucket whose resets are not known counts as one reading after the other.
        SELECT b.at, COALESCE(telemetry.increase(b.summary), CASE WHEN b.last >= b.first THEN b.last - b.first ELSE b.last END) AS inside,
               CASE WHEN b.first >= lag(b.last, 1, b.first) OVER by_time THEN b.first - lag(b.last, 1, b.first) OVER by_time ELSE b.first END AS before
        FROM (SELECT bucket.at, bucket.summary, telemetry.first_value(bucket.summary) AS first, telemetry.last_value(bucket.summary) AS last FROM bucket WHERE statistic = 'increase') AS b
        WINDOW by_time AS (ORDER BY b.at)
    ), point AS (
        SELECT b.at, telemetry.avg(b.summary) AS value, telemetry.minimum(b.summary) AS min, telemetry.maximum(b.summary) AS max FROM bucket b WHERE statistic = 'avg'
        UNION ALL SELECT r.at, r.value, r.value, r.value FROM raw r WHERE resolution = 'raw' AND statistic = 'avg'
        UNION ALL SELECT s.at, sum(s.before + s.inside) OVER by_time, sum(s.before + s.inside) OVER by_time - s.inside, sum(s.before + s.inside) OVER by_time FROM step s WINDOW by_time AS (ORDER BY s.at)
    )
    SELECT array_agg(p.at ORDER BY p.at, p.value) AS at, array_agg(p.value ORDER BY p.at, p.value) AS value, array_agg(p.min ORDER BY p.at, p.value) AS min, array_agg(p.max ORDER BY p.at, p.value) AS max
    INTO points FROM point p;
    RETURN QUERY SELECT points.at[i], points.value[i], points.min[i], points.max[i]
                 FROM unnest(telemetry.thinned(points.at, points.value, points.min, points.max, max_points, thinning)) WITH ORDINALITY AS kept (i, n) ORDER BY kept.n;
END $$;
COMMENT ON FUNCTION telemetry.series_of(text, text, text, timestamptz, timestamptz, integer, text, text, text) IS 'Does the work of telemetry.series() and telemetry.region_series(). Internal.';

CREATE FUNCTION telemetry.series(device_id text, metric_name text, "from" timestamptz, "to" timestamptz, max_points integer = 500, thinning text = 'minmax', time_zone text = 'UTC', statistic text = 'avg',
    OUT "time" timestamptz, OUT metric text, OUT value double precision, OUT min double precision, OUT max double precision) RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp AS $$
    SELECT s.time, $2, s.value, s.min, s.max FROM telemetry.series_of('device', $1, $2, $3, $4, $5, $6, $7, $8) AS s
$$;
COMMENT ON FUNCTION telemetry.series(text, text, timestamptz, timestamptz, integer, text, text, text) IS
'Returns a metric of a device from one time to before another, for a chart of at most max_points points, ascending by time. It takes the finest of raw readings, minutes, hours and days that gives at most ten times as many points, and thins these: minmax keeps the least and the greatest of neighbours, so that no peak is lost; lttb keeps the shape of the line (Largest Triangle Three Buckets, Steinarsson 2013).
value is the mean of the span for which a point stands, min and max are its least and greatest value; for a raw reading all three are the reading. time is where that span begins, and days are those of time_zone. The result is exact for the caller''s snapshot: it has only readings of the span asked for, and also those that the projections have not applied yet. In a time zone whose offset is no whole hour, a day begins with the nearest whole hour of UTC, at half past with the next one.
With statistic => ''increase'', value is how much a counter (telemetry.set_metric) has grown from the first reading of the span asked for up to the end of the span for which a point stands, and min is that up to its first reading. So the line ascends, thinning loses nothing of it, and the last point has the increase of the whole.
NULL for an argument: no row. 22023 for a span that is infinite or ends before it begins, max_points outside of 3 to 100000, an unknown thinning, time zone or statistic, and the increase of a metric that is no counter.';

CREATE FUNCTION telemetry.region_series(region text, metric_name text, "from" timestamptz, "to" timestamptz, max_points integer = 500, thinning text = 'minmax', time_zone text = 'UTC',
    OUT "time" timestamptz, OUT metric text, OUT value double precision, OUT min double precision, OUT max double precision) RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp AS $$
    SELECT s.time, $2, s.value, s.min, s.max FROM telemetry.series_of('region', COALESCE($1, ''), $2, $3, $4, $5, $6, $7, 'avg') AS s
$$;
COMMENT ON FUNCTION telemetry.region_series(text, text, timestamptz, timestamptz, integer, text, text) IS 'Returns a metric of a region as telemetry.series() returns one of a device. NULL stands for readings without a region.';
