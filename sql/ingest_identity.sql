-- The fields that the client sent decide whether two deliveries are the same reading. Fields that the server filled in do not count.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS telemetry_cqrs;
RESET client_min_messages;

-- Without measured_at the time of receipt counts, and a later retry is a duplicate all the same.
SELECT event_id AS id, received_at AS received, status FROM telemetry.ingest_telemetry('identity-1', NULL, 20, 40, 'k') \gset
SELECT :'status' AS status;
SELECT clock_timestamp() > :'received' AS the_clock_went_on;
SELECT status, event_id = :id AS same_id, received_at = :'received' AS same_received_at
FROM telemetry.ingest_telemetry('identity-1', NULL, 20, 40, 'k');
SELECT measured_at = received_at AS measured_when_received FROM telemetry.measurements WHERE device_id = 'identity-1';
-- A request that names that very time is another one.
\set VERBOSITY sqlstate
SELECT status FROM telemetry.ingest_telemetry('identity-1', :'received', 20, 40, 'k');
\set VERBOSITY default

-- Without region the registry's of that moment counts. The event keeps it when the registry changes, and the retry is a duplicate.
SELECT telemetry.register_device('identity-2', 'old hall') AS new;
SELECT status FROM telemetry.ingest_telemetry('identity-2', '2024-05-01 10:00:00+00', 20, 40, 'k1');
UPDATE telemetry.device SET region = 'new hall' WHERE device_id = 'identity-2';
SELECT status FROM telemetry.ingest_telemetry('identity-2', '2024-05-01 10:00:00+00', 20, 40, 'k1');
SELECT status FROM telemetry.ingest_telemetry('identity-2', '2024-05-01 10:01:00+00', 20, 40, 'k2');
SELECT status FROM telemetry.ingest_telemetry('identity-2', '2024-05-01 10:02:00+00', 20, 40, 'k3', NULL, 'on tour');
SELECT idempotency_key, region FROM telemetry.measurements WHERE device_id = 'identity-2' ORDER BY idempotency_key;
-- A region that is sent does not change the registry's.
SELECT region FROM telemetry.device WHERE device_id = 'identity-2';
-- A request that names the region is another one, even if the registry has the same region.
\set VERBOSITY sqlstate
SELECT status FROM telemetry.ingest_telemetry('identity-2', '2024-05-01 10:01:00+00', 20, 40, 'k2', NULL, 'new hall');
\set VERBOSITY default

-- The first reading registers an unknown device, with the reading's region or none.
SELECT status FROM telemetry.ingest_telemetry('identity-3', '2024-05-01 10:00:00+00', 20, NULL, 'k', NULL, 'hall');
SELECT status FROM telemetry.ingest_telemetry('identity-4', '2024-05-01 10:00:00+00', 20, NULL, 'k');
SELECT device_id, region, status, registered_at > now() - interval '1 minute' AS just_now
FROM telemetry.device WHERE device_id IN ('identity-3', 'identity-4') ORDER BY device_id;

-- Without a key the reading (device, measured_at, values) is its own identity.
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
-- The region is no part of that identity. Another region is a conflict, and its message speaks of no key.
\set VERBOSITY terse
SELECT status FROM telemetry.ingest_telemetry('identity-5', '2024-05-01 10:00:00.000001+00', 20, 40, NULL, '{"a": 1}', 'hall');
\set VERBOSITY default
-- A reading with a key and the same reading without one are two readings.
SELECT status FROM telemetry.ingest_telemetry('identity-5', '2024-05-01 10:00:00.000001+00', 20, 40, 'key', '{"a": 1}');

-- Without key and measured_at a reading has no identity, and every call stores it.
SELECT status FROM telemetry.ingest_telemetry('identity-7', NULL, 20, 40);
SELECT status FROM telemetry.ingest_telemetry('identity-7', NULL, 20, 40);
SELECT count(*) AS stored, count(fingerprint) AS fingerprints, count(DISTINCT event_id) AS ids FROM telemetry.event WHERE device_id = 'identity-7';
SELECT received, accepted, duplicates
FROM telemetry.ingest_telemetry_batch(ARRAY['identity-7', 'identity-7', 'identity-7'], NULL, ARRAY[20, 20, 20], ARRAY[40, 40, 40]);
SELECT count(*) AS stored FROM telemetry.measurements WHERE device_id = 'identity-7';

-- Single call and batch share identities: a reading that came by one is a duplicate by the other.
SELECT received, accepted, duplicates, conflicts, rejected
FROM telemetry.ingest_telemetry_batch(ARRAY['identity-1', 'identity-5', 'identity-8'],
    ARRAY[NULL, '2024-05-01 10:00:00.000001+00', '2024-05-01 10:00:00+00']::timestamptz[], ARRAY[20, 20, 20], ARRAY[40, 40, 40],
    ARRAY['k', NULL, 'k'], ARRAY[NULL, '{"a": 1}', NULL]::jsonb[]);
SELECT status FROM telemetry.ingest_telemetry('identity-8', '2024-05-01 10:00:00+00', 20, 40, 'k');

-- Keys that share digits or prefixes, or end in numbers, stay apart.
SELECT count(*) AS sent, count(*) FILTER (WHERE status = 'accepted') AS accepted
FROM (VALUES ('1'), ('01'), ('001'), ('a1'), ('a01'), ('a-1'), ('1a'), ('1-1'), ('11'), ('1-01'), ('-1'), ('1 '), (' 1'), ('१'),
             ('18446744073709551615'), ('18446744073709551616'), ('0'), ('00'), ('a'), ('A'), ('a0'), ('a00')) AS k (key),
     LATERAL telemetry.ingest_telemetry('identity-9', '2024-05-01 10:00:00+00', 1, NULL, k.key);
-- The identity is not the device with the key appended.
SELECT device, key, status
FROM (VALUES ('identity-10', 'ab'), ('identity-10a', 'b'), ('identity-1', '0ab'), ('identity-10ab', 'ab')) AS v (device, key),
     LATERAL telemetry.ingest_telemetry(v.device, '2024-05-01 10:00:00+00', 1, NULL, v.key);

-- register_device() registers a device once.
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

-- A dump of a later version would bring fingerprints of that version. Commands refuse such a log, because they would recognise no earlier delivery.
UPDATE telemetry.installation SET fingerprint_version = 2;
\c -
\set VERBOSITY terse
SELECT status FROM telemetry.ingest_telemetry('identity-1', NULL, 20, 40, 'k');
\set VERBOSITY default
UPDATE telemetry.installation SET fingerprint_version = 1;
SELECT status FROM telemetry.ingest_telemetry('identity-1', NULL, 20, 40, 'k');
