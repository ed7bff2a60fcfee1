-- Makes the views for people and dashboards, and the functions that they call.

CREATE VIEW telemetry.measurements AS
    SELECT event_id, device_id, region, measured_at, received_at, temperature, humidity, metrics, idempotency_key
    FROM telemetry.event
    WHERE type = 'telemetry.ingested';
COMMENT ON VIEW telemetry.measurements IS 'Shows every accepted reading. temperature is in °C, humidity in %RH; measured_at is by the device''s clock, received_at by the server''s.';

CREATE VIEW telemetry.events AS
    SELECT event_id AS id,
           'device'::text AS aggregatetype,
           device_id AS aggregateid,
           type,
           version,
           pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
               'device_id', device_id, 'region', region, 'measured_at', measured_at, 'received_at', received_at,
               'temperature', temperature, 'humidity', humidity, 'metrics', metrics, 'idempotency_key', idempotency_key)) AS payload,
           received_at AS created_at,
           epoch
    FROM telemetry.event;
COMMENT ON VIEW telemetry.events IS 'Shows the event log in the shape of an outbox: id, aggregatetype, aggregateid, type, version, payload, created_at. epoch is the epoch in which the event was stored; each place of the log (server, database, log table, timeline) has epochs of its own.';

CREATE FUNCTION telemetry.read_events(batch bigint) RETURNS SETOF telemetry.events
    AS 'MODULE_PATHNAME', 'telemetry_read_events' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED ROWS 1000;
COMMENT ON FUNCTION telemetry.read_events(bigint) IS 'Returns the events of a batch, ordered by writing transaction and event id. If the batch before it cut a transaction, the rest of that transaction comes first, whatever its number. A notification on channel telemetry_ingested gives the number of a batch. A batch that is older than telemetry_cqrs.batch_retention is merged with those before it, and then gives their events, too; telemetry.follow_from() raises TC203 for such a number. Only batches that a crash of this server cannot take back are shown. TC203 when there is no such batch; telemetry.follow_from() says why.';

CREATE FUNCTION telemetry.follow_from(batch bigint) RETURNS bigint
    LANGUAGE plpgsql STABLE STRICT PARALLEL RESTRICTED SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- Each epoch has a range of numbers of its own, as src/model/batch_number.hpp says.
    bits CONSTANT integer := 40;
    newest record;
    last CONSTANT bigint := (SELECT COALESCE(max(b.last_batch_id), 0) FROM telemetry.batcher b);
    next bigint;
    found record;
BEGIN
    SELECT e.epoch, e.timeline INTO newest FROM telemetry.epoch e ORDER BY e.epoch DESC LIMIT 1;
    next := greatest(last, (COALESCE(newest.epoch, 1) - 1)::bigint << bits) + 1;
    -- A number ahead of the log is no error while a new epoch is about to open: on a new timeline the worker opens it, at another
    -- place the first command does. On a standby, which may lag, it is no error either.
    IF batch > next AND NOT pg_is_in_recovery() AND (SELECT s.state FROM telemetry.log_status() s) <> 'restored'
       AND ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::integer = COALESCE(newest.timeline, 0) THEN
        RAISE EXCEPTION 'batch % is ahead of the event log', batch USING ERRCODE = 'TC203',
            DETAIL = format('The next batch is %s, in epoch %s.', next, newest.epoch),
            HINT = 'The number is of another history of this log, or of another log. Compare the work done so far with telemetry.events, then follow from the next batch.';
    END IF;
    -- A merged batch has the number of its last part, and its other numbers are gone. Between two ranges lie numbers that no batch
    -- has had. So the next batch is the one that holds this number. It begins with it if the numbers before it in its range end right
    -- below, and if it begins where the batch before it in its epoch ends. A row can also be missing, because somebody deleted it.
    IF batch <= last THEN
        SELECT b.batch_id, b.epoch, (b.from_snapshot, b.from_partial_xid, b.from_partial_event_id)::text AS begins INTO found
        FROM telemetry.batch b WHERE b.batch_id >= batch ORDER BY b.batch_id LIMIT 1;
        IF found.batch_id IS NULL
           OR batch - 1 > greatest((SELECT max(b.batch_id) FROM telemetry.batch b WHERE b.batch_id < batch), found.batch_id >> bits << bits)
           OR EXISTS (SELECT FROM telemetry.batcher b WHERE b.last_batch_id >= batch AND b.last_batch_id < found.batch_id)
           OR found.begins <> COALESCE(
               (SELECT (b.to_snapshot, b.to_partial_xid, b.to_partial_event_id)::text FROM telemetry.batch b
                WHERE b.epoch = found.epoch AND b.batch_id < found.batch_id ORDER BY b.batch_id DESC LIMIT 1),
               (SELECT format('(%s:%1$s:,,)', COALESCE(min(e.first_xid)::text, '3')) FROM telemetry.epoch e
                WHERE e.epoch = found.epoch HAVING bool_and(e.first_xid IS NOT NULL) OR bool_and(e.first_xid IS NULL)),
               found.begins) THEN
            RAISE EXCEPTION 'batch % is not kept any more', batch USING ERRCODE = 'TC203',
                DETAIL = concat('The next batch that is kept is ', COALESCE(found.batch_id, next), ', and it may hold more than what follows.'),
                HINT = 'The projector merges batches older than telemetry_cqrs.batch_retention. Their events stay in telemetry.events: start over from there or from the statistics.';
        END IF;
    END IF;
    RETURN batch;
END $$;
COMMENT ON FUNCTION telemetry.follow_from(bigint) IS
'Tells a client that reads batch after batch whether it would miss something or meet it twice. Returns the number itself if the batches from it on are there or yet to come, and hold only what follows. So a query with WHERE batch_id >= telemetry.follow_from(104) either sees exactly the events from that batch on or fails.
Numbers ascend by one inside an epoch until old batches are merged. A later epoch begins when the log was restored or moved, a standby was promoted, or the server was recovered to an earlier moment. It begins at a greater number than any earlier epoch had, lost numbers included. After such a loss an event that was read before can come once more in a batch with another number. The client recognises it by its id.
TC203 when the batch was merged with earlier ones (telemetry_cqrs.batch_retention), or when the number is ahead of the log and so of another history. On a standby, which may lag, a number ahead is no error. NULL for NULL.';

CREATE FUNCTION telemetry.as_of(projection text) RETURNS timestamptz
    AS 'MODULE_PATHNAME', 'telemetry_get_as_of' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION telemetry.as_of(text) IS 'Returns a time. The projection, as the caller''s snapshot shows it, holds every reading that was committed before that time. While readings wait, it is the time up to which the last pass found it complete. When none waits, it is that time or the start of the caller''s transaction, whichever is later. Under REPEATABLE READ and SERIALIZABLE and on a standby it is the time of the last pass, because the snapshot there may show less than was committed by the start of the transaction. The result is never later than the snapshot; it is NULL where the time is not known.';

-- Each view of statistics calls this, with the rights of its reader.
CREATE FUNCTION telemetry.shown_generation(projection text, is_guarded boolean) RETURNS integer
    AS 'MODULE_PATHNAME', 'telemetry_get_shown_generation' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION telemetry.shown_generation(text, boolean) IS 'Returns the generation of a projection''s rows that its views show to the caller''s snapshot; NULL where there is none yet. With is_guarded it raises TC103 if the projection is older than telemetry_cqrs.max_staleness. Everybody may call it. Internal.';

CREATE FUNCTION telemetry.projection_tail(projection text, OUT events bigint, OUT oldest_received_at timestamptz)
    AS 'MODULE_PATHNAME', 'telemetry_measure_tail' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION telemetry.projection_tail(text) IS 'Returns how many committed events a projection has not applied yet, and when the first of them was received. The time is NULL where none waits. It is also NULL where the log was restored and nothing was accepted here since, because those events were received at another place. The call costs as much as the projector is behind, however far behind the projection itself is: events that the projector has read are known without counting.';

CREATE FUNCTION telemetry.worker_status(OUT preloaded boolean, OUT pid integer, OUT state text, OUT since timestamptz, OUT last_error text, OUT last_error_at timestamptz)
    AS 'MODULE_PATHNAME', 'telemetry_get_worker_status' LANGUAGE C VOLATILE PARALLEL RESTRICTED;
COMMENT ON FUNCTION telemetry.worker_status() IS 'Returns the state of the projector worker of this database. preloaded is false where shared_preload_libraries lacks telemetry_cqrs: then commands start the worker, and since and last_error_at may be unknown. state: none | starting | running | failing (with a pid the worker waits and tries again; without one it cannot be started).';

CREATE FUNCTION telemetry.is_background_worker(pid integer) RETURNS boolean
    AS 'MODULE_PATHNAME', 'telemetry_is_background_worker' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION telemetry.is_background_worker(integer) IS 'Returns true if a process of the server occupies one of the worker slots that max_worker_processes counts. Workers of extensions, of parallel queries and of subscriptions do; processes of the server''s own do not. Internal.';

CREATE FUNCTION telemetry.wait_for(token text, timeout interval = '10 s', projection text = 'device') RETURNS text
    AS 'MODULE_PATHNAME', 'telemetry_wait_for' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.wait_for(text, interval, text) IS
'Waits until a projection holds the readings that the transaction of a receipt''s token stored. Returns applied, timeout (not yet; with timeout 0 the call looks once) or rolled back (that transaction was). The token of a duplicate is that of the first delivery. The token of an array call is that of its own transaction. If the call stored nothing, wait_for() returns applied when everything is applied that was committed by the time it found that transaction committed.
A token stands for a transaction and knows nothing of a savepoint that was rolled back. Wait only after the server has confirmed the COMMIT. After a crash the server may give out again the number of a transaction whose COMMIT it did not confirm, or that it committed with synchronous_commit = off. Then the token is refused or stands for another transaction; send the reading again to learn whether it was stored.
The call looks at what is committed now, whatever the isolation level. After applied the next statement shows the reading under READ COMMITTED, the next transaction otherwise. On a standby the call also waits for the token''s transaction to arrive. It holds no lock while it waits and can be cancelled. Where transaction_timeout would end the session, it returns timeout shortly before; the caller''s snapshot is held as by any statement. NULL for a NULL argument.
Errors: TC102 for the caller''s own transaction while it is open; 22023 for an invalid token or one of another database, a negative timeout or an unknown projection.';

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

CREATE VIEW telemetry.projection_status AS
    SELECT p.projection,
           CASE
               WHEN z.projection IS NOT NULL THEN 'paused'
               WHEN t.events > 0 AND t.oldest_received_at IS NULL THEN 'restored'
               WHEN f.failures > 0 THEN 'failing'
               WHEN t.events = 0 AND c.applied IS NULL THEN 'fresh'
               WHEN t.events = 0 THEN 'current'
               WHEN w.pid IS NULL THEN 'stopped'
               WHEN c.is_filled AND t.oldest_received_at >= pg_catalog.clock_timestamp() - p.cadence - interval '2 s' AND p.cadence > interval '0' THEN 'current'
               WHEN c.is_filled THEN 'catching up'
               ELSE 'rebuilding'
           END AS state,
           COALESCE(c.applied, 0)::bigint AS applied,
           t.events AS lag_events,
           COALESCE(EXTRACT(epoch FROM pg_catalog.clock_timestamp() - t.oldest_received_at), 0)::double precision AS lag_seconds,
           telemetry.as_of(p.projection) AS as_of,
           f.message AS last_error,
           f.sqlstate AS last_error_sqlstate,
           f.failed_at AS last_error_at,
           z.paused_at,
           z.paused_by,
           p.cadence,
           p.retention,
           c.rebuilt AS rebuilt_events,
           p.failure_policy,
           (SELECT pg_catalog.count(DISTINCT k.event_id) FROM telemetry.parked_event k WHERE k.projection = p.projection) AS parked_events,
           d.finished_at AS audited_at,
           d.differences AS audit_differences
    FROM (SELECT r.projection::text COLLATE "default" AS projection, COALESCE(e.cadence, r.cadence) AS cadence, e.retention, COALESCE(e.failure_policy, 'pause') AS failure_policy
          FROM telemetry.projection r LEFT JOIN telemetry.projection_setting e ON e.projection = r.projection) AS p
    CROSS JOIN telemetry.worker_status() AS w
    CROSS JOIN LATERAL telemetry.projection_tail(p.projection) AS t
    LEFT JOIN LATERAL (
        SELECT CASE WHEN u.batch_id IS NULL THEN (SELECT pg_catalog.sum(b.events) FROM telemetry.batcher b) ELSE u.events END AS applied, u.is_filled,
               (SELECT r.events FROM telemetry.cursor r WHERE r.projection = p.projection AND r.purpose = 'rebuild') AS rebuilt
        FROM telemetry.cursor u WHERE u.projection = p.projection AND u.purpose = 'current'
    ) AS c ON true
    LEFT JOIN telemetry.projection_failure f ON f.projection = p.projection
    LEFT JOIN telemetry.audit d ON d.projection = p.projection AND d.finished_at IS NOT NULL
    LEFT JOIN telemetry.pause z ON z.projection = p.projection;
COMMENT ON VIEW telemetry.projection_status IS 'Shows a row for each projection. state: fresh (no reading yet) | current | catching up | rebuilding (its statistics are computed from the beginning of the log) | restored (events came along from another place and wait for the first command here or for telemetry.resume_projection()) | stopped (events wait and no worker runs) | failing | paused. applied: number of events that were applied. lag_events, lag_seconds: how many committed events wait, and for how long (0 s while it is restored). last_error: text of the last failure. paused_at, paused_by: since when and by whom it is paused. cadence: how long it lets readings gather before it applies them; until then it is current. retention: how long it keeps a bucket (NULL: for ever). rebuilt_events: how many events telemetry.rebuild_projection() has applied so far beside what the views show (NULL: no rebuild is under way). failure_policy: what becomes of an event on which it fails. parked_events: how many of them it has put aside (telemetry.parked_event). audited_at, audit_differences: when the last audit since the last rebuild ended, and how many differences it found (telemetry.audit).';
