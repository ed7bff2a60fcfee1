-- Which devices have fallen silent.

CREATE FUNCTION telemetry.set_expected_interval(device_id text, expected_interval interval) RETURNS void
    AS 'MODULE_PATHNAME', 'telemetry_set_expected_interval' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.set_expected_interval(text, interval) IS 'Sets how often a device is expected to send (telemetry.device_liveness). A month counts as 30 days. NULL: telemetry_cqrs.expected_interval counts for it. Errors: TC002 for a device that is not registered, 22023 for a time outside of 0 to 365 days.';

-- Everything is in seconds, so that no time zone and no month changes how long an interval is. An interval that an earlier version let
-- pass may be negative, which says nothing, or so long that it leads beyond the last time there is.
CREATE VIEW telemetry.device_liveness AS
    SELECT l.device_id, l.region,
           CASE WHEN l.last_received_at IS NULL THEN 'never_seen' WHEN l.expected IS NULL OR l.at IS NULL THEN 'unknown'
                WHEN l.at <= l.late_at THEN 'online' WHEN l.at <= l.offline_at THEN 'late' ELSE 'offline' END AS state,
           l.last_received_at, l.last_measured_at, l.expected AS expected_interval,
           CASE WHEN l.at > l.late_at THEN l.at - l.late_at END AS overdue_by,
           l.offline_at, l.as_of
    FROM (SELECT d.device_id, COALESCE(s.region, d.region) AS region, s.last_received_at, s.last_seen AS last_measured_at, e.expected,
                 s.last_received_at + pg_catalog.make_interval(secs => e.seconds) AS late_at,
                 s.last_received_at + pg_catalog.make_interval(secs => 3 * e.seconds) AS offline_at,
                 CASE WHEN t.events > 0 THEN (SELECT telemetry.as_of('device')) ELSE pg_catalog.now() END AS at,
                 (SELECT telemetry.as_of('device')) AS as_of
          FROM telemetry.projection_tail('device') AS t
          CROSS JOIN telemetry.device d
          CROSS JOIN LATERAL (
              SELECT i.expected, CASE WHEN i.expected > interval '10000 days' THEN 864000000 ELSE pg_catalog.date_part('epoch', i.expected) END AS seconds
              FROM (SELECT CASE WHEN d.expected_interval > interval '0' THEN d.expected_interval
                                ELSE (SELECT NULLIF(pg_catalog.current_setting('telemetry_cqrs.expected_interval', true)::interval, interval '0')) END AS expected) AS i) AS e
          LEFT JOIN telemetry.state_device s ON s.key = d.device_id AND s.bucket = '-infinity' AND s.part = 0 AND s.generation = (SELECT telemetry.shown_generation('device', true))
          WHERE d.status IS DISTINCT FROM 'retired') AS l;
COMMENT ON VIEW telemetry.device_liveness IS
'Shows a row for each registered device that is not retired. state: online (its last reading was received within expected_interval) | late (within three of them) | offline (longer ago) | never_seen (no reading yet) | unknown (nobody has said how often it sends). The server''s clock decides: last_received_at is when the last reading was received, and last_measured_at, the latest time by the device''s clock, changes nothing. expected_interval is that of the device, or else telemetry_cqrs.expected_interval. overdue_by: how long a reading has been due. offline_at: when the device becomes offline, or became so, without another reading.
The state is that of now. While readings wait to be applied it is that of as_of, so a projection that is paused or behind makes no device offline. On a standby, which may lag, a device is late by as much. The row is complete up to as_of.
A gateway that sends old values again, with new times or new keys, makes its devices look alive. A repeat that is recognised as a duplicate does not, and a reading that is refused does not either.';

-- The worker tells the changes (src/liveness/README.md). It takes the apply lock before, so no other session does the same.
CREATE FUNCTION telemetry.in_utc(at timestamptz) RETURNS text LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
    SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;
COMMENT ON FUNCTION telemetry.in_utc(timestamptz) IS 'Returns a time as notifications show it. Internal.';

CREATE FUNCTION telemetry.note_offline_devices(most integer, watching_since timestamptz, OUT device_id text, OUT region text, OUT since timestamptz, OUT idempotency_key text, OUT details jsonb) RETURNS SETOF record
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
    WITH due AS MATERIALIZED (
        SELECT l.* FROM telemetry.device_liveness l
        WHERE l.state = 'offline' AND l.as_of - watching_since > l.offline_at - l.last_received_at
          AND NOT EXISTS (SELECT FROM telemetry.offline_device o WHERE o.device_id = l.device_id)
        LIMIT most
    ), noted AS (
        INSERT INTO telemetry.offline_device (device_id, last_received_at, since) SELECT d.device_id, d.last_received_at, d.offline_at FROM due d
    )
    SELECT d.device_id, d.region, d.offline_at, 'device.offline ' || telemetry.in_utc(d.last_received_at),
           jsonb_build_object('state', 'offline', 'last_received_at', telemetry.in_utc(d.last_received_at), 'expected_interval', date_part('epoch', d.expected_interval))
    FROM due d
$$;
COMMENT ON FUNCTION telemetry.note_offline_devices(integer, timestamptz) IS 'Notes devices that are offline now, at most so many, and returns their events device.offline. No silence before watching_since counts. Internal.';

CREATE FUNCTION telemetry.note_online_devices(most integer, OUT device_id text, OUT region text, OUT since timestamptz, OUT idempotency_key text, OUT details jsonb) RETURNS SETOF record
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
    WITH due AS MATERIALIZED (
        SELECT l.*, o.last_received_at AS silent_since FROM telemetry.offline_device o JOIN telemetry.device_liveness l ON l.device_id = o.device_id
        WHERE l.last_received_at > o.last_received_at
        LIMIT most
    ), noted AS (
        DELETE FROM telemetry.offline_device o USING due d WHERE o.device_id = d.device_id
    )
    SELECT d.device_id, d.region, d.last_received_at, 'device.online ' || telemetry.in_utc(d.silent_since),
           jsonb_build_object('state', 'online', 'last_received_at', telemetry.in_utc(d.last_received_at), 'silent_since', telemetry.in_utc(d.silent_since),
                              'expected_interval', date_part('epoch', d.expected_interval))
    FROM due d
$$;
COMMENT ON FUNCTION telemetry.note_online_devices(integer) IS 'Forgets devices that have sent again since they were noted as offline, at most so many, and returns their events device.online. Internal.';
