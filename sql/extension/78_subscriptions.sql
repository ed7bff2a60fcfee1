-- Durable subscriptions: clients outside the database consume the log. src/subscription/README.md has the contract.

CREATE FUNCTION telemetry.create_subscription(subscription text, starts_at timestamptz = 'infinity', devices text[] = NULL, regions text[] = NULL, types text[] = NULL,
    consumer_role text = NULL, max_attempts integer = 5, retry_delay interval = '1 s', required boolean = true, max_lag interval = '7 days') RETURNS void
    AS 'MODULE_PATHNAME', 'telemetry_use_subscription' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.create_subscription(text, timestamptz, text[], text[], text[], text, integer, interval, boolean, interval) IS
'Creates a durable subscription: telemetry.next_batch() delivers each of its events until telemetry.ack() says that it was processed. starts_at: where it begins; infinity: with what is committed from now on; -infinity: with the oldest event in the log; otherwise with the batch of that time, so that some older events may come, too. devices, regions, types: it wants only events of these (NULL: all; a region must be the one that was recorded). consumer_role: members of this role may consume (NULL: the caller).
max_attempts: an event that has failed so often is put aside as a dead letter (0: never). retry_delay: the pause after its first failure, at most a day; it doubles up to a minute. required: telemetry.batch keeps the batches that the subscription has not consumed, until it lags by more than max_lag; then it is marked as lost. One that is not required is lost when telemetry_cqrs.batch_retention passes it.
42710 if the subscription exists, 22023 for an invalid argument, 42704 for an unknown role.';

CREATE FUNCTION telemetry.place_at(starts_at timestamptz) RETURNS bigint LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT COALESCE(max(b.batch_id), 0) FROM telemetry.batch b WHERE b.created_at < starts_at;
END;
COMMENT ON FUNCTION telemetry.place_at(timestamptz) IS 'Returns the last batch that was closed before a time; 0: none was. Internal.';

CREATE FUNCTION telemetry.start_share(subscription text, starts_at timestamptz) RETURNS void LANGUAGE sql VOLATILE
    SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    INSERT INTO telemetry.subscription_share (subscription, first_lane, last_lane, batch_id, not_before, failures, caution, careful_events)
    VALUES (start_share.subscription, 0, 255, telemetry.place_at(start_share.starts_at), '-infinity', 0, 0, 0);
END;
COMMENT ON FUNCTION telemetry.start_share(text, timestamptz) IS 'Makes the one share with which a subscription begins. Internal.';

CREATE FUNCTION telemetry.create_subscription_as_owner(subscription text, starts_at timestamptz, devices text[], regions text[], types text[],
    consumer_role text, max_attempts integer, retry_delay interval, required boolean, max_lag interval, caller text) RETURNS void LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    given record;
BEGIN
    IF subscription IS NULL OR subscription !~ '^[a-z_][a-z0-9_-]{0,62}$' THEN
        RAISE EXCEPTION 'invalid name of a subscription' USING ERRCODE = 'invalid_parameter_value', DETAIL = format('The name is %L.', subscription),
            HINT = 'A name has up to 63 characters: lower-case letters, digits, _ and -, and begins with a letter or _.';
    END IF;
    IF starts_at IS NULL OR max_attempts IS NULL OR retry_delay IS NULL OR required IS NULL OR max_lag IS NULL THEN
        RAISE EXCEPTION 'an argument is NULL' USING ERRCODE = 'invalid_parameter_value',
            DETAIL = 'starts_at, max_attempts, retry_delay, required and max_lag must not be NULL.', HINT = 'Leave the argument out to get its default.';
    END IF;
    FOR given IN SELECT * FROM (VALUES ('devices', devices), ('regions', regions), ('types', types)) AS v (name, items) LOOP
        IF cardinality(given.items) = 0 OR array_ndims(given.items) > 1 OR EXISTS (SELECT FROM unnest(given.items) AS i WHERE i IS NULL) THEN
            RAISE EXCEPTION 'invalid list of %', given.name USING ERRCODE = 'invalid_parameter_value', DETAIL = format('The list is %L.', given.items),
                HINT = 'Give a list of texts without NULL, or NULL for all.';
        END IF;
    END LOOP;
    IF max_attempts < 0 OR max_attempts > 1000000 OR retry_delay < interval '0' OR retry_delay > interval '1 day' OR max_lag <= interval '0' THEN
        RAISE EXCEPTION 'an argument is out of range' USING ERRCODE = 'invalid_parameter_value',
            DETAIL = format('max_attempts is %s, retry_delay %s, max_lag %s.', max_attempts, retry_delay, max_lag),
            HINT = 'max_attempts is 0 to 1000000, retry_delay is 0 to a day, and max_lag is positive.';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = COALESCE(consumer_role, caller)) THEN
        RAISE EXCEPTION 'there is no role %', quote_ident(consumer_role) USING ERRCODE = 'undefined_object', HINT = 'Give the name of a role that CREATE ROLE has made.';
    END IF;
    INSERT INTO telemetry.subscription (subscription, consumer_role, devices, regions, types, max_attempts, retry_delay, required, max_lag, created_at)
    VALUES (create_subscription_as_owner.subscription, COALESCE(create_subscription_as_owner.consumer_role, caller), create_subscription_as_owner.devices,
            create_subscription_as_owner.regions, create_subscription_as_owner.types, create_subscription_as_owner.max_attempts, create_subscription_as_owner.retry_delay,
            create_subscription_as_owner.required, create_subscription_as_owner.max_lag, clock_timestamp())
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'subscription "%" already exists', subscription USING ERRCODE = 'duplicate_object',
            HINT = 'telemetry.restart_subscription() lets it begin anew, telemetry.drop_subscription() removes it.';
    END IF;
    PERFORM telemetry.start_share(create_subscription_as_owner.subscription, starts_at);
END $$;
COMMENT ON FUNCTION telemetry.create_subscription_as_owner(text, timestamptz, text[], text[], text[], text, integer, interval, boolean, interval, text) IS 'Does the work of telemetry.create_subscription(). Internal.';

CREATE FUNCTION telemetry.require_subscription(subscription text, caller text, may_be_lost boolean) RETURNS telemetry.subscription LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s telemetry.subscription;
BEGIN
    SELECT c.* INTO s FROM telemetry.subscription c WHERE c.subscription = require_subscription.subscription;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no subscription "%"', subscription USING ERRCODE = 'invalid_parameter_value',
            HINT = 'telemetry.subscription_status lists the subscriptions, telemetry.create_subscription() makes one.';
    END IF;
    IF caller IS NOT NULL AND pg_has_role(caller, to_regrole(quote_ident(s.consumer_role))::oid, 'MEMBER') IS NOT TRUE THEN
        RAISE EXCEPTION 'permission denied for subscription "%"', subscription USING ERRCODE = 'insufficient_privilege',
            DETAIL = format('Its consumers are members of role %I.', s.consumer_role), HINT = format('Consume as a member of that role, or create the subscription for role %I.', caller);
    END IF;
    IF s.lost_at IS NOT NULL AND NOT may_be_lost THEN
        RAISE EXCEPTION 'subscription "%" is lost', subscription USING ERRCODE = 'TC205', DETAIL = format('Since %s: %s', s.lost_at, s.lost_because),
            HINT = 'Its consumers have missed events. Take what they lack from telemetry.events or from the statistics, then call telemetry.restart_subscription().';
    END IF;
    RETURN s;
END $$;
COMMENT ON FUNCTION telemetry.require_subscription(text, text, boolean) IS 'Returns the subscription that the caller (NULL: an administrator) may use: 22023, 42501, TC205. Internal.';

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

-- A consumer that held the lock of a share may have split it, and the other half is in no snapshot that was taken before. When no
-- share is left, none can come.
CREATE FUNCTION telemetry.remove_shares(subscription text) RETURNS void LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    LOOP
        DELETE FROM telemetry.subscription_share c WHERE c.subscription = remove_shares.subscription;
        EXIT WHEN NOT FOUND;
    END LOOP;
END $$;
COMMENT ON FUNCTION telemetry.remove_shares(text) IS 'Removes the shares of a subscription, and waits for transactions that hold one. Internal.';

CREATE FUNCTION telemetry.restart_subscription(subscription text, starts_at timestamptz = 'infinity') RETURNS void
    AS 'MODULE_PATHNAME', 'telemetry_use_subscription' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.restart_subscription(text, timestamptz) IS 'Lets a subscription begin anew, as telemetry.create_subscription() does; a lost one can be consumed again. Leases end, and events that wait to be delivered again are forgotten. Dead letters stay. It waits for transactions that hold a lease. 22023 for an unknown subscription.';

CREATE FUNCTION telemetry.restart_subscription_as_owner(subscription text, starts_at timestamptz, caller text) RETURNS void LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s CONSTANT telemetry.subscription := telemetry.require_subscription(restart_subscription_as_owner.subscription, NULL, true);
BEGIN
    IF starts_at IS NULL THEN
        RAISE EXCEPTION 'starts_at is NULL' USING ERRCODE = 'invalid_parameter_value', DETAIL = 'It says where the subscription begins.', HINT = 'Give a time, infinity or -infinity.';
    END IF;
    PERFORM telemetry.remove_shares(s.subscription);
    DELETE FROM telemetry.redelivery r WHERE r.subscription = s.subscription;
    DELETE FROM telemetry.subscription_consumer c WHERE c.subscription = s.subscription;
    UPDATE telemetry.subscription c SET lost_at = NULL, lost_because = NULL WHERE c.subscription = s.subscription;
    PERFORM telemetry.start_share(s.subscription, starts_at);
END $$;
COMMENT ON FUNCTION telemetry.restart_subscription_as_owner(text, timestamptz, text) IS 'Does the work of telemetry.restart_subscription(). Internal.';

CREATE FUNCTION telemetry.drop_subscription(subscription text) RETURNS void
    AS 'MODULE_PATHNAME', 'telemetry_use_subscription' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.drop_subscription(text) IS 'Removes a subscription, with its dead letters. It waits for transactions that hold a lease. 22023 for an unknown subscription.';

CREATE FUNCTION telemetry.drop_subscription_as_owner(subscription text, caller text) RETURNS void LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s CONSTANT telemetry.subscription := telemetry.require_subscription(drop_subscription_as_owner.subscription, NULL, true);
BEGIN
    PERFORM telemetry.remove_shares(s.subscription);
    DELETE FROM telemetry.redelivery r WHERE r.subscription = s.subscription;
    DELETE FROM telemetry.dead_letter d WHERE d.subscription = s.subscription;
    DELETE FROM telemetry.subscription_consumer c WHERE c.subscription = s.subscription;
    DELETE FROM telemetry.subscription c WHERE c.subscription = s.subscription;
END $$;
COMMENT ON FUNCTION telemetry.drop_subscription_as_owner(text, text) IS 'Does the work of telemetry.drop_subscription(). Internal.';

-- The projector calls it now and then.
CREATE FUNCTION telemetry.mark_lost_subscriptions() RETURNS bigint LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    lost bigint;
BEGIN
    UPDATE telemetry.subscription s SET lost_at = clock_timestamp(), lost_because = l.because
    FROM (SELECT u.subscription, CASE
                 WHEN h.batch_id > 0 AND NOT EXISTS (SELECT FROM telemetry.batch b WHERE b.batch_id = h.batch_id) THEN format('Batch %s, where it stands, has been merged with others.', h.batch_id)
                 WHEN (SELECT clock_timestamp() - b.created_at FROM telemetry.batch b WHERE b.batch_id > h.batch_id ORDER BY b.batch_id LIMIT 1) > u.max_lag
                     THEN format('It lagged by more than %s, behind batch %s.', u.max_lag, h.batch_id)
             END AS because
          FROM telemetry.subscription u JOIN telemetry.subscription_share h ON h.subscription = u.subscription WHERE u.lost_at IS NULL) AS l
    WHERE s.subscription = l.subscription AND s.lost_at IS NULL AND l.because IS NOT NULL;
    GET DIAGNOSTICS lost = ROW_COUNT;
    -- A consumer may leave word while its subscription is being dropped.
    DELETE FROM telemetry.subscription_consumer o WHERE NOT EXISTS (SELECT FROM telemetry.subscription s WHERE s.subscription = o.subscription);
    RETURN lost;
END $$;
COMMENT ON FUNCTION telemetry.mark_lost_subscriptions() IS 'Marks the subscriptions that lag by more than their limit, or that old batches were not kept for, and returns how many it has marked. Removes what is left of subscriptions that were dropped. Internal.';

CREATE VIEW telemetry.subscription_status AS
    SELECT s.subscription,
           CASE
               WHEN s.lost_at IS NOT NULL THEN 'lost'
               WHEN c.failures > 0 AND l.events > 0 OR r.failing > 0 THEN 'retrying'
               WHEN c.leases > 0 THEN 'working'
               WHEN l.events > 0 OR r.events > 0 THEN 'waiting'
               ELSE 'current'
           END AS state,
           s.consumer_role,
           l.events AS lag_events,
           COALESCE(EXTRACT(epoch FROM pg_catalog.clock_timestamp() - l.oldest), 0)::double precision AS lag_seconds,
           c.batch_id AS consumed_batch,
           c.leases,
           c.leased_events,
           c.shares,
           COALESCE(r.events, 0) AS waiting_redeliveries,
           (SELECT pg_catalog.count(*) FROM telemetry.dead_letter d WHERE d.subscription = s.subscription) AS dead_letters,
           c.last_error,
           c.last_error_at,
           s.required,
           s.max_lag,
           s.devices,
           s.regions,
           s.types,
           s.max_attempts,
           s.retry_delay,
           s.created_at,
           s.lost_at,
           s.lost_because
    FROM telemetry.subscription s
    LEFT JOIN LATERAL (
        SELECT pg_catalog.min(h.batch_id) AS batch_id, pg_catalog.max(h.failures) AS failures, pg_catalog.count(*) AS shares,
               pg_catalog.count(*) FILTER (WHERE h.leased_until > pg_catalog.clock_timestamp()) AS leases,
               COALESCE(pg_catalog.sum(h.lease_events) FILTER (WHERE h.leased_until > pg_catalog.clock_timestamp()), 0) AS leased_events,
               (pg_catalog.array_agg(h.last_error ORDER BY h.last_error_at DESC NULLS LAST))[1] AS last_error, pg_catalog.max(h.last_error_at) AS last_error_at
        FROM telemetry.subscription_share h WHERE h.subscription = s.subscription) AS c ON true
    LEFT JOIN LATERAL (
        SELECT COALESCE(pg_catalog.sum(b.events), 0)::bigint AS events, pg_catalog.min(b.created_at) AS oldest FROM telemetry.batch b WHERE b.batch_id > c.batch_id) AS l ON true
    LEFT JOIN LATERAL (
        SELECT pg_catalog.count(*) AS events, pg_catalog.count(*) FILTER (WHERE d.attempts > 0) AS failing FROM telemetry.redelivery d WHERE d.subscription = s.subscription) AS r ON true;
COMMENT ON VIEW telemetry.subscription_status IS 'Shows a row for each durable subscription. state: current (everything is consumed) | waiting (events wait, and no consumer works) | working | retrying (events have failed and will come again) | lost (it can no longer give every event; lost_at, lost_because). lag_events, lag_seconds: how many events of closed batches its slowest consumer has not consumed, and for how long, those included that it does not want. consumed_batch: the last batch that was consumed whole. leases, leased_events: what consumers work on now. shares: among how many consumers the devices are divided. waiting_redeliveries: events that wait to be delivered again, and later ones of their devices. dead_letters: events that it has given up on (telemetry.dead_letters).';

CREATE VIEW telemetry.dead_letters AS
    SELECT d.subscription, d.event_id AS id, d.device_id, d.type, d.version, d.payload, d.received_at AS created_at, d.epoch, d.attempts, d.last_error, d.died_at
    FROM telemetry.dead_letter d
    JOIN telemetry.subscription s ON s.subscription = d.subscription
    WHERE EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = s.consumer_role AND pg_catalog.pg_has_role(r.oid, 'MEMBER'));
COMMENT ON VIEW telemetry.dead_letters IS 'Shows the events that subscriptions have given up on, to members of their consumer_role. attempts: how often the delivery of the event alone has failed; last_error: the last reason that a consumer gave. telemetry.replay_dead_letters() sends them through again.';
