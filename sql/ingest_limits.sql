-- A call may send so many readings and so many bytes of metrics. A message stays short, however long the sent text is.
\t on

-- error_of() returns the error as a client reads it.
CREATE FUNCTION refusal(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE state text; message text; detail text; hint text;
BEGIN
    EXECUTE command;
    RETURN 'done';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN format(E'%s: %s\n%s\n%s', state, message, detail, hint);
END $$;

-- --- readings of a batch ---------------------------------------------------------------------------------------------------------

DELETE FROM telemetry.rejected_readings;
SHOW telemetry_cqrs.max_batch_readings;
SELECT min_val, max_val, context FROM pg_settings WHERE name = 'telemetry_cqrs.max_batch_readings';
SET telemetry_cqrs.max_batch_readings = 1;

SELECT received, rejected FROM telemetry.ingest_telemetry_batch(array_fill(''::text, ARRAY[100000]), NULL, NULL, NULL);
SELECT count(*) FROM telemetry.rejected_readings;
DELETE FROM telemetry.rejected_readings;
SELECT refusal($$SELECT telemetry.ingest_telemetry_batch(array_fill(''::text, ARRAY[100001]), NULL, NULL, NULL)$$);
-- Each array counts, in whatever shape, before the command compares it with the others.
SELECT refusal(format('SELECT telemetry.ingest_telemetry_batch(%s)', string_agg(CASE a.n WHEN b.n THEN a.sent ELSE 'NULL' END, ', ' ORDER BY a.n)))
FROM (VALUES (1, $$array_fill('d'::text, ARRAY[500, 500])$$), (2, 'array_fill(now(), ARRAY[100001])'), (3, 'array_fill(1::float8, ARRAY[100001])'),
             (4, 'array_fill(1::float8, ARRAY[100001])'), (5, $$array_fill('k'::text, ARRAY[100001])$$), (6, $$array_fill('{}'::jsonb, ARRAY[100001])$$),
             (7, $$array_fill('r'::text, ARRAY[100001])$$)) AS a (n, sent), generate_series(1, 7) AS b (n)
GROUP BY b.n ORDER BY b.n;
-- An array from a table counts in full.
CREATE TABLE stored AS SELECT array_fill(''::text, ARRAY[100001]) AS long, ARRAY['limits-1'] AS short;
SELECT refusal('SELECT telemetry.ingest_telemetry_batch(long, NULL, NULL, NULL) FROM stored');
SELECT accepted FROM stored, telemetry.ingest_telemetry_batch(short, NULL, NULL, NULL);
-- So does an array that PL/pgSQL holds in expanded form.
DO $$
DECLARE
    devices text[] := array_fill(''::text, ARRAY[100000]);
BEGIN
    devices := devices || 'limits-1'::text;
    devices[1] := 'limits-2';
    PERFORM telemetry.ingest_telemetry_batch(devices, NULL, NULL, NULL);
EXCEPTION WHEN SQLSTATE 'TC011' THEN
    RAISE NOTICE 'refused: %', SQLERRM;
END $$;
DROP TABLE stored;
SELECT count(*) FROM telemetry.rejected_readings;
SELECT device_id FROM telemetry.measurements WHERE device_id LIKE 'limits-%' ORDER BY 1;

-- --- bytes of metrics ------------------------------------------------------------------------------------------------------------

-- These are eight numbers of 15,000 digits each. A string is 12 bytes longer in the server's form: at the bound the command reads it, and finds
-- that it is no object.
SELECT pg_column_size(m), (telemetry.ingest_telemetry('limits-3', metrics => m)).status
FROM (SELECT jsonb_object_agg('m' || i, ('0.' || repeat('1', 15000))::numeric) AS m FROM generate_series(1, 8) AS i OFFSET 0) AS s;
SELECT refusal(format($$SELECT telemetry.ingest_telemetry('limits-3', metrics => to_jsonb(repeat('x', %s)))$$, n)) FROM unnest(ARRAY[65524, 65525]) AS n;
SELECT refusal($$SELECT telemetry.ingest_telemetry('limits-3', metrics => (SELECT jsonb_object_agg('m' || i, i) FROM generate_series(1, 100000) AS i))$$);
SELECT refusal($$SELECT telemetry.ingest_telemetry('limits-3', metrics => jsonb_build_object(repeat('x', 70000), 1))$$);
SELECT refusal($$SELECT telemetry.ingest_telemetry('limits-3', metrics => (SELECT jsonb_object_agg('m' || i, i) FROM generate_series(1, 65) AS i))$$);
SELECT accepted, rejected FROM telemetry.ingest_telemetry_batch(ARRAY['limits-4', 'limits-4'], NULL, NULL, NULL, NULL, ARRAY[to_jsonb(repeat('x', 70000)), '{"m": 1}']);
SELECT sqlstate, reason FROM telemetry.rejected_readings;

-- --- messages --------------------------------------------------------------------------------------------------------------------

-- Every message that repeats sent text is tried.
SELECT what, octet_length(refusal(format(command, E'repeat(U&''\\202E\\00E4'', 20000)'))) < 900 AS is_short, left(refusal(format(command, E'repeat(U&''\\202E\\00E4'', 20000)')), 5) AS sqlstate
FROM (VALUES
    ('device',      'SELECT telemetry.ingest_telemetry(%s)'),
    ('key',         'SELECT telemetry.ingest_telemetry(''limits-5'', idempotency_key => %s)'),
    ('region',      'SELECT telemetry.ingest_telemetry(''limits-5'', region => %s)'),
    ('metric',      'SELECT telemetry.ingest_telemetry(''limits-5'', metrics => jsonb_build_object(left(%s, 20000), 1))'),
    ('member',      'SELECT telemetry.ingest_telemetry(''limits-5'', metrics => jsonb_build_object(left(%s, 20000), ''x''))'),
    ('on_error',    'SELECT telemetry.ingest_telemetry_batch(ARRAY[''limits-5''], NULL, NULL, NULL, on_error => %s)'),
    ('register',    'SELECT telemetry.register_device(%s)'),
    ('pause',       'SELECT telemetry.pause_projection(%s)'),
    ('as_of',       'SELECT telemetry.as_of(%s)'),
    ('token',       'SELECT telemetry.wait_for(%s)'),
    ('projection',  'SELECT telemetry.wait_for(''1:3'', projection => %s)'),
    ('summary',     'SELECT %s::telemetry.summary')) AS c (what, command);

DELETE FROM telemetry.rejected_readings;
DROP FUNCTION refusal;
