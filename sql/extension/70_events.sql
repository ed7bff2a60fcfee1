-- Readers of the log use these: its rows, its events batch after batch, and where a client goes on.

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
           pg_catalog.jsonb_strip_nulls(CASE type WHEN 'telemetry.ingested' THEN pg_catalog.jsonb_build_object(
               'device_id', device_id, 'region', region, 'measured_at', measured_at, 'received_at', received_at,
               'temperature', temperature, 'humidity', humidity, 'metrics', metrics, 'idempotency_key', idempotency_key)
           ELSE pg_catalog.jsonb_build_object(
               'device_id', device_id, 'region', region, 'since', measured_at, 'received_at', received_at)
               || COALESCE(metrics, '{}') || pg_catalog.jsonb_build_object('idempotency_key', idempotency_key) END) AS payload,
           received_at AS created_at,
           epoch
    FROM telemetry.event;
COMMENT ON VIEW telemetry.events IS 'Shows the event log in the shape of an outbox: id, aggregatetype, aggregateid, type, version, payload, created_at. type: telemetry.ingested (a reading) | device.offline | device.online. The payload of the last two has state (offline | online), since (from when on it is so), last_received_at and expected_interval in seconds, and device.online has silent_since, when the reading before was received. epoch is the epoch in which the event was stored; each place of the log (server, database, log table, timeline) has epochs of its own.';

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
