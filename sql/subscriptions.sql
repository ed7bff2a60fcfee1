-- Durable subscriptions. What a subscription must deliver is computed by plain SQL over telemetry.event. A template database has no
-- worker, so the batches are those of project_once().
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP DATABASE IF EXISTS telemetry_subscribed;
CREATE DATABASE telemetry_subscribed IS_TEMPLATE true;
\c telemetry_subscribed
CREATE EXTENSION telemetry_cqrs;
RESET client_min_messages;
\set SHOW_CONTEXT never
SET timezone = 'UTC';

-- A consumer of the tests writes down what it gets. take() leases, consume() also acknowledges, drain() consumes until nothing comes.
CREATE TABLE seen (n bigint GENERATED ALWAYS AS IDENTITY, subscription text, lease bigint, id bigint, device_id text, attempt int, is_acked boolean DEFAULT false);
CREATE FUNCTION take(s text, most int = 1000, consumer text = 'one', lease_time interval = '1 hour') RETURNS bigint LANGUAGE sql AS $$
    WITH t AS (INSERT INTO seen (subscription, lease, id, device_id, attempt)
               SELECT s, b.lease, b.id, b.device_id, b.attempt FROM telemetry.next_batch(s, most, lease_time, consumer) AS b RETURNING *)
    SELECT max(lease) FROM t
$$;
CREATE FUNCTION events_of(l bigint) RETURNS text LANGUAGE sql AS $$ SELECT string_agg(device_id || ':' || id || CASE WHEN attempt > 1 THEN '#' || attempt ELSE '' END, ' ' ORDER BY n) FROM seen WHERE lease = l $$;
CREATE FUNCTION consume(s text, most int = 1000, consumer text = 'one') RETURNS text LANGUAGE plpgsql AS $$
DECLARE l CONSTANT bigint := take(s, most, consumer);
BEGIN
    IF l IS NOT NULL THEN
        PERFORM telemetry.ack(s, l);
        UPDATE seen SET is_acked = true WHERE lease = l;
    END IF;
    RETURN events_of(l);
END $$;
CREATE FUNCTION drain(s text, most int = 1000) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE leases bigint := 0;
BEGIN
    WHILE consume(s, most) IS NOT NULL LOOP
        leases := leases + 1;
        IF leases > 1000 THEN RAISE 'it never ends'; END IF;
    END LOOP;
    RETURN leases;
END $$;
-- Compares what was acknowledged with what the log has. Readings come from one session, so the order of a device is that of the ids.
CREATE FUNCTION differences(s text, wanted text = 'true') RETURNS TABLE (missing bigint, unwanted bigint, twice bigint, disordered bigint) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format('WITH wanted AS (SELECT event_id FROM telemetry.event WHERE %s), got AS (SELECT * FROM seen WHERE subscription = %L AND is_acked)
        SELECT (SELECT count(*) FROM wanted WHERE event_id NOT IN (SELECT id FROM got)), (SELECT count(*) FROM got WHERE id NOT IN (SELECT event_id FROM wanted)),
               (SELECT count(*) - count(DISTINCT id) FROM got), (SELECT count(*) FROM (SELECT id < lag(id) OVER (PARTITION BY device_id ORDER BY n) AS is_less FROM got) AS o WHERE is_less)', wanted, s);
END $$;
CREATE FUNCTION send(devices text[], regions text[] = NULL) RETURNS bigint LANGUAGE sql AS $$
    SELECT accepted FROM telemetry.ingest_telemetry_batch(devices, NULL, ARRAY(SELECT i::float8 FROM generate_series(1, cardinality(devices)) AS i), NULL, NULL, NULL, regions)
$$;
CREATE VIEW status AS SELECT subscription, state, lag_events, consumed_batch, leases, leased_events, shares, waiting_redeliveries, dead_letters, last_error FROM telemetry.subscription_status ORDER BY 1;

-- One big transaction is consumed in parts: each event once, in order, and as telemetry.events shows it.
SELECT telemetry.create_subscription('all', '-infinity');
SELECT telemetry.create_subscription('later');
SELECT * FROM telemetry.next_batch('all');
SELECT send(ARRAY(SELECT 'd' || i % 7 FROM generate_series(1, 3000) AS i), ARRAY(SELECT 'r' || i % 3 FROM generate_series(1, 3000) AS i));
CALL telemetry.project_once();
TABLE status;
SELECT count(*), count(DISTINCT lease) AS leases FROM telemetry.next_batch('all', 100) AS b JOIN telemetry.events e ON e.id = b.id AND e.aggregateid = b.device_id
    AND e.type = b.type AND e.version = b.version AND e.created_at = b.created_at AND (e.payload ->> 'measured_at')::timestamptz = (b.payload ->> 'measured_at')::timestamptz
    AND e.payload - 'measured_at' - 'received_at' = b.payload::jsonb - 'measured_at' - 'received_at' WHERE b.attempt = 1;
SELECT state, leases, leased_events FROM status WHERE subscription = 'all';
SELECT count(*) FROM telemetry.next_batch('all', 100);
SELECT telemetry.nack('all', max(lease), counts => false) FROM telemetry.subscription_share WHERE subscription = 'all';
SELECT drain('all', 100);
SELECT * FROM differences('all');
SELECT count(*) AS batches_of_100, bool_and(id = n) AS in_order FROM seen WHERE subscription = 'all';
SELECT * FROM status WHERE subscription = 'all';
SELECT drain('later', 999);
SELECT * FROM differences('later');

-- Filters: each of them, and together.
SELECT telemetry.create_subscription('by_device', '-infinity', devices => ARRAY['d3', 'unknown', 'd5']);
SELECT telemetry.create_subscription('by_region', '-infinity', regions => ARRAY['r2']);
SELECT telemetry.create_subscription('by_both', '-infinity', devices => ARRAY['d3', 'd4'], regions => ARRAY['r0', 'r1'], types => ARRAY['telemetry.ingested']);
SELECT telemetry.create_subscription('by_type', '-infinity', types => ARRAY['telemetry.other']);
SELECT drain('by_device', 100), drain('by_region', 10), drain('by_both', 1000), drain('by_type');
SELECT * FROM differences('by_device', $$ device_id IN ('d3', 'd5') $$);
SELECT * FROM differences('by_region', $$ region = 'r2' $$);
SELECT * FROM differences('by_both', $$ device_id IN ('d3', 'd4') AND region IN ('r0', 'r1') $$);
SELECT * FROM differences('by_type', 'false');
SELECT subscription, state, consumed_batch FROM status;

-- A place inside a transaction, and transactions that are older than those that were consumed (stragglers): before it, in the same batch, and behind it.
SELECT telemetry.create_subscription('cut');
SELECT max(event_id) AS old FROM telemetry.event \gset
BEGIN; SELECT send(ARRAY['s1', 's1', 's2', 's1']); PREPARE TRANSACTION 'straggler 1';
BEGIN; SELECT send(ARRAY['t1', 't1', 't2', 't1']); PREPARE TRANSACTION 'straggler 2';
BEGIN; SELECT send(ARRAY['u1', 'u1', 'u2', 'u1']); PREPARE TRANSACTION 'straggler 3';
SELECT send(ARRAY(SELECT 'b' || i % 5 FROM generate_series(1, 25) AS i));
CALL telemetry.project_once();
SELECT consume('cut', 7);
COMMIT PREPARED 'straggler 1';
SELECT send(ARRAY(SELECT 'b' || i % 5 FROM generate_series(1, 12) AS i));
COMMIT PREPARED 'straggler 2';
CALL telemetry.project_once();
SELECT consume('cut', 7);
SELECT batch_id, partial_xid IS NULL AS is_whole FROM telemetry.subscription_share WHERE subscription = 'cut';
SELECT take('cut', 12) AS lease \gset
SELECT events_of(:lease);
-- These are the last of the first batch. The next lease begins with the stragglers, which it cuts, too.
SELECT telemetry.nack('cut', :lease, counts => false);
SELECT consume('cut', 14);
COMMIT PREPARED 'straggler 3';
CALL telemetry.project_once();
SELECT consume('cut', 3);
SELECT drain('cut', 3);
SELECT * FROM differences('cut', 'event_id > ' || :old);
SELECT drain('all'), drain('later');
SELECT * FROM differences('all');
SELECT * FROM differences('later');

-- Some events of a lease fail: they come again, each device by itself, and the others count as processed.
SELECT telemetry.create_subscription('some', retry_delay => '0', max_attempts => 3);
SELECT max(event_id) AS old FROM telemetry.event \gset
SELECT send(ARRAY['a', 'b', 'c', 'a', 'b', 'c', 'a', 'b', 'c']);
CALL telemetry.project_once();
SELECT take('some', 5) AS lease \gset
SELECT telemetry.nack('some', :lease, 'b is bad', ARRAY[:old + 2, :old + 5]::bigint[]);
UPDATE seen SET is_acked = true WHERE lease = :lease AND device_id <> 'b';
SELECT * FROM status WHERE subscription = 'some';
SELECT device_id, attempts, last_error, lease IS NULL AS is_free FROM telemetry.redelivery ORDER BY event_id;
-- The event that failed comes alone, then the other one of its device. Meanwhile a later one is held back behind them.
UPDATE telemetry.redelivery SET due_at = 'infinity';
SELECT consume('some', 5);
SELECT device_id, attempts, due_at FROM telemetry.redelivery ORDER BY event_id;
UPDATE telemetry.redelivery SET due_at = '-infinity';
SELECT take('some', 5) AS lease \gset
SELECT events_of(:lease);
SELECT telemetry.nack('some', :lease, 'still bad');
SELECT consume('some', 5);
SELECT consume('some', 5);
SELECT consume('some', 5);
SELECT * FROM differences('some', 'event_id > ' || :old);
SELECT * FROM status WHERE subscription = 'some';

-- A lease of which all events are held back is none, and the events go on waiting in order.
SELECT send(ARRAY['h', 'x']);
CALL telemetry.project_once();
SELECT take('some') AS lease \gset
SELECT telemetry.nack('some', :lease, NULL, ARRAY(SELECT id FROM seen WHERE lease = :lease AND device_id = 'h'), '1 hour');
UPDATE seen SET is_acked = true WHERE lease = :lease AND device_id <> 'h';
SELECT send(ARRAY['h', 'h', 'h']);
CALL telemetry.project_once();
SELECT consume('some', 2);
SELECT consumed_batch = (SELECT max(batch_id) FROM telemetry.batch) AS is_consumed, leases, waiting_redeliveries FROM status WHERE subscription = 'some';
SELECT send(ARRAY['h', 'y', 'h']);
CALL telemetry.project_once();
-- A failure of the only event that was delivered is none of those that were held back.
SELECT take('some') AS lease \gset
SELECT events_of(:lease);
SELECT telemetry.nack('some', :lease, 'y fails');
SELECT device_id, attempts, lease IS NULL AS is_free, due_at > now() + interval '1 min' AS waits FROM telemetry.redelivery ORDER BY event_id;
SELECT consume('some');
UPDATE telemetry.redelivery SET due_at = '-infinity';
SELECT consume('some');
SELECT consume('some');
SELECT drain('some');
SELECT * FROM differences('some', 'event_id > ' || :old);

-- Without ids an event that always fails is found: the leases get smaller, until it comes alone. It becomes a dead letter, and the events of its device go on.
SELECT telemetry.create_subscription('bisecting', retry_delay => '0', max_attempts => 2);
SELECT max(event_id) AS old FROM telemetry.event \gset
SELECT send(ARRAY(SELECT CASE WHEN i % 100 = 57 THEN 'poison' ELSE 'e' || i % 9 END FROM generate_series(1, 300) AS i));
CALL telemetry.project_once();
CREATE FUNCTION consume_some(s text, bad bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    l bigint;
    sizes text := '';
    failed boolean;
BEGIN
    LOOP
        l := take(s);
        EXIT WHEN l IS NULL OR length(sizes) > 10000;
        failed := EXISTS (SELECT FROM seen WHERE lease = l AND id = bad);
        sizes := concat_ws(' ', sizes, (SELECT count(*) FROM seen WHERE lease = l) || CASE WHEN failed THEN '!' ELSE '' END);
        IF failed THEN
            PERFORM telemetry.nack(s, l, 'poisoned');
        ELSE
            PERFORM telemetry.ack(s, l);
            UPDATE seen SET is_acked = true WHERE lease = l;
        END IF;
    END LOOP;
    RETURN sizes;
END $$;
SELECT regexp_replace(consume_some('bisecting', :old + 57), '( 1){10,}', ' 1 ...') AS leases;
SELECT * FROM differences('bisecting', 'event_id > ' || :old || ' AND event_id <> ' || :old + 57);
SELECT * FROM status WHERE subscription = 'bisecting';
SELECT id - :old AS number, device_id, attempts, last_error, payload ->> 'temperature' AS temperature FROM telemetry.dead_letters d;
-- It is replayed: once in vain, once not.
SELECT telemetry.replay_dead_letters('bisecting', ARRAY[1, 2]);
SELECT telemetry.replay_dead_letters('bisecting');
SELECT state, waiting_redeliveries, dead_letters FROM status WHERE subscription = 'bisecting';
SELECT consume_some('bisecting', :old + 57);
SELECT attempts FROM telemetry.dead_letters;
SELECT telemetry.replay_dead_letters('bisecting', ARRAY[:old + 57]);
SELECT consume('bisecting');
SELECT missing, unwanted, twice FROM differences('bisecting', 'event_id > ' || :old);
SELECT count(*) FROM telemetry.dead_letters;

-- A nack that blames nothing counts nothing and pauses nothing: of a lease, of some events, of an event that comes again.
SELECT telemetry.create_subscription('blameless', retry_delay => '1 day', max_attempts => 1);
SELECT max(event_id) AS old FROM telemetry.event \gset
SELECT send(ARRAY['p', 'q']);
CALL telemetry.project_once();
SELECT take('blameless') AS lease \gset
SELECT telemetry.nack('blameless', :lease, 'shutting down', counts => false);
SELECT take('blameless') AS lease \gset
SELECT telemetry.nack('blameless', :lease, 'shutting down', ARRAY[:old + 1]::bigint[], counts => false);
SELECT take('blameless') AS lease \gset
SELECT events_of(:lease);
SELECT telemetry.nack('blameless', :lease, 'shutting down', counts => false);
SELECT take('blameless') AS lease \gset
SELECT telemetry.nack('blameless', :lease, 'shutting down', ARRAY[:old + 1]::bigint[], counts => false);
SELECT * FROM status WHERE subscription = 'blameless';
SELECT consume('blameless');

-- The pause doubles up to a minute, or is that of the subscription where that is longer; delay is taken instead.
SELECT telemetry.retry_pause('1 s', 1), telemetry.retry_pause('1 s', 3), telemetry.retry_pause('1 s', 1000000), telemetry.retry_pause('2 hours', 5), telemetry.retry_pause('0', 9);
SELECT telemetry.create_subscription('pausing', retry_delay => '20 s');
SELECT send(ARRAY['p', 'q']);
CALL telemetry.project_once();
SELECT take('pausing') AS lease \gset
SELECT telemetry.nack('pausing', :lease, 'first');
SELECT consume('pausing');
SELECT round(EXTRACT(epoch FROM not_before - last_error_at)) AS pause, failures FROM telemetry.subscription_share WHERE subscription = 'pausing';
UPDATE telemetry.subscription_share SET not_before = '-infinity' WHERE subscription = 'pausing';
SELECT take('pausing') AS lease \gset
SELECT telemetry.nack('pausing', :lease, 'second');
SELECT round(EXTRACT(epoch FROM not_before - last_error_at)) AS pause, failures FROM telemetry.subscription_share WHERE subscription = 'pausing';
UPDATE telemetry.subscription_share SET not_before = '-infinity' WHERE subscription = 'pausing';
SELECT take('pausing') AS lease \gset
SELECT telemetry.nack('pausing', :lease, 'third', delay => '7 s');
SELECT round(EXTRACT(epoch FROM not_before - last_error_at)) AS pause, failures FROM telemetry.subscription_share WHERE subscription = 'pausing';
SELECT state, last_error FROM status WHERE subscription = 'pausing';
UPDATE telemetry.subscription_share SET not_before = '-infinity' WHERE subscription = 'pausing';
SELECT drain('pausing') > 0 AS has_drained;
SELECT state FROM status WHERE subscription = 'pausing';

-- A lease ends by its time. It is good until another consumer has its events, and it can be extended.
SELECT telemetry.create_subscription('ending', retry_delay => '0', max_attempts => 2);
SELECT send(ARRAY['p', 'q']);
CALL telemetry.project_once();
SELECT take('ending', lease_time => '1 us') AS lease \gset
SELECT leases FROM status WHERE subscription = 'ending';
SELECT telemetry.extend_lease('ending', :lease, '1 hour');
SELECT leases, leased_events FROM status WHERE subscription = 'ending';
SELECT consume('ending', consumer => 'two');
SELECT telemetry.extend_lease('ending', :lease, '1 us');
SELECT take('ending', consumer => 'two', lease_time => '1 us') AS second \gset
SELECT events_of(:second), state, last_error FROM status WHERE subscription = 'ending';
\set VERBOSITY sqlstate
SELECT telemetry.ack('ending', :lease);
\set VERBOSITY default
SELECT telemetry.ack('ending', :second);
-- An event whose consumers die becomes a dead letter, too.
SELECT send(ARRAY['p']);
CALL telemetry.project_once();
SELECT events_of(take('ending', lease_time => '1 us'));
SELECT events_of(take('ending', lease_time => '1 us'));
SELECT events_of(take('ending', lease_time => '1 us'));
SELECT events_of(take('ending', lease_time => '1 us'));
SELECT device_id, attempts, last_error FROM telemetry.dead_letters WHERE subscription = 'ending';
SELECT * FROM status WHERE subscription = 'ending';

-- Two consumers share the devices. When one of them has gone, the other one gets all.
SELECT telemetry.create_subscription('shared');
SELECT max(event_id) AS old FROM telemetry.event \gset
SELECT send(ARRAY(SELECT 'm' || i % 20 FROM generate_series(1, 400) AS i));
CALL telemetry.project_once();
SELECT take('shared', 10, 'one') AS lease \gset
SELECT consume('shared', 10, 'two');
SELECT telemetry.ack('shared', :lease);
UPDATE seen SET is_acked = true WHERE lease = :lease;
SELECT take('shared', 50, 'one') AS lease, take('shared', 50, 'two') AS second \gset
SELECT shares, leases FROM status WHERE subscription = 'shared';
SELECT count(*) AS devices_of_both FROM (SELECT DISTINCT device_id FROM seen WHERE lease = :lease) AS a JOIN (SELECT DISTINCT device_id FROM seen WHERE lease = :second) AS b USING (device_id);
SELECT telemetry.ack('shared', :lease), telemetry.ack('shared', :second);
UPDATE seen SET is_acked = true WHERE lease IN (:lease, :second);
UPDATE telemetry.subscription_share SET answered_at = '-infinity' WHERE subscription = 'shared' AND consumer = 'two';
UPDATE telemetry.subscription_consumer SET seen_at = '-infinity';
SELECT drain('shared', 20) > 0 AS has_drained;
SELECT send(ARRAY['m1', 'm2', 'm3']);
CALL telemetry.project_once();
SELECT drain('shared') > 0 AS has_drained;
SELECT shares, state FROM status WHERE subscription = 'shared';
SELECT * FROM differences('shared', 'event_id > ' || :old);

-- Begin anew, from the time of a batch or from the beginning; a dead letter that is replayed meanwhile does not come twice at once.
SELECT telemetry.create_subscription('anew', retry_delay => '0', max_attempts => 1, starts_at => '-infinity', devices => ARRAY['poison', 's1']);
SELECT take('anew', 1) AS lease \gset
SELECT telemetry.nack('anew', :lease, 'no');
SELECT count(*) FROM telemetry.dead_letters WHERE subscription = 'anew';
SELECT take('anew', 1) AS lease \gset
SELECT telemetry.restart_subscription('anew', '-infinity');
\set VERBOSITY sqlstate
SELECT telemetry.nack('anew', :lease);
\set VERBOSITY default
SELECT telemetry.replay_dead_letters('anew');
UPDATE telemetry.redelivery SET due_at = 'infinity' WHERE subscription = 'anew';
SELECT drain('anew');
SELECT waiting_redeliveries, state FROM status WHERE subscription = 'anew';
UPDATE telemetry.redelivery SET due_at = '-infinity' WHERE subscription = 'anew';
SELECT drain('anew');
SELECT * FROM differences('anew', $$ device_id IN ('poison', 's1') $$);
SELECT telemetry.restart_subscription('anew');
SELECT consume('anew');
SELECT telemetry.restart_subscription('anew', (SELECT created_at FROM telemetry.batch WHERE events = 300));
SELECT count(*) FROM telemetry.next_batch('anew');

-- One that lags too much is lost, visibly, until it begins anew. It cannot bring the projector down whatever max_lag is.
SELECT telemetry.create_subscription('lagging', '-infinity', max_lag => '1 us');
SELECT telemetry.create_subscription('patient', '-infinity', max_lag => '100000 years');
SELECT telemetry.mark_lost_subscriptions(), telemetry.mark_lost_subscriptions();
SELECT subscription, state, lost_because FROM telemetry.subscription_status WHERE lost_at IS NOT NULL;
\set VERBOSITY sqlstate
SELECT * FROM telemetry.next_batch('lagging');
\set VERBOSITY default
SELECT telemetry.restart_subscription('lagging');
SELECT consume('lagging');
SELECT state FROM status WHERE subscription = 'lagging';
-- So is one whose batch is gone, also before the projector has noticed. Events of a lease of which a batch is gone cannot be put aside.
SELECT telemetry.restart_subscription('patient', '-infinity');
SELECT take('patient', 3100) AS lease, min(id) AS first FROM telemetry.events \gset
BEGIN;
DELETE FROM telemetry.batch WHERE batch_id IN (SELECT lease_batch_id FROM telemetry.subscription_share WHERE subscription = 'patient');
\set VERBOSITY sqlstate
SELECT telemetry.nack('patient', :lease, events => ARRAY[:first]::bigint[]);
ROLLBACK;
SELECT telemetry.ack('patient', :lease);
BEGIN;
DELETE FROM telemetry.batch WHERE batch_id IN (SELECT batch_id FROM telemetry.subscription_share WHERE subscription = 'patient');
SAVEPOINT before;
SELECT * FROM telemetry.next_batch('patient');
\set VERBOSITY default
ROLLBACK TO before;
SELECT telemetry.mark_lost_subscriptions() > 0 AS has_marked;
SELECT subscription, lost_because FROM telemetry.subscription_status WHERE subscription = 'patient';
ROLLBACK;
SELECT consume('patient', 1) IS NOT NULL AS consumes;

-- Errors.
CREATE ROLE telemetry_subscriber;
SELECT telemetry.grant_reader('telemetry_subscriber');
\set VERBOSITY sqlstate
SELECT telemetry.create_subscription('all');
SELECT telemetry.create_subscription(NULL);
SELECT telemetry.create_subscription('Upper');
SELECT telemetry.create_subscription('');
SELECT telemetry.create_subscription(repeat('x', 64));
SELECT telemetry.create_subscription('bad', NULL);
SELECT telemetry.create_subscription('bad', max_attempts => NULL);
SELECT telemetry.create_subscription('bad', max_attempts => -1);
SELECT telemetry.create_subscription('bad', retry_delay => '-1 s');
SELECT telemetry.create_subscription('bad', retry_delay => '25 hours');
SELECT telemetry.create_subscription('bad', max_lag => '0');
SELECT telemetry.create_subscription('bad', required => NULL);
SELECT telemetry.create_subscription('bad', devices => '{}');
SELECT telemetry.create_subscription('bad', regions => ARRAY['a', NULL]);
SELECT telemetry.create_subscription('bad', types => ARRAY[['a'], ['b']]);
SELECT telemetry.create_subscription('bad', consumer_role => 'nobody there');
SELECT * FROM telemetry.next_batch('unknown');
SELECT * FROM telemetry.next_batch(NULL);
SELECT * FROM telemetry.next_batch('all', NULL);
SELECT * FROM telemetry.next_batch('all', 0);
SELECT * FROM telemetry.next_batch('all', 100001);
SELECT * FROM telemetry.next_batch('all', 1, NULL);
SELECT * FROM telemetry.next_batch('all', 1, '0');
SELECT * FROM telemetry.next_batch('all', 1, '-1 s');
SELECT * FROM telemetry.next_batch('all', 1, '25 hours');
SELECT * FROM telemetry.next_batch('all', consumer => repeat('x', 256));
SELECT telemetry.ack('unknown', 1);
SELECT telemetry.ack(NULL, NULL);
SELECT telemetry.ack('all', NULL);
SELECT telemetry.ack('all', 0);
SELECT telemetry.nack('unknown', 1);
SELECT telemetry.nack('all', 0);
SELECT telemetry.extend_lease('all', 0, '1 s');
SELECT telemetry.extend_lease('unknown', 0, '1 s');
SELECT telemetry.replay_dead_letters('unknown');
SELECT telemetry.restart_subscription('unknown');
SELECT telemetry.restart_subscription('all', NULL);
SELECT telemetry.drop_subscription('unknown');
SELECT take('all') AS lease \gset
SELECT telemetry.ack('later', :lease);
SELECT telemetry.nack('all', :lease, delay => '-1 s');
SELECT telemetry.nack('all', :lease, delay => '2 years');
SELECT telemetry.nack('all', :lease, events => ARRAY[0]);
SELECT telemetry.nack('all', :lease, events => ARRAY[(SELECT min(id) FROM seen WHERE lease = :lease), NULL]);
SELECT telemetry.extend_lease('all', :lease, NULL);
SELECT telemetry.extend_lease('all', :lease, '0');
SELECT telemetry.extend_lease('all', :lease, '25 hours');
SET ROLE telemetry_subscriber;
SELECT * FROM telemetry.next_batch('all');
SELECT telemetry.ack('all', :lease);
SELECT telemetry.nack('all', :lease);
SELECT telemetry.extend_lease('all', :lease, '1 s');
SELECT telemetry.replay_dead_letters('all');
SELECT telemetry.drop_subscription('all');
SELECT count(*) FROM telemetry.dead_letters;
RESET ROLE;
BEGIN READ ONLY;
SELECT * FROM telemetry.next_batch('all');
ROLLBACK;
BEGIN READ ONLY;
SELECT telemetry.ack('all', :lease);
ROLLBACK;
\set VERBOSITY default
-- None of that has changed the lease.
SELECT telemetry.ack('all', :lease);
UPDATE seen SET is_acked = true WHERE lease = :lease;
SELECT * FROM differences('all');

-- A member of the role consumes, and sees its dead letters.
SELECT telemetry.create_subscription('role', consumer_role => 'telemetry_subscriber', max_attempts => 1);
SELECT send(ARRAY['z', 'z']);
CALL telemetry.project_once();
SET ROLE telemetry_subscriber;
SELECT lease, count(*) OVER () FROM telemetry.next_batch('role') LIMIT 1 \gset role_
SELECT telemetry.extend_lease('role', :role_lease, '1 min');
SELECT telemetry.nack('role', :role_lease, 'mine', ARRAY[(SELECT max(id) FROM telemetry.events)]);
SELECT device_id, last_error FROM telemetry.dead_letters;
SELECT telemetry.replay_dead_letters('role');
SELECT device_id, attempt FROM telemetry.next_batch('role');
RESET ROLE;

-- They go with everything that belongs to them.
SELECT telemetry.drop_subscription(subscription) FROM telemetry.subscription_status;
SELECT (SELECT count(*) FROM telemetry.subscription), (SELECT count(*) FROM telemetry.subscription_share), (SELECT count(*) FROM telemetry.redelivery),
       (SELECT count(*) FROM telemetry.dead_letter), (SELECT count(*) FROM telemetry.subscription_consumer);
DROP OWNED BY telemetry_subscriber;
DROP ROLE telemetry_subscriber;
ALTER DATABASE telemetry_subscribed IS_TEMPLATE false;
