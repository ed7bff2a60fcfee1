-- telemetry.health() reports each fault and names the sessions and objects that cause it.

CREATE FUNCTION telemetry.health_limits(
    OUT lag_warning interval, OUT lag_error interval, OUT blocked_warning interval, OUT blocked_error interval,
    OUT held_warning interval, OUT held_error interval, OUT dead_rows bigint, OUT queue_warning double precision, OUT queue_error double precision,
    OUT rejected_warning interval, OUT starting interval, OUT retention_margin interval, OUT unmerged bigint, OUT consumer_warning interval)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT '1 minute'::interval, '10 minutes'::interval, '5 seconds'::interval, '1 minute'::interval,
           '5 minutes'::interval, '1 hour'::interval, 1000::bigint, 0.1::double precision, 0.5::double precision,
           '1 day'::interval, '1 minute'::interval, '10 minutes'::interval, 100::bigint, '10 minutes'::interval
$$;
COMMENT ON FUNCTION telemetry.health_limits() IS 'Returns the limits from which telemetry.health() warns. Internal.';

CREATE FUNCTION telemetry.table_obstacles(OUT "table" regclass, OUT object text, OUT reason text, OUT command text) RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'telemetry_table_obstacles' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION telemetry.table_obstacles() IS 'Lists objects on tables of the extension that keep the extension from writing these tables: of each table the first such object, why it is in the way, and the SQL that mends it (NULL where none does). telemetry.health() and telemetry.setup() show it. Internal.';

CREATE FUNCTION telemetry.health(OUT item text, OUT state text, OUT detail text, OUT hint text) RETURNS SETOF record
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET lock_timeout = '250ms' AS $$
DECLARE
    most CONSTANT integer := 5;  -- A row names at most this many sessions, transactions or slots, and at most this many locks of each.
    unsettled CONSTANT bigint := 8192;  -- blocks of the log; with fewer a query is still fast
    limits record;
    worker record;
    seen record;
    kind text;
    projections text[] := ARRAY['projection device', 'projection region'];
    amount double precision;
    number bigint;
    at timestamptz;
BEGIN
    SELECT * INTO limits FROM telemetry.health_limits();
    BEGIN
        projections := ARRAY(SELECT 'projection ' || p.projection FROM telemetry.projection p ORDER BY p.projection);
    EXCEPTION WHEN OTHERS THEN
        NULL; -- The checks of these two say why the registry cannot be read.
    END;
    FOREACH item IN ARRAY ARRAY['worker', 'worker slots', 'library', 'event log', 'reading index', 'triggers']
                          || projections
                          || ARRAY['tables', 'locks', 'vacuum', 'notification queue', 'rejected readings', 'subscriptions', 'prepared transactions', 'batch retention', 'relay', 'http', 'back-pressure'] LOOP
        state := 'ok'; detail := NULL; hint := NULL;
        -- A check that raises an error becomes a row that says so.
        BEGIN
            kind := CASE WHEN item LIKE 'projection %' THEN 'projection' ELSE item END;
            CASE kind
            WHEN 'worker' THEN
                SELECT * INTO worker FROM telemetry.worker_status();
                detail := concat(worker.state, ', pid ' || worker.pid, ' since ' || worker.since, ': ' || worker.last_error);
                IF pg_is_in_recovery() THEN
                    detail := 'none: a standby has no worker until it is promoted';
                ELSIF worker.state = 'failing' THEN
                    state := 'error';
                    hint := 'The worker tries again by itself. The server log has the details.';
                ELSIF worker.state = 'running' OR worker.state = 'starting' AND worker.since > clock_timestamp() - limits.starting THEN
                    detail := concat(worker.state, ', pid ' || worker.pid, ' since ' || worker.since);
                ELSIF worker.state = 'none' AND NOT worker.preloaded AND current_setting('telemetry_cqrs.start_worker') = 'on' THEN
                    detail := 'none: the next command starts it';
                ELSIF worker.preloaded AND (SELECT d.datistemplate FROM pg_database d WHERE d.datname = current_database()) THEN
                    state := 'warning';
                    detail := 'none: a template database has no worker';
                    hint := 'Databases that are created from it have one. CALL telemetry.project_once() applies readings by hand.';
                ELSE
                    state := CASE current_setting('telemetry_cqrs.start_worker') WHEN 'on' THEN 'error' ELSE 'warning' END;
                    hint := 'SELECT * FROM telemetry.setup() says what is missing. CALL telemetry.project_once() applies readings by hand.';
                END IF;

            WHEN 'worker slots' THEN
                SELECT count(*), string_agg(DISTINCT a.backend_type, ', ') INTO number, detail
                FROM pg_stat_activity a
                WHERE telemetry.is_background_worker(a.pid);
                detail := concat(number, ' of ', current_setting('max_worker_processes'), ' in use', ': ' || detail);
                IF worker.pid IS NULL AND number >= current_setting('max_worker_processes')::integer THEN
                    state := 'error';
                    hint := 'Increase max_worker_processes and restart the server, or end one of these workers. Then the projector starts by itself.';
                END IF;

            WHEN 'library' THEN
                SELECT concat('extension ', e.extversion) INTO detail FROM pg_extension e WHERE e.extname = 'telemetry_cqrs';
                IF detail <> 'extension ' || telemetry.library_version() THEN
                    state := 'error';
                    hint := 'Run ALTER EXTENSION telemetry_cqrs UPDATE. If the library was replaced since the server started, restart the server instead.';
                END IF;
                detail := detail || ', library ' || telemetry.library_version();

            WHEN 'event log' THEN
                SELECT * INTO seen FROM telemetry.log_status();
                detail := concat(seen.state, ', epoch ' || seen.epoch, ' since ' || seen.opened_at);
                IF seen.state = 'restored' THEN
                    state := 'warning';
                    hint := 'The log was written at another place. The projector applies readings again after the first one that is accepted here, or after SELECT telemetry.resume_projection(''device'').';
                END IF;

            WHEN 'reading index' THEN
                SELECT string_agg(format('%s of %s blocks are not in %s', s.tail_blocks + s.noted_blocks, s.table_blocks, i.indexrelid::regclass), '; ' ORDER BY i.indexrelid),
                       bool_or(s.tail_blocks + s.noted_blocks > unsettled AND s.tail_blocks + s.noted_blocks > s.table_blocks / 10) AS is_behind INTO seen
                FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam
                CROSS JOIN LATERAL telemetry.reading_index_status(i.indexrelid) s
                WHERE m.amname = 'telemetry_readings' AND i.indisvalid
                  AND i.indrelid IN (SELECT p.inhrelid FROM pg_inherits p WHERE p.inhparent = 'telemetry.event'::regclass);
                detail := COALESCE(seen.string_agg, 'none: a query for the readings of one device reads the whole log');
                IF seen.string_agg IS NULL THEN
                    hint := 'CREATE INDEX CONCURRENTLY event_1_readings ON telemetry.event_1 USING telemetry_readings (device_id, measured_at) makes it again, and the projector fills it.';
                ELSIF seen.is_behind THEN
                    state := 'warning';
                    hint := 'A query for the readings of one device reads these blocks whole. The projector enters them beside its passes; SELECT telemetry.settle_readings(''telemetry.event_1_readings'') does so by hand.';
                END IF;

            WHEN 'triggers' THEN
                SELECT string_agg(format('%s of telemetry.%s %s', d.trigger, d.table, d.defect), ', '), string_agg(d.command, '; ') INTO detail, hint
                FROM telemetry.trigger_defects() d;
                IF detail IS NULL THEN
                    detail := 'as installed';
                ELSE
                    state := 'error';
                    hint := 'The log is open to changes, sessions miss changes of the registry, or an inbox takes no rows. This mends it: ' || hint;
                END IF;

            WHEN 'projection' THEN
                SELECT * INTO STRICT seen FROM telemetry.projection_status p WHERE p.projection = substr(health.item, 12);
                detail := format('%s, %s events wait, %s s behind', seen.state, seen.lag_events, round(seen.lag_seconds::numeric, 1));
                -- A restored log lags since before its dump, which is no fault of this server.
                state := CASE WHEN seen.state = 'restored' THEN 'warning'
                              WHEN seen.state = 'failing' OR seen.audit_differences > 0 OR seen.lag_seconds >= EXTRACT(epoch FROM limits.lag_error + seen.cadence) THEN 'error'
                              WHEN seen.state = 'paused' OR seen.parked_events > 0 OR seen.lag_seconds >= EXTRACT(epoch FROM limits.lag_warning + seen.cadence) THEN 'warning'
                              ELSE 'ok' END;
                IF seen.state = 'failing' THEN
                    detail := concat(detail, ', ', seen.last_error_sqlstate, ': ', seen.last_error);
                    hint := 'The other projections go on, and the projector tries this one again. The server log has the details.';
                ELSIF seen.state = 'paused' THEN
                    SELECT concat(detail, ', paused by ' || p.paused_by, ' since ' || p.paused_at) INTO detail FROM telemetry.pause p WHERE p.projection = substr(health.item, 12);
                    hint := format('SELECT telemetry.resume_projection(%L) lets it go on.', substr(item, 12));
                ELSIF seen.state = 'restored' THEN
                    hint := 'The projection waits for the first command here: see event log.';
                ELSIF seen.audit_differences > 0 THEN
                    detail := format('%s, %s differences at the audit of %s', detail, seen.audit_differences, seen.audited_at);
                    hint := format('telemetry.audit has an example, and telemetry.verify_projection(%L) names all. SELECT telemetry.rebuild_projection(%L) mends it.', substr(item, 12), substr(item, 12));
                ELSIF seen.parked_events > 0 THEN
                    detail := format('%s, %s events parked', detail, seen.parked_events);
                    hint := format('telemetry.parked_event says why. When the cause is gone, SELECT telemetry.replay_parked(%L) applies them.', substr(item, 12));
                ELSIF state <> 'ok' THEN
                    hint := CASE WHEN worker.state = 'running' THEN 'The worker is busy, or something blocks it: see locks.' ELSE 'No worker applies readings: see worker.' END;
                END IF;

            WHEN 'tables' THEN
                SELECT string_agg(format('%s on %s: %s', o.object, o."table", o.reason), '; ' ORDER BY o."table"::text),
                       'This mends it: ' || string_agg(o.command, '; ' ORDER BY o."table"::text)
                INTO detail, hint FROM telemetry.table_obstacles() o;
                IF detail IS NOT NULL THEN
                    state := 'error';
                ELSE
                    detail := 'nothing keeps the extension from writing them';
                END IF;

            WHEN 'locks' THEN
                -- There are two kinds of culprits: a session that holds a lock on a table of ours under which others cannot write it,
                -- and a session for which the worker or another user of our tables waits. pg_blocking_pids() gives 0 for a prepared
                -- transaction.
                WITH ours AS MATERIALIZED (
                    SELECT l.pid, l.virtualtransaction, l.relation, l.mode, l.granted
                    FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
                    WHERE l.locktype = 'relation' AND c.relnamespace = 'telemetry'::regnamespace AND c.relkind <> 'i'
                      AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
                ), waiting AS MATERIALIZED (
                    SELECT l.pid, l.waitstart, l.transactionid, l.relation
                    FROM pg_locks l
                    WHERE NOT l.granted AND l.waitstart <= clock_timestamp() - limits.blocked_warning
                      AND (l.pid = worker.pid OR l.pid IN (SELECT o.pid FROM ours o))
                ), prepared AS MATERIALIZED (
                    SELECT p.gid, p.prepared, l.virtualtransaction
                    FROM pg_prepared_xacts p JOIN pg_locks l ON l.locktype = 'transactionid' AND l.pid IS NULL AND l.transactionid = p.transaction
                ), culprit AS (
                    SELECT o.pid, NULL::text AS gid, 'holds ' || o.mode || ' on ' || o.relation::regclass AS deed, a.xact_start AS since
                    FROM ours o JOIN pg_stat_activity a ON a.pid = o.pid
                    WHERE o.granted AND o.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
                      AND a.xact_start <= clock_timestamp() - limits.blocked_warning
                    UNION ALL
                    SELECT NULL, p.gid, 'holds ' || o.mode || ' on ' || o.relation::regclass, p.prepared
                    FROM ours o JOIN prepared p ON p.virtualtransaction = o.virtualtransaction
                    WHERE o.pid IS NULL AND o.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
                      AND p.prepared <= clock_timestamp() - limits.blocked_warning
                    UNION ALL
                    SELECT b.pid, NULL, 'blocks pid ' || w.pid, w.waitstart
                    FROM waiting w CROSS JOIN LATERAL unnest(pg_blocking_pids(w.pid)) AS b (pid)
                    WHERE b.pid <> 0
                    UNION ALL
                    SELECT NULL, p.gid, 'blocks pid ' || w.pid, w.waitstart
                    FROM waiting w
                    JOIN pg_locks l ON l.locktype = 'transactionid' AND l.pid IS NULL AND l.transactionid = w.transactionid
                    JOIN prepared p ON p.virtualtransaction = l.virtualtransaction
                ), named AS (
                    SELECT COALESCE('prepared transaction ' || quote_literal(c.gid), 'pid ' || c.pid) AS who, min(c.since) AS since,
                           array_to_string((array_agg(DISTINCT c.deed))[:most], ', ')
                               || CASE WHEN count(DISTINCT c.deed) > most THEN ' and ' || count(DISTINCT c.deed) - most || ' more' ELSE '' END AS deeds,
                           min(a.state) AS doing,
                           COALESCE('ROLLBACK PREPARED ' || quote_literal(c.gid), 'SELECT pg_terminate_backend(' || c.pid || ')') AS remedy
                    FROM culprit c LEFT JOIN pg_stat_activity a ON a.pid = c.pid
                    WHERE c.pid IS DISTINCT FROM pg_backend_pid()
                    GROUP BY c.pid, c.gid ORDER BY 2 LIMIT most
                )
                SELECT string_agg(concat(n.who, ' (' || n.doing || ')', ' ', n.deeds, ' since ', n.since), '; ' ORDER BY n.since),
                       'These statements end them: ' || string_agg(n.remedy, '; ' ORDER BY n.since) || '.', min(n.since)
                INTO detail, hint, at FROM named n;
                IF at IS NOT NULL THEN
                    state := CASE WHEN at <= clock_timestamp() - limits.blocked_error THEN 'error' ELSE 'warning' END;
                ELSE
                    detail := 'nothing is blocked';
                END IF;

            WHEN 'vacuum' THEN
                -- This check counts dead rows of the read side, beyond those that autovacuum leaves, and names the transactions and slots
                -- that may still need them. A slot has no age in time.
                SELECT sum(pg_stat_get_dead_tuples(c.oid)), sum(greatest(pg_stat_get_live_tuples(c.oid), 0)) INTO number, amount
                FROM pg_class c
                WHERE c.relnamespace = 'telemetry'::regnamespace AND c.relkind = 'r'
                  AND (c.relname IN ('batch', 'batcher', 'cursor', 'projection_failure') OR c.relname LIKE 'state\_%');
                WITH holder AS (
                    SELECT 'pid ' || a.pid || COALESCE(' (' || a.state || ')', '') AS who, a.xact_start AS since,
                           greatest(age(a.backend_xmin), age(a.backend_xid)) AS age, 'SELECT pg_terminate_backend(' || a.pid || ')' AS remedy
                    FROM pg_stat_activity a
                    WHERE a.pid <> pg_backend_pid() AND (a.backend_xmin IS NOT NULL OR a.backend_xid IS NOT NULL)
                      AND (a.datname = current_database() OR a.backend_type = 'walsender')
                    UNION ALL
                    SELECT 'prepared transaction ' || quote_literal(p.gid), p.prepared, age(p.transaction), 'ROLLBACK PREPARED ' || quote_literal(p.gid)
                    FROM pg_prepared_xacts p WHERE p.database = current_database()
                    UNION ALL
                    SELECT 'replication slot ' || quote_literal(s.slot_name), NULL, age(s.xmin), 'SELECT pg_drop_replication_slot(' || quote_literal(s.slot_name) || ')'
                    FROM pg_replication_slots s WHERE s.xmin IS NOT NULL
                ), old AS (
                    SELECT * FROM holder h
                    WHERE h.since <= clock_timestamp() - limits.held_warning OR h.since IS NULL
                    ORDER BY h.age DESC LIMIT most
                )
                SELECT string_agg(concat(o.who, ' since ' || o.since, ', ', o.age, ' transactions back'), '; ' ORDER BY o.age DESC),
                       'Vacuum removes these rows after: ' || string_agg(o.remedy, '; ' ORDER BY o.age DESC) || '.', min(o.since)
                INTO detail, hint, at FROM old o;
                IF detail IS NOT NULL AND number >= limits.dead_rows + 0.2 * amount THEN
                    state := CASE WHEN at <= clock_timestamp() - limits.held_error THEN 'error' ELSE 'warning' END;
                    detail := number || ' dead rows of the read models are held by ' || detail;
                ELSE
                    hint := NULL;
                    detail := COALESCE(number, 0) || ' dead rows in the read models';
                END IF;

            WHEN 'notification queue' THEN
                amount := pg_notification_queue_usage();
                detail := round((100 * amount)::numeric, 2) || ' % in use';
                IF amount >= limits.queue_warning THEN
                    state := CASE WHEN amount >= limits.queue_error THEN 'error' ELSE 'warning' END;
                    SELECT concat(detail, ', idle in transaction: ' || string_agg('pid ' || i.pid || ' since ' || i.xact_start, ', ' ORDER BY i.xact_start)) INTO detail
                    FROM (SELECT a.pid, a.xact_start FROM pg_stat_activity a
                          WHERE a.state LIKE 'idle in transaction%' ORDER BY a.xact_start LIMIT most) AS i;
                    hint := 'A listening session that stays in a transaction, in any database, keeps the server from emptying the queue. Every NOTIFY fails when the queue is full.';
                END IF;

            WHEN 'rejected readings' THEN
                SELECT count(*), max(r.received_at) INTO number, at
                FROM (SELECT received_at FROM telemetry.rejected_readings ORDER BY rejected_id DESC LIMIT 10000) AS r;
                detail := CASE WHEN number >= 10000 THEN '10000 or more kept' ELSE number || ' kept' END || COALESCE(', the last of ' || at, '');
                IF at > clock_timestamp() - limits.rejected_warning THEN
                    state := 'warning';
                    hint := 'SELECT sqlstate, reason, payload FROM telemetry.rejected_readings ORDER BY rejected_id DESC says why.';
                END IF;

            WHEN 'subscriptions' THEN
                -- A lost one is not counted as lagging, too.
                SELECT count(*) AS total,
                       string_agg(s.subscription || ' is lost', ', ' ORDER BY s.subscription) FILTER (WHERE s.state = 'lost') AS lost,
                       string_agg(format('SELECT telemetry.restart_subscription(%L)', s.subscription), '; ' ORDER BY s.subscription) FILTER (WHERE s.state = 'lost') AS remedy,
                       string_agg(format('%s has %s dead letters', s.subscription, s.dead_letters), ', ' ORDER BY s.subscription) FILTER (WHERE s.dead_letters > 0) AS dead,
                       string_agg(format('%s lags by %s s', s.subscription, round(s.lag_seconds::numeric)), ', ' ORDER BY s.subscription)
                           FILTER (WHERE s.state <> 'lost' AND s.lag_seconds >= EXTRACT(epoch FROM limits.consumer_warning)) AS lagging
                INTO seen FROM telemetry.subscription_status s;
                detail := concat(seen.total, ': ' || NULLIF(concat_ws(', ', seen.lost, seen.lagging, seen.dead), ''));
                IF seen.lost IS NOT NULL THEN
                    state := 'error';
                    hint := 'Their consumers have missed events (telemetry.subscription_status.lost_because). Take what they lack from telemetry.events or from the statistics, then let them begin anew: ' || seen.remedy;
                ELSIF seen.lagging IS NOT NULL THEN
                    state := 'warning';
                    hint := 'No consumer works, or it is too slow or fails: see telemetry.subscription_status.';
                ELSIF seen.dead IS NOT NULL THEN
                    state := 'warning';
                    hint := 'telemetry.dead_letters says why. When the cause is gone, telemetry.replay_dead_letters() delivers them once more.';
                END IF;

            WHEN 'prepared transactions' THEN
                -- A prepared transaction blocks nothing here, but its readings count only from COMMIT PREPARED on.
                SELECT count(*), string_agg(quote_literal(p.gid) || ' since ' || p.prepared, ', ' ORDER BY p.prepared) FILTER (WHERE p.rank <= most)
                INTO number, detail
                FROM (SELECT x.gid, x.prepared, row_number() OVER (ORDER BY x.prepared) AS rank FROM pg_prepared_xacts x
                      WHERE x.database = current_database()
                        AND EXISTS (SELECT FROM pg_locks l JOIN pg_locks o USING (virtualtransaction) JOIN pg_inherits i ON i.inhrelid = o.relation
                                    WHERE l.pid IS NULL AND l.locktype = 'transactionid' AND l.transactionid = x.transaction
                                      AND o.pid IS NULL AND o.mode = 'RowExclusiveLock' AND i.inhparent = to_regclass('telemetry.event'))) AS p;
                detail := concat(number, ' with readings', ': ' || detail);

            WHEN 'batch retention' THEN
                SELECT b.batch_id, b.created_at, r.retention INTO seen
                FROM (SELECT make_interval(secs => s.setting::double precision) AS retention FROM pg_settings s WHERE s.name = 'telemetry_cqrs.batch_retention') AS r
                LEFT JOIN LATERAL (SELECT o.batch_id, o.created_at FROM telemetry.batch o ORDER BY o.batch_id LIMIT 1) AS b ON true;
                detail := concat('oldest batch: ', COALESCE(seen.batch_id || ' of ' || seen.created_at, 'none'));
                -- This counts old batches that could be merged with the one before them.
                SELECT count(*) INTO number
                FROM (SELECT o.events + lag(o.events) OVER numbers <= 100000 AND o.epoch = lag(o.epoch) OVER numbers
                             AND o.batch_id >> 40 = lag(o.batch_id) OVER numbers >> 40
                             AND NOT EXISTS (SELECT FROM telemetry.cursor c WHERE c.batch_id = o.before) AS is_unmerged
                      FROM (SELECT b.*, lag(b.batch_id) OVER (ORDER BY b.batch_id) AS before
                            FROM telemetry.batch b WHERE b.created_at < clock_timestamp() - seen.retention - limits.retention_margin
                            ORDER BY b.batch_id LIMIT 20000) AS o
                      WINDOW numbers AS (ORDER BY o.batch_id)) AS s
                WHERE s.is_unmerged;
                IF seen.retention > interval '0' AND number >= limits.unmerged THEN
                    state := 'warning';
                    detail := concat(detail, '; ', number, ' old batches are not merged');
                    hint := 'A worker merges old batches: see the checks "worker" and "tables".';
                END IF;

            WHEN 'back-pressure' THEN
                SELECT q.*, current_setting('telemetry_cqrs.device_rate')::double precision > 0 OR current_setting('telemetry_cqrs.total_rate')::double precision > 0
                            OR current_setting('telemetry_cqrs.max_backlog')::integer > 0 AS is_on
                INTO seen FROM telemetry.quota_status() q;
                IF NOT seen.is_on THEN
                    detail := 'off';
                ELSIF NOT worker.preloaded THEN
                    state := 'warning';
                    detail := 'not enforced: the library is not preloaded';
                    hint := 'SELECT * FROM telemetry.setup() says how to preload it.';
                ELSE
                    detail := format('%s calls refused by the quotas of devices, %s by the total, %s by the backlog', seen.refused_by_device, seen.refused_by_total, seen.refused_by_backlog)
                              || COALESCE(', the last one at ' || seen.last_refused_at, '');
                    IF seen.last_refused_at > clock_timestamp() - limits.starting THEN
                        state := 'warning';
                        hint := 'The clients wait and send again. If they should not, raise the limits telemetry_cqrs.device_rate, total_rate or max_backlog.';
                    END IF;
                END IF;

            WHEN 'relay' THEN
                WITH sink AS (
                    SELECT r.sink, r.state, r.last_error, r.note, format('%s: %s, %s events wait, %s s behind', r.sink, r.state, r.lag_events, round(r.lag_seconds::numeric, 1)) AS said,
                           CASE
                               WHEN r.state = 'lost' THEN 3
                               WHEN r.state = 'not adopted' THEN 2
                               WHEN r.state = 'stopped' AND greatest(pg_postmaster_start_time(), pg_conf_load_time()) < clock_timestamp() - limits.starting
                                   THEN CASE WHEN worker.preloaded AND current_setting('telemetry_cqrs.start_worker') = 'on' THEN 3 ELSE 2 END
                               WHEN r.lag_seconds >= EXTRACT(epoch FROM limits.lag_error) THEN 3
                               WHEN r.state IN ('pausing', 'paused') OR r.lag_seconds >= EXTRACT(epoch FROM limits.lag_warning) THEN 2
                               WHEN r.state IN ('stopped', 'connecting', 'backing off') AND r.last_error_at > clock_timestamp() - limits.starting THEN 2
                               ELSE 1
                           END AS level,
                           CASE r.state
                               WHEN 'lost' THEN format('Subscribers have missed events. SELECT telemetry.restart_subscription(%L) goes on with those that are left.', 'relay.' || r.sink)
                               WHEN 'not adopted' THEN 'This log is a copy. If the original sends nothing any more, SELECT telemetry.adopt_relay() lets the relay go on here.'
                               WHEN 'pausing' THEN format('SELECT telemetry.resume_relay(%L) lets it go on.', r.sink)
                               WHEN 'paused' THEN format('SELECT telemetry.resume_relay(%L) lets it go on.', r.sink)
                               WHEN 'stopped' THEN 'A relay runs where the library is preloaded and telemetry_cqrs.start_worker is on, with a free worker slot.'
                               ELSE COALESCE(r.last_failure_phase || ': ' || r.last_error, 'The relay or the server is too slow: see telemetry.relay_status.')
                           END AS remedy
                    FROM telemetry.relay_status r WHERE r.state <> 'off'
                )
                SELECT COALESCE(string_agg(s.said, '; ' ORDER BY s.sink), 'off') AS said, max(s.level) AS level, string_agg(s.sink || ': ' || s.remedy, ' ' ORDER BY s.sink) FILTER (WHERE s.level > 1) AS remedy
                INTO seen FROM sink s;
                detail := seen.said;
                IF seen.level > 1 AND NOT pg_is_in_recovery() THEN
                    state := CASE seen.level WHEN 3 THEN 'error' ELSE 'warning' END;
                    hint := seen.remedy;
                END IF;

            WHEN 'http' THEN
                SELECT count(*) AS wanted, count(*) FILTER (WHERE h.state = 'running') AS running,
                       bool_and(h.state = 'starting' AND h.since > clock_timestamp() - limits.starting) FILTER (WHERE h.state <> 'running') AS is_young,
                       max(h.last_error) FILTER (WHERE h.state = 'failing') AS reason
                INTO seen FROM telemetry.http_status() h;
                IF current_setting('telemetry_cqrs.http_listen') = '' THEN
                    detail := 'off';
                ELSIF seen.wanted = 0 THEN
                    detail := 'off in this database';
                    IF NOT worker.preloaded THEN
                        state := 'warning';
                        hint := 'telemetry_cqrs.http_listen needs the library to be preloaded: SELECT * FROM telemetry.setup() says how.';
                    END IF;
                ELSE
                    detail := concat(seen.running, ' of ', seen.wanted, ' workers answer', ': ' || seen.reason);
                    IF seen.running < seen.wanted AND NOT seen.is_young THEN
                        state := CASE seen.running WHEN 0 THEN 'error' ELSE 'warning' END;
                        hint := 'They try again by themselves. SELECT * FROM telemetry.http_status() has the reasons; telemetry_cqrs.http_listen names the addresses.';
                    END IF;
                END IF;
            END CASE;
        EXCEPTION WHEN OTHERS THEN
            state := 'error';
            detail := concat('could not be checked: ', SQLSTATE, ' ', SQLERRM);
            hint := CASE WHEN SQLSTATE = '55P03' THEN 'A table of the extension is locked: see locks.' END;
        END;
        RETURN NEXT;
    END LOOP;
END $$;
COMMENT ON FUNCTION telemetry.health() IS
'Returns a row for each check: item, state (ok | warning | error), detail (what the check saw) and hint (what to do). It raises no error, not even on a standby or without preloading: a check that fails is a row with state error. Details name culprits by pid, prepared transaction or replication slot.
worker: error when it fails, or when none runs although one should; warning when none should. worker slots: error when all are taken and no worker runs. library: error when its version is not the extension''s. event log: warning when the log was restored and nothing was accepted since. reading index: how many blocks of the log are not yet in the index by device and time; warning from 8,192 blocks (64 MB) and 10 % of the log on. triggers: error when a trigger of the extension is missing, disabled or otherwise not as installed; a restore with --disable-triggers leaves them disabled.
projection ...: a row for each; error when it fails, an audit has found differences, or it is 10 minutes behind its cadence, warning when it is 1 minute behind that, paused, or has parked events. tables: error when an object on a table of the extension keeps the extension from writing it. locks: the sessions and prepared transactions that block readings or the worker, or hold a lock that would; warning from 5 seconds on, error from 1 minute on.
vacuum: the transactions and slots that keep vacuum from removing 1,000 or more dead rows of the read models (and more than 20 % of them); warning from 5 minutes on, error from 1 hour on. notification queue: warning from 10 % on, error from 50 % on. rejected readings: warning while the last one is younger than a day. subscriptions: error when one is lost, warning when one lags by 10 minutes or has dead letters.
prepared transactions: those that hold readings, for information. batch retention: warning when many batches are not merged 10 minutes after their time. relay: error when a sink is lost, 10 minutes behind, or without a relay; warning when it is 1 minute behind, not connected, paused, or not adopted. back-pressure: warning while calls were refused within the last minute (TC104, TC105), and when limits are set that need preloading.';
