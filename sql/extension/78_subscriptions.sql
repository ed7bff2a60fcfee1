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
    IF caller IS NOT NULL AND starts_with(s.subscription, 'relay.') THEN
        RAISE EXCEPTION 'the relay consumes subscription "%"', subscription USING ERRCODE = 'invalid_parameter_value',
            HINT = 'telemetry.create_subscription() makes another one.';
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
