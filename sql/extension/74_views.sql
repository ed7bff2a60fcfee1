-- These views show the statistics, as they stand and live. make_view() makes those of further projections.

-- A live view merges the rows of a state table with those that one of these functions returns. Both have the same shape.
CREATE FUNCTION telemetry.folded_tail(projection text, OUT key text, OUT bucket timestamptz, OUT sample_count bigint, OUT first_seen timestamptz,
    OUT last_seen timestamptz, OUT last_received_at timestamptz, OUT region text, OUT metric_names text[], OUT summaries telemetry.summary[]) RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'telemetry_fold_tail' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED ROWS 100;
COMMENT ON FUNCTION telemetry.folded_tail(text) IS 'Returns the statistics of the readings that a projection has not applied yet, as rows of a state table. The caller''s snapshot decides which readings these are. The uncommitted ones of the caller''s own transaction are among them. The live views call it. It costs as much as the projection is behind. 22023 for an unknown projection.';

CREATE FUNCTION telemetry.folded_log(projection text, generation integer, OUT key text, OUT bucket timestamptz, OUT sample_count bigint, OUT first_seen timestamptz,
    OUT last_seen timestamptz, OUT last_received_at timestamptz, OUT region text, OUT metric_names text[], OUT summaries telemetry.summary[]) RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'telemetry_fold_log' LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 10000;
COMMENT ON FUNCTION telemetry.folded_log(text, integer) IS 'Returns the statistics of the readings that a generation of a projection has not consumed (NULL: of all readings of the log), as rows of a state table, without those that the projection has parked. A key and bucket may have several rows. telemetry.differences() calls it. Internal.';

CREATE VIEW telemetry.device_stats AS
    SELECT key AS device_id, region, first_seen, last_seen, last_received_at, sample_count,
           telemetry.avg(summaries[1]) AS avg_temperature, telemetry.minimum(summaries[1]) AS min_temperature,
           telemetry.maximum(summaries[1]) AS max_temperature, telemetry.stddev(summaries[1]) AS stddev_temperature,
           telemetry.last_value(summaries[1]) AS last_temperature,
           telemetry.avg(summaries[2]) AS avg_humidity, telemetry.minimum(summaries[2]) AS min_humidity,
           telemetry.maximum(summaries[2]) AS max_humidity, telemetry.stddev(summaries[2]) AS stddev_humidity,
           telemetry.last_value(summaries[2]) AS last_humidity,
           (SELECT telemetry.as_of('device')) AS as_of
    FROM telemetry.state_device
    WHERE part = 0 AND generation = (SELECT telemetry.shown_generation('device', true));
COMMENT ON VIEW telemetry.device_stats IS 'Shows a row for each device, in °C and %RH. stddev_* are sample standard deviations. last_* and region are those of the reading that was measured last. The row is complete up to as_of.';

CREATE VIEW telemetry.device_metric_stats AS
    SELECT s.key AS device_id, m.metric, telemetry.sample_count(m.summary) AS sample_count,
           telemetry.avg(m.summary) AS avg, telemetry.minimum(m.summary) AS min, telemetry.maximum(m.summary) AS max,
           telemetry.stddev(m.summary) AS stddev,
           telemetry.first_value(m.summary) AS first_value, telemetry.first_at(m.summary) AS first_at,
           telemetry.last_value(m.summary) AS last_value, telemetry.last_at(m.summary) AS last_at,
           (SELECT telemetry.as_of('device')) AS as_of
    FROM telemetry.state_device s
    CROSS JOIN LATERAL (SELECT unnest(ARRAY['temperature', 'humidity'] || s.metric_names) AS metric, unnest(s.summaries) AS summary) AS m
    WHERE m.summary IS NOT NULL AND s.generation = (SELECT telemetry.shown_generation('device', true));
COMMENT ON VIEW telemetry.device_metric_stats IS 'Shows a row for each device and metric, temperature and humidity among them. sample_count counts the values that were not NULL.';

-- Rows without a region come from a branch of their own, because NULLIF(region, '') would keep a query for one region from using the
-- index.
CREATE VIEW telemetry.region_stats AS
    SELECT region, first_seen, last_seen, last_received_at, sample_count,
           telemetry.avg(summaries[1]) AS avg_temperature, telemetry.minimum(summaries[1]) AS min_temperature,
           telemetry.maximum(summaries[1]) AS max_temperature, telemetry.stddev(summaries[1]) AS stddev_temperature,
           telemetry.last_value(summaries[1]) AS last_temperature,
           telemetry.avg(summaries[2]) AS avg_humidity, telemetry.minimum(summaries[2]) AS min_humidity,
           telemetry.maximum(summaries[2]) AS max_humidity, telemetry.stddev(summaries[2]) AS stddev_humidity,
           telemetry.last_value(summaries[2]) AS last_humidity,
           (SELECT telemetry.as_of('region')) AS as_of
    FROM (SELECT key AS region, first_seen, last_seen, last_received_at, sample_count, summaries, part, generation
          FROM telemetry.state_region WHERE key <> ''
          UNION ALL
          SELECT NULL, first_seen, last_seen, last_received_at, sample_count, summaries, part, generation
          FROM telemetry.state_region WHERE key = '') AS s
    WHERE part = 0 AND generation = (SELECT telemetry.shown_generation('region', true));
COMMENT ON VIEW telemetry.region_stats IS 'Shows a row for each region, by the region recorded with each reading. region is NULL for readings without one.';

CREATE VIEW telemetry.region_metric_stats AS
    SELECT s.region, m.metric, telemetry.sample_count(m.summary) AS sample_count,
           telemetry.avg(m.summary) AS avg, telemetry.minimum(m.summary) AS min, telemetry.maximum(m.summary) AS max,
           telemetry.stddev(m.summary) AS stddev,
           telemetry.first_value(m.summary) AS first_value, telemetry.first_at(m.summary) AS first_at,
           telemetry.last_value(m.summary) AS last_value, telemetry.last_at(m.summary) AS last_at,
           (SELECT telemetry.as_of('region')) AS as_of
    FROM (SELECT key AS region, metric_names, summaries, generation FROM telemetry.state_region WHERE key <> ''
          UNION ALL
          SELECT NULL, metric_names, summaries, generation FROM telemetry.state_region WHERE key = '') AS s
    CROSS JOIN LATERAL (SELECT unnest(ARRAY['temperature', 'humidity'] || s.metric_names) AS metric, unnest(s.summaries) AS summary) AS m
    WHERE m.summary IS NOT NULL AND s.generation = (SELECT telemetry.shown_generation('region', true));
COMMENT ON VIEW telemetry.region_metric_stats IS 'Shows a row for each region and metric, temperature and humidity among them.';

CREATE VIEW telemetry.device_stats_live AS
    SELECT device_id, region, first_seen, last_seen, last_received_at, sample_count,
           telemetry.avg(temperature) AS avg_temperature, telemetry.minimum(temperature) AS min_temperature,
           telemetry.maximum(temperature) AS max_temperature, telemetry.stddev(temperature) AS stddev_temperature,
           telemetry.last_value(temperature) AS last_temperature,
           telemetry.avg(humidity) AS avg_humidity, telemetry.minimum(humidity) AS min_humidity,
           telemetry.maximum(humidity) AS max_humidity, telemetry.stddev(humidity) AS stddev_humidity,
           telemetry.last_value(humidity) AS last_humidity
    FROM (SELECT device_id, (pg_catalog.array_agg(region ORDER BY last_seen DESC, region DESC NULLS LAST))[1] AS region, pg_catalog.min(first_seen) AS first_seen, pg_catalog.max(last_seen) AS last_seen,
                 pg_catalog.max(last_received_at) AS last_received_at, pg_catalog.sum(sample_count)::bigint AS sample_count,
                 telemetry.merge(summaries[1]) AS temperature, telemetry.merge(summaries[2]) AS humidity
          FROM (SELECT key AS device_id, region, first_seen, last_seen, last_received_at, sample_count, summaries FROM telemetry.state_device WHERE part = 0 AND generation = (SELECT telemetry.shown_generation('device', false))
              UNION ALL SELECT t.key, t.region, t.first_seen, t.last_seen, t.last_received_at, t.sample_count, t.summaries FROM telemetry.folded_tail('device') AS t) AS s
          GROUP BY device_id) AS l;
COMMENT ON VIEW telemetry.device_stats_live IS 'Shows what telemetry.device_stats shows, with the readings that are not applied yet: exactly those that the reader''s snapshot shows, uncommitted ones of his own transaction included. It costs as much more as the projection is behind.';

CREATE VIEW telemetry.device_metric_stats_live AS
    SELECT device_id, metric, telemetry.sample_count(summary) AS sample_count,
           telemetry.avg(summary) AS avg, telemetry.minimum(summary) AS min, telemetry.maximum(summary) AS max, telemetry.stddev(summary) AS stddev,
           telemetry.first_value(summary) AS first_value, telemetry.first_at(summary) AS first_at,
           telemetry.last_value(summary) AS last_value, telemetry.last_at(summary) AS last_at
    FROM (SELECT s.device_id, m.metric, telemetry.merge(m.summary) AS summary
          FROM (SELECT key AS device_id, metric_names, summaries FROM telemetry.state_device WHERE generation = (SELECT telemetry.shown_generation('device', false))
              UNION ALL SELECT t.key, t.metric_names, t.summaries FROM telemetry.folded_tail('device') AS t) AS s
          CROSS JOIN LATERAL (SELECT unnest(ARRAY['temperature', 'humidity'] || s.metric_names) AS metric, unnest(s.summaries) AS summary) AS m
          WHERE m.summary IS NOT NULL
          GROUP BY s.device_id, m.metric) AS l;
COMMENT ON VIEW telemetry.device_metric_stats_live IS 'Shows what telemetry.device_metric_stats shows, exact for the reader''s snapshot, as telemetry.device_stats_live does.';

CREATE VIEW telemetry.region_stats_live AS
    SELECT region, first_seen, last_seen, last_received_at, sample_count,
           telemetry.avg(temperature) AS avg_temperature, telemetry.minimum(temperature) AS min_temperature,
           telemetry.maximum(temperature) AS max_temperature, telemetry.stddev(temperature) AS stddev_temperature,
           telemetry.last_value(temperature) AS last_temperature,
           telemetry.avg(humidity) AS avg_humidity, telemetry.minimum(humidity) AS min_humidity,
           telemetry.maximum(humidity) AS max_humidity, telemetry.stddev(humidity) AS stddev_humidity,
           telemetry.last_value(humidity) AS last_humidity
    FROM (SELECT region, pg_catalog.min(first_seen) AS first_seen, pg_catalog.max(last_seen) AS last_seen,
                 pg_catalog.max(last_received_at) AS last_received_at, pg_catalog.sum(sample_count)::bigint AS sample_count,
                 telemetry.merge(summaries[1]) AS temperature, telemetry.merge(summaries[2]) AS humidity
          FROM (SELECT key AS region, first_seen, last_seen, last_received_at, sample_count, summaries FROM telemetry.state_region WHERE key <> '' AND part = 0 AND generation = (SELECT telemetry.shown_generation('region', false))
              UNION ALL SELECT NULL, first_seen, last_seen, last_received_at, sample_count, summaries FROM telemetry.state_region WHERE key = '' AND part = 0 AND generation = (SELECT telemetry.shown_generation('region', false))
              UNION ALL SELECT NULLIF(t.key, ''), t.first_seen, t.last_seen, t.last_received_at, t.sample_count, t.summaries FROM telemetry.folded_tail('region') AS t) AS s
          GROUP BY region) AS l;
COMMENT ON VIEW telemetry.region_stats_live IS 'Shows what telemetry.region_stats shows, with the readings that are not applied yet: exactly those that the reader''s snapshot shows, uncommitted ones of his own transaction included. It costs as much more as the projection is behind.';

CREATE VIEW telemetry.region_metric_stats_live AS
    SELECT region, metric, telemetry.sample_count(summary) AS sample_count,
           telemetry.avg(summary) AS avg, telemetry.minimum(summary) AS min, telemetry.maximum(summary) AS max, telemetry.stddev(summary) AS stddev,
           telemetry.first_value(summary) AS first_value, telemetry.first_at(summary) AS first_at,
           telemetry.last_value(summary) AS last_value, telemetry.last_at(summary) AS last_at
    FROM (SELECT s.region, m.metric, telemetry.merge(m.summary) AS summary
          FROM (SELECT key AS region, metric_names, summaries FROM telemetry.state_region WHERE key <> '' AND generation = (SELECT telemetry.shown_generation('region', false))
              UNION ALL SELECT NULL, metric_names, summaries FROM telemetry.state_region WHERE key = '' AND generation = (SELECT telemetry.shown_generation('region', false))
              UNION ALL SELECT NULLIF(t.key, ''), t.metric_names, t.summaries FROM telemetry.folded_tail('region') AS t) AS s
          CROSS JOIN LATERAL (SELECT unnest(ARRAY['temperature', 'humidity'] || s.metric_names) AS metric, unnest(s.summaries) AS summary) AS m
          WHERE m.summary IS NOT NULL
          GROUP BY s.region, m.metric) AS l;
COMMENT ON VIEW telemetry.region_metric_stats_live IS 'Shows what telemetry.region_metric_stats shows, exact for the reader''s snapshot, as telemetry.region_stats_live does.';

-- State and tail of a bucket may overlap, where a reading is late.
CREATE FUNCTION telemetry.recounted(counter telemetry.summary, projection text, key text, bucket timestamptz, metric text) RETURNS telemetry.summary
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    counted telemetry.summary;
    definition CONSTANT telemetry.projection := (SELECT p FROM telemetry.projection p WHERE p.projection = recounted.projection);
BEGIN
    SELECT telemetry.counter_summary(CASE metric WHEN 'temperature' THEN m.temperature WHEN 'humidity' THEN m.humidity ELSE (m.metrics ->> metric)::double precision END, m.measured_at)
    INTO counted FROM telemetry.measurements m
    -- A bucket of a day has 24 hours, whatever the session's time zone.
    WHERE m.device_id = key AND m.measured_at >= bucket AND m.measured_at < bucket + make_interval(secs => extract(epoch FROM definition.bucket)::double precision)
      AND (definition.regions IS NULL OR COALESCE(m.region, '') = ANY (definition.regions))
      AND NOT EXISTS (SELECT FROM telemetry.parked_event e JOIN telemetry.cursor c ON c.projection = e.projection AND c.generation = e.generation AND c.purpose = 'current'
                      WHERE e.projection = recounted.projection AND e.event_id = m.event_id);
    RETURN COALESCE(telemetry.with_resets(counter, counted), counter);
END $$;
COMMENT ON FUNCTION telemetry.recounted(telemetry.summary, text, text, timestamptz, text) IS 'Returns the summary of a counter of a device in a bucket, with its resets counted again from the log, as the caller''s snapshot shows it. If the log does not have all of its readings any more, the summary stays as it is. Internal.';

-- Makes the view of a projection: a row for each bucket, key and metric. The readings without a region have a branch of their own, as in
-- telemetry.region_stats.
CREATE FUNCTION telemetry.make_view(projection text, view_name text) RETURNS void LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    definition CONSTANT telemetry.projection := (SELECT p FROM telemetry.projection p WHERE p.projection = make_view.projection);
    key_column CONSTANT text := CASE definition.grain WHEN 'device' THEN 'device_id' WHEN 'region' THEN 'region' END;
    -- Columns before the statistics.
    keys CONSTANT text := CASE WHEN definition.bucket IS NULL THEN '' ELSE 's.bucket AS "time", ' END || COALESCE('s.' || key_column || ', ', '') || 'm.metric';
    live_keys CONSTANT text := CASE WHEN definition.bucket IS NULL THEN '' ELSE 'l."time", ' END || COALESCE('l.' || key_column || ', ', '') || 'l.metric';
    metrics CONSTANT text := 'CROSS JOIN LATERAL (SELECT unnest(ARRAY[''temperature'', ''humidity''] || s.metric_names) AS metric, unnest(s.summaries) AS summary) AS m WHERE m.summary IS NOT NULL';
    source text;
    statistics text := 'telemetry.sample_count(#) AS sample_count, telemetry.avg(#) AS avg, telemetry.minimum(#) AS min, telemetry.maximum(#) AS max, '
                       'telemetry.stddev(#) AS stddev, telemetry.first_value(#) AS first_value, telemetry.last_value(#) AS last_value';
    live_statistics text;
    percent text;
BEGIN
    FOREACH percent IN ARRAY ARRAY['50', '95', '99'] LOOP
        statistics := statistics || format(CASE WHEN definition.quantiles THEN ', telemetry.quantile(#, 0.%1$s) AS p%1$s' ELSE ', NULL::double precision AS p%1$s' END, percent);
    END LOOP;
    live_statistics := replace(statistics, '#', 'l.summary');
    statistics := replace(statistics, '#', 'm.summary');
    IF definition.grain = 'device' AND definition.bucket IS NOT NULL THEN
        statistics := statistics || replace(', telemetry.increase(#) AS increase, telemetry.resets(#) AS resets', '#', 'telemetry.with_known_resets(m.summary)');
        live_statistics := live_statistics || replace(', telemetry.increase(#) AS increase, telemetry.resets(#) AS resets', '#',
            format('telemetry.with_known_resets(CASE WHEN telemetry.has_overlap(l.summary) THEN telemetry.recounted(l.summary, %L, l.device_id, l."time", l.metric) ELSE l.summary END)', projection));
    END IF;
    source := format(
        CASE key_column
            WHEN 'region' THEN 'SELECT d.key AS region, d.bucket, d.metric_names, d.summaries, d.generation FROM telemetry.%1$I d WHERE d.key <> %2$L '
                               'UNION ALL SELECT NULL, d.bucket, d.metric_names, d.summaries, d.generation FROM telemetry.%1$I d WHERE d.key = %2$L'
            WHEN 'device_id' THEN 'SELECT d.key AS device_id, d.bucket, d.metric_names, d.summaries, d.generation FROM telemetry.%1$I d'
            ELSE 'SELECT d.bucket, d.metric_names, d.summaries, d.generation FROM telemetry.%1$I d'
        END, 'state_' || projection, '');
    EXECUTE format('CREATE OR REPLACE VIEW telemetry.%I AS SELECT %s, %s, (SELECT telemetry.as_of(%L)) AS as_of FROM (%s) AS s %s AND s.generation = (SELECT telemetry.shown_generation(%4$L, true))',
                   view_name, keys, statistics, projection, source, metrics);
    EXECUTE format('CREATE OR REPLACE VIEW telemetry.%I AS SELECT %s, %s FROM (SELECT %s, telemetry.merge(m.summary) AS summary '
                   'FROM (SELECT * FROM (%s) AS d WHERE d.generation = (SELECT telemetry.shown_generation(%L, false)) UNION ALL SELECT %st.bucket, t.metric_names, t.summaries, NULL FROM telemetry.folded_tail(%L) AS t) AS s %s GROUP BY %s) AS l',
                   view_name || '_live', live_keys, live_statistics, keys, source, projection,
                   CASE key_column WHEN 'device_id' THEN 't.key, ' WHEN 'region' THEN format('NULLIF(t.key, %L), ', '') ELSE '' END, projection, metrics,
                   CASE WHEN definition.bucket IS NULL THEN '' ELSE 's.bucket, ' END || COALESCE('s.' || key_column || ', ', '') || 'm.metric');
END $$;
COMMENT ON FUNCTION telemetry.make_view(text, text) IS 'Makes the view of a projection and its live twin. Internal.';

SELECT telemetry.make_view(p.projection, pg_catalog.replace(p.projection, '_1', '_stats_1'))
FROM telemetry.projection p WHERE p.is_own AND p.bucket IS NOT NULL ORDER BY p.projection;
COMMENT ON VIEW telemetry.device_stats_1m IS 'Shows a row for each minute (UTC), device and metric, by measured_at. time is where the minute begins. sample_count counts the values that were not NULL. p50, p95 and p99 are NULL: minutes have no sketch. increase and resets are those of a counter (telemetry.set_metric) from its first to its last reading in the minute; NULL for a gauge. The row is complete up to as_of.';
COMMENT ON VIEW telemetry.device_stats_1h IS 'Shows a row for each hour (UTC), device and metric, by measured_at. time is where the hour begins. sample_count counts the values that were not NULL. p50, p95 and p99 are quantiles within 1 %. increase and resets are those of a counter (telemetry.set_metric) from its first to its last reading in the hour; NULL for a gauge. The row is complete up to as_of.';
COMMENT ON VIEW telemetry.device_stats_1d IS 'Shows a row for each day (UTC), device and metric, by measured_at. time is where the day begins. sample_count counts the values that were not NULL. p50, p95 and p99 are quantiles within 1 %. increase and resets are those of a counter (telemetry.set_metric) from its first to its last reading in the day; NULL for a gauge. The row is complete up to as_of.';
COMMENT ON VIEW telemetry.region_stats_1m IS 'Shows a row for each minute (UTC), region and metric, by measured_at. time is where the minute begins. sample_count counts the values that were not NULL. region is NULL for readings without one. p50, p95 and p99 are NULL: minutes have no sketch. The row is complete up to as_of.';
COMMENT ON VIEW telemetry.region_stats_1h IS 'Shows a row for each hour (UTC), region and metric, by measured_at. time is where the hour begins. sample_count counts the values that were not NULL. region is NULL for readings without one. p50, p95 and p99 are quantiles within 1 %. The row is complete up to as_of.';
COMMENT ON VIEW telemetry.region_stats_1d IS 'Shows a row for each day (UTC), region and metric, by measured_at. time is where the day begins. sample_count counts the values that were not NULL. region is NULL for readings without one. p50, p95 and p99 are quantiles within 1 %. The row is complete up to as_of.';
COMMENT ON VIEW telemetry.device_stats_1m_live IS 'Shows what telemetry.device_stats_1m shows, exact for the reader''s snapshot, as telemetry.device_stats_live does.';
COMMENT ON VIEW telemetry.device_stats_1h_live IS 'Shows what telemetry.device_stats_1h shows, exact for the reader''s snapshot, as telemetry.device_stats_live does.';
COMMENT ON VIEW telemetry.device_stats_1d_live IS 'Shows what telemetry.device_stats_1d shows, exact for the reader''s snapshot, as telemetry.device_stats_live does.';
COMMENT ON VIEW telemetry.region_stats_1m_live IS 'Shows what telemetry.region_stats_1m shows, exact for the reader''s snapshot, as telemetry.region_stats_live does.';
COMMENT ON VIEW telemetry.region_stats_1h_live IS 'Shows what telemetry.region_stats_1h shows, exact for the reader''s snapshot, as telemetry.region_stats_live does.';
COMMENT ON VIEW telemetry.region_stats_1d_live IS 'Shows what telemetry.region_stats_1d shows, exact for the reader''s snapshot, as telemetry.region_stats_live does.';
