-- The quarantine counts repeats of a delivery, and redrive_rejected sends again what is accepted now.
\set VERBOSITY terse
\set SHOW_CONTEXT never
DELETE FROM telemetry.rejected_readings;

-- The same refused delivery again counts in its row, whether it comes alone, twice in a batch, or through another batch.
SELECT rejected FROM telemetry.ingest_telemetry_batch(ARRAY['quarantine-1', 'quarantine-1'], NULL, ARRAY['NaN', 'NaN']::float8[], NULL, ARRAY['a', 'a']);
SELECT rejected FROM telemetry.ingest_telemetry_batch(ARRAY['quarantine-1', 'quarantine-1'], NULL, ARRAY['NaN', 1]::float8[], NULL, ARRAY['a', 'b']);
-- Another payload, and another reason, have rows of their own.
SELECT rejected FROM telemetry.ingest_telemetry_batch(ARRAY['quarantine-1', 'quarantine-1'], ARRAY['2024-05-01', '1969-01-01']::timestamptz[], ARRAY['NaN', 2]::float8[], NULL, ARRAY['a', 'a']);
-- Without key and measured_at each delivery is another reading.
SELECT rejected FROM telemetry.ingest_telemetry_batch(ARRAY['quarantine-1', 'quarantine-1'], NULL, ARRAY['NaN', 'NaN']::float8[], NULL);
SELECT sqlstate, device_id, idempotency_key, deliveries, item_index, delivery IS NULL AS is_alone, last_received_at > received_at AS again, redrives
FROM telemetry.rejected_readings ORDER BY rejected_id;

-- A repeat from a session of another time zone counts as well.
SELECT rejected FROM telemetry.ingest_telemetry_batch(ARRAY['quarantine-1'], ARRAY['2024-05-01 10:00:00+00']::timestamptz[], ARRAY['NaN']::float8[], NULL, ARRAY['zone']);
SET timezone = 'Asia/Kolkata';
SELECT rejected FROM telemetry.ingest_telemetry_batch(ARRAY['quarantine-1'], ARRAY['2024-05-01 10:00:00+00']::timestamptz[], ARRAY['NaN']::float8[], NULL, ARRAY['zone']);
RESET timezone;
SELECT payload, deliveries FROM telemetry.rejected_readings WHERE idempotency_key = 'zone';
DELETE FROM telemetry.rejected_readings WHERE idempotency_key = 'zone';
-- A count that is at the end of its range stays there. The batch goes on.
UPDATE telemetry.rejected_readings SET deliveries = 2147483646 WHERE deliveries > 1;
SELECT rejected FROM telemetry.ingest_telemetry_batch(ARRAY['quarantine-1', 'quarantine-1'], NULL, ARRAY['NaN', 'NaN']::float8[], NULL, ARRAY['a', 'a']);
UPDATE telemetry.rejected_readings SET deliveries = 3 WHERE deliveries = 2147483647;

-- Nothing has changed, so nothing is accepted. The rows stay, and count.
SELECT * FROM telemetry.redrive_rejected();
SELECT rejected_id, sqlstate, deliveries, redrives FROM (SELECT row_number() OVER (ORDER BY rejected_id) AS rejected_id, sqlstate, deliveries, redrives FROM telemetry.rejected_readings) AS r;

-- The administrator mends the payload. What was sent otherwise stays as it was, to the last digit.
DELETE FROM telemetry.rejected_readings;
SELECT rejected FROM telemetry.ingest_telemetry_batch(ARRAY['quarantine-2'], ARRAY['2024-05-01 10:00:00.123456+00']::timestamptz[], ARRAY['NaN']::float8[], ARRAY[0.1::float8 + 0.2::float8], ARRAY['mend'],
    ARRAY['{"tiny": 1e-300, "light": 185.7}']::jsonb[], ARRAY['hall']);
UPDATE telemetry.rejected_readings SET payload = payload || '{"temperature": 21.5}';
SELECT examined, accepted, duplicates, conflicts, rejected, skipped, last_rejected_id FROM telemetry.redrive_rejected();
SELECT device_id, measured_at = '2024-05-01 10:00:00.123456+00' AS at, temperature, humidity = 0.1::float8 + 0.2::float8 AS humidity, metrics, region, idempotency_key
FROM telemetry.measurements WHERE device_id = 'quarantine-2';
SELECT count(*) FROM telemetry.rejected_readings;
-- It is the reading that the client would have sent: the client's own repeat of it is a duplicate.
SELECT status FROM telemetry.ingest_telemetry('quarantine-2', '2024-05-01 10:00:00.123456+00', 21.5, 0.1::float8 + 0.2::float8, 'mend', '{"tiny": 1e-300, "light": 185.7}', 'hall');

-- A reading that came in the meantime is a duplicate, and its row goes. One that differs stays as a conflict.
SELECT rejected, conflicts FROM telemetry.ingest_telemetry_batch(ARRAY['quarantine-3', 'quarantine-3'], ARRAY['2024-05-01', '2024-05-01']::timestamptz[], ARRAY['NaN', 'NaN']::float8[], NULL, ARRAY['d', 'c']);
UPDATE telemetry.rejected_readings SET payload = payload || '{"temperature": 5}';
SELECT status FROM telemetry.ingest_telemetry('quarantine-3', '2024-05-01', 5, NULL, 'd');
SELECT status FROM telemetry.ingest_telemetry('quarantine-3', '2024-05-01', 6, NULL, 'c');
SELECT accepted, duplicates, conflicts, rejected FROM telemetry.redrive_rejected();
SELECT sqlstate, idempotency_key, regexp_replace(reason, 'event \d+', 'event N') AS reason, redrives FROM telemetry.rejected_readings;

-- Readings of a retired device are accepted when it is active again. Those without identity are each stored. A reading without
-- measured_at was measured when it was received first.
DELETE FROM telemetry.rejected_readings;
SELECT telemetry.register_device('quarantine-4', 'yard');
UPDATE telemetry.device SET status = 'retired' WHERE device_id = 'quarantine-4';
SELECT rejected FROM telemetry.ingest_telemetry_batch(ARRAY['quarantine-4', 'quarantine-4', 'quarantine-4'], NULL, ARRAY[1, 1, 2], NULL, ARRAY[NULL, NULL, 'k']);
CREATE TEMP TABLE kept AS SELECT * FROM telemetry.rejected_readings;
UPDATE telemetry.device SET status = 'active' WHERE device_id = 'quarantine-4';
SELECT accepted, duplicates, conflicts, rejected, last_rejected_id IS NULL AS is_last FROM telemetry.redrive_rejected(sqlstates => ARRAY['TC008'], max_readings => 2);
SELECT accepted, last_rejected_id IS NULL AS is_last FROM telemetry.redrive_rejected(sqlstates => ARRAY['TC008'], max_readings => 2);
SELECT m.temperature, m.region, count(*), bool_and(m.measured_at = k.received_at) AS measured_then, bool_and(m.received_at > k.received_at) AS received_now
FROM telemetry.measurements m, (SELECT min(received_at) AS received_at FROM kept) AS k WHERE m.device_id = 'quarantine-4' GROUP BY 1, 2 ORDER BY 1;

-- The filters, and the order.
CREATE TEMP TABLE sent AS SELECT r.token, i FROM generate_series(1, 4) AS i, telemetry.ingest_telemetry_batch(
    ARRAY['quarantine-5-' || i, 'quarantine-6'], ARRAY['1969-01-01', '2024-05-01']::timestamptz[], ARRAY[i, 'NaN']::float8[], NULL, ARRAY['f' || i, 'g' || i]) AS r;
SELECT examined, rejected FROM telemetry.redrive_rejected(sqlstates => ARRAY['TC004', 'TC005']);
SELECT examined, rejected FROM telemetry.redrive_rejected(device_ids => ARRAY['quarantine-5-1', 'quarantine-5-3', 'nobody']);
SELECT examined, rejected FROM telemetry.redrive_rejected(tokens => (SELECT array_agg(token) FROM sent WHERE i < 3), sources => ARRAY['arrays']);
SELECT examined, rejected FROM telemetry.redrive_rejected(sources => ARRAY['reading', 'redrive']);
SELECT examined, rejected FROM telemetry.redrive_rejected(since => 'infinity');
SELECT examined, rejected FROM telemetry.redrive_rejected(since => '2024-01-01', sqlstates => '{}');
WITH RECURSIVE calls AS (
    SELECT r.* FROM telemetry.redrive_rejected(max_readings => 3) AS r
    UNION ALL SELECT r.* FROM calls AS c, telemetry.redrive_rejected(max_readings => 3, after => c.last_rejected_id) AS r WHERE c.last_rejected_id IS NOT NULL)
SELECT examined, rejected, last_rejected_id IS NULL AS is_last FROM calls;
SELECT device_id, idempotency_key, redrives FROM telemetry.rejected_readings ORDER BY rejected_id;
\set VERBOSITY default
SELECT * FROM telemetry.redrive_rejected(max_readings => 0);
\set VERBOSITY terse

-- What is not there as a whole is never sent: a text that was cut, metrics that were dropped, an item that is no reading, and a
-- payload that has a member no reading has.
DELETE FROM telemetry.rejected_readings;
SELECT rejected FROM telemetry.ingest_telemetry_batch(ARRAY['quarantine-7', repeat('q', 5000)], NULL, NULL, NULL, ARRAY['x', 'y'],
    ARRAY[(SELECT jsonb_object_agg('m' || i, i) FROM generate_series(1, 9000) AS i), NULL]);
INSERT INTO telemetry.rejected_readings (sqlstate, reason, payload, received_at) VALUES
    ('TC012', 'not a reading', '{"item": "[1"}', now()), ('TC012', 'odd', '{"device_id": "quarantine-7", "temprature": 1}', now()),
    ('TC012', 'odd', '{"device_id": "quarantine-7", "temperature": "warm"}', now()), ('TC012', 'odd', '[]', now()),
    ('TC012', 'whole', '{"device_id": "quarantine-7", "temperature": 1, "humidity": null}', now());
SELECT examined, accepted, rejected, skipped FROM telemetry.redrive_rejected();
SELECT sqlstate, count(*), sum(redrives) FROM telemetry.rejected_readings GROUP BY 1 ORDER BY 1;
SELECT temperature, humidity FROM telemetry.measurements WHERE device_id = 'quarantine-7';

-- A roll-back brings the rows back.
DELETE FROM telemetry.rejected_readings;
INSERT INTO telemetry.rejected_readings (sqlstate, reason, payload, received_at)
SELECT 'TC002', 'device is not registered', jsonb_build_object('device_id', 'quarantine-8', 'temperature', i, 'idempotency_key', 'many-' || i), '2024-05-01' FROM generate_series(1, 2000) AS i;
BEGIN;
SELECT accepted FROM telemetry.redrive_rejected();
ROLLBACK;
SELECT count(*) FROM telemetry.rejected_readings;
SELECT examined, accepted, duplicates, last_rejected_id FROM telemetry.redrive_rejected();
SELECT count(*), count(DISTINCT idempotency_key), min(measured_at) = '2024-05-01' AS measured_then FROM telemetry.measurements WHERE device_id = 'quarantine-8';
SELECT count(*) FROM telemetry.rejected_readings;

-- The upkeep deletes what is old, and the oldest rows beyond a number, in portions.
INSERT INTO telemetry.rejected_readings (sqlstate, reason, payload, received_at, last_received_at)
SELECT 'TC003', i::text, '{}', now() - i * interval '1 h', CASE WHEN i % 10 = 0 THEN now() END FROM generate_series(1, 5000) AS i;
SELECT telemetry.clear_quarantine('100 h', NULL);
SELECT count(*) FROM telemetry.rejected_readings;
SELECT telemetry.clear_quarantine('100 h', NULL), telemetry.clear_quarantine('100 h', NULL);
SELECT count(*), count(*) FILTER (WHERE last_received_at IS NOT NULL), max(reason::integer) FILTER (WHERE last_received_at IS NULL) FROM telemetry.rejected_readings;
SELECT telemetry.clear_quarantine(NULL, 1000);
SELECT count(*) FROM telemetry.rejected_readings;
SELECT telemetry.clear_quarantine(NULL, 50);
SELECT count(*), min(reason::integer) FROM telemetry.rejected_readings;
SELECT telemetry.clear_quarantine(NULL, NULL), telemetry.clear_quarantine('1 h', 1000);
BEGIN;
DO $$ BEGIN WHILE telemetry.clear_verdicts('0') LOOP NULL; END LOOP; END $$;
SELECT count(*) FROM telemetry.batch_verdict;
ROLLBACK;
SELECT telemetry.clear_verdicts('1 h');
DELETE FROM telemetry.rejected_readings;
