-- The aggregates summary(value, at) and merge(summary) equal plain SQL, in any order and in parallel.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS telemetry_cqrs;
RESET client_min_messages;
SET timezone = 'UTC';

-- 300,000 values in an order of their own, around 20 and around 0, with zeros and repeated times.
CREATE TEMP TABLE numbers AS
    SELECT i, (1 + (hashint4extended(i, 1) & 1048575)) / 1048577::float8 AS u, (hashint4extended(i, 2) & 1048575) / 1048576::float8 AS v
    FROM generate_series(1, 300000) AS i;
CREATE TABLE measured AS
    SELECT (i % 7)::int AS device, '2024-05-01'::timestamptz + (i::bigint * 7919 % 100003) * interval '1 second' AS at,
           (20 + 5 * sqrt(-2 * ln(u)) * cos(2 * pi() * v))::float8 AS warm,
           CASE WHEN i % 50 = 0 THEN 0 ELSE (sqrt(-2 * ln(u)) * sin(2 * pi() * v))::float8 END AS around_zero,
           CASE WHEN i % 3 = 0 THEN (exp(40 * (v - 0.5)))::float8 END AS wide
    FROM numbers ORDER BY hashint4extended(i, 3);
ANALYZE measured;

-- Each row names a statistic that differs from that of plain SQL.
CREATE FUNCTION pg_temp.differences(s telemetry.summary, name text, way text) RETURNS TABLE (what text) LANGUAGE plpgsql AS $$
DECLARE
    plain record;
BEGIN
    EXECUTE format($q$ SELECT count(%1$I), min(%1$I), max(%1$I), avg(%1$I), stddev(%1$I),
        (array_agg(%1$I ORDER BY at, %1$I) FILTER (WHERE %1$I IS NOT NULL))[1] AS first_value,
        (array_agg(%1$I ORDER BY at DESC, %1$I DESC) FILTER (WHERE %1$I IS NOT NULL))[1] AS last_value,
        min(at) FILTER (WHERE %1$I IS NOT NULL) AS first_at, max(at) FILTER (WHERE %1$I IS NOT NULL) AS last_at FROM measured $q$, name) INTO plain;
    RETURN QUERY SELECT concat_ws(' ', way, name, w.what) FROM (VALUES
        ('count', telemetry.sample_count(s) = plain.count), ('min', telemetry.minimum(s) = plain.min), ('max', telemetry.maximum(s) = plain.max),
        ('first_value', telemetry.first_value(s) = plain.first_value), ('first_at', telemetry.first_at(s) = plain.first_at),
        ('last_value', telemetry.last_value(s) = plain.last_value), ('last_at', telemetry.last_at(s) = plain.last_at),
        ('avg', abs(telemetry.avg(s) - plain.avg) <= 1e-12 + 1e-9 * abs(plain.avg)),
        ('stddev', abs(telemetry.stddev(s) - plain.stddev) <= 1e-12 + 1e-9 * plain.stddev)) AS w (what, is_equal) WHERE is_equal IS NOT TRUE;
    RETURN QUERY EXECUTE format($q$ SELECT concat_ws(' ', %2$L, %3$L, 'quantile', f) FROM unnest($2, (SELECT percentile_disc($2) WITHIN GROUP (ORDER BY %3$I) FROM measured)) AS p (f, exact)
        WHERE (abs(telemetry.quantile($1, f) - exact) <= CASE WHEN f IN (0, 1) THEN 0 ELSE 0.01 * abs(exact) + 1e-12 END) IS NOT TRUE $q$, s, way, name)
        USING s, ARRAY[0, 0.001, 0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.9999, 1]::float8[];
END $$;

CREATE TEMP TABLE results (way text, warm telemetry.summary, around_zero telemetry.summary, wide telemetry.summary);
SET max_parallel_workers_per_gather = 0;
INSERT INTO results SELECT 'serial', telemetry.summary(warm, at), telemetry.summary(around_zero, at), telemetry.summary(wide, at) FROM measured;
INSERT INTO results SELECT 'sorted', telemetry.summary(warm, at ORDER BY warm), telemetry.summary(around_zero, at ORDER BY around_zero DESC),
    telemetry.summary(wide, at ORDER BY wide) FROM measured;
INSERT INTO results SELECT 'merged', telemetry.merge(warm), telemetry.merge(around_zero), telemetry.merge(wide)
FROM (SELECT telemetry.summary(warm, at) AS warm, telemetry.summary(around_zero, at) AS around_zero, telemetry.summary(wide, at) AS wide FROM measured GROUP BY device) AS parts;
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET parallel_leader_participation = off;
EXPLAIN (COSTS OFF) SELECT telemetry.summary(warm, at) FROM measured;
CREATE TEMP TABLE parallel AS
    SELECT 'parallel' AS way, telemetry.summary(warm, at) AS warm, telemetry.summary(around_zero, at) AS around_zero, telemetry.summary(wide, at) AS wide FROM measured;
INSERT INTO results SELECT * FROM parallel;
CREATE TABLE hourly AS
    SELECT device, date_trunc('hour', at) AS hour, telemetry.summary(warm, at) AS warm, telemetry.summary(around_zero, at) AS around_zero, telemetry.summary(wide, at) AS wide
    FROM measured GROUP BY 1, 2;
ANALYZE hourly;
EXPLAIN (COSTS OFF) SELECT telemetry.merge(warm) FROM hourly;
CREATE TEMP TABLE parallel_merge AS
    SELECT 'parallel merge' AS way, telemetry.merge(warm) AS warm, telemetry.merge(around_zero) AS around_zero, telemetry.merge(wide) AS wide FROM hourly;
INSERT INTO results SELECT * FROM parallel_merge;
RESET max_parallel_workers_per_gather;
RESET parallel_leader_participation;

SELECT count(*) FROM results;
CREATE TEMP VIEW by_metric AS
    SELECT way, name, s FROM results, LATERAL (VALUES ('warm', warm), ('around_zero', around_zero), ('wide', wide)) AS c (name, s);
SELECT d.* FROM by_metric, pg_temp.differences(s, name, way) AS d WHERE way = 'serial';
-- But for the last digits of mean and M2 all results are the same.
SELECT name, count(*), count(DISTINCT s::text::jsonb - 'mean' - 'm2') AS results, max(telemetry.avg(s)) - min(telemetry.avg(s)) <= 1e-12 + 1e-9 * abs(max(telemetry.avg(s))) AS same_avg,
       max(telemetry.stddev(s)) - min(telemetry.stddev(s)) <= 1e-9 * max(telemetry.stddev(s)) AS same_stddev
FROM by_metric GROUP BY name ORDER BY name;
-- The deviation is a quarter of the mean, so the values need some hundred bins.
SELECT pg_column_size(warm) < 800 AS is_small FROM results WHERE way = 'serial';

-- NULL is skipped, and the aggregate of nothing is NULL.
SELECT telemetry.summary(NULL, now()), telemetry.summary(1, NULL), telemetry.merge(NULL);
SELECT telemetry.summary(1, now()), telemetry.merge(warm) FROM results WHERE false;
SELECT telemetry.summary(value, at) FROM (VALUES (1, '2000-01-01 00:00+00'::timestamptz), (NULL, '2000-01-01 00:01+00'), (3, NULL), (-0.0, '2000-01-01 00:02+00')) AS v (value, at);
-- Windows work too: a frame that grows.
SELECT telemetry.sample_count(s), telemetry.quantile(s, 1) FROM (SELECT i, telemetry.summary(i, '2000-01-01') OVER (ORDER BY i) AS s FROM generate_series(1, 3) AS i) AS w ORDER BY i;

-- One summary without a sketch leaves the result without one. There are no quantiles then, and everything else is there.
CREATE TEMP TABLE mixed AS
    SELECT '{"version":1,"count":2,"mean":3,"m2":2,"min":2,"max":4,"first_value":2,"last_value":4,"first_at":0,"last_at":1}'::telemetry.summary AS s
    UNION ALL SELECT telemetry.summary(9, '2000-01-01 00:00:01+00');
SELECT telemetry.quantile(s, 0.5) FROM mixed ORDER BY telemetry.minimum(s);
SELECT telemetry.merge(s ORDER BY telemetry.minimum(s)) AS one, telemetry.merge(s ORDER BY telemetry.minimum(s) DESC) AS other FROM mixed;

-- Of values so far apart that they would need more than 2,048 bins, the least magnitudes count as zeros, in each order.
SELECT count(DISTINCT s::text::jsonb - 'mean' - 'm2'), max(jsonb_array_length(s::text::jsonb #> '{sketch,positive}')), max(s::text::jsonb #>> '{sketch,zero}'), bool_and(telemetry.quantile(s, 0.1) = 1e-300)
FROM (SELECT telemetry.summary(v, '2000-01-01' ORDER BY v) AS s FROM (SELECT 10 ^ (-300 + i * 0.2)::float8 AS v FROM generate_series(0, 2999) AS i) AS a
      UNION ALL SELECT telemetry.summary(v, '2000-01-01' ORDER BY v DESC) FROM (SELECT 10 ^ (-300 + i * 0.2)::float8 AS v FROM generate_series(0, 2999) AS i) AS b) AS both_orders;

-- Values that no statistic can hold, and fractions that mean nothing, are refused.
SELECT telemetry.summary('NaN', now());
SELECT telemetry.summary('-Infinity', now());
SELECT telemetry.summary(1, 'infinity');
SELECT telemetry.quantile(warm, f) FROM results, unnest(ARRAY[1.5]) AS f WHERE way = 'serial';
SELECT telemetry.quantile(warm, 'NaN') FROM results WHERE way = 'serial';
SELECT telemetry.quantile(NULL, 7);

DROP TABLE measured, hourly;
