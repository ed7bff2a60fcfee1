-- Invalid readings are refused with their SQLSTATE. DETAIL says what was seen, HINT what to do.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS telemetry_cqrs;
RESET client_min_messages;

-- outcome() sends a reading and returns how it went. An accepted reading is stored.
CREATE FUNCTION pg_temp.outcome(
    device_id text, measured_at timestamptz = '2024-05-01 10:00:00+00', temperature float8 = 20, humidity float8 = NULL,
    idempotency_key text = NULL, metrics jsonb = NULL, region text = NULL)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    state text; message text; detail text; hint text; answer telemetry.receipt;
BEGIN
    answer := telemetry.ingest_telemetry(device_id, measured_at, temperature, humidity, idempotency_key, metrics, region);
    RETURN answer.status;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN state
        || CASE WHEN message ~ '^[a-z]' AND length(message) < 120 THEN '' ELSE ' [message: ' || message || ']' END
        || CASE WHEN detail = '' THEN ' [no detail]' WHEN octet_length(detail) > 1000 THEN ' [long detail]' ELSE '' END
        || CASE WHEN hint = '' THEN ' [no hint]' ELSE '' END;
END $$;

-- TC001: the device is not valid.
SELECT pg_temp.outcome(NULL) AS is_null, pg_temp.outcome('') AS empty,
       pg_temp.outcome(E'a\nb') AS newline, pg_temp.outcome(E'a\tb') AS tab, pg_temp.outcome(E'a\x7f') AS del,
       pg_temp.outcome(repeat('x', 10000)) AS of_10_kb, pg_temp.outcome(repeat('x', 256)) AS of_256,
       pg_temp.outcome(' a') AS space_before, pg_temp.outcome('a ') AS space_behind;
SELECT pg_temp.outcome('validation-1') AS plain, pg_temp.outcome('Gerät 7/Küche 🌡') AS utf8,
       pg_temp.outcome('validation''"\;--') AS quotes, pg_temp.outcome(repeat('x', 255)) AS of_255;

-- TC003: a value is not finite.
SELECT pg_temp.outcome('validation-2', temperature => 'NaN') AS nan,
       pg_temp.outcome('validation-2', temperature => 'Infinity') AS inf,
       pg_temp.outcome('validation-2', temperature => '-Infinity') AS minus_inf;
SELECT pg_temp.outcome('validation-2', humidity => 'NaN') AS nan,
       pg_temp.outcome('validation-2', humidity => 'Infinity') AS inf,
       pg_temp.outcome('validation-2', humidity => '-Infinity') AS minus_inf;
SELECT pg_temp.outcome('validation-3', temperature => 1.7976931348623157e308) AS greatest,
       pg_temp.outcome('validation-3', temperature => -1.7976931348623157e308) AS least,
       pg_temp.outcome('validation-3', temperature => 5e-324) AS smallest;
SELECT temperature FROM telemetry.measurements WHERE device_id = 'validation-3' ORDER BY temperature;

-- TC004: the reading was measured before 1970 or more than 5 minutes ahead of the server's clock.
SELECT pg_temp.outcome('validation-4', 'infinity') AS inf, pg_temp.outcome('validation-4', '-infinity') AS minus_inf,
       pg_temp.outcome('validation-4', '1969-12-31 23:59:59.999999+00') AS before_1970,
       pg_temp.outcome('validation-4', '4713-01-01 BC') AS bc,
       pg_temp.outcome('validation-4', '294276-12-31') AS last_timestamp,
       pg_temp.outcome('validation-4', clock_timestamp() + interval '6 minutes') AS ahead_6_minutes;
SELECT pg_temp.outcome('validation-4', '1970-01-01 00:00:00+00') AS at_1970,
       pg_temp.outcome('validation-4', clock_timestamp() + interval '4 minutes') AS ahead_4_minutes,
       pg_temp.outcome('validation-4', clock_timestamp() - interval '20 years') AS late_20_years;

-- TC005: the idempotency key is not valid.
SELECT pg_temp.outcome('validation-5', idempotency_key => '') AS empty,
       pg_temp.outcome('validation-5', idempotency_key => E'a\nb') AS newline,
       pg_temp.outcome('validation-5', idempotency_key => repeat('k', 513)) AS of_513,
       pg_temp.outcome('validation-5', idempotency_key => repeat('k', 10000)) AS of_10_kb,
       pg_temp.outcome('validation-5', idempotency_key => repeat('🌡', 10000)) AS of_40_kb;
SELECT pg_temp.outcome('validation-5', idempotency_key => '018f3f7e-8c3a-7cc1-9a57-0f6d2f9a1b2c') AS uuid,
       pg_temp.outcome('validation-5', idempotency_key => '01HXYZABCDEFGHJKMNPQRSTVWX') AS ulid,
       pg_temp.outcome('validation-5', idempotency_key => ' ') AS blank,
       pg_temp.outcome('validation-5', idempotency_key => '99999999999999999999999999999999') AS beyond_bigint,
       pg_temp.outcome('validation-5', idempotency_key => repeat('k', 512)) AS of_512;

-- TC007: the region is not valid.
SELECT pg_temp.outcome('validation-6', region => '') AS empty, pg_temp.outcome('validation-6', region => E'a\nb') AS newline,
       pg_temp.outcome('validation-6', region => 'a ') AS space_behind,
       pg_temp.outcome('validation-6', region => repeat('r', 256)) AS of_256, pg_temp.outcome('validation-6', region => repeat('r', 10000)) AS of_10_kb,
       pg_temp.outcome('validation-6', region => repeat('r', 255), measured_at => '2024-05-01 10:01:00+00') AS of_255,
       pg_temp.outcome('validation-6', region => 'Süd/Halle 3') AS utf8;

-- No refused reading was stored, and none registered a device.
SELECT count(*) FROM telemetry.measurements WHERE device_id = 'validation-2';
SELECT count(*) FROM telemetry.device WHERE device_id = 'validation-2';
SELECT count(*) FROM telemetry.rejected_readings WHERE payload->>'device_id' LIKE 'validation-%';

-- TC009: another request has taken the key, whatever differs, and the log keeps the first.
SELECT pg_temp.outcome('validation-7', '2024-05-01 10:00:00+00', 20, 40, 'k', '{"a": 1}', 'hall') AS first;
SELECT pg_temp.outcome('validation-7', '2024-05-01 10:00:00+00', 21, 40, 'k', '{"a": 1}', 'hall') AS temperature,
       pg_temp.outcome('validation-7', '2024-05-01 10:00:00+00', 20, 41, 'k', '{"a": 1}', 'hall') AS humidity,
       pg_temp.outcome('validation-7', '2024-05-01 10:00:01+00', 20, 40, 'k', '{"a": 1}', 'hall') AS measured_at,
       pg_temp.outcome('validation-7', '2024-05-01 10:00:00+00', 20, 40, 'k', '{"a": 2}', 'hall') AS metric,
       pg_temp.outcome('validation-7', '2024-05-01 10:00:00+00', 20, 40, 'k', '{"b": 1}', 'hall') AS metric_name,
       pg_temp.outcome('validation-7', '2024-05-01 10:00:00+00', 20, 40, 'k', '{"a": 1}', 'yard') AS region;
SELECT pg_temp.outcome('validation-7', NULL, 20, 40, 'k', '{"a": 1}', 'hall') AS no_time,
       pg_temp.outcome('validation-7', '2024-05-01 10:00:00+00', NULL, 40, 'k', '{"a": 1}', 'hall') AS no_temperature,
       pg_temp.outcome('validation-7', '2024-05-01 10:00:00+00', 20, NULL, 'k', '{"a": 1}', 'hall') AS no_humidity,
       pg_temp.outcome('validation-7', '2024-05-01 10:00:00+00', 20, 40, 'k', NULL, 'hall') AS no_metrics,
       pg_temp.outcome('validation-7', '2024-05-01 10:00:00+00', 20, 40, 'k', '{"a": 1}', NULL) AS no_region,
       pg_temp.outcome('validation-7', '2024-05-01 10:00:00+00', 40, 20, 'k', '{"a": 1}', 'hall') AS swapped;
SELECT pg_temp.outcome('validation-7', '2024-05-01 10:00:00+00', 20, 40, 'k', '{"a": 1}', 'hall') AS same;
SELECT temperature, humidity, metrics, region FROM telemetry.measurements WHERE device_id = 'validation-7';
-- It is so as well where both stand in one transaction.
BEGIN;
SELECT pg_temp.outcome('validation-8', temperature => 20, idempotency_key => 'k') AS first;
SELECT pg_temp.outcome('validation-8', temperature => 21, idempotency_key => 'k') AS other;
COMMIT;

-- TC008: the registry says that the device is retired.
UPDATE telemetry.device SET status = 'retired' WHERE device_id = 'validation-8';
SELECT pg_temp.outcome('validation-8', temperature => 22, idempotency_key => 'k2') AS retired;
UPDATE telemetry.device SET status = 'active' WHERE device_id = 'validation-8';
SELECT pg_temp.outcome('validation-8', temperature => 22, idempotency_key => 'k2') AS active_again;
