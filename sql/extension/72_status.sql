-- What an operator looks at: statistics of the commands, the stages of the pipeline, what is missing, what is wrong.

CREATE FUNCTION telemetry.ingest_statistics(
    OUT accepted bigint, OUT duplicates bigint, OUT conflicts bigint, OUT rejected bigint, OUT rolled_back bigint, OUT raised bigint,
    OUT commands bigint, OUT batches bigint, OUT stats_since timestamptz, OUT last_error_sqlstate text, OUT last_error_at timestamptz)
    AS 'MODULE_PATHNAME', 'telemetry_get_ingest_statistics' LANGUAGE C VOLATILE PARALLEL RESTRICTED;
COMMENT ON FUNCTION telemetry.ingest_statistics() IS 'What telemetry.stat_ingest shows, from shared memory.';

CREATE FUNCTION telemetry.stat_ingest_reset() RETURNS void
    AS 'MODULE_PATHNAME', 'telemetry_reset_ingest_statistics' LANGUAGE C VOLATILE PARALLEL RESTRICTED;
COMMENT ON FUNCTION telemetry.stat_ingest_reset() IS 'Lets telemetry.stat_ingest of this database count from nothing, at once and whatever becomes of the transaction.';

CREATE VIEW telemetry.stat_ingest AS
    SELECT accepted + duplicates + conflicts + rejected + rolled_back AS received,
           accepted, duplicates, conflicts, rejected, rolled_back, raised, commands, batches,
           last_error_sqlstate, last_error_at, stats_since
    FROM telemetry.ingest_statistics();
COMMENT ON VIEW telemetry.stat_ingest IS
'What became of readings that were sent to this database since stats_since, as far as the transactions are over: one row; all NULL where the library is not preloaded (telemetry.setup() says how).
received = accepted + duplicates + conflicts + rejected + rolled_back, each reading in one of them. accepted: rows that were committed to the log; duplicates, conflicts, rejected: verdicts of commands that were committed, and of those that raised an error for it;
rolled_back: whatever was sent in a transaction, or after a savepoint, that was rolled back, and what was sent with a command that raised an error for another reason.
commands: calls; batches: those of ingest_telemetry_batch; raised: those that ended with an error, the last one with last_error_sqlstate at last_error_at.
PREPARE TRANSACTION counts as a commit, ROLLBACK PREPARED takes nothing back. Set to nothing by a start of the server and by telemetry.stat_ingest_reset(); telemetry.pipeline_status has what is durable.';

CREATE FUNCTION telemetry.log_status(OUT state text, OUT epoch integer, OUT opened_at timestamptz)
    AS 'MODULE_PATHNAME', 'telemetry_get_log_status' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION telemetry.log_status() IS 'The event log: fresh (nothing was accepted yet) | open | restored (written at another place: nothing is applied until the first reading is accepted here); its epoch, and when that was opened.';

CREATE FUNCTION telemetry.batch_tail(OUT events bigint, OUT oldest_received_at timestamptz, OUT as_of timestamptz)
    AS 'MODULE_PATHNAME', 'telemetry_measure_batch_tail' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION telemetry.batch_tail() IS 'Events that are committed and in no batch yet, when the oldest of them was received, and up to when all are in batches. Costs as much as the tail is long.';

CREATE VIEW telemetry.pipeline_status AS
    WITH log AS MATERIALIZED (
        SELECT s.state, s.epoch, t.events AS waiting, t.oldest_received_at, t.as_of,
               COALESCE(b.applied, 0)::bigint AS batched, COALESCE(b.last_batch_id, 0) AS last_batch_id
        FROM telemetry.log_status() AS s
        CROSS JOIN telemetry.batch_tail() AS t
        CROSS JOIN (SELECT pg_catalog.sum(applied) AS applied, pg_catalog.max(last_batch_id) AS last_batch_id
                    FROM telemetry.checkpoint WHERE consumer = 'batch') AS b
    )
    SELECT stage, state, events, waiting, lag_seconds, as_of, detail
    FROM (
        SELECT 1, 'ingest'::text, CASE WHEN pg_catalog.pg_is_in_recovery() THEN 'standby' WHEN i.stats_since IS NULL THEN 'not counted' ELSE 'counted' END,
               i.accepted, NULL::bigint, NULL::double precision, NULL::timestamptz,
               CASE WHEN i.stats_since IS NULL THEN 'telemetry.setup() says how to preload the library'
                    ELSE pg_catalog.format('since %s: %s received, %s duplicates, %s conflicts, %s rejected, %s rolled back',
                                           i.stats_since, i.received, i.duplicates, i.conflicts, i.rejected, i.rolled_back) END
        FROM telemetry.stat_ingest AS i
        UNION ALL
        SELECT 2, 'event log', state, batched + waiting, 0, 0, NULL, 'epoch ' || epoch
        FROM log
        UNION ALL
        SELECT 3, 'projection ' || projection, state, applied, lag_events, lag_seconds, as_of, last_error_sqlstate || ': ' || last_error
        FROM telemetry.projection_status
        UNION ALL
        SELECT 4, 'notification',
               CASE
                   WHEN log.state = 'restored' AND log.waiting > 0 THEN 'restored'
                   WHEN f.failures > 0 THEN 'failing'
                   WHEN pg_catalog.current_setting('telemetry_cqrs.notify_payload', true) = 'off' THEN 'off'
                   WHEN log.waiting = 0 AND log.batched = 0 THEN 'fresh'
                   WHEN log.waiting = 0 THEN 'current'
                   WHEN w.pid IS NULL THEN 'stopped'
                   ELSE 'catching up'
               END,
               log.batched, log.waiting,
               COALESCE(EXTRACT(epoch FROM pg_catalog.clock_timestamp() - log.oldest_received_at), 0)::double precision,
               log.as_of, 'last batch ' || log.last_batch_id
        FROM log
        CROSS JOIN telemetry.worker_status() AS w
        LEFT JOIN telemetry.projection_failure AS f ON f.projection = 'batch'
    ) AS s (number, stage, state, events, waiting, lag_seconds, as_of, detail)
    ORDER BY number, stage;
COMMENT ON VIEW telemetry.pipeline_status IS
'A row a stage, in the order in which readings go: ingest, event log, each projection, notification (batches for telemetry.read_events). All but ingest are exact and durable, as the caller''s snapshot shows what is committed:
events of the event log = events + waiting of each projection and of notification. ingest: events accepted since stats_since (telemetry.stat_ingest). events: went through; waiting: did not yet; lag_seconds: how long the oldest of them waits; as_of: up to when the stage is complete.
Counts no table: costs as much as there is waiting.';

CREATE FUNCTION telemetry.health_limits(
    OUT lag_warning interval, OUT lag_error interval, OUT blocked_warning interval, OUT blocked_error interval,
    OUT held_warning interval, OUT held_error interval, OUT dead_rows bigint, OUT queue_warning double precision, OUT queue_error double precision,
    OUT rejected_warning interval, OUT starting interval, OUT retention_margin interval)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT '1 minute'::interval, '10 minutes'::interval, '5 seconds'::interval, '1 minute'::interval,
           '5 minutes'::interval, '1 hour'::interval, 1000::bigint, 0.1::double precision, 0.5::double precision,
           '1 day'::interval, '1 minute'::interval, '10 minutes'::interval
$$;
COMMENT ON FUNCTION telemetry.health_limits() IS 'From where on telemetry.health() warns. Internal.';

CREATE FUNCTION telemetry.health(OUT name text, OUT state text, OUT detail text, OUT hint text) RETURNS SETOF record
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET lock_timeout = '250ms' AS $$
DECLARE
    most CONSTANT integer := 5;  -- culprits that a row names, and deeds of one
    limits record;
    worker record;
    seen record;
    amount double precision;
    number bigint;
    at timestamptz;
BEGIN
    SELECT * INTO limits FROM telemetry.health_limits();
    FOREACH name IN ARRAY ARRAY['worker', 'worker slots', 'library', 'event log', 'projection device', 'projection region', 'locks',
                                'vacuum', 'notification queue', 'rejected readings', 'prepared transactions', 'batch retention'] LOOP
        state := 'ok'; detail := NULL; hint := NULL;
        -- A check that fails is a row, too.
        BEGIN
            CASE name
            WHEN 'worker' THEN
                SELECT * INTO worker FROM telemetry.worker_status();
                detail := concat(worker.state, ', pid ' || worker.pid, ' since ' || worker.since, ': ' || worker.last_error);
                IF pg_is_in_recovery() THEN
                    detail := 'none: a standby has no worker until it is promoted';
                ELSIF worker.state = 'failing' THEN
                    state := 'error';
                    hint := 'It tries again by itself; the server log has the details.';
                ELSIF worker.state = 'running' OR worker.state = 'starting' AND worker.since > clock_timestamp() - limits.starting THEN
                    detail := concat(worker.state, ', pid ' || worker.pid, ' since ' || worker.since);
                ELSIF worker.state = 'none' AND NOT worker.preloaded AND current_setting('telemetry_cqrs.start_worker') = 'on' THEN
                    detail := 'none: the next command starts it';
                ELSE
                    state := CASE current_setting('telemetry_cqrs.start_worker') WHEN 'on' THEN 'error' ELSE 'warning' END;
                    hint := 'SELECT * FROM telemetry.setup() says what is missing; CALL telemetry.project_once() applies readings by hand.';
                END IF;

            WHEN 'worker slots' THEN
                SELECT count(*), string_agg(DISTINCT a.backend_type, ', ') INTO number, detail
                FROM pg_stat_activity a
                WHERE a.backend_type NOT IN ('client backend', 'autovacuum launcher', 'autovacuum worker', 'background writer', 'checkpointer',
                                             'startup', 'walreceiver', 'walsender', 'walwriter', 'archiver', 'standalone backend');
                detail := concat(number, ' of ', current_setting('max_worker_processes'), ' in use', ': ' || detail);
                IF worker.pid IS NULL AND number >= current_setting('max_worker_processes')::integer THEN
                    state := 'error';
                    hint := 'Increase max_worker_processes, or end one of these; the worker starts by itself then.';
                END IF;

            WHEN 'library' THEN
                SELECT concat('extension ', e.extversion) INTO detail FROM pg_extension e WHERE e.extname = 'telemetry_cqrs';
                IF detail <> 'extension ' || telemetry.library_version() THEN
                    state := 'error';
                    hint := 'ALTER EXTENSION telemetry_cqrs UPDATE, or restart the server if the library was updated since it started.';
                END IF;
                detail := detail || ', library ' || telemetry.library_version();

            WHEN 'event log' THEN
                SELECT * INTO seen FROM telemetry.log_status();
                detail := concat(seen.state, ', epoch ' || seen.epoch, ' since ' || seen.opened_at);
                IF seen.state = 'restored' THEN
                    state := 'warning';
                    hint := 'It was written at another place; readings are applied again after the first one that is accepted here, or after SELECT telemetry.resume_projection(''device'').';
                END IF;

            WHEN 'projection device', 'projection region' THEN
                SELECT * INTO STRICT seen FROM telemetry.projection_status p WHERE p.projection = substr(health.name, 12);
                detail := format('%s, %s events wait, %s s behind', seen.state, seen.lag_events, round(seen.lag_seconds::numeric, 1));
                -- What was restored lags since before the dump; that is no fault of this place.
                state := CASE WHEN seen.state = 'restored' THEN 'warning'
                              WHEN seen.state = 'failing' OR seen.lag_seconds >= EXTRACT(epoch FROM limits.lag_error) THEN 'error'
                              WHEN seen.state = 'paused' OR seen.lag_seconds >= EXTRACT(epoch FROM limits.lag_warning) THEN 'warning'
                              ELSE 'ok' END;
                IF seen.state = 'failing' THEN
                    detail := concat(detail, ', ', seen.last_error_sqlstate, ': ', seen.last_error);
                    hint := 'The others go on, and this one is tried again; the server log has the details.';
                ELSIF seen.state = 'paused' THEN
                    SELECT concat(detail, ', paused by ' || p.paused_by, ' since ' || p.paused_at) INTO detail FROM telemetry.projection p WHERE p.projection = substr(health.name, 12);
                    hint := format('SELECT telemetry.resume_projection(%L) lets it go on.', substr(name, 12));
                ELSIF seen.state = 'restored' THEN
                    hint := 'It waits for the first command here: see event log.';
                ELSIF state <> 'ok' THEN
                    hint := CASE WHEN worker.state = 'running' THEN 'The worker is busy, or something blocks it: see locks.' ELSE 'No worker applies readings: see worker.' END;
                END IF;

            WHEN 'locks' THEN
                -- Who holds a lock on a table of ours that keeps others from writing it, and for whom a process waits that has to do with
                -- our tables. pid 0: a prepared transaction.
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
                       'They let go when they end: ' || string_agg(n.remedy, '; ' ORDER BY n.since) || '.', min(n.since)
                INTO detail, hint, at FROM named n;
                IF at IS NOT NULL THEN
                    state := CASE WHEN at <= clock_timestamp() - limits.blocked_error THEN 'error' ELSE 'warning' END;
                ELSE
                    detail := 'nothing is blocked';
                END IF;

            WHEN 'vacuum' THEN
                -- Old versions of rows of the read side, more than autovacuum would leave, and who may still want to see them. A slot has
                -- no age in time.
                SELECT sum(pg_stat_get_dead_tuples(c.oid)), sum(greatest(pg_stat_get_live_tuples(c.oid), 0)) INTO number, amount
                FROM pg_class c
                WHERE c.relnamespace = 'telemetry'::regnamespace AND c.relkind = 'r'
                  AND c.relname IN ('batch', 'checkpoint', 'projection_failure', 'device_state', 'device_metric_state', 'region_state', 'region_metric_state');
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
                       'Vacuum works again when they end: ' || string_agg(o.remedy, '; ' ORDER BY o.age DESC) || '.', min(o.since)
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
                    hint := 'A session that listens and stays in a transaction, in any database, keeps the queue from being emptied; when it is full, nobody can NOTIFY.';
                END IF;

            WHEN 'rejected readings' THEN
                SELECT count(*), max(r.received_at) INTO number, at
                FROM (SELECT received_at FROM telemetry.rejected_readings ORDER BY rejected_id DESC LIMIT 10000) AS r;
                detail := CASE WHEN number >= 10000 THEN '10000 or more kept' ELSE number || ' kept' END || COALESCE(', the last of ' || at, '');
                IF at > clock_timestamp() - limits.rejected_warning THEN
                    state := 'warning';
                    hint := 'SELECT sqlstate, reason, payload FROM telemetry.rejected_readings ORDER BY rejected_id DESC says why.';
                END IF;

            WHEN 'prepared transactions' THEN
                -- Not in the way of anybody; only that their readings count from COMMIT PREPARED on.
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
                IF seen.retention > interval '0' AND seen.created_at < clock_timestamp() - seen.retention - limits.retention_margin
                   AND seen.batch_id < (SELECT max(k.last_batch_id) FROM telemetry.checkpoint k) THEN
                    state := 'warning';
                    SELECT concat(detail, '; passed by: ' || string_agg(k.consumer || ' up to ' || k.last_batch_id, ', ' ORDER BY k.last_batch_id)) INTO detail
                    FROM telemetry.checkpoint k WHERE NOT k.drained;
                    hint := 'Batches stay until every projection has passed them and a worker deletes them: see worker and the projections.';
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
'A row a check: state ok | warning | error, what was seen, what to do. Never an error, also on a standby and without preloading; a check that cannot be made is a row with state error. Names who is in the way by pid, prepared transaction or replication slot.
worker: error when it fails or none runs although one should, warning when none should. worker slots: error when all are taken and no worker runs. library: error when it is of another version than the extension. event log: warning when it was restored and nothing was accepted since.
projection ...: error when it fails or is 10 minutes behind, warning from 1 minute and while it is paused. locks: who blocks readings or the worker, or holds a lock that does: warning from 5 seconds, error from 1 minute.
vacuum: who keeps 1,000 or more dead rows in the read models (and more than 20 % of them) from being removed, for 5 minutes: warning; 1 hour: error. notification queue: warning from 10 %, error from 50 %. rejected readings: warning while the last one is younger than a day.
prepared transactions: those that hold readings, for information. batch retention: warning when batches are not deleted 10 minutes after their time.';

CREATE FUNCTION telemetry.setup(OUT item text, OUT state text, OUT "current" text, OUT detail text, OUT command text) RETURNS SETOF record
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET lock_timeout = '250ms' AS $$
DECLARE
    worker record;
    seen record;
    number bigint;
    library text;
    caller name := COALESCE(NULLIF(current_setting('role'), 'none'), session_user);
    -- With its folder: Debian has it in nobody's PATH.
    restart CONSTANT text := (SELECT quote_literal(c.setting || '/pg_ctl') FROM pg_config c WHERE c.name = 'BINDIR')
                             || ' restart -D ' || quote_literal(current_setting('data_directory'));
BEGIN
    SELECT * INTO worker FROM telemetry.worker_status();
    FOREACH item IN ARRAY ARRAY['preload', 'library version', 'start_worker', 'worker slots', 'worker', 'readers', 'writers', 'your rights',
                                'synchronous_commit', 'fsync', 'autovacuum', 'track_activities'] LOOP
        state := 'ok'; "current" := NULL; detail := NULL; command := NULL;
        BEGIN
            CASE item
            WHEN 'preload' THEN
                "current" := current_setting('shared_preload_libraries');
                IF NOT worker.preloaded THEN
                    state := CASE current_setting('telemetry_cqrs.start_worker') WHEN 'on' THEN 'advice' ELSE 'missing' END;
                    -- What the next start will load: files may say more than the server does.
                    SELECT f.setting INTO seen FROM pg_file_settings f WHERE f.name = 'shared_preload_libraries' ORDER BY f.seqno DESC LIMIT 1;
                    IF FOUND THEN "current" := seen.setting; END IF;
                    SELECT string_agg(quote_literal(COALESCE(replace(m.part[1], '""', '"'), m.part[2])), ', ' ORDER BY m.place),
                           count(*) FILTER (WHERE COALESCE(m.part[1], m.part[2]) = 'telemetry_cqrs') INTO command, number
                    FROM regexp_matches("current", '"((?:[^"]|"")*)"|([^",\s](?:[^",]*[^",\s])?)', 'g') WITH ORDINALITY AS m (part, place);
                    IF number > 0 THEN
                        command := restart;
                        detail := 'The configuration names it; restart the server.';
                    ELSE
                        command := 'ALTER SYSTEM SET shared_preload_libraries = ' || concat(command || ', ', quote_literal('telemetry_cqrs'));
                        detail := 'Then restart the server. Without preloading no worker starts with the server, only with the next command, and telemetry.stat_ingest counts nothing.';
                    END IF;
                END IF;

            WHEN 'library version' THEN
                SELECT e.extversion INTO "current" FROM pg_extension e WHERE e.extname = 'telemetry_cqrs';
                library := telemetry.library_version();
                IF library <> "current" THEN
                    state := 'missing';
                    detail := 'The library in use is ' || library || '.';
                    command := CASE WHEN EXISTS (SELECT FROM pg_extension_update_paths('telemetry_cqrs') p
                                                 WHERE p.source = "current" AND p.target = library AND p.path IS NOT NULL)
                                    THEN 'ALTER EXTENSION telemetry_cqrs UPDATE TO ' || quote_literal(library) ELSE restart END;
                END IF;

            WHEN 'start_worker' THEN
                "current" := current_setting('telemetry_cqrs.start_worker');
                IF "current" = 'off' THEN
                    state := 'advice';
                    detail := 'Nobody starts a worker.';
                    command := 'ALTER SYSTEM SET telemetry_cqrs.start_worker = on; SELECT pg_reload_conf()';
                END IF;

            WHEN 'worker slots' THEN
                SELECT count(*) INTO number
                FROM pg_stat_activity a
                WHERE a.backend_type NOT IN ('client backend', 'autovacuum launcher', 'autovacuum worker', 'background writer', 'checkpointer',
                                             'startup', 'walreceiver', 'walsender', 'walwriter', 'archiver', 'standalone backend');
                "current" := number || ' of ' || current_setting('max_worker_processes');
                IF worker.pid IS NULL AND number >= current_setting('max_worker_processes')::integer THEN
                    state := 'missing';
                    detail := 'All are in use: telemetry.health() says by whom. Then restart the server.';
                    command := 'ALTER SYSTEM SET max_worker_processes = ' || number + 8;
                END IF;

            WHEN 'worker' THEN
                "current" := concat_ws(', ', worker.state, 'pid ' || worker.pid);
                IF pg_is_in_recovery() THEN
                    detail := 'A standby has no worker until it is promoted.';
                ELSIF worker.state = 'none' AND NOT worker.preloaded AND current_setting('telemetry_cqrs.start_worker') = 'on' THEN
                    detail := 'The next command starts it.';
                ELSIF worker.state = 'starting' AND worker.since > clock_timestamp() - (SELECT l.starting FROM telemetry.health_limits() l) THEN
                    detail := 'It has been starting since ' || worker.since || '.';
                ELSIF worker.pid IS NULL THEN
                    state := 'missing';
                    detail := 'It starts by itself when the rows above are ok. This applies readings by hand:';
                    command := 'CALL telemetry.project_once()';
                ELSIF worker.state = 'failing' THEN
                    state := 'missing';
                    detail := worker.last_error;
                END IF;

            WHEN 'readers', 'writers' THEN
                SELECT string_agg(r.rolname, ', ' ORDER BY r.rolname) INTO "current"
                FROM pg_roles r
                WHERE NOT r.rolsuper AND r.rolname !~ '^pg_'
                  AND CASE item WHEN 'readers' THEN has_table_privilege(r.oid, 'telemetry.device_stats', 'SELECT')
                      ELSE has_function_privilege(r.oid, 'telemetry.ingest_telemetry(text, timestamptz, double precision, double precision, text, jsonb, text)', 'EXECUTE') END;
                IF "current" IS NULL THEN
                    state := 'advice';
                    detail := 'No role but superusers may ' || CASE item WHEN 'readers' THEN 'query.' ELSE 'send readings.' END;
                    command := format('CREATE ROLE telemetry_%1$s; SELECT telemetry.grant_%1$s(''telemetry_%1$s'')', rtrim(item, 's'));
                END IF;

            WHEN 'your rights' THEN
                SELECT concat_ws(', ', CASE WHEN r.reads THEN 'read' END, CASE WHEN r.writes THEN 'send' END) AS list, r.reads AND r.writes AS has_all INTO seen
                FROM (SELECT has_schema_privilege(caller, 'telemetry', 'USAGE') AND has_table_privilege(caller, 'telemetry.device_stats', 'SELECT') AS reads,
                             has_schema_privilege(caller, 'telemetry', 'USAGE') AND has_function_privilege(caller,
                                 'telemetry.ingest_telemetry(text, timestamptz, double precision, double precision, text, jsonb, text)', 'EXECUTE') AS writes) AS r;
                "current" := caller || ': ' || COALESCE(NULLIF(seen.list, ''), 'none');
                IF NOT seen.has_all THEN
                    state := 'advice';
                    command := format('SELECT telemetry.grant_admin(%L)', quote_ident(caller));
                END IF;

            WHEN 'synchronous_commit' THEN
                SELECT s.setting, s.source INTO seen FROM pg_settings s WHERE s.name = 'synchronous_commit';
                "current" := seen.setting;
                IF seen.setting = 'off' THEN
                    state := 'advice';
                    detail := 'A crash of the server loses the last accepted readings of sessions with this setting. For new sessions:';
                    command := CASE seen.source
                                   WHEN 'user' THEN format('ALTER ROLE %I SET synchronous_commit = on', session_user)
                                   WHEN 'database user' THEN format('ALTER ROLE %I IN DATABASE %I SET synchronous_commit = on', session_user, current_database())
                                   ELSE format('ALTER DATABASE %I SET synchronous_commit = on', current_database()) END;
                END IF;

            WHEN 'fsync' THEN
                "current" := current_setting('fsync');
                IF "current" = 'off' THEN
                    state := 'advice';
                    detail := 'A crash of the machine may lose the whole server.';
                    command := 'ALTER SYSTEM SET fsync = on; SELECT pg_reload_conf()';
                END IF;

            WHEN 'autovacuum' THEN
                SELECT string_agg(s.name || ' ' || s.setting, ', ' ORDER BY s.name),
                       string_agg('ALTER SYSTEM SET ' || s.name || ' = on', '; ') FILTER (WHERE s.setting = 'off') INTO "current", command
                FROM pg_settings s WHERE s.name IN ('autovacuum', 'track_counts');
                IF command IS NOT NULL THEN
                    state := 'missing';
                    detail := 'Read models grow with every batch, and the log is never frozen.';
                    command := command || '; SELECT pg_reload_conf()';
                END IF;

            WHEN 'track_activities' THEN
                "current" := current_setting('track_activities');
                IF "current" = 'off' THEN
                    state := 'advice';
                    detail := 'telemetry.health() cannot say what those in the way are doing.';
                    command := 'ALTER SYSTEM SET track_activities = on; SELECT pg_reload_conf()';
                END IF;
            END CASE;
        EXCEPTION WHEN OTHERS THEN
            state := 'missing';
            detail := concat('could not be checked: ', SQLSTATE, ' ', SQLERRM);
            command := NULL;
        END;
        RETURN NEXT;
    END LOOP;
END $$;
COMMENT ON FUNCTION telemetry.setup() IS
'What the extension needs of the server, a row an item: state ok | missing (something does not work) | advice (it works, but), the current value, why it matters, and the command that mends it: SQL for a superuser, statements separated by "; ", or pg_ctl for a shell of the server''s user. Settings are those of the caller''s session.';
