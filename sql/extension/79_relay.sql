-- The relay: how it stands, and what an administrator may tell it. src/worker/README.md has the contract.

CREATE FUNCTION telemetry.current_place(OUT system_identifier bigint, OUT database oid, OUT log oid, OUT timeline integer)
    AS 'MODULE_PATHNAME', 'telemetry_get_current_place' LANGUAGE C VOLATILE PARALLEL RESTRICTED;
COMMENT ON FUNCTION telemetry.current_place() IS 'Returns the place of this log: server, database, log table and timeline. Internal.';

-- A log in which nothing was accepted here may be one that is being restored, and the dump has rows of its own.
CREATE FUNCTION telemetry.start_relay(sink text, starts_at timestamptz) RETURNS boolean LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF (SELECT l.state FROM telemetry.log_status() AS l) <> 'open' THEN
        RETURN false;
    END IF;
    INSERT INTO telemetry.relay (sink, system_identifier, database, log, timeline, adopted_at, adopted_by, refresh_requested_at)
    SELECT start_relay.sink, p.system_identifier, p.database, p.log, p.timeline, clock_timestamp(), 'the first start', CASE WHEN start_relay.sink = 'redis' THEN clock_timestamp() END
    FROM telemetry.current_place() AS p
    ON CONFLICT DO NOTHING;
    IF NOT EXISTS (SELECT FROM telemetry.subscription s WHERE s.subscription = 'relay.' || start_relay.sink) THEN
        INSERT INTO telemetry.subscription (subscription, consumer_role, max_attempts, retry_delay, required, max_lag, created_at)
        SELECT 'relay.' || start_relay.sink, current_user, 0, '0', true, '7 days', clock_timestamp();
        PERFORM telemetry.start_share('relay.' || start_relay.sink, starts_at);
    END IF;
    RETURN true;
END $$;
COMMENT ON FUNCTION telemetry.start_relay(text, timestamptz) IS 'Makes the rows of a sink before its first message, which is of the first batch since that time. Returns false, and makes none, before a reading was accepted at this place. Internal.';

CREATE FUNCTION telemetry.pause_relay(sink text = NULL) RETURNS bigint
    AS 'MODULE_PATHNAME', 'telemetry_instruct_relay' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.pause_relay(text) IS 'Lets the relay send nothing more to a sink (nats | redis; NULL: to both) once the transaction has committed, also after a restart. Events wait, and telemetry.resume_relay() sends them. Returns how many sinks it has changed. 22023 for an unknown sink, and for one to which nothing was ever sent.';

CREATE FUNCTION telemetry.pause_relay_as_owner(sink text, caller text) RETURNS bigint LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed bigint;
BEGIN
    PERFORM telemetry.require_sink(sink);
    UPDATE telemetry.relay r SET paused_at = clock_timestamp(), paused_by = caller
    WHERE r.sink = COALESCE(pause_relay_as_owner.sink, r.sink) AND r.paused_at IS NULL;
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed;
END $$;
COMMENT ON FUNCTION telemetry.pause_relay_as_owner(text, text) IS 'Does the work of telemetry.pause_relay(). Internal.';

CREATE FUNCTION telemetry.resume_relay(sink text = NULL) RETURNS bigint
    AS 'MODULE_PATHNAME', 'telemetry_instruct_relay' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.resume_relay(text) IS 'Lets the relay go on with a sink (nats | redis; NULL: both) that telemetry.pause_relay() has paused. Returns how many sinks it has changed. 22023 for an unknown sink.';

CREATE FUNCTION telemetry.resume_relay_as_owner(sink text, caller text) RETURNS bigint LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed bigint;
BEGIN
    PERFORM telemetry.require_sink(sink);
    UPDATE telemetry.relay r SET paused_at = NULL, paused_by = NULL
    WHERE r.sink = COALESCE(resume_relay_as_owner.sink, r.sink) AND r.paused_at IS NOT NULL;
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed;
END $$;
COMMENT ON FUNCTION telemetry.resume_relay_as_owner(text, text) IS 'Does the work of telemetry.resume_relay(). Internal.';

CREATE FUNCTION telemetry.adopt_relay(sink text = NULL) RETURNS bigint
    AS 'MODULE_PATHNAME', 'telemetry_instruct_relay' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.adopt_relay(text) IS 'Lets the relay send from this place of the log (nats | redis; NULL: to both). A restored, copied or promoted log sends nothing before, because the original may still be at work. Call it after a fail-over, or when this log is to take the place of the original. It goes on behind the last event that the original had sent when the copy was made; NATS drops what it has already, as long as the duplicate window of its stream is not over, and Redis gets the values of every device again. Returns how many sinks it has changed. 22023 for an unknown sink.';

CREATE FUNCTION telemetry.adopt_relay_as_owner(sink text, caller text) RETURNS bigint LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed bigint;
BEGIN
    PERFORM telemetry.require_sink(sink);
    UPDATE telemetry.relay r SET system_identifier = p.system_identifier, database = p.database, log = p.log, timeline = p.timeline, adopted_at = clock_timestamp(), adopted_by = caller,
        -- Redis may have newer values than this log, of readings that never came here.
        refresh_requested_at = CASE WHEN r.sink = 'redis' THEN clock_timestamp() END
    FROM telemetry.current_place() AS p
    WHERE r.sink = COALESCE(adopt_relay_as_owner.sink, r.sink)
      AND (r.system_identifier, r.database, r.log, r.timeline) <> (p.system_identifier, p.database, p.log, p.timeline);
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed;
END $$;
COMMENT ON FUNCTION telemetry.adopt_relay_as_owner(text, text) IS 'Does the work of telemetry.adopt_relay(). Internal.';

CREATE FUNCTION telemetry.refresh_cache() RETURNS bigint
    AS 'MODULE_PATHNAME', 'telemetry_instruct_relay' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.refresh_cache() IS 'Lets the relay send the statistics of every device to Redis again, whatever Redis has, as after values were deleted there. It does so by itself when it starts for the first time, when it finds that Redis has lost what had arrived, and after a rebuild of the projection device. Returns 1, or 0 if the relay has never sent to Redis.';

CREATE FUNCTION telemetry.refresh_cache_as_owner(caller text) RETURNS bigint LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed bigint;
BEGIN
    UPDATE telemetry.relay r SET refresh_requested_at = clock_timestamp() WHERE r.sink = 'redis';
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed;
END $$;
COMMENT ON FUNCTION telemetry.refresh_cache_as_owner(text) IS 'Does the work of telemetry.refresh_cache(). Internal.';

CREATE FUNCTION telemetry.require_sink(sink text) RETURNS void LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF sink IS NOT NULL AND NOT EXISTS (SELECT FROM telemetry.relay r WHERE r.sink = require_sink.sink) THEN
        RAISE EXCEPTION 'the relay has no sink "%"', sink USING ERRCODE = 'invalid_parameter_value',
            DETAIL = format('It has sent to: %s.', COALESCE((SELECT string_agg(r.sink, ', ' ORDER BY r.sink) FROM telemetry.relay r), 'none')),
            HINT = 'Sinks are nats and redis, once telemetry_cqrs.nats_url or telemetry_cqrs.redis_url is set.';
    END IF;
END $$;
COMMENT ON FUNCTION telemetry.require_sink(text) IS 'Checks the name of a sink: 22023. Internal.';

CREATE FUNCTION telemetry.relay_report(OUT sink text, OUT state text, OUT since timestamptz, OUT server text, OUT sent bigint, OUT acknowledged bigint, OUT duplicates bigint,
    OUT failures bigint, OUT late_repeats bigint, OUT pending bigint, OUT note text, OUT last_failure_phase text, OUT last_error text, OUT last_error_at timestamptz, OUT pid integer) RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'telemetry_get_relay_report' LANGUAGE C VOLATILE PARALLEL RESTRICTED ROWS 2;
COMMENT ON FUNCTION telemetry.relay_report() IS 'Returns what the relay of this database says of each sink, from shared memory. Internal.';

CREATE VIEW telemetry.relay_status AS
    SELECT t.sink,
           CASE
               WHEN t.state IN ('off', 'stopped') AND (t.state = 'off' OR r.sink IS NULL) THEN t.state
               WHEN r.sink IS NULL THEN 'waiting'
               WHEN r.paused_at IS NOT NULL THEN CASE WHEN t.state IN ('stopped', 'resting') THEN 'paused' ELSE 'pausing' END
               WHEN r.sink IS NOT NULL AND (r.system_identifier, r.database, r.log, r.timeline) <> (p.system_identifier, p.database, p.log, p.timeline) THEN 'not adopted'
               WHEN s.lost_at IS NOT NULL THEN 'lost'
               WHEN t.state = 'resting' THEN 'connecting'
               ELSE t.state
           END AS state,
           t.since,
           t.server,
           s.consumed_batch AS acknowledged_batch,
           COALESCE(s.lag_events, 0)::bigint AS lag_events,
           COALESCE(s.lag_seconds, 0)::double precision AS lag_seconds,
           t.sent,
           t.acknowledged,
           t.duplicates,
           t.pending,
           t.failures,
           t.late_repeats,
           t.last_failure_phase,
           t.last_error,
           t.last_error_at,
           t.note,
           r.paused_at,
           r.paused_by,
           r.adopted_at,
           r.adopted_by,
           r.refresh_requested_at,
           t.pid
    FROM telemetry.relay_report() AS t
    CROSS JOIN telemetry.current_place() AS p
    LEFT JOIN telemetry.relay r ON r.sink = t.sink
    LEFT JOIN telemetry.subscription_status s ON s.subscription = 'relay.' || t.sink;
COMMENT ON VIEW telemetry.relay_status IS 'Shows how the relay stands with each sink: nats (NATS JetStream) and redis. state: off (its URL is not set) | stopped (no relay runs) | waiting (nothing was accepted here yet) | connecting | connected | backing off (it failed and tries again) | pausing | paused | not adopted (a copy of the log; telemetry.adopt_relay()) | lost (it lagged by more than 7 days; telemetry.restart_subscription()). acknowledged_batch: the last batch of which every event has arrived. lag_events, lag_seconds: what has not arrived, of closed batches. sent, acknowledged, duplicates: messages since the relay started; duplicates are those that the server had already. pending: messages that the relay holds. failures: of connections; last_failure_phase: settings | resolve | connect | tls | handshake | authentication | stream | publish | acknowledge | read. late_repeats: messages that were sent again after the duplicate window of the stream, so that it may have them twice. note: what the relay found on the server.';
