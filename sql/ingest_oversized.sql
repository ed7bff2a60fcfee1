-- The quarantine keeps a refused reading whole up to a reasonable size, and the beginning of a longer text.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS telemetry_cqrs;
RESET client_min_messages;
SELECT coalesce(max(rejected_id), 0) AS before FROM telemetry.rejected_readings \gset

-- Texts of up to 4,096 bytes and metrics of up to 64 kB are kept as sent.
SELECT accepted, rejected FROM telemetry.ingest_telemetry_batch(
    ARRAY['oversized-1', repeat('d', 4096), 'oversized-2'], NULL, ARRAY[1, 2, 3], NULL,
    ARRAY['k', NULL, repeat('k', 4096)],
    ARRAY[NULL, NULL, jsonb_build_object(repeat('m', 60000), 1)], ARRAY[NULL, NULL, repeat('r', 4096)]);
SELECT sqlstate, length(payload->>'device_id') AS device_id, length(payload->>'idempotency_key') AS key, length(payload->>'region') AS region,
       length(payload->>'metrics') AS metrics, payload->'truncated' AS truncated
FROM telemetry.rejected_readings WHERE rejected_id > :before ORDER BY rejected_id;

-- With one byte more the text is cut, but never inside a character (each é has two bytes, so byte 4,096 is inside of one).
SELECT accepted, rejected FROM telemetry.ingest_telemetry_batch(
    ARRAY['oversized-3', repeat('e', 4097), 'x' || repeat('é', 3000)], NULL, NULL, NULL,
    ARRAY[repeat('k', 5000), NULL, NULL],
    ARRAY[jsonb_build_object(repeat('m', 70000), 1), NULL, NULL], ARRAY[repeat('r', 4098), NULL, NULL]);
SELECT sqlstate, left(payload->>'device_id', 11) AS device_id, octet_length(payload->>'device_id') AS bytes, octet_length(payload->>'idempotency_key') AS key,
       octet_length(payload->>'region') AS region, payload ? 'metrics' AS has_metrics, payload #- '{truncated,metrics}' -> 'truncated' AS truncated,
       (payload #>> '{truncated,metrics}')::int BETWEEN 70000 AND 70100 AS metrics_bytes
FROM telemetry.rejected_readings WHERE rejected_id > :before AND payload ? 'truncated' ORDER BY rejected_id;
