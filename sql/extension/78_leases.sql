-- Leases of durable subscriptions: what a consumer gets, and what follows from its answer. src/subscription/README.md has the
-- contract.

CREATE FUNCTION telemetry.next_batch(subscription text, max_events integer = 1000, lease_time interval = '30 s', consumer text = NULL)
    RETURNS TABLE (lease bigint, id bigint, type text, version smallint, device_id text, payload json, created_at timestamptz, epoch integer, attempt integer)
    AS 'MODULE_PATHNAME', 'telemetry_next_batch' LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 1000;
COMMENT ON FUNCTION telemetry.next_batch(text, integer, interval, text) IS
'Leases the next events of a subscription to the caller and returns them, at most max_events. No rows: nothing is to be done now, and no lease was given. All rows have one lease. telemetry.ack() with it says that the events were processed; telemetry.nack() gives them back. If neither comes within lease_time, another consumer gets them. Call next_batch in a transaction of its own, or in the one that also processes and acknowledges.
Several consumers may call it. Each gets other devices, and the events of a device come one after the other, in the order of telemetry.read_events(). consumer: names the caller, so that the devices are divided evenly (NULL: by its server process; name it where a pooler lends server processes). payload: as in telemetry.events, with times in UTC. attempt: 1, or more when the event comes again by itself.
22023 for an unknown subscription or an invalid argument, 42501 if the caller is no member of its consumer_role, TC205 if it is lost, 25006 on a standby.';

-- Finds a share with work for the consumer, and locks its row. Nobody waits here: rows that other transactions have locked are
-- passed over. The statements must see what others have committed by now, so the function is VOLATILE.
CREATE FUNCTION telemetry.take_share(subscription text, consumer text, most integer, lease_time interval, caller text,
    OUT first_lane smallint, OUT last_lane smallint, OUT batch_id bigint, OUT partial_xid xid8, OUT partial_event_id bigint, OUT at_most bigint, OUT most_events integer,
    OUT lease bigint, OUT is_retry boolean, OUT devices text[], OUT regions text[], OUT types text[], OUT held text[]) LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    moment CONSTANT timestamptz := clock_timestamp();
    newest bigint;
    s telemetry.subscription;
    h telemetry.subscription_share;
    neighbour telemetry.subscription_share;
    shares integer;
    consumers integer;
    halfway smallint;
    first_attempts integer;
    delivered integer;
BEGIN
    IF NOT lease_time BETWEEN interval '1 us' AND interval '1 day' THEN
        PERFORM telemetry.require_lease_time(take_share.lease_time);
    END IF;
    s := telemetry.require_subscription(take_share.subscription, take_share.caller, false);
    newest := COALESCE((SELECT max(b.batch_id) FROM telemetry.batch b), 0);
    SELECT c.* INTO h FROM telemetry.subscription_share c
    WHERE c.subscription = s.subscription AND c.not_before <= moment AND (c.lease IS NULL OR c.leased_until <= moment)
      AND (c.batch_id < newest OR c.lease IS NOT NULL OR EXISTS (
          SELECT FROM telemetry.redelivery r
          WHERE r.subscription = s.subscription AND r.lane BETWEEN c.first_lane AND c.last_lane AND r.lease IS NULL AND r.due_at <= moment))
    -- A share that another consumer has just worked on comes last: its consumer will be back.
    ORDER BY c.consumer <> take_share.consumer AND c.answered_at > moment - interval '5 s' NULLS FIRST, c.batch_id, c.first_lane
    LIMIT 1 FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        -- Where others have all the work, the consumer leaves word that it wants a part.
        IF EXISTS (SELECT FROM telemetry.subscription_share c WHERE c.subscription = s.subscription AND c.batch_id < newest AND c.not_before <= moment) THEN
            DELETE FROM telemetry.subscription_consumer c WHERE (c.subscription, c.consumer) IN (
                SELECT o.subscription, o.consumer FROM telemetry.subscription_consumer o
                WHERE o.subscription = s.subscription AND (o.seen_at < moment - interval '1 hour' OR o.consumer = take_share.consumer) FOR UPDATE SKIP LOCKED);
            INSERT INTO telemetry.subscription_consumer (subscription, consumer, seen_at) VALUES (s.subscription, take_share.consumer, moment) ON CONFLICT DO NOTHING;
        END IF;
        RETURN;
    END IF;
    IF h.lease IS NOT NULL THEN
        h := telemetry.fail_share(s, h, format('The lease of consumer %s ended without an answer.', h.consumer), interval '0', true);
    END IF;

    -- There are as many shares as consumers, where that can be had. A share is split in two halves, and two shares that stand at the
    -- same place are joined.
    SELECT count(*) INTO shares FROM telemetry.subscription_share c WHERE c.subscription = s.subscription;
    consumers := 1;
    IF shares > 1 OR EXISTS (SELECT FROM telemetry.subscription_consumer o WHERE o.subscription = s.subscription) THEN
        SELECT count(*) INTO consumers FROM (
            SELECT take_share.consumer UNION
            SELECT c.consumer FROM telemetry.subscription_share c WHERE c.subscription = s.subscription AND greatest(c.leased_until, c.answered_at + interval '30 s') > moment UNION
            SELECT o.consumer FROM telemetry.subscription_consumer o WHERE o.subscription = s.subscription AND o.seen_at > moment - interval '30 s') AS names;
    END IF;
    IF shares < consumers AND h.first_lane < h.last_lane THEN
        halfway := (h.first_lane + h.last_lane) / 2;
        INSERT INTO telemetry.subscription_share (subscription, first_lane, last_lane, batch_id, partial_xid, partial_event_id, not_before, failures, caution, careful_events)
        VALUES (h.subscription, halfway + 1, h.last_lane, h.batch_id, h.partial_xid, h.partial_event_id, h.not_before, h.failures, h.caution, h.careful_events);
        UPDATE telemetry.subscription_share c SET last_lane = halfway WHERE c.subscription = h.subscription AND c.first_lane = h.first_lane;
        h.last_lane := halfway;
    ELSIF shares > consumers THEN
        SELECT c.* INTO neighbour FROM telemetry.subscription_share c
        WHERE c.subscription = h.subscription AND c.lease IS NULL AND c.not_before <= moment AND (c.first_lane = h.last_lane + 1 OR c.last_lane = h.first_lane - 1)
        ORDER BY c.batch_id, c.first_lane LIMIT 1 FOR UPDATE SKIP LOCKED;
        IF FOUND AND (neighbour.batch_id, neighbour.partial_xid, neighbour.partial_event_id) IS NOT DISTINCT FROM (h.batch_id, h.partial_xid, h.partial_event_id) THEN
            DELETE FROM telemetry.subscription_share c WHERE c.subscription = h.subscription AND c.first_lane = greatest(h.first_lane, neighbour.first_lane);
            h.first_lane := least(h.first_lane, neighbour.first_lane);
            h.last_lane := greatest(h.last_lane, neighbour.last_lane);
            UPDATE telemetry.subscription_share c
            SET last_lane = h.last_lane, failures = greatest(h.failures, neighbour.failures), caution = greatest(h.caution, neighbour.caution),
                careful_events = greatest(h.careful_events, neighbour.careful_events)
            WHERE c.subscription = h.subscription AND c.first_lane = h.first_lane;
        ELSIF FOUND AND neighbour.batch_id > h.batch_id THEN
            at_most := neighbour.batch_id;  -- there the two can be joined
        END IF;
    END IF;

    first_lane := h.first_lane;
    last_lane := h.last_lane;
    batch_id := h.batch_id;
    partial_xid := h.partial_xid;
    partial_event_id := h.partial_event_id;
    most_events := greatest(1, most / (10 ^ h.caution)::integer);
    LOOP
        lease := nextval('telemetry.lease_seq');
        -- Logical replication brings the shares, but leaves the sequence behind.
        EXIT WHEN NOT EXISTS (SELECT FROM telemetry.subscription_share c WHERE c.subscription = s.subscription AND c.lease = take_share.lease);
    END LOOP;
    devices := s.devices;
    regions := s.regions;
    types := s.types;
    is_retry := false;
    IF NOT EXISTS (SELECT FROM telemetry.redelivery r WHERE r.subscription = s.subscription) THEN
        RETURN;
    END IF;

    -- A device whose event has failed is delivered alone, and after a failure its event is, too.
    SELECT r.device_id INTO h.retried_device FROM telemetry.redelivery r
    WHERE r.subscription = s.subscription AND r.lane BETWEEN h.first_lane AND h.last_lane AND r.lease IS NULL AND r.due_at <= moment
    ORDER BY r.due_at LIMIT 1;
    is_retry := FOUND;
    IF is_retry THEN
        SELECT r.attempts INTO first_attempts FROM telemetry.redelivery r
        WHERE r.subscription = s.subscription AND r.lane BETWEEN h.first_lane AND h.last_lane AND r.device_id = h.retried_device
        ORDER BY r.batch_id, r.xid, r.event_id LIMIT 1;
        UPDATE telemetry.redelivery r SET lease = take_share.lease
        WHERE (r.subscription, r.lane, r.device_id, r.batch_id, r.xid, r.event_id) IN (
            SELECT d.subscription, d.lane, d.device_id, d.batch_id, d.xid, d.event_id FROM telemetry.redelivery d
            WHERE d.subscription = s.subscription AND d.lane BETWEEN h.first_lane AND h.last_lane AND d.device_id = h.retried_device AND d.lease IS NULL
            ORDER BY d.batch_id, d.xid, d.event_id LIMIT CASE WHEN first_attempts > 0 THEN 1 ELSE most_events END);
        GET DIAGNOSTICS delivered = ROW_COUNT;
        UPDATE telemetry.subscription_share c
        SET lease_events = delivered, lease = take_share.lease, consumer = take_share.consumer, leased_until = clock_timestamp() + lease_time, retried_device = h.retried_device
        WHERE c.subscription = h.subscription AND c.first_lane = h.first_lane;
    ELSE
        SELECT array_agg(DISTINCT r.device_id) INTO held FROM telemetry.redelivery r
        WHERE r.subscription = s.subscription AND r.lane BETWEEN h.first_lane AND h.last_lane;
    END IF;
END $$;
COMMENT ON FUNCTION telemetry.take_share(text, text, integer, interval, text) IS 'Chooses the share of a subscription that a consumer works on next. Internal.';

-- The lease of a share has failed. Returns the share as it is now.
CREATE FUNCTION telemetry.fail_share(s telemetry.subscription, h telemetry.subscription_share, reason text, delay interval, counts boolean) RETURNS telemetry.subscription_share LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    moment CONSTANT timestamptz := clock_timestamp();
    head telemetry.redelivery;
    pause interval;
BEGIN
    IF h.retried_device IS NOT NULL THEN
        SELECT r.* INTO head FROM telemetry.redelivery r WHERE r.subscription = h.subscription AND r.lease = h.lease ORDER BY r.batch_id, r.xid, r.event_id LIMIT 1;
        pause := COALESCE(delay, CASE WHEN counts THEN telemetry.retry_pause(s.retry_delay, head.attempts + 1) ELSE interval '0' END);
        UPDATE telemetry.redelivery r SET lease = NULL, due_at = moment + pause
        WHERE r.subscription = head.subscription AND r.lane = head.lane AND r.device_id = head.device_id;
        IF counts THEN
            PERFORM telemetry.fail_redelivery(s, head, reason);
        END IF;
    ELSE
        IF counts THEN
            h.failures := h.failures + 1;
        END IF;
        IF counts AND h.lease_events = 1 THEN
            -- The event is to blame. It goes on alone, and the share goes on without it. Those that the lease has held back were not
            -- delivered, so they go on waiting.
            PERFORM telemetry.put_aside(s, h, NULL, reason, COALESCE(delay, telemetry.retry_pause(s.retry_delay, 1)), true);
            UPDATE telemetry.redelivery r SET lease = NULL WHERE r.subscription = h.subscription AND r.lease = h.lease;
            h.batch_id := h.lease_batch_id;
            h.partial_xid := h.lease_partial_xid;
            h.partial_event_id := h.lease_partial_event_id;
            h.caution := 0;
            h.careful_events := 0;
        ELSE
            DELETE FROM telemetry.redelivery r WHERE r.subscription = h.subscription AND r.lease = h.lease;
            IF counts THEN
                h.caution := least(h.caution + 1, 9);
                h.careful_events := greatest(h.careful_events, h.lease_events);
            END IF;
        END IF;
        h.not_before := moment + COALESCE(delay, CASE WHEN counts THEN telemetry.retry_pause(s.retry_delay, h.failures) ELSE interval '0' END);
    END IF;
    IF counts THEN
        h.last_error := reason;
        h.last_error_at := moment;
    END IF;
    h.lease := NULL;
    h.leased_until := NULL;
    h.retried_device := NULL;
    UPDATE telemetry.subscription_share c
    SET batch_id = h.batch_id, partial_xid = h.partial_xid, partial_event_id = h.partial_event_id, not_before = h.not_before, failures = h.failures, caution = h.caution,
        careful_events = h.careful_events, last_error = h.last_error, last_error_at = h.last_error_at, answered_at = moment, lease = NULL, leased_until = NULL, retried_device = NULL
    WHERE c.subscription = h.subscription AND c.first_lane = h.first_lane;
    RETURN h;
END $$;
COMMENT ON FUNCTION telemetry.fail_share(telemetry.subscription, telemetry.subscription_share, text, interval, boolean) IS 'Ends a lease that has failed. Internal.';

CREATE FUNCTION telemetry.retry_pause(first_pause interval, attempts integer) RETURNS interval LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
RETURN CASE WHEN first_pause > interval '60 s' THEN first_pause ELSE least(first_pause * (2 ^ least(attempts - 1, 30)), interval '60 s') END;
COMMENT ON FUNCTION telemetry.retry_pause(interval, integer) IS 'Returns the pause after so many failures in a row. Internal.';

CREATE FUNCTION telemetry.fail_redelivery(s telemetry.subscription, head telemetry.redelivery, reason text) RETURNS void LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE telemetry.redelivery r SET attempts = r.attempts + 1, last_error = reason
    WHERE (r.subscription, r.lane, r.device_id, r.batch_id, r.xid, r.event_id) = (head.subscription, head.lane, head.device_id, head.batch_id, head.xid, head.event_id);
    PERFORM telemetry.bury_dead(s);
END $$;
COMMENT ON FUNCTION telemetry.fail_redelivery(telemetry.subscription, telemetry.redelivery, text) IS 'Counts a failure of an event that was delivered alone. Internal.';

CREATE FUNCTION telemetry.bury_dead(s telemetry.subscription) RETURNS void LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    WITH dead AS (
        DELETE FROM telemetry.redelivery r WHERE r.subscription = s.subscription AND s.max_attempts > 0 AND r.attempts >= s.max_attempts RETURNING r.*)
    INSERT INTO telemetry.dead_letter (subscription, event_id, epoch, lane, device_id, batch_id, xid, type, version, payload, received_at, attempts, last_error, died_at)
    SELECT d.subscription, d.event_id, d.epoch, d.lane, d.device_id, d.batch_id, d.xid, d.type, d.version, d.payload, d.received_at, d.attempts, d.last_error, clock_timestamp()
    FROM dead d
    ON CONFLICT (subscription, event_id, epoch) DO UPDATE SET attempts = excluded.attempts, last_error = excluded.last_error, died_at = excluded.died_at;
END $$;
COMMENT ON FUNCTION telemetry.bury_dead(telemetry.subscription) IS 'Makes dead letters of the events that have failed too often. Internal.';

CREATE FUNCTION telemetry.leased_events(first_lane smallint, last_lane smallint, start_batch_id bigint, start_partial_xid xid8, start_partial_event_id bigint,
    end_batch_id bigint, end_partial_xid xid8, end_partial_event_id bigint, devices text[], regions text[], types text[])
    RETURNS TABLE (lane smallint, device_id text, batch_id bigint, xid xid8, event_id bigint, epoch integer, type text, version smallint, payload json, received_at timestamptz)
    AS 'MODULE_PATHNAME', 'telemetry_read_leased_events' LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 1000;
COMMENT ON FUNCTION telemetry.leased_events(smallint, smallint, bigint, xid8, bigint, bigint, xid8, bigint, text[], text[], text[]) IS 'Returns the events of a share between two places. Internal.';

-- Puts events of a lease aside: these, or all of the lease. Returns how many.
CREATE FUNCTION telemetry.put_aside(s telemetry.subscription, h telemetry.subscription_share, events bigint[], reason text, pause interval, counts boolean) RETURNS bigint LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    moment CONSTANT timestamptz := clock_timestamp();
    put bigint;
BEGIN
    IF EXISTS (SELECT FROM unnest(ARRAY[h.batch_id, h.lease_batch_id]) AS place WHERE place > 0 AND NOT EXISTS (SELECT FROM telemetry.batch b WHERE b.batch_id = place)) THEN
        RAISE EXCEPTION 'subscription "%" is lost', s.subscription USING ERRCODE = 'TC205',
            DETAIL = 'Batches of the lease have been merged with others.', HINT = 'Take what its consumers lack from telemetry.events or from the statistics, then call telemetry.restart_subscription().';
    END IF;
    INSERT INTO telemetry.redelivery AS r (subscription, lane, device_id, batch_id, xid, event_id, epoch, type, version, payload, received_at, attempts, due_at, last_error)
    SELECT s.subscription, e.lane, e.device_id, e.batch_id, e.xid, e.event_id, e.epoch, e.type, e.version, e.payload, e.received_at,
           -- The first failure of a device may be the cause of those that follow.
           CASE WHEN counts AND row_number() OVER (PARTITION BY e.device_id ORDER BY e.batch_id, e.xid, e.event_id) = 1 THEN 1 ELSE 0 END, moment + pause, reason
    FROM telemetry.leased_events(h.first_lane, h.last_lane, h.batch_id, h.partial_xid, h.partial_event_id,
                                 h.lease_batch_id, h.lease_partial_xid, h.lease_partial_event_id, s.devices, s.regions, s.types) AS e
    WHERE (events IS NULL OR e.event_id = ANY (events))
      AND NOT EXISTS (SELECT FROM telemetry.redelivery o WHERE o.subscription = s.subscription AND o.lease = h.lease AND o.device_id = e.device_id)
    -- An event that was a dead letter may be there already.
    ON CONFLICT (subscription, lane, device_id, batch_id, xid, event_id) DO UPDATE
        SET attempts = r.attempts + excluded.attempts, due_at = excluded.due_at, last_error = excluded.last_error;
    GET DIAGNOSTICS put = ROW_COUNT;
    IF counts THEN
        PERFORM telemetry.bury_dead(s);
        UPDATE telemetry.subscription_share c SET last_error = reason, last_error_at = moment WHERE c.subscription = h.subscription AND c.first_lane = h.first_lane;
    END IF;
    RETURN put;
END $$;
COMMENT ON FUNCTION telemetry.put_aside(telemetry.subscription, telemetry.subscription_share, bigint[], text, interval, boolean) IS 'Puts events of a lease aside, to be delivered again by themselves. TC205 if the batches of the lease are not there any more. Internal.';

CREATE FUNCTION telemetry.require_lease(subscription text, lease bigint) RETURNS telemetry.subscription_share LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    h telemetry.subscription_share;
BEGIN
    SELECT c.* INTO h FROM telemetry.subscription_share c WHERE c.subscription = require_lease.subscription AND c.lease = require_lease.lease FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'lease % is not held', lease USING ERRCODE = 'TC206',
            DETAIL = 'It was answered before, or it ended and its events went to another consumer.',
            HINT = 'Roll back what was done with its events, and call telemetry.next_batch() again.';
    END IF;
    RETURN h;
END $$;
COMMENT ON FUNCTION telemetry.require_lease(text, bigint) IS 'Locks the share that a lease holds: TC206. Internal.';

CREATE FUNCTION telemetry.ack(subscription text, lease bigint) RETURNS void
    AS 'MODULE_PATHNAME', 'telemetry_ack' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.ack(text, bigint) IS 'Says that the events of a lease were processed: they are not delivered again. Call it in the transaction that stores what the events led to; then each event counts there exactly once, whatever crashes. A lease that ended is still good while no other consumer has got its events. TC206 if the lease is not held: roll back. 22023, 42501 as for telemetry.next_batch().';

CREATE FUNCTION telemetry.ack_as_owner(subscription text, lease bigint, caller text) RETURNS void LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s CONSTANT telemetry.subscription := telemetry.require_subscription(ack_as_owner.subscription, caller, true);
    h CONSTANT telemetry.subscription_share := telemetry.require_lease(ack_as_owner.subscription, ack_as_owner.lease);
BEGIN
    PERFORM telemetry.end_lease(h);
END $$;
COMMENT ON FUNCTION telemetry.ack_as_owner(text, bigint, text) IS 'Does the work of telemetry.ack(). Internal.';

-- The events of the lease were processed, or put aside.
CREATE FUNCTION telemetry.end_lease(h telemetry.subscription_share) RETURNS void LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF h.retried_device IS NOT NULL THEN
        DELETE FROM telemetry.redelivery r WHERE r.subscription = h.subscription AND r.lease = h.lease;
        UPDATE telemetry.subscription_share c SET answered_at = clock_timestamp(), lease = NULL, leased_until = NULL, retried_device = NULL
        WHERE c.subscription = h.subscription AND c.first_lane = h.first_lane;
    ELSE
        UPDATE telemetry.redelivery r SET lease = NULL WHERE r.subscription = h.subscription AND r.lease = h.lease;
        UPDATE telemetry.subscription_share c
        SET batch_id = h.lease_batch_id, partial_xid = h.lease_partial_xid, partial_event_id = h.lease_partial_event_id, failures = 0,
            caution = CASE WHEN h.careful_events <= h.lease_events THEN 0 ELSE h.caution END,
            careful_events = greatest(h.careful_events - h.lease_events, 0), answered_at = clock_timestamp(), lease = NULL, leased_until = NULL
        WHERE c.subscription = h.subscription AND c.first_lane = h.first_lane;
    END IF;
END $$;
COMMENT ON FUNCTION telemetry.end_lease(telemetry.subscription_share) IS 'Ends a lease whose events need not be delivered again. Internal.';

CREATE FUNCTION telemetry.nack(subscription text, lease bigint, reason text = NULL, events bigint[] = NULL, delay interval = NULL, counts boolean = true) RETURNS void
    AS 'MODULE_PATHNAME', 'telemetry_use_subscription' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.nack(text, bigint, text, bigint[], interval, boolean) IS
'Gives the events of a lease back. Without events all of them come again, ever fewer at a time, until the event that fails comes alone. With events only these (their ids) come again, each device by itself, and the others count as processed; name the event that failed and the later ones of its device. Meanwhile the other devices go on, and later events of the same device wait. An event that has failed max_attempts times alone becomes a dead letter.
reason: is shown by telemetry.subscription_status and telemetry.dead_letters. delay: when they come again (NULL: after retry_delay, which doubles with each failure up to a minute). counts: false if the events are not to blame, as when the consumer shuts down; then no failure is counted, and they come again after delay or at once.
TC206 if the lease is not held, 22023 for an event that is not of the lease or a delay that is out of range, TC205 if the subscription is lost and the events cannot be found any more.';

CREATE FUNCTION telemetry.nack_as_owner(subscription text, lease bigint, reason text, events bigint[], delay interval, counts boolean, caller text) RETURNS void LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s CONSTANT telemetry.subscription := telemetry.require_subscription(nack_as_owner.subscription, caller, true);
    h telemetry.subscription_share := telemetry.require_lease(nack_as_owner.subscription, nack_as_owner.lease);
    blames CONSTANT boolean := COALESCE(counts, true);
    wanted bigint;
    put bigint;
BEGIN
    IF delay < interval '0' OR delay > interval '1 year' THEN
        RAISE EXCEPTION 'delay is out of range' USING ERRCODE = 'invalid_parameter_value', DETAIL = format('It is %s.', delay), HINT = 'Give a time of a year at most, or leave it out to get the pause of the subscription.';
    END IF;
    IF EXISTS (SELECT FROM unnest(events) AS e WHERE e IS NULL) THEN
        RAISE EXCEPTION 'an event is NULL' USING ERRCODE = 'invalid_parameter_value', HINT = 'Give ids that telemetry.next_batch() returned with this lease.';
    END IF;
    IF events IS NULL THEN
        PERFORM telemetry.fail_share(s, h, COALESCE(reason, 'The consumer gave the events back.'), delay, blames);
        RETURN;
    END IF;
    SELECT count(DISTINCT e) INTO wanted FROM unnest(events) AS e;
    IF h.retried_device IS NOT NULL THEN
        SELECT count(*) INTO put FROM telemetry.redelivery r WHERE r.subscription = h.subscription AND r.lease = h.lease AND r.event_id = ANY (events);
    ELSE
        put := telemetry.put_aside(s, h, events, COALESCE(reason, 'The consumer gave the event back.'), COALESCE(delay, CASE WHEN blames THEN telemetry.retry_pause(s.retry_delay, 1) ELSE interval '0' END), blames);
    END IF;
    IF put <> wanted THEN
        RAISE EXCEPTION 'an event is not of lease %', lease USING ERRCODE = 'invalid_parameter_value', DETAIL = format('Of %s events %s are of the lease.', wanted, put),
            HINT = 'Give ids that telemetry.next_batch() returned with this lease.';
    END IF;
    IF h.retried_device IS NULL THEN
        PERFORM telemetry.end_lease(h);
    ELSIF put = 0 THEN
        PERFORM telemetry.end_lease(h);
    ELSE
        DELETE FROM telemetry.redelivery r WHERE r.subscription = h.subscription AND r.lease = h.lease AND r.event_id <> ALL (events);
        PERFORM telemetry.fail_share(s, h, COALESCE(reason, 'The consumer gave the event back.'), delay, blames);
    END IF;
END $$;
COMMENT ON FUNCTION telemetry.nack_as_owner(text, bigint, text, bigint[], interval, boolean, text) IS 'Does the work of telemetry.nack(). Internal.';

CREATE FUNCTION telemetry.extend_lease(subscription text, lease bigint, lease_time interval) RETURNS void
    AS 'MODULE_PATHNAME', 'telemetry_use_subscription' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.extend_lease(text, bigint, interval) IS 'Lets a lease end after this time from now, for a consumer that needs longer than it thought. TC206 if the lease is not held, 22023 if the time is not positive.';

CREATE FUNCTION telemetry.extend_lease_as_owner(subscription text, lease bigint, lease_time interval, caller text) RETURNS void LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s CONSTANT telemetry.subscription := telemetry.require_subscription(extend_lease_as_owner.subscription, caller, true);
    h CONSTANT telemetry.subscription_share := telemetry.require_lease(extend_lease_as_owner.subscription, extend_lease_as_owner.lease);
BEGIN
    PERFORM telemetry.require_lease_time(lease_time);
    UPDATE telemetry.subscription_share c SET leased_until = clock_timestamp() + lease_time WHERE c.subscription = h.subscription AND c.first_lane = h.first_lane;
END $$;
COMMENT ON FUNCTION telemetry.extend_lease_as_owner(text, bigint, interval, text) IS 'Does the work of telemetry.extend_lease(). Internal.';

CREATE FUNCTION telemetry.require_lease_time(lease_time interval) RETURNS void LANGUAGE plpgsql IMMUTABLE
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF lease_time IS NULL OR lease_time <= interval '0' OR lease_time > interval '1 day' THEN
        RAISE EXCEPTION 'lease_time is out of range' USING ERRCODE = 'invalid_parameter_value', DETAIL = format('It is %L.', lease_time),
            HINT = 'Give a positive time of a day at most.';
    END IF;
END $$;
COMMENT ON FUNCTION telemetry.require_lease_time(interval) IS 'Checks how long a lease is to last: 22023. Internal.';

CREATE FUNCTION telemetry.replay_dead_letters(subscription text, events bigint[] = NULL) RETURNS bigint
    AS 'MODULE_PATHNAME', 'telemetry_use_subscription' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.replay_dead_letters(text, bigint[]) IS 'Lets a subscription deliver dead letters once more: these (telemetry.dead_letters.id), or all if NULL. Each comes by itself and before later events of its device that wait; those that were processed meanwhile do not come again. If an event of the device has just failed, they wait until it is tried again. Returns how many. 22023 for an unknown subscription.';

CREATE FUNCTION telemetry.replay_dead_letters_as_owner(subscription text, events bigint[], caller text) RETURNS bigint LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s CONSTANT telemetry.subscription := telemetry.require_subscription(replay_dead_letters_as_owner.subscription, caller, true);
    replayed bigint;
BEGIN
    WITH risen AS (
        DELETE FROM telemetry.dead_letter d WHERE d.subscription = s.subscription AND (events IS NULL OR d.event_id = ANY (events)) RETURNING d.*)
    INSERT INTO telemetry.redelivery (subscription, lane, device_id, batch_id, xid, event_id, epoch, type, version, payload, received_at, attempts, due_at, last_error)
    SELECT d.subscription, d.lane, d.device_id, d.batch_id, d.xid, d.event_id, d.epoch, d.type, d.version, d.payload, d.received_at, 0,
           -- All events of a device are due at one time.
           COALESCE((SELECT max(r.due_at) FROM telemetry.redelivery r WHERE r.subscription = d.subscription AND r.lane = d.lane AND r.device_id = d.device_id), '-infinity'), d.last_error
    FROM risen d
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS replayed = ROW_COUNT;
    RETURN replayed;
END $$;
COMMENT ON FUNCTION telemetry.replay_dead_letters_as_owner(text, bigint[], text) IS 'Does the work of telemetry.replay_dead_letters(). Internal.';
