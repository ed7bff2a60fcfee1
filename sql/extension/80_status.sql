-- An operator watches these: the worker, the projections, statistics of the commands, and the stages of the pipeline.

CREATE FUNCTION telemetry.worker_status(OUT preloaded boolean, OUT pid integer, OUT state text, OUT since timestamptz, OUT last_error text, OUT last_error_at timestamptz)
    AS 'MODULE_PATHNAME', 'telemetry_get_worker_status' LANGUAGE C VOLATILE PARALLEL RESTRICTED;
COMMENT ON FUNCTION telemetry.worker_status() IS 'Returns the state of the projector worker of this database. preloaded is false where shared_preload_libraries lacks telemetry_cqrs: then commands start the worker, and since and last_error_at may be unknown. state: none | starting | running | failing (with a pid the worker waits and tries again; without one it cannot be started).';

CREATE FUNCTION telemetry.is_background_worker(pid integer) RETURNS boolean
    AS 'MODULE_PATHNAME', 'telemetry_is_background_worker' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION telemetry.is_background_worker(integer) IS 'Returns true if a process of the server occupies one of the worker slots that max_worker_processes counts. Workers of extensions, of parallel queries and of subscriptions do; processes of the server''s own do not. Internal.';

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

CREATE FUNCTION telemetry.ingest_statistics(
    OUT accepted bigint, OUT duplicates bigint, OUT conflicts bigint, OUT rejected bigint, OUT rolled_back bigint, OUT raised bigint,
    OUT commands bigint, OUT batches bigint, OUT stats_since timestamptz, OUT last_error_sqlstate text, OUT last_error_at timestamptz)
    AS 'MODULE_PATHNAME', 'telemetry_get_ingest_statistics' LANGUAGE C VOLATILE PARALLEL RESTRICTED;
COMMENT ON FUNCTION telemetry.ingest_statistics() IS 'Returns the counters that telemetry.stat_ingest shows, from shared memory.';

CREATE FUNCTION telemetry.quota_status(
    OUT refused_by_device bigint, OUT refused_by_total bigint, OUT refused_by_backlog bigint, OUT unbounded bigint, OUT last_refused_at timestamptz, OUT backlog bigint)
    AS 'MODULE_PATHNAME', 'telemetry_get_quota_status' LANGUAGE C VOLATILE PARALLEL RESTRICTED;
COMMENT ON FUNCTION telemetry.quota_status() IS 'Returns how many calls to this database were refused since the server started, by the limit that refused them: the quota of a device, that of the database (TC104), or max_backlog (TC105). unbounded: requests of devices, in all databases, for which the table of quotas had no room, so that only the total bounded them. last_refused_at: NULL where none was refused. backlog: about how many committed events the projector has not read yet; after a start of the server it counts only the events since, until a pass has read everything. NULL in every column where the library is not preloaded.';

CREATE FUNCTION telemetry.stat_ingest_reset() RETURNS void
    AS 'MODULE_PATHNAME', 'telemetry_reset_ingest_statistics' LANGUAGE C VOLATILE PARALLEL RESTRICTED;
COMMENT ON FUNCTION telemetry.stat_ingest_reset() IS 'Sets the counters of telemetry.stat_ingest for this database to zero, at once and even if the transaction is rolled back.';

CREATE VIEW telemetry.stat_ingest AS
    SELECT accepted + duplicates + conflicts + rejected + rolled_back AS received,
           accepted, duplicates, conflicts, rejected, rolled_back, raised, commands, batches,
           last_error_sqlstate, last_error_at, stats_since
    FROM telemetry.ingest_statistics();
COMMENT ON VIEW telemetry.stat_ingest IS
'Shows, in one row, the fates of the readings that were sent to this database since stats_since and whose transactions are over. All columns are NULL where the library is not preloaded (telemetry.setup() says how to do that).
received = accepted + duplicates + conflicts + rejected + rolled_back; each reading counts in one of them. accepted: rows that were committed to the log. duplicates, conflicts, rejected: verdicts of commands that were committed, and of commands that raised an error because of that reading.
rolled_back: readings that were sent in a transaction, or after a savepoint, that was rolled back, and readings of a command that raised an error for another reason.
commands: calls. batches: calls of ingest_telemetry_batch. raised: calls that ended with an error, the last one with last_error_sqlstate at last_error_at.
PREPARE TRANSACTION counts as a commit, and ROLLBACK PREPARED takes nothing back. A start of the server and telemetry.stat_ingest_reset() set all counters to zero; telemetry.pipeline_status has the durable figures.';

CREATE FUNCTION telemetry.log_status(OUT state text, OUT epoch integer, OUT opened_at timestamptz)
    AS 'MODULE_PATHNAME', 'telemetry_get_log_status' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION telemetry.log_status() IS 'Returns the state of the event log: fresh (nothing was accepted yet) | open | restored (it was written at another place, and nothing is applied until the first reading is accepted here). Also returns the epoch, and when it was opened.';

CREATE FUNCTION telemetry.batch_tail(OUT events bigint, OUT oldest_received_at timestamptz, OUT as_of timestamptz)
    AS 'MODULE_PATHNAME', 'telemetry_measure_batch_tail' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION telemetry.batch_tail() IS 'Returns how many committed events are in no batch yet, when the oldest of them was received (NULL as in telemetry.projection_tail()), and up to when all events are in batches. The call costs as much as the tail is long.';

CREATE VIEW telemetry.pipeline_status AS
    WITH log AS MATERIALIZED (
        SELECT s.state, s.epoch, t.events AS waiting, t.oldest_received_at, t.as_of,
               COALESCE(b.batched, 0)::bigint AS batched, COALESCE(b.last_batch_id, 0) AS last_batch_id
        FROM telemetry.log_status() AS s
        CROSS JOIN telemetry.batch_tail() AS t
        CROSS JOIN (SELECT pg_catalog.sum(events - open_events) AS batched, pg_catalog.max(last_batch_id) AS last_batch_id
                    FROM telemetry.batcher) AS b
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
'Shows a row for each stage, in the order in which readings pass them: ingest, event log, each projection, notification (batches for telemetry.read_events). The figures of all stages but ingest are exact, because they come from tables, as the caller''s snapshot shows them: events of the event log = events + waiting of each projection and of notification.
events: how many events passed the stage; for ingest, how many were accepted since stats_since (telemetry.stat_ingest). waiting: how many did not pass it yet. lag_seconds: how long the oldest of them waits, 0 while they are restored. as_of: up to when the stage is complete.
The view counts no table; it costs as much as there is waiting.';
