-- A single call gets a receipt, and the log keeps its reading.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS telemetry_cqrs;
RESET client_min_messages;

-- The receipt of an accepted reading is that of the stored row.
SELECT event_id AS first_id, received_at AS first_received_at, token AS first_token, status AS first_status
FROM telemetry.ingest_telemetry('single-1', '2024-05-01 10:00:00+00', 21.5, 40.25, 'k1', '{"light1": 185.71}', 'hall') \gset
SELECT :'first_status' AS status, :'first_token' <> '' AS has_token,
       :'first_received_at'::timestamptz BETWEEN now() - interval '1 minute' AND clock_timestamp() AS received_now;
SELECT event_id = :first_id AS same_id, received_at = :'first_received_at' AS same_received_at,
       device_id, region, measured_at AT TIME ZONE 'UTC' AS measured_at, temperature, humidity, metrics, idempotency_key
FROM telemetry.measurements WHERE device_id = 'single-1';

-- A duplicate gets the first receipt again and stores nothing.
SELECT status, event_id = :first_id AS same_id, received_at = :'first_received_at' AS same_received_at, token = :'first_token' AS same_token
FROM telemetry.ingest_telemetry('single-1', '2024-05-01 10:00:00+00', 21.5, 40.25, 'k1', '{"light1": 185.71}', 'hall');
SELECT count(*) FROM telemetry.measurements WHERE device_id = 'single-1';

-- The same request may be written otherwise: time zone, scale of a number, order of the metrics.
SELECT status FROM telemetry.ingest_telemetry('single-2', '2024-05-01 10:00:00+00', 1, 2, 'k1', '{"a": 1.5, "b": 2}', 'hall');
SELECT status FROM telemetry.ingest_telemetry('single-2', '2024-05-01 12:00:00+02', 1.0, 2.00, 'k1', '{"b": 2.0, "a": 1.50}', 'hall');

-- The key is scoped by device.
SELECT status FROM telemetry.ingest_telemetry('single-3', '2024-05-01 10:00:00+00', 21.5, 40.25, 'k1');
SELECT status FROM telemetry.ingest_telemetry('single-3', '2024-05-01 10:00:00+00', 21.5, 40.25, 'k2');
SELECT status FROM telemetry.ingest_telemetry('single-3', '2024-05-01 10:00:00+00', 21.5, 40.25, 'K1');

-- Arguments may be named, and a reading may have nothing but a device and a key.
SELECT status FROM telemetry.ingest_telemetry(device_id => 'single-4', idempotency_key => 'bare');
SELECT temperature IS NULL AND humidity IS NULL AND metrics IS NULL AND region IS NULL AS all_null,
       measured_at = received_at AS measured_when_received
FROM telemetry.measurements WHERE device_id = 'single-4';

-- A command may have several calls, and may take the composite apart, which evaluates the call once per column.
SELECT count(*), count(DISTINCT event_id), array_agg(DISTINCT status)
FROM generate_series(1, 5) AS i, LATERAL telemetry.ingest_telemetry('single-5', '2024-05-01 10:00:00+00', i, NULL, 'k' || i);
SELECT status, event_id IS NOT NULL AS has_id, received_at IS NOT NULL AS has_received_at, token IS NOT NULL AS has_token
FROM (SELECT (telemetry.ingest_telemetry('single-7', '2024-05-01 10:00:00+00', 1, NULL, 'k')).* OFFSET 0) AS r;
SELECT count(*) AS stored FROM telemetry.measurements WHERE device_id = 'single-7';
SELECT count(DISTINCT event_id) AS ids, count(*) AS answers
FROM generate_series(1, 3), LATERAL telemetry.ingest_telemetry('single-8', '2024-05-01 10:00:00+00', 1, NULL, 'k');
SELECT count(*) AS stored FROM telemetry.measurements WHERE device_id = 'single-8';

-- Of two commands in one transaction the second is a duplicate with the first's receipt.
BEGIN;
SELECT event_id AS own_id, token AS own_token, status AS own_status
FROM telemetry.ingest_telemetry('single-9', '2024-05-01 10:00:00+00', 1, NULL, 'k') \gset
SELECT :'own_status' AS status;
SELECT status, event_id = :own_id AS same_id, token = :'own_token' AS same_token
FROM telemetry.ingest_telemetry('single-9', '2024-05-01 10:00:00+00', 1, NULL, 'k');
COMMIT;

-- After a rollback of the transaction, to a savepoint, or in a subtransaction of PL/pgSQL the reading is new again.
BEGIN;
SELECT status FROM telemetry.ingest_telemetry('single-10', '2024-05-01 10:00:00+00', 1, NULL, 'k');
ROLLBACK;
SELECT status FROM telemetry.ingest_telemetry('single-10', '2024-05-01 10:00:00+00', 1, NULL, 'k');
BEGIN;
SAVEPOINT s;
SELECT status FROM telemetry.ingest_telemetry('single-11', '2024-05-01 10:00:00+00', 1, NULL, 'k');
ROLLBACK TO s;
SELECT status FROM telemetry.ingest_telemetry('single-11', '2024-05-01 10:00:00+00', 2, NULL, 'k');
COMMIT;
SELECT temperature FROM telemetry.measurements WHERE device_id = 'single-11';
DO $$
BEGIN
    BEGIN
        PERFORM telemetry.ingest_telemetry('single-12', '2024-05-01 10:00:00+00', 1, NULL, 'k');
        RAISE EXCEPTION 'back';
    EXCEPTION WHEN raise_exception THEN
        NULL;
    END;
    IF (telemetry.ingest_telemetry('single-12', '2024-05-01 10:00:00+00', 2, NULL, 'k')).status <> 'accepted' THEN
        RAISE 'the key of a rolled-back reading is taken';
    END IF;
END $$;
SELECT temperature FROM telemetry.measurements WHERE device_id = 'single-12';
-- An error that the caller catches leaves the earlier readings of the transaction in place.
DO $$
BEGIN
    PERFORM telemetry.ingest_telemetry('single-13', '2024-05-01 10:00:00+00', 1, NULL, 'k1');
    BEGIN
        PERFORM telemetry.ingest_telemetry('single-13', '2024-05-01 10:00:00+00', 'NaN', NULL, 'k2');
    EXCEPTION WHEN sqlstate 'TC003' THEN
        NULL;
    END;
    PERFORM telemetry.ingest_telemetry('single-13', '2024-05-01 10:00:00+00', 3, NULL, 'k3');
END $$;
SELECT idempotency_key, temperature FROM telemetry.measurements WHERE device_id = 'single-13' ORDER BY idempotency_key;

-- The call works with any search_path of the caller.
SET search_path = pg_temp;
SELECT status FROM telemetry.ingest_telemetry('single-14', '2024-05-01 10:00:00+00', 1, NULL, 'k');
SELECT current_setting('search_path') AS search_path_after;
RESET search_path;

-- A read-only transaction gets the server's own error, and nothing is half done.
BEGIN TRANSACTION READ ONLY;
\set VERBOSITY sqlstate
SELECT status FROM telemetry.ingest_telemetry('single-15', '2024-05-01 10:00:00+00', 1, NULL, 'k');
\set VERBOSITY default
ROLLBACK;
SELECT count(*) FROM telemetry.measurements WHERE device_id = 'single-15';

-- The first event opens the epoch, and every row of this server is of that one.
SELECT count(DISTINCT epoch) AS epochs, bool_and(epoch IN (SELECT epoch FROM telemetry.epoch)) AS known FROM telemetry.event;
SELECT count(DISTINCT secret) AS installations FROM telemetry.installation;
