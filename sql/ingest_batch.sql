-- A batch gets counts and a verdict on each reading, by quarantine or abort.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS telemetry_cqrs;
RESET client_min_messages;

CREATE FUNCTION pg_temp.outcome(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer telemetry.batch_receipt; detail text; hint text;
BEGIN
    EXECUTE 'SELECT * FROM telemetry.ingest_telemetry_batch(' || command || ')' INTO answer;
    RETURN format('%s received: %s accepted, %s duplicates, %s conflicts, %s rejected',
                  answer.received, answer.accepted, answer.duplicates, answer.conflicts, answer.rejected);
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN SQLSTATE || CASE WHEN detail = '' THEN ' [no detail]' ELSE '' END || CASE WHEN hint = '' THEN ' [no hint]' ELSE '' END;
END $$;

-- All readings are new. The receipt spans the event ids, and the rows are as sent.
SELECT received, accepted, duplicates, conflicts, rejected, first_event_id AS first_id, last_event_id AS last_id, token
FROM telemetry.ingest_telemetry_batch(
    ARRAY['batch-1', 'batch-2', 'batch-1'],
    ARRAY['2024-05-01 10:00:00+00', '2024-05-01 10:00:01+00', '2024-05-01 10:00:02+00']::timestamptz[],
    ARRAY[20.5, NULL, -3], ARRAY[NULL, 55.5, 60],
    ARRAY['k1', 'k1', 'k2'], ARRAY['{"a": 1}', NULL, '{}']::jsonb[], ARRAY['hall', NULL, 'yard']) \gset
SELECT :received AS received, :accepted AS accepted, :duplicates AS duplicates, :conflicts AS conflicts, :rejected AS rejected, :'token' <> '' AS has_token;
SELECT min(event_id) = :first_id AS first, max(event_id) = :last_id AS last, count(DISTINCT event_id) AS ids, count(DISTINCT received_at) AS received_ats
FROM telemetry.measurements WHERE device_id IN ('batch-1', 'batch-2');
SELECT device_id, idempotency_key, region, measured_at AT TIME ZONE 'UTC' AS measured_at, temperature, humidity, metrics
FROM telemetry.measurements WHERE device_id IN ('batch-1', 'batch-2') ORDER BY device_id, idempotency_key;

-- All are duplicates, so the receipt has no ids.
SELECT received, accepted, duplicates, conflicts, rejected, first_event_id IS NULL AND last_event_id IS NULL AS no_ids
FROM telemetry.ingest_telemetry_batch(
    ARRAY['batch-1', 'batch-2', 'batch-1'],
    ARRAY['2024-05-01 10:00:00+00', '2024-05-01 10:00:01+00', '2024-05-01 10:00:02+00']::timestamptz[],
    ARRAY[20.5, NULL, -3], ARRAY[NULL, 55.5, 60],
    ARRAY['k1', 'k1', 'k2'], ARRAY['{"a": 1}', NULL, '{}']::jsonb[], ARRAY['hall', NULL, 'yard']);

-- The token is that of the batch's own transaction, and a single call in it names the same one.
BEGIN;
SELECT token AS batch_token FROM telemetry.ingest_telemetry_batch(ARRAY['batch-3'], NULL, ARRAY[1], NULL, ARRAY['k1']) \gset
SELECT :'batch_token' LIKE token || ':%' AS same_token FROM telemetry.ingest_telemetry('batch-3', NULL, 1, NULL, 'k2');
COMMIT;

-- Each reading gets its verdict: new, new, duplicate inside the batch, conflict inside the batch, duplicate of the log, conflict with the log, refused.
SELECT pg_temp.outcome($$
    ARRAY['batch-4', 'batch-4', 'batch-4', 'batch-4', 'batch-1', 'batch-1', 'batch-4'],
    ARRAY['2024-05-01 10:00:00+00', '2024-05-01 10:00:01+00', '2024-05-01 10:00:00+00', '2024-05-01 10:00:00+00', '2024-05-01 10:00:00+00', '2024-05-01 10:00:00+00', '2024-05-01 10:00:00+00']::timestamptz[],
    ARRAY[1, 2, 1, 5, 20.5, 20.6, 'NaN']::float8[], ARRAY[10, 20, 10, 10, NULL, NULL, NULL],
    ARRAY['k1', 'k2', 'k1', 'k1', 'k1', 'k1', 'k7'],
    ARRAY[NULL, NULL, NULL, NULL, '{"a": 1}', '{"a": 1}', '{"b": 2}']::jsonb[],
    ARRAY[NULL, NULL, NULL, NULL, 'hall', 'hall', 'roof']
$$);
SELECT idempotency_key, temperature FROM telemetry.measurements WHERE device_id = 'batch-4' ORDER BY idempotency_key;
-- The quarantine keeps a refused reading as it was sent, and a conflict too.
SELECT sqlstate, reason <> '' AS has_reason, received_at > now() - interval '1 minute' AS just_now,
       payload->>'device_id' AS device_id, payload->>'idempotency_key' AS key, payload->>'temperature' AS temperature,
       payload->>'humidity' AS humidity, payload->'metrics' AS metrics, payload->>'region' AS region,
       (payload->>'measured_at')::timestamptz = '2024-05-01 10:00:00+00' AS same_time
FROM telemetry.rejected_readings WHERE payload->>'device_id' IN ('batch-4', 'batch-1') ORDER BY rejected_id;

-- A bad reading does not take the others along. Each reason comes once, between a good reading at each end.
SELECT coalesce(max(rejected_id), 0) AS kept_before FROM telemetry.rejected_readings \gset
SELECT pg_temp.outcome($$
    ARRAY['batch-5', NULL, '', repeat('d', 10000), 'batch-5', 'batch-5', 'batch-5', 'batch-5', 'batch-5', 'batch-5', 'batch-5', 'batch-5'],
    ARRAY['2024-05-01 10:00:00+00', NULL, NULL, NULL, 'infinity', '1969-12-31 00:00:00+00', NULL, NULL, NULL, NULL, NULL, '2024-05-01 10:01:00+00']::timestamptz[],
    ARRAY[1, 1, 1, 1, 1, 1, 'Infinity', NULL, NULL, NULL, NULL, 2]::float8[],
    ARRAY[1, 1, 1, 1, 1, 1, 1, '-Infinity', NULL, NULL, NULL, 2]::float8[],
    ARRAY['k1', 'k2', 'k3', 'k4', 'k5', 'k6', 'k7', 'k8', '', repeat('k', 10000), 'k11', 'k12'],
    ARRAY[NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{"a": "x"}', NULL]::jsonb[]
$$);
SELECT sqlstate, count(*) FROM telemetry.rejected_readings
WHERE rejected_id > :kept_before
GROUP BY sqlstate ORDER BY sqlstate;
SELECT idempotency_key, temperature, humidity FROM telemetry.measurements WHERE device_id = 'batch-5' ORDER BY idempotency_key;
-- The quarantine keeps numbers that JSON cannot hold, and infinite times, as text.
SELECT payload->'temperature' AS temperature, payload->'humidity' AS humidity, payload->>'measured_at' AS measured_at
FROM telemetry.rejected_readings
WHERE payload->>'device_id' = 'batch-5' AND payload->>'idempotency_key' IN ('k5', 'k7', 'k8') ORDER BY payload->>'idempotency_key';
-- It keeps numbers to the last bit, however few digits the session prints.
SET extra_float_digits = -10;
SELECT pg_temp.outcome($$ ARRAY['batch-14'], NULL, ARRAY[0.1::float8 + 0.2::float8], ARRAY['NaN']::float8[] $$);
RESET extra_float_digits;
SELECT (payload->>'temperature')::float8 = 0.1::float8 + 0.2::float8 AS as_sent FROM telemetry.rejected_readings WHERE payload->>'device_id' = 'batch-14';
SELECT pg_temp.outcome($$ ARRAY['batch-6', 'batch-6'], NULL, ARRAY[1, 2], NULL, ARRAY['k1', 'k2'], NULL, ARRAY['', 'hall'] $$) AS region;
SELECT sqlstate FROM telemetry.rejected_readings WHERE payload->>'device_id' = 'batch-6';

-- With abort the first refused reading raises its error. The batch stores nothing and keeps nothing.
SELECT pg_temp.outcome($$ ARRAY['batch-7', 'batch-7'], NULL, ARRAY[1, 'NaN']::float8[], NULL, ARRAY['k1', 'k2'], on_error => 'abort' $$) AS not_finite,
       pg_temp.outcome($$ ARRAY['batch-7', ''], NULL, ARRAY[1, 'NaN']::float8[], NULL, ARRAY['k1', 'k2'], on_error => 'abort' $$) AS device,
       pg_temp.outcome($$ ARRAY['batch-7', 'batch-7'], NULL, ARRAY[1, 2], NULL, ARRAY['k1', 'k1'], on_error => 'abort' $$) AS conflict_inside,
       pg_temp.outcome($$ ARRAY['batch-7', 'batch-1'], NULL, ARRAY[1, 2], NULL, ARRAY['k1', 'k1'], on_error => 'abort' $$) AS conflict_with_log;
SELECT (SELECT count(*) FROM telemetry.measurements WHERE device_id = 'batch-7') AS stored,
       (SELECT count(*) FROM telemetry.device WHERE device_id = 'batch-7') AS registered,
       (SELECT count(*) FROM telemetry.rejected_readings WHERE payload->>'device_id' = 'batch-7') AS kept;
-- With nothing to refuse abort is like quarantine, and duplicates are no error.
SELECT pg_temp.outcome($$ ARRAY['batch-7', 'batch-7'], NULL, ARRAY[1, 2], NULL, ARRAY['k1', 'k2'], on_error => 'abort' $$) AS new,
       pg_temp.outcome($$ ARRAY['batch-7', 'batch-7'], NULL, ARRAY[1, 2], NULL, ARRAY['k1', 'k2'], on_error => 'abort' $$) AS again;

-- Arrays that do not fit each other and an unknown on_error raise TC010.
SELECT pg_temp.outcome($$ ARRAY['batch-8', 'batch-8'], ARRAY[now()], ARRAY[1, 2], NULL $$) AS measured_ats,
       pg_temp.outcome($$ ARRAY['batch-8', 'batch-8'], NULL, ARRAY[1, 2, 3], NULL $$) AS temperatures,
       pg_temp.outcome($$ ARRAY['batch-8', 'batch-8'], NULL, NULL, ARRAY[1] $$) AS humidities,
       pg_temp.outcome($$ ARRAY['batch-8', 'batch-8'], NULL, NULL, NULL, ARRAY['k'] $$) AS keys,
       pg_temp.outcome($$ ARRAY['batch-8', 'batch-8'], NULL, NULL, NULL, NULL, ARRAY['{}']::jsonb[] $$) AS metrics,
       pg_temp.outcome($$ ARRAY['batch-8', 'batch-8'], NULL, NULL, NULL, NULL, NULL, ARRAY['r'] $$) AS regions,
       pg_temp.outcome($$ ARRAY['batch-8', 'batch-8'], NULL, '{}'::float8[], NULL $$) AS empty_one;
SELECT pg_temp.outcome($$ ARRAY[['batch-8', 'batch-8'], ['batch-8', 'batch-8']], NULL, NULL, NULL $$) AS two_dimensions,
       pg_temp.outcome($$ ARRAY['batch-8', 'batch-8'], NULL, ARRAY[[1, 2]], NULL $$) AS one_by_two,
       pg_temp.outcome($$ ARRAY['batch-8'], NULL, ARRAY[[1]], NULL $$) AS one_by_one;
SELECT pg_temp.outcome($$ ARRAY['batch-8'], NULL, NULL, NULL, on_error => 'ignore' $$) AS ignore,
       pg_temp.outcome($$ ARRAY['batch-8'], NULL, NULL, NULL, on_error => '' $$) AS empty,
       pg_temp.outcome($$ ARRAY['batch-8'], NULL, NULL, NULL, on_error => 'ABORT' $$) AS upper_case,
       pg_temp.outcome($$ ARRAY['batch-8'], NULL, NULL, NULL, on_error => NULL $$) AS is_null;
SELECT (SELECT count(*) FROM telemetry.measurements WHERE device_id = 'batch-8') AS stored,
       (SELECT count(*) FROM telemetry.rejected_readings WHERE payload->>'device_id' = 'batch-8') AS kept;

-- A batch may have nothing to store, and lower bounds other than 1.
SELECT pg_temp.outcome($$ '{}', '{}', '{}', '{}' $$) AS empty,
       pg_temp.outcome($$ '{}', NULL, NULL, NULL $$) AS empty_and_null;
SELECT pg_temp.outcome($$ '[5:6]={batch-9,batch-9}', NULL, '[0:1]={1,2}', NULL, ARRAY['k1', 'k2'] $$) AS lower_bounds;
SELECT idempotency_key, temperature FROM telemetry.measurements WHERE device_id = 'batch-9' ORDER BY idempotency_key;
-- Without the array of devices there is no batch.
SELECT pg_temp.outcome($$ NULL, NULL, ARRAY[1, 2], NULL, ARRAY['batch-10 k1', 'batch-10 k2'] $$) AS no_devices;
SELECT count(*) AS kept FROM telemetry.rejected_readings WHERE payload->>'idempotency_key' LIKE 'batch-10%';

-- Large batches have first every pair once, then every key three times, in another order than that of the keys.
SELECT pg_temp.outcome($$
    (SELECT array_agg('batch-11-' || i % 7 ORDER BY i * 7919 % 30011) FROM generate_series(0, 29999) AS i),
    NULL,
    (SELECT array_agg(i % 10000 ORDER BY i * 7919 % 30011) FROM generate_series(0, 29999) AS i),
    NULL,
    (SELECT array_agg('k' || i % 10000 ORDER BY i * 7919 % 30011) FROM generate_series(0, 29999) AS i)
$$);
-- 7 and 10000 have no common divisor, so the 30000 pairs (i mod 7, i mod 10000) are all different.
SELECT count(*), count(DISTINCT (device_id, idempotency_key)), sum(temperature) FROM telemetry.measurements WHERE device_id LIKE 'batch-11-%';
SELECT pg_temp.outcome($$
    (SELECT array_agg('batch-12'::text ORDER BY i * 7919 % 30011) FROM generate_series(0, 29999) AS i),
    NULL,
    (SELECT array_agg(i % 10000 ORDER BY i * 7919 % 30011) FROM generate_series(0, 29999) AS i),
    NULL,
    (SELECT array_agg('k' || i % 10000 ORDER BY i * 7919 % 30011) FROM generate_series(0, 29999) AS i)
$$);
SELECT count(*), count(DISTINCT idempotency_key), sum(temperature), bool_and(idempotency_key = 'k' || temperature) AS as_sent
FROM telemetry.measurements WHERE device_id = 'batch-12';

-- A batch inside a subtransaction that is rolled back leaves neither readings nor rejected ones.
BEGIN;
SAVEPOINT s;
SELECT pg_temp.outcome($$ ARRAY['batch-13', 'batch-13'], NULL, ARRAY[1, 'NaN']::float8[], NULL, ARRAY['k1', 'k2'] $$);
ROLLBACK TO s;
SELECT pg_temp.outcome($$ ARRAY['batch-13'], NULL, ARRAY[2], NULL, ARRAY['k1'] $$);
COMMIT;
SELECT temperature FROM telemetry.measurements WHERE device_id = 'batch-13';
SELECT count(*) FROM telemetry.rejected_readings WHERE payload->>'device_id' = 'batch-13';

-- Bad dates of one device change nothing for another one.
SELECT pg_temp.outcome($$ ARRAY['batch-14', 'batch-15', 'batch-14', 'batch-15'], ARRAY['2024-06-01 10:00', '9999-01-01', '2024-06-01 10:01', '0001-01-01']::timestamptz[], ARRAY[1, 2, 3, 4], NULL, ARRAY['a', 'b', 'c', 'd'] $$);
CALL telemetry.project_once();
SELECT device_id, sample_count, avg_temperature, last_seen - first_seen AS span FROM telemetry.device_stats WHERE device_id IN ('batch-14', 'batch-15');
SELECT device_id, sample_count, avg, min, max FROM telemetry.device_stats_1d WHERE device_id IN ('batch-14', 'batch-15');
SELECT p, v.* FROM unnest(ARRAY['device', 'device_1m', 'device_1d']) AS p, LATERAL telemetry.verify_projection(p) AS v WHERE v.key LIKE 'batch-1%';
