-- These readings come from a retired device, repeat inside one command, or have empty metrics.
\set VERBOSITY terse

-- A retry of a reading that was stored before its device was retired is a duplicate; a new reading is refused.
SELECT status FROM telemetry.ingest_telemetry('standing-1', '2026-01-01', 1, 1, 'a');
UPDATE telemetry.device SET status = 'retired' WHERE device_id = 'standing-1';
SELECT status FROM telemetry.ingest_telemetry('standing-1', '2026-01-01', 1, 1, 'a');
SELECT status FROM telemetry.ingest_telemetry('standing-1', '2026-01-01', 2, 1, 'a');
SELECT status FROM telemetry.ingest_telemetry('standing-1', '2026-01-01', 1, 1, 'b');
SELECT received, accepted, duplicates, conflicts, rejected
FROM telemetry.ingest_telemetry_batch(ARRAY['standing-1', 'standing-1', 'standing-1', 'standing-2', 'standing-1', 'standing-1'],
    NULL, ARRAY[1, 1, 2, 1, 3, 3], NULL, ARRAY['a', 'c', 'a', 'a', 'd', 'd']);
-- The key 'a' was sent with a time before, so both batch readings with it are other requests.
SELECT sqlstate, payload ->> 'idempotency_key' AS key, sum(deliveries) AS count
FROM telemetry.rejected_readings WHERE payload ->> 'device_id' LIKE 'standing-%' GROUP BY 1, 2 ORDER BY 1, 2;
UPDATE telemetry.device SET status = 'active', region = 'south' WHERE device_id = 'standing-1';
SELECT status FROM telemetry.ingest_telemetry('standing-1', '2026-01-01', 1, 1, 'b');
SELECT region FROM telemetry.measurements WHERE device_id = 'standing-1' AND idempotency_key = 'b';

-- A command that calls once a column stores a reading once, keeps a refused one once, and gives one receipt.
SELECT (telemetry.ingest_telemetry_batch(ARRAY['standing-3', 'standing-3', NULL], ARRAY['2026-01-01', '2026-01-02', '2026-01-03']::timestamptz[],
    ARRAY[1, 2, 3], NULL, ARRAY['a', 'b', 'standing-3 c'])).accepted AS first \gset
BEGIN;
CREATE TEMP TABLE receipt AS
SELECT (telemetry.ingest_telemetry_batch(ARRAY['standing-4', 'standing-4', NULL], ARRAY['2026-01-01', '2026-01-02', '2026-01-03']::timestamptz[],
    ARRAY[1, 2, 3], NULL, ARRAY['a', 'b', 'standing-4 c'])).*;
SELECT received, accepted, duplicates, conflicts, rejected, last_event_id > first_event_id AS spans FROM receipt;
COMMIT;
SELECT payload ->> 'idempotency_key' AS key, count(*) FROM telemetry.rejected_readings
WHERE payload ->> 'idempotency_key' LIKE 'standing-_ c' GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM telemetry.measurements WHERE device_id = 'standing-4';
-- Two calls of one command are no repeat, even if both refuse a reading in the same words.
SELECT a.rejected, b.rejected
FROM telemetry.ingest_telemetry_batch(ARRAY['standing-6'], NULL, ARRAY['NaN']::float8[], ARRAY[40], ARRAY['a']) AS a,
     telemetry.ingest_telemetry_batch(ARRAY['standing-6'], NULL, ARRAY['NaN']::float8[], ARRAY[41], ARRAY['a']) AS b;
SELECT payload -> 'humidity' AS humidity, count(*) FROM telemetry.rejected_readings WHERE payload ->> 'device_id' = 'standing-6' GROUP BY 1 ORDER BY 1;
-- A call whose twin was rolled back is no repeat either; in a STABLE function both are of one command.
CREATE FUNCTION pg_temp.again() RETURNS integer LANGUAGE plpgsql STABLE AS $$
BEGIN
    BEGIN
        PERFORM telemetry.ingest_telemetry_batch(ARRAY['standing-7'], NULL, ARRAY['NaN']::float8[], NULL, ARRAY['a']);
        RAISE EXCEPTION 'back';
    EXCEPTION WHEN raise_exception THEN
        NULL;
    END;
    RETURN rejected FROM telemetry.ingest_telemetry_batch(ARRAY['standing-7'], NULL, ARRAY['NaN']::float8[], NULL, ARRAY['a']);
END $$;
SELECT pg_temp.again();
SELECT count(*) FROM telemetry.rejected_readings WHERE payload ->> 'device_id' = 'standing-7';

-- Metrics that are null are not kept and do not make a request another one. Their number counts.
SELECT status FROM telemetry.ingest_telemetry('standing-5', '2026-01-01', 1, 1, 'a', '{"x": null, "y": 2}');
SELECT status FROM telemetry.ingest_telemetry('standing-5', '2026-01-01', 1, 1, 'a', '{"y": 2.0, "z": null}');
SELECT metrics FROM telemetry.measurements WHERE device_id = 'standing-5';
SELECT status FROM telemetry.ingest_telemetry('standing-5', '2026-01-01', 1, 1, 'b',
    (SELECT jsonb_object_agg('m' || i, NULL) FROM generate_series(1, 65) AS i));
