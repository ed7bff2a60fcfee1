-- telemetry.open_metrics() shows the installation to Prometheus, in the text format of OpenMetrics 1.0. No label names a device or a region,
-- so the number of series follows from that of the projections, sinks and subscriptions.

CREATE FUNCTION telemetry.metric_families(OUT place integer, OUT name text, OUT type text, OUT help text) RETURNS SETOF record
    LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 60 SET search_path = pg_catalog, pg_temp AS $$
    VALUES
        (1, 'build', 'info', 'Versions of the extension, of the library that this session has loaded, and of the server.'),
        (2, 'section_failed', 'gauge', '1 if a section of this text could not be read, with the SQLSTATE of the error. Its samples are missing then.'),
        (3, 'in_recovery', 'gauge', '1 on a standby.'),
        (4, 'preloaded', 'gauge', '1 if shared_preload_libraries has the library. Otherwise readings are not counted by verdict, and no quota is enforced.'),
        (10, 'worker_up', 'gauge', '1 if the projector of this database runs.'),
        (11, 'worker_state', 'gauge', '1 for the state in which the projector is.'),
        (12, 'worker_since_timestamp_seconds', 'gauge', 'Since when the projector is in its state.'),
        (20, 'readings', 'counter', 'Readings whose transaction is over, by what became of them, since counters_since_timestamp_seconds.'),
        (21, 'commands', 'counter', 'Calls that sent readings.'),
        (22, 'batch_commands', 'counter', 'Calls that sent many readings each.'),
        (23, 'raised_commands', 'counter', 'Calls that ended with an error.'),
        (24, 'counters_since_timestamp_seconds', 'gauge', 'Since when readings and commands are counted: a start of the server, or stat_ingest_reset().'),
        (25, 'refused_commands', 'counter', 'Calls that were refused by the quota of a device, the quota of the database, or max_backlog.'),
        (26, 'unbounded_requests', 'counter', 'Requests of devices, in all databases, for which the table of quotas had no room.'),
        (27, 'backlog_events', 'gauge', 'About how many committed events the projector has not read yet.'),
        (30, 'log_events', 'counter', 'Events in the event log.'),
        (31, 'log_state', 'gauge', '1 for the state in which the event log is.'),
        (32, 'log_epoch', 'gauge', 'The epoch of the event log. It changes where the log was restored or copied.'),
        (33, 'batched_events', 'counter', 'Events in batches, which subscriptions, the relay and notifications read.'),
        (34, 'unbatched_events', 'gauge', 'Committed events that are in no batch yet.'),
        (35, 'batching_lag_seconds', 'gauge', 'How long the oldest event that is in no batch has waited.'),
        (40, 'projection_state', 'gauge', '1 for the state in which the projection is.'),
        (41, 'projection_applied_events', 'counter', 'Events that the projection has applied.'),
        (42, 'projection_lag_events', 'gauge', 'Committed events that the projection has not applied yet.'),
        (43, 'projection_lag_seconds', 'gauge', 'How long the oldest of them has waited. 0 if none waits.'),
        (44, 'projection_cadence_seconds', 'gauge', 'How long the projection lets events gather.'),
        (45, 'projection_as_of_timestamp_seconds', 'gauge', 'Every reading that was committed before this time is in the projection.'),
        (46, 'projection_parked_events', 'gauge', 'Events that the projection has put aside because it fails on them.'),
        (47, 'projection_rebuilt_events', 'gauge', 'Events that the rebuild under way has applied.'),
        (48, 'projection_audit_timestamp_seconds', 'gauge', 'When the last audit since the last rebuild ended.'),
        (49, 'projection_audit_differences', 'gauge', 'How many differences that audit has found.'),
        (50, 'devices', 'gauge', 'Registered devices that are not retired, by what telemetry.device_liveness says.'),
        (60, 'relay_state', 'gauge', '1 for the state in which the relay is with the sink.'),
        (61, 'relay_sent_messages', 'counter', 'Messages that the relay has sent since it started.'),
        (62, 'relay_acknowledged_messages', 'counter', 'Messages that have arrived.'),
        (63, 'relay_duplicate_messages', 'counter', 'Messages that the server had already.'),
        (64, 'relay_late_repeats', 'counter', 'Messages that were sent again after the duplicate window of the stream.'),
        (65, 'relay_failures', 'counter', 'Connections that failed.'),
        (66, 'relay_pending_messages', 'gauge', 'Messages that the relay holds.'),
        (67, 'relay_lag_events', 'gauge', 'Events of closed batches that have not arrived.'),
        (68, 'relay_lag_seconds', 'gauge', 'How long the oldest of them has waited.'),
        (70, 'subscription_state', 'gauge', '1 for the state in which the subscription is.'),
        (71, 'subscription_lag_events', 'gauge', 'Events of closed batches that the slowest consumer has not consumed.'),
        (72, 'subscription_lag_seconds', 'gauge', 'How long the oldest of them has waited.'),
        (73, 'subscription_dead_letters', 'gauge', 'Events that the subscription has given up on.'),
        (74, 'subscription_waiting_redeliveries', 'gauge', 'Events that wait to be delivered again.'),
        (75, 'subscription_lost', 'gauge', '1 if the subscription can no longer give every event.'),
        (80, 'rejected_readings', 'gauge', 'Rejected readings that are kept in telemetry.rejected_readings.'),
        (81, 'size_bytes', 'gauge', 'Disk space of the tables with their indexes: of the event log, the read models, the rejected readings, the batches, and the rest.'),
        (82, 'notification_queue_usage_ratio', 'gauge', 'How full the notification queue of the server is.'),
        (90, 'health', 'gauge', 'telemetry.health(): 0 for ok, 1 for a warning, 2 for an error. It is there if the caller may call that function.')
$$;
COMMENT ON FUNCTION telemetry.metric_families() IS 'Returns the metric families of telemetry.open_metrics(), without the prefix telemetry_cqrs_ and the suffix of their samples. A unit is the end of a name. Internal.';

CREATE FUNCTION telemetry.metric_sample(name text, value double precision, VARIADIC labels text[] = '{}') RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp SET extra_float_digits = 1 AS $$
DECLARE
    braced text;
BEGIN
    FOR i IN 1 .. cardinality(labels) BY 2 LOOP
        CONTINUE WHEN labels[i + 1] IS NULL;
        braced := concat(braced || ',', labels[i], '="', replace(replace(replace(labels[i + 1], E'\\', E'\\\\'), '"', E'\\"'), E'\n', E'\\n'), '"');
    END LOOP;
    -- NULL becomes no sample.
    RETURN 'telemetry_cqrs_' || name || COALESCE('{' || braced || '}', '') || ' ' || replace(value::text, 'Infinity', 'Inf');
END $$;
COMMENT ON FUNCTION telemetry.metric_sample(text, double precision, text[]) IS 'Returns a line of OpenMetrics: a sample with labels, which are given as name, value, name, value, ... A label whose value is NULL is left out; NULL if the value is. Internal.';

CREATE FUNCTION telemetry.metric_states(name text, state text, states text[], VARIADIC labels text[] = '{}') RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT array_agg(telemetry.metric_sample(name, (s.state = metric_states.state)::integer, VARIADIC labels || ARRAY['state', s.state]) ORDER BY s.place)
    FROM unnest(states) WITH ORDINALITY AS s (state, place)
$$;
COMMENT ON FUNCTION telemetry.metric_states(text, text, text[], text[]) IS 'Returns a sample for each state: 1 for the one that holds, 0 for the others. Internal.';

CREATE FUNCTION telemetry.countable_events() RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS 'SELECT 100000::bigint';
COMMENT ON FUNCTION telemetry.countable_events() IS 'Returns how many waiting events telemetry.open_metrics() counts at most for each projection. Where more wait, it subtracts. Internal.';

-- telemetry.projection_status counts the events that wait, one by one. This function does without, for projections that are far behind.
CREATE FUNCTION telemetry.estimated_status(total_events bigint, oldest_unbatched timestamptz, OUT projection text, OUT state text, OUT applied bigint, OUT lag_events bigint, OUT lag_seconds double precision,
    OUT as_of timestamptz, OUT cadence interval, OUT parked_events bigint, OUT rebuilt_events bigint, OUT audited_at timestamptz, OUT audit_differences bigint) RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 10 SET search_path = pg_catalog, pg_temp AS $$
    SELECT p.projection,
           CASE WHEN z.projection IS NOT NULL THEN 'paused' WHEN (SELECT l.state = 'restored' FROM telemetry.log_status() AS l) THEN 'restored' WHEN f.failures > 0 THEN 'failing'
                WHEN w.pid IS NULL THEN 'stopped' WHEN c.is_filled THEN 'catching up' ELSE 'rebuilding' END,
           c.applied, total_events - c.applied,
           EXTRACT(epoch FROM clock_timestamp() - COALESCE((SELECT b.created_at FROM telemetry.batch b WHERE b.batch_id > c.batch_id ORDER BY b.batch_id LIMIT 1), oldest_unbatched))::double precision,
           NULL::timestamptz, COALESCE(e.cadence, p.cadence),
           (SELECT count(DISTINCT k.event_id) FROM telemetry.parked_event k WHERE k.projection = p.projection),
           (SELECT r.events FROM telemetry.cursor r WHERE r.projection = p.projection AND r.purpose = 'rebuild'),
           d.finished_at, d.differences
    FROM telemetry.projection p
    CROSS JOIN telemetry.worker_status() AS w
    CROSS JOIN LATERAL (
        SELECT COALESCE(max(CASE WHEN u.batch_id IS NULL THEN (SELECT sum(b.events) FROM telemetry.batcher b) ELSE u.events END), 0)::bigint AS applied, COALESCE(bool_or(u.is_filled), false) AS is_filled,
               COALESCE(max(u.batch_id), CASE WHEN count(*) = 0 THEN 0 END) AS batch_id
        FROM telemetry.cursor u WHERE u.projection = p.projection AND u.purpose = 'current') AS c
    LEFT JOIN telemetry.projection_setting e ON e.projection = p.projection
    LEFT JOIN telemetry.projection_failure f ON f.projection = p.projection
    LEFT JOIN telemetry.audit d ON d.projection = p.projection AND d.finished_at IS NOT NULL
    LEFT JOIN telemetry.pause z ON z.projection = p.projection
    WHERE total_events - c.applied > telemetry.countable_events()
$$;
COMMENT ON FUNCTION telemetry.estimated_status(bigint, timestamptz) IS 'Returns what telemetry.projection_status would show of projections that are far behind, at a price that does not grow with the lag: the events of the log less those applied, and the age of the first batch that waits. Internal.';

-- It is STABLE, so every section sees what the caller's snapshot shows, and the figures fit together.
CREATE FUNCTION telemetry.metric_samples() RETURNS text[]
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET lock_timeout = '250ms' SET jit = off SET telemetry_cqrs.max_staleness = 0 AS $$
DECLARE
    worker_states CONSTANT text[] := '{none,starting,running,failing}';
    log_states CONSTANT text[] := '{fresh,open,restored}';
    projection_states CONSTANT text[] := '{fresh,current,catching up,rebuilding,restored,stopped,failing,paused}';
    device_states CONSTANT text[] := '{online,late,offline,never_seen,unknown}';
    relay_states CONSTANT text[] := '{off,stopped,waiting,connecting,connected,backing off,pausing,paused,not adopted,lost}';
    subscription_states CONSTANT text[] := '{current,waiting,working,retrying,lost}';
    samples text[] := '{}';
    found text[];
    section text;
    seen record;
    -- How many events the log has, or about how many, since when the oldest waits that is in no batch, and which projections are far behind.
    total_events bigint;
    is_exact boolean;
    oldest_unbatched timestamptz;
    far text[] := '{}';
BEGIN
    FOREACH section IN ARRAY '{installation,worker,ingest,event log,projections,devices,relay,subscriptions,rejected readings,sizes}'::text[] LOOP
        -- A section that raises an error leaves the others as they are.
        BEGIN
            CASE section
            WHEN 'installation' THEN
                found := ARRAY[
                    telemetry.metric_sample('build_info', 1, 'version', (SELECT e.extversion FROM pg_extension e WHERE e.extname = 'telemetry_cqrs'),
                                            'library_version', telemetry.library_version(), 'server_version', current_setting('server_version')),
                    telemetry.metric_sample('in_recovery', pg_is_in_recovery()::integer),
                    telemetry.metric_sample('notification_queue_usage_ratio', pg_notification_queue_usage())];

            WHEN 'worker' THEN
                SELECT array_agg(m.sample) INTO found
                FROM telemetry.worker_status() AS w
                CROSS JOIN LATERAL unnest(
                    telemetry.metric_states('worker_state', w.state, worker_states) || ARRAY[
                        telemetry.metric_sample('preloaded', w.preloaded::integer),
                        telemetry.metric_sample('worker_up', (w.state = 'running')::integer),
                        telemetry.metric_sample('worker_since_timestamp_seconds', EXTRACT(epoch FROM w.since))]) AS m (sample);

            WHEN 'ingest' THEN
                SELECT array_agg(m.sample) INTO found
                FROM telemetry.ingest_statistics() AS i
                CROSS JOIN telemetry.quota_status() AS q
                CROSS JOIN LATERAL unnest(ARRAY[
                    telemetry.metric_sample('readings_total', i.accepted, 'verdict', 'accepted'),
                    telemetry.metric_sample('readings_total', i.duplicates, 'verdict', 'duplicate'),
                    telemetry.metric_sample('readings_total', i.conflicts, 'verdict', 'conflict'),
                    telemetry.metric_sample('readings_total', i.rejected, 'verdict', 'rejected'),
                    telemetry.metric_sample('readings_total', i.rolled_back, 'verdict', 'rolled back'),
                    telemetry.metric_sample('commands_total', i.commands),
                    telemetry.metric_sample('batch_commands_total', i.batches),
                    telemetry.metric_sample('raised_commands_total', i.raised),
                    telemetry.metric_sample('counters_since_timestamp_seconds', EXTRACT(epoch FROM i.stats_since)),
                    telemetry.metric_sample('refused_commands_total', q.refused_by_device, 'limit', 'device'),
                    telemetry.metric_sample('refused_commands_total', q.refused_by_total, 'limit', 'total'),
                    telemetry.metric_sample('refused_commands_total', q.refused_by_backlog, 'limit', 'backlog'),
                    telemetry.metric_sample('unbounded_requests_total', q.unbounded),
                    telemetry.metric_sample('backlog_events', q.backlog)]) AS m (sample);

            WHEN 'event log' THEN
                SELECT COALESCE(sum(b.events), 0) AS read, COALESCE(sum(b.events - b.open_events), 0) AS batched, (SELECT q.backlog FROM telemetry.quota_status() AS q) AS backlog
                INTO seen FROM telemetry.batcher b;
                is_exact := (seen.backlog > telemetry.countable_events()) IS NOT TRUE;
                IF NOT is_exact THEN
                    total_events := seen.read + seen.backlog;
                    oldest_unbatched := COALESCE((SELECT b.created_at FROM telemetry.batch b ORDER BY b.batch_id DESC LIMIT 1), (SELECT l.opened_at FROM telemetry.log_status() AS l));
                ELSE
                    SELECT seen.batched + t.events, t.oldest_received_at INTO total_events, oldest_unbatched FROM telemetry.batch_tail() AS t;
                END IF;
                SELECT array_agg(m.sample) INTO found
                FROM telemetry.log_status() AS l
                CROSS JOIN LATERAL unnest(
                    telemetry.metric_states('log_state', l.state, log_states) || ARRAY[
                        -- Prometheus would take an estimate that is too low for a counter that began anew.
                        telemetry.metric_sample('log_events_total', CASE WHEN is_exact THEN total_events END),
                        telemetry.metric_sample('log_epoch', l.epoch),
                        telemetry.metric_sample('batched_events_total', seen.batched),
                        telemetry.metric_sample('unbatched_events', total_events - seen.batched),
                        telemetry.metric_sample('batching_lag_seconds', COALESCE(EXTRACT(epoch FROM clock_timestamp() - oldest_unbatched), 0))]) AS m (sample);

            WHEN 'projections' THEN
                far := ARRAY(SELECT e.projection FROM telemetry.estimated_status(total_events, oldest_unbatched) AS e);
                WITH p AS MATERIALIZED (
                    SELECT s.projection, s.state, s.applied, s.lag_events, s.lag_seconds, s.as_of, s.cadence, s.parked_events, s.rebuilt_events, s.audited_at, s.audit_differences
                    FROM telemetry.projection_status s WHERE s.projection <> ALL (far)
                    UNION ALL
                    SELECT e.* FROM telemetry.estimated_status(total_events, oldest_unbatched) AS e)
                SELECT array_agg(m.sample ORDER BY p.projection, m.place) INTO found
                FROM p
                CROSS JOIN LATERAL unnest(
                    telemetry.metric_states('projection_state', p.state, projection_states, 'projection', p.projection) || ARRAY[
                        telemetry.metric_sample('projection_applied_events_total', p.applied, 'projection', p.projection),
                        telemetry.metric_sample('projection_lag_events', p.lag_events, 'projection', p.projection),
                        telemetry.metric_sample('projection_lag_seconds', p.lag_seconds, 'projection', p.projection),
                        telemetry.metric_sample('projection_cadence_seconds', EXTRACT(epoch FROM p.cadence), 'projection', p.projection),
                        telemetry.metric_sample('projection_as_of_timestamp_seconds', CASE WHEN isfinite(p.as_of) THEN EXTRACT(epoch FROM p.as_of) END, 'projection', p.projection),
                        telemetry.metric_sample('projection_parked_events', p.parked_events, 'projection', p.projection),
                        telemetry.metric_sample('projection_rebuilt_events', p.rebuilt_events, 'projection', p.projection),
                        telemetry.metric_sample('projection_audit_timestamp_seconds', EXTRACT(epoch FROM p.audited_at), 'projection', p.projection),
                        telemetry.metric_sample('projection_audit_differences', p.audit_differences, 'projection', p.projection)]) WITH ORDINALITY AS m (sample, place);

            WHEN 'devices' THEN
                -- The view counts what waits for this projection, and the states would be those of long ago.
                SELECT array_agg(telemetry.metric_sample('devices', COALESCE(l.devices, 0), 'state', s.state) ORDER BY s.place) INTO found
                FROM unnest(device_states) WITH ORDINALITY AS s (state, place)
                LEFT JOIN (SELECT d.state, count(*) AS devices FROM telemetry.device_liveness d WHERE 'device' <> ALL (far) GROUP BY d.state) AS l ON l.state = s.state
                WHERE 'device' <> ALL (far);

            WHEN 'relay' THEN
                WITH r AS MATERIALIZED (SELECT s.* FROM telemetry.relay_status s)
                SELECT array_agg(m.sample ORDER BY r.sink, m.place) INTO found
                FROM r
                CROSS JOIN LATERAL unnest(
                    telemetry.metric_states('relay_state', r.state, relay_states, 'sink', r.sink) || ARRAY[
                        telemetry.metric_sample('relay_sent_messages_total', r.sent, 'sink', r.sink),
                        telemetry.metric_sample('relay_acknowledged_messages_total', r.acknowledged, 'sink', r.sink),
                        telemetry.metric_sample('relay_duplicate_messages_total', r.duplicates, 'sink', r.sink),
                        telemetry.metric_sample('relay_late_repeats_total', r.late_repeats, 'sink', r.sink),
                        telemetry.metric_sample('relay_failures_total', r.failures, 'sink', r.sink),
                        telemetry.metric_sample('relay_pending_messages', r.pending, 'sink', r.sink),
                        telemetry.metric_sample('relay_lag_events', r.lag_events, 'sink', r.sink),
                        telemetry.metric_sample('relay_lag_seconds', r.lag_seconds, 'sink', r.sink)]) WITH ORDINALITY AS m (sample, place);

            WHEN 'subscriptions' THEN
                WITH c AS MATERIALIZED (SELECT s.* FROM telemetry.subscription_status s WHERE s.subscription NOT LIKE 'relay.%')
                SELECT array_agg(m.sample ORDER BY c.subscription, m.place) INTO found
                FROM c
                CROSS JOIN LATERAL unnest(
                    telemetry.metric_states('subscription_state', c.state, subscription_states, 'subscription', c.subscription) || ARRAY[
                        telemetry.metric_sample('subscription_lag_events', c.lag_events, 'subscription', c.subscription),
                        telemetry.metric_sample('subscription_lag_seconds', c.lag_seconds, 'subscription', c.subscription),
                        telemetry.metric_sample('subscription_dead_letters', c.dead_letters, 'subscription', c.subscription),
                        telemetry.metric_sample('subscription_waiting_redeliveries', c.waiting_redeliveries, 'subscription', c.subscription),
                        telemetry.metric_sample('subscription_lost', (c.lost_at IS NOT NULL)::integer, 'subscription', c.subscription)]) WITH ORDINALITY AS m (sample, place);

            WHEN 'rejected readings' THEN
                found := ARRAY[telemetry.metric_sample('rejected_readings', (SELECT count(*) FROM telemetry.rejected_readings))];

            WHEN 'sizes' THEN
                SELECT array_agg(telemetry.metric_sample('size_bytes', t.bytes, 'part', t.part) ORDER BY t.part) INTO found
                FROM (SELECT CASE WHEN c.oid = 'telemetry.event'::regclass OR EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid AND i.inhparent = 'telemetry.event'::regclass) THEN 'event log'
                                  WHEN starts_with(c.relname, 'state_') THEN 'read models'
                                  WHEN c.relname = 'rejected_readings' THEN 'rejected readings'
                                  WHEN c.relname IN ('batch', 'batcher', 'batch_verdict') THEN 'batches'
                                  ELSE 'other' END AS part,
                             sum(pg_total_relation_size(c.oid)) AS bytes
                      FROM pg_class c WHERE c.relnamespace = 'telemetry'::regnamespace AND c.relkind = 'r' GROUP BY 1) AS t;
            END CASE;
            samples := samples || found || telemetry.metric_sample('section_failed', 0, 'section', section);
        EXCEPTION WHEN OTHERS THEN
            samples := samples || telemetry.metric_sample('section_failed', 1, 'section', section, 'sqlstate', SQLSTATE);
        END;
    END LOOP;
    RETURN array_remove(samples, NULL);
END $$;
COMMENT ON FUNCTION telemetry.metric_samples() IS 'Returns the samples of telemetry.open_metrics(), without those of telemetry.health(). Readers call it through that function. Internal.';

CREATE FUNCTION telemetry.metrics_text(samples text[], items text[], states text[]) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
BEGIN
    samples := samples || ARRAY(SELECT telemetry.metric_sample('health', array_position('{ok,warning,error}', h.state) - 1, 'item', h.item) FROM unnest(items, states) AS h (item, state));
    RETURN (
        SELECT string_agg(f.head || s.lines, '' ORDER BY f.place) || E'# EOF\n'
        FROM (SELECT m.place, 'telemetry_cqrs_' || m.name || CASE m.type WHEN 'counter' THEN '_total' WHEN 'info' THEN '_info' ELSE '' END AS sample_name,
                     format(E'# TYPE telemetry_cqrs_%s %s\n', m.name, m.type)
                         || COALESCE(E'# UNIT telemetry_cqrs_' || m.name || ' ' || substring(m.name FROM '_(seconds|bytes|ratio)$') || E'\n', '')
                         || format(E'# HELP telemetry_cqrs_%s %s\n', m.name, m.help) AS head
              FROM telemetry.metric_families() AS m) AS f
        JOIN (SELECT substring(l.line FROM '^[a-z_]+') AS sample_name, string_agg(l.line || E'\n', '' ORDER BY l.number) AS lines
              FROM unnest(samples) WITH ORDINALITY AS l (line, number) GROUP BY 1) AS s USING (sample_name));
END $$;
COMMENT ON FUNCTION telemetry.metrics_text(text[], text[], text[]) IS 'Returns the text of telemetry.open_metrics(): these samples, and these rows of telemetry.health(). Readers call it through that function. Internal.';

CREATE FUNCTION telemetry.open_metrics() RETURNS text
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    samples text[] := telemetry.metric_samples();
    lag_events double precision := (SELECT sum(substring(s.line FROM '[^ ]+$')::double precision) FROM unnest(samples) AS s (line) WHERE starts_with(s.line, 'telemetry_cqrs_projection_lag_events{'));
    items text[];
    states text[];
BEGIN
    -- The check of each projection counts what waits for it. 10 million of them take about 2 seconds, and a scrape may not take 10.
    IF has_function_privilege('telemetry.health()', 'EXECUTE') AND (lag_events <= 10000000) IS NOT FALSE THEN
        SELECT array_agg(h.item), array_agg(h.state) INTO items, states FROM telemetry.health() AS h;
    END IF;
    RETURN telemetry.metrics_text(samples, items, states);
END $$;
COMMENT ON FUNCTION telemetry.open_metrics() IS
'Returns the state of this installation as text in the format OpenMetrics 1.0, which Prometheus reads. Names begin with telemetry_cqrs_, times are in seconds, sizes in bytes. No label names a device or a region. Figures that need preloading are missing without it, and the rows of telemetry.health() are missing if the caller may not call it, or if the projections together are more than 10 million events behind.
It works on a standby, and raises no error when a table is locked: the section of that table is missing, and section_failed says so. A call reads every device once. Of projections that are more than 100,000 events behind, lag_events and lag_seconds are estimates and as_of is missing; if the projection device is one of them, devices are missing. While so many events are in no batch, log_events is missing.';
