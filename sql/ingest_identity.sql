-- Which two deliveries are the same reading: what the client sent decides, not what the server filled in.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS telemetry_cqrs;
RESET client_min_messages;

-- measured_at not sent: the time of receipt, and a later retry is a duplicate all the same
SELECT event_id AS id, received_at AS received, status FROM telemetry.ingest_telemetry('identity-1', NULL, 20, 40, 'k') \gset
SELECT :'status' AS status;
SELECT clock_timestamp() > :'received' AS the_clock_went_on;
SELECT status, event_id = :id AS same_id, received_at = :'received' AS same_received_at
FROM telemetry.ingest_telemetry('identity-1', NULL, 20, 40, 'k');
SELECT measured_at = received_at AS measured_when_received FROM telemetry.measurements WHERE device_id = 'identity-1';
-- but naming that very time is another request
\set VERBOSITY sqlstate
SELECT status FROM telemetry.ingest_telemetry('identity-1', :'received', 20, 40, 'k');
\set VERBOSITY default

-- region not sent: the registry's of that moment, kept when the registry changes; the retry is a duplicate
SELECT telemetry.register_device('identity-2', 'old hall') AS new;
SELECT status FROM telemetry.ingest_telemetry('identity-2', '2024-05-01 10:00:00+00', 20, 40, 'k1');
UPDATE telemetry.device SET region = 'new hall' WHERE device_id = 'identity-2';
SELECT status FROM telemetry.ingest_telemetry('identity-2', '2024-05-01 10:00:00+00', 20, 40, 'k1');
SELECT status FROM telemetry.ingest_telemetry('identity-2', '2024-05-01 10:01:00+00', 20, 40, 'k2');
SELECT status FROM telemetry.ingest_telemetry('identity-2', '2024-05-01 10:02:00+00', 20, 40, 'k3', NULL, 'on tour');
SELECT idempotency_key, region FROM telemetry.measurements WHERE device_id = 'identity-2' ORDER BY idempotency_key;
-- sending a region does not change the registry's
SELECT region FROM telemetry.device WHERE device_id = 'identity-2';
-- the region named although the registry has the same: another request
\set VERBOSITY sqlstate
SELECT status FROM telemetry.ingest_telemetry('identity-2', '2024-05-01 10:01:00+00', 20, 40, 'k2', NULL, 'new hall');
\set VERBOSITY default

-- a device that is not known is registered with its first reading, with the region of that reading or none
SELECT status FROM telemetry.ingest_telemetry('identity-3', '2024-05-01 10:00:00+00', 20, NULL, 'k', NULL, 'hall');
SELECT status FROM telemetry.ingest_telemetry('identity-4', '2024-05-01 10:00:00+00', 20, NULL, 'k');
SELECT device_id, region, status, registered_at > now() - interval '1 minute' AS just_now
FROM telemetry.device WHERE device_id IN ('identity-3', 'identity-4') ORDER BY device_id;

-- no key: the reading (device, measured_at, values) is its own identity
SELECT status FROM telemetry.ingest_telemetry('identity-5', '2024-05-01 10:00:00.000001+00', 20, 40, NULL, '{"a": 1}');
SELECT status FROM telemetry.ingest_telemetry('identity-5', '2024-05-01 10:00:00.000001+00', 20, 40, NULL, '{"a": 1}');
SELECT status FROM telemetry.ingest_telemetry('identity-5', '2024-05-01 10:00:00.000002+00', 20, 40, NULL, '{"a": 1}') AS later;
SELECT status FROM telemetry.ingest_telemetry('identity-5', '2024-05-01 10:00:00.000001+00', 21, 40, NULL, '{"a": 1}') AS temperature;
SELECT status FROM telemetry.ingest_telemetry('identity-5', '2024-05-01 10:00:00.000001+00', 40, 20, NULL, '{"a": 1}') AS swapped;
SELECT status FROM telemetry.ingest_telemetry('identity-5', '2024-05-01 10:00:00.000001+00', 20, NULL, NULL, '{"a": 1}') AS no_humidity;
SELECT status FROM telemetry.ingest_telemetry('identity-5', '2024-05-01 10:00:00.000001+00', 20, 40, NULL, '{"a": 2}') AS metric;
SELECT status FROM telemetry.ingest_telemetry('identity-5', '2024-05-01 10:00:00.000001+00', 20, 40, NULL, '{"b": 1}') AS metric_name;
SELECT status FROM telemetry.ingest_telemetry('identity-6', '2024-05-01 10:00:00.000001+00', 20, 40, NULL, '{"a": 1}') AS device;
SELECT count(*) AS stored, count(idempotency_key) AS keys FROM telemetry.measurements WHERE device_id = 'identity-5';
-- its region is no part of that: another one is a conflict, in words that speak of no key
\set VERBOSITY terse
SELECT status FROM telemetry.ingest_telemetry('identity-5', '2024-05-01 10:00:00.000001+00', 20, 40, NULL, '{"a": 1}', 'hall');
\set VERBOSITY default
-- a reading with a key and the same reading without one are two
SELECT status FROM telemetry.ingest_telemetry('identity-5', '2024-05-01 10:00:00.000001+00', 20, 40, 'key', '{"a": 1}');

-- neither key nor measured_at: no identity, every call stores
SELECT status FROM telemetry.ingest_telemetry('identity-7', NULL, 20, 40);
SELECT status FROM telemetry.ingest_telemetry('identity-7', NULL, 20, 40);
SELECT count(*) AS stored, count(fingerprint) AS fingerprints, count(DISTINCT event_id) AS ids FROM telemetry.event WHERE device_id = 'identity-7';
SELECT received, accepted, duplicates
FROM telemetry.ingest_telemetry_batch(ARRAY['identity-7', 'identity-7', 'identity-7'], NULL, ARRAY[20, 20, 20], ARRAY[40, 40, 40]);
SELECT count(*) AS stored FROM telemetry.measurements WHERE device_id = 'identity-7';

-- single call and batch are one door: what came by one is a duplicate by the other
SELECT received, accepted, duplicates, conflicts, rejected
FROM telemetry.ingest_telemetry_batch(ARRAY['identity-1', 'identity-5', 'identity-8'],
    ARRAY[NULL, '2024-05-01 10:00:00.000001+00', '2024-05-01 10:00:00+00']::timestamptz[], ARRAY[20, 20, 20], ARRAY[40, 40, 40],
    ARRAY['k', NULL, 'k'], ARRAY[NULL, '{"a": 1}', NULL]::jsonb[]);
SELECT status FROM telemetry.ingest_telemetry('identity-8', '2024-05-01 10:00:00+00', 20, 40, 'k');

-- keys that share digits, prefixes or end in numbers stay apart
SELECT count(*) AS sent, count(*) FILTER (WHERE status = 'accepted') AS accepted
FROM (VALUES ('1'), ('01'), ('001'), ('a1'), ('a01'), ('a-1'), ('1a'), ('1-1'), ('11'), ('1-01'), ('-1'), ('1 '), (' 1'), ('१'),
             ('18446744073709551615'), ('18446744073709551616'), ('0'), ('00'), ('a'), ('A'), ('a0'), ('a00')) AS k (key),
     LATERAL telemetry.ingest_telemetry('identity-9', '2024-05-01 10:00:00+00', 1, NULL, k.key);
-- device and key are not just joined together
SELECT device, key, status
FROM (VALUES ('identity-10', 'ab'), ('identity-10a', 'b'), ('identity-1', '0ab'), ('identity-10ab', 'ab')) AS v (device, key),
     LATERAL telemetry.ingest_telemetry(v.device, '2024-05-01 10:00:00+00', 1, NULL, v.key);

-- register_device
SELECT telemetry.register_device('identity-11', 'hall', '1 minute', '{"floor": 2}') AS new;
SELECT telemetry.register_device('identity-11', 'yard', '1 hour', '{"floor": 3}') AS new;
SELECT region, status, expected_interval, attributes FROM telemetry.device WHERE device_id = 'identity-11';
\set VERBOSITY sqlstate
SELECT telemetry.register_device('');
SELECT telemetry.register_device(NULL);
SELECT telemetry.register_device(repeat('d', 10000));
SELECT telemetry.register_device('identity-12', '');
SELECT telemetry.register_device('identity-12', repeat('r', 10000));
\set VERBOSITY default
SELECT count(*) FROM telemetry.device WHERE device_id = 'identity-12';

-- fingerprints of another version, as a dump of a later one would bring: refused, as no earlier delivery would be recognised
UPDATE telemetry.installation SET fingerprint_version = 2;
\c -
\set VERBOSITY terse
SELECT status FROM telemetry.ingest_telemetry('identity-1', NULL, 20, 40, 'k');
\set VERBOSITY default
UPDATE telemetry.installation SET fingerprint_version = 1;
SELECT status FROM telemetry.ingest_telemetry('identity-1', NULL, 20, 40, 'k');
