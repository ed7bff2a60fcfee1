-- Readings come as JSON. Each item gets a verdict of its own, and what is stored is what the text says, digit by digit.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS telemetry_cqrs;
RESET client_min_messages;
SET timezone = 'UTC';
SET datestyle = 'ISO';

CREATE FUNCTION pg_temp.outcome(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer telemetry.batch_receipt; detail text; hint text;
BEGIN
    EXECUTE 'SELECT * FROM telemetry.ingest_telemetry_batch(' || command || ')' INTO answer;
    RETURN format('%s received: %s accepted, %s duplicates, %s conflicts, %s rejected',
                  answer.received, answer.accepted, answer.duplicates, answer.conflicts, answer.rejected);
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN SQLSTATE || ': ' || SQLERRM || CASE WHEN detail = '' THEN ' [no detail]' ELSE '; ' || detail END || CASE WHEN hint = '' THEN ' [no hint]' ELSE '' END;
END $$;

-- Sends one item between two good ones, and says what became of it: what was stored, or why it was refused. The good ones must be stored.
CREATE FUNCTION pg_temp.verdict(item text, options text = '') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer telemetry.batch_receipt; verdict text; before bigint = (SELECT coalesce(max(rejected_id), 0) FROM telemetry.rejected_readings);
    good text = '{"device_id": "json-good", "idempotency_key": "' || gen_random_uuid() || '", "temperature": 1}';
BEGIN
    EXECUTE 'SELECT * FROM telemetry.ingest_telemetry_batch($1::text' || options || ')' INTO answer
        USING '[' || good || ',' || item || ',' || replace(good, '": 1}', '": 1, "humidity": 2, "region": "other"}') || ',' || replace(good, 'json-good', 'json-good-2') || ']';
    -- the first and the last are stored, and the third is a conflict
    IF answer.received <> 4 OR answer.conflicts <> 1 OR answer.accepted + answer.rejected <> 3 OR answer.accepted < 2 THEN
        RETURN 'SPOILED ' || answer::text;
    END IF;
    IF answer.rejected = 0 THEN
        SELECT concat_ws(' ', 'stored', device_id, CASE WHEN measured_at = received_at THEN 'on receipt' ELSE measured_at::text END, temperature, humidity, idempotency_key, metrics, nullif(region, '')) INTO STRICT verdict
        FROM telemetry.measurements WHERE device_id NOT LIKE 'json-good%' AND event_id BETWEEN answer.first_event_id AND answer.last_event_id;
        RETURN verdict;
    END IF;
    SELECT concat(sqlstate, ' ', regexp_replace(reason, 'clock, [0-9T:.-]+Z', 'clock'), CASE WHEN item_index <> 2 OR source <> 'json' OR token <> answer.token THEN ' BADLY KEPT' END,
                  CASE WHEN payload ->> 'item' IS DISTINCT FROM item AND payload ? 'item' AND NOT payload ? 'truncated' THEN format(' KEPT AS %s', payload) END) INTO STRICT verdict
    FROM telemetry.rejected_readings WHERE rejected_id > before AND sqlstate <> 'TC009';
    RETURN verdict;
END $$;

-- Numbers. What double precision cannot hold is refused, and everything else is the nearest double.
SELECT n, pg_temp.verdict('{"device_id": "json-n", "measured_at": "2024-05-01T10:00:00Z", "idempotency_key": "' || i || '", "temperature": ' || n || '}')
FROM unnest(ARRAY['1e999', '-1e999', '1e-999', '1e400', '1.7976931348623157e308', '1.7976931348623159e308', '5e-324', '2e-324', '18446744073709551616', '18446744073709551615', '9007199254740993',
    '-0', '-0.0', '0e999', '0.1', '1E2', '1.5e+2', '123456789012345678901234567890', '0.30000000000000004', '1e99999999999999999999', '1e-99999999999999999999',
    'NaN', 'Infinity', '-Infinity', '+1', '01', '.5', '1.', '1e', '0x10', '1_000', 'null', 'true', '"21.5"', '[21.5]', '{"v": 21.5}']) WITH ORDINALITY AS u (n, i) ORDER BY i;
-- As metrics.
SELECT n, pg_temp.verdict('{"device_id": "json-m", "measured_at": "2024-05-01T10:00:00Z", "idempotency_key": "' || i || '", "metrics": ' || n || '}')
FROM unnest(ARRAY['{"a": 1e999}', '{"a": 1e-999}', '{"a": 18446744073709551616}', '{"a": -0.0}', '{"a": 1, "a": 1}', '{"a": 1, "\u0061": 2}', '{"b": 2, "a": 1, "cc": null}', '{"a": "1"}', '{"a": true}', '{"a": [1]}', '{"a": {"b": 1}}', '{"": 1}', '{"a\u0000": 1}', '{"\ud83d": 1}', '{"\ud83d\ude00": 1}', '{"temperature": 3}',
    '{}', 'null', '[]', '5', '"{}"', 'true', '{"a": NaN}', '{"a": 1,}']) WITH ORDINALITY AS u (n, i) ORDER BY i;
SELECT pg_temp.verdict('{"device_id": "json-m", "idempotency_key": "many", "metrics": {' || (SELECT string_agg('"m' || i || '": 1', ',') FROM generate_series(1, 65) AS i) || '}}');
SELECT pg_temp.verdict('{"device_id": "json-m", "idempotency_key": "very many", "metrics": {' || (SELECT string_agg('"m' || i || '": 1', ',') FROM generate_series(1, 5000) AS i) || '}}') ~ '^TC006 .*5000' AS refused;

-- Texts and names.
SELECT item, pg_temp.verdict(item) FROM (VALUES
    (1, '{"device_id": "json-t", "device_id": "json-u"}'),
    (2, '{"device_id": "json-t", "temperature": 1, "temperature": 1}'),
    (3, '{"device_id": "json-t", "metrics": {"a": 1}, "metrics": {"b": 1}}'),
    (4, '{"device_id": "json-t\u0000"}'),
    (5, '{"device_id": "json-t", "idempotency_key": "a\u0000b"}'),
    (6, '{"device_id": "json-t", "region": "\u0000"}'),
    (7, '{"device_id": "json-t\ud83d"}'),
    (8, '{"device_id": "json-t\ude00"}'),
    (9, '{"device_id": "json-t\ude00\ud83d"}'),
    (10, '{"device_id": "json-t", "region": "\ud83d\u0041"}'),
    (11, '{"device_id": "json-\ud83d\ude00\u00e9", "idempotency_key": "11", "measured_at": "2024-05-01T10:00:00Z"}'),
    (12, '{"device_id": "json-t", "pressure": 1013}'),
    (13, '{"device_id": "json-t", "Temperature": 1}'),
    (14, '{"device_id": "json-t", "": 1}'),
    (15, '{"device_id": 5}'),
    (16, '{"device_id": 12345678901234567890}'),
    (17, '{"device_id": "json-t", "idempotency_key": 7}'),
    (18, '{"device_id": "json-t", "region": 3}'),
    (19, '{"device_id": null}'),
    (20, '{"device_id": ""}'),
    (21, '{"device_id": ["json-t"]}'),
    (22, '{"device_id": true}'),
    (23, '{"temperature": 1}'),
    (24, '{}'),
    (25, '{"device_id": "json-t ", "temperature": 1}'),
    (26, '{"device_id": "json-t", "temperature": "x"}'),
    (27, '{"device_id": "json-t", "measured_at": true}'),
    (28, 'null'), (29, '5'), (30, '"text"'), (31, '[]'), (32, '[{"device_id": "json-t"}]'), (33, 'true'),
    (34, '{"device_id": "json-t" "temperature": 1}'),
    (35, '{"device_id": "json-t",}'),
    (36, '{''device_id'': "json-t"}'),
    (37, '{"device_id": "json-t" /* a comment */}'),
    (38, '{device_id: "json-t"}'),
    (39, '{"device_id": "json-t", "region": "a	b"}'),
    (40, '{"device_id": "json-t", "region": "\x41"}'),
    (41, '{"device_id": "json-t", "temperature": nul}'),
    (42, '{"device_id": "json-t", "idempotency_key": null, "measured_at": "2024-05-01T10:00:00Z", "temperature": null, "metrics": null, "region": null}')) AS v (i, item) ORDER BY i;
SELECT pg_temp.verdict('{"device_id": "' || repeat('d', 10000) || '"}') ~ '^TC001 ' AS device, pg_temp.verdict('{"device_id": "json-t", "idempotency_key": "' || repeat('k', 10000) || '"}') ~ '^TC005 ' AS key;
SELECT jsonb_typeof(payload -> 'truncated') AS truncated, length(payload ->> 'device_id') AS device, length(payload ->> 'idempotency_key') AS key, length(device_id) AS searched_device, length(idempotency_key) AS searched_key
FROM telemetry.rejected_readings WHERE source = 'json' AND payload ? 'truncated' AND sqlstate IN ('TC001', 'TC005') ORDER BY rejected_id;

-- Depth, of objects and arrays, in a known field, an unknown one and in place of an item.
SELECT place, depth, left(pg_temp.verdict(replace(place, '?', repeat(opening, depth) || closing_value || repeat(closing, depth))), 60)
FROM (VALUES ('{"device_id": "json-deep", "metrics": {"a": ?}}'), ('{"device_id": "json-deep", "x": ?}'), ('{"device_id": "json-deep", "temperature": ?}'), ('?')) AS p (place),
     (VALUES ('[', '1', ']'), ('{"a":', '1', '}')) AS b (opening, closing_value, closing), (VALUES (31), (33), (1000), (100000)) AS d (depth)
ORDER BY place, opening, depth;

-- Times.
SELECT measured_at, pg_temp.verdict('{"device_id": "json-time", "idempotency_key": "' || i || '", "measured_at": ' || measured_at || '}')
FROM unnest(ARRAY['"2024-05-01T10:00:00Z"', '"2024-05-01T12:00:00+02:00"', '"2024-05-01T12:00:00+02"', '"2024-05-01T12:00:00.123456+0200"', '"2024-05-01T10:00:00.1234567Z"', '"2024-05-01 10:00:00+00"', '"2024-05-01t10:00:00z"',
    '"2024-05-01T04:15:00-05:45"', '"2024-05-01T10:00:00"', '"2024-05-01"', '"2024-05-01T10:00Z"', '"2024-02-30T10:00:00Z"', '"2024-05-01T24:00:00Z"', '"2024-05-01T25:00:00Z"', '"2016-12-31T23:59:60Z"', '"2024-05-01T10:00:00 Europe/Berlin"', '"now"', '"infinity"', '"yesterday"', '""',
    '"2999-01-01T00:00:00Z"', '"0001-01-01T00:00:00Z"', '"99999-01-01T00:00:00Z"', '1714557600', '1714557600.5', 'null']) WITH ORDINALITY AS u (measured_at, i) ORDER BY i;
SELECT unit, n, pg_temp.verdict('{"device_id": "json-unit", "idempotency_key": "' || unit || trim('"' FROM n) || '", "measured_at": ' || n || '}', format(', time_unit => %L', unit))
FROM (VALUES ('s', '1714557600'), ('s', '1714557600.25'), ('s', '1.7145576e9'), ('s', '1e999'), ('s', '"1714557600"'), ('s', '"2024-05-01T10:00:00Z"'), ('ms', '1714557600123'), ('ms', '1714557600123.5'), ('us', '1714557600123456'),
             ('ns', '1714557600123456789'), ('ns', '1714557600123456499'), ('s', '1714557600123'), ('s', '0'), ('s', '-1')) AS v (unit, n);
SELECT pg_temp.outcome($$'[]', time_unit => 'h'$$) UNION ALL SELECT pg_temp.outcome($$'[]', time_unit => ''$$) UNION ALL SELECT pg_temp.outcome($$'[]', time_unit => NULL$$);

-- The text as a whole.
SELECT replace(sent, U&'\FEFF', '<byte order mark>') AS sent, pg_temp.outcome(quote_literal(sent)) FROM (VALUES
    (1, '[]'), (2, ' [ ] '), (3, ''), (4, '   '), (5, 'x'), (6, '['), (7, '[{"device_id": "json-w"}'), (8, '[{"device_id": "json-w"},]'), (9, '[,]'), (10, '[{"device_id": "json-w"} {"device_id": "json-w"}]'),
    (11, '[] x'), (12, '{"device_id": "json-w", "idempotency_key": "12"}'), (13, '{"device_id": "json-w"'), (14, '{"device_id": "json-w}'), (15, '5'), (16, 'null'), (17, '"text"'), (18, '{a,b}'), (19, '{}'), (20, '{"readings": []}'), (21, '{a}'),
    (22, '[{"device_id": "json-w"}}'), (23, '{"device_id": "json-w"}]'), (24, '{"device_id": "json-w", "idempotency_key": "24"}{"device_id": "json-w"}'), (25, U&'\FEFF[]'), (26, E'[\n{"device_id": "json-w"\n},\n  ü]'), (27, '{NULL}')) AS v (i, sent) ORDER BY i;
SELECT pg_temp.outcome('NULL::text'), pg_temp.outcome('NULL::json'), pg_temp.outcome('NULL::jsonb');
SELECT pg_temp.outcome(quote_literal(repeat('[', 100000))) ~ '^TC010' AS refused, pg_temp.outcome(quote_literal(repeat('[', 100000) || repeat(']', 100000))) AS one_item;

-- Types: json, jsonb and text, and a literal without one. jsonb has kept the last of two members.
SELECT pg_temp.outcome($$'[{"device_id": "json-type", "idempotency_key": "1", "temperature": 0.1}]'::json$$), pg_temp.outcome($$'[{"device_id": "json-type", "idempotency_key": "1", "temperature": 0.1}]'::jsonb$$),
       pg_temp.outcome($$'[{"device_id": "json-type", "idempotency_key": "1", "temperature": 1e-1}]'::text$$), pg_temp.outcome($$'[{"device_id": "json-type", "idempotency_key": "1", "temperature": 0.10}]'$$);
SELECT pg_temp.outcome($$'{"device_id": "json-type", "idempotency_key": "2", "temperature": 1, "temperature": 2}'::json$$), pg_temp.outcome($$'{"device_id": "json-type", "idempotency_key": "2", "temperature": 1, "temperature": 2}'::jsonb$$);
SELECT pg_temp.outcome($$'{"device_id": "json-type", "idempotency_key": "3", "temperature": 1e400}'::jsonb$$), pg_temp.outcome($$'{"device_id": "a\u0000"}'::jsonb$$), pg_temp.outcome($$'{"device_id": '::json$$);
SELECT pg_temp.outcome($$5$$), pg_temp.outcome($$ARRAY['json-type']$$);
-- With four arguments a literal without a type is an array, as ever.
SELECT pg_temp.outcome($$'{json-array}', '{2024-05-01 10:00:00+00}', '{1}', NULL$$);
-- Through a parameter of each type, twice.
PREPARE as_text (text) AS SELECT accepted, duplicates FROM telemetry.ingest_telemetry_batch($1);
PREPARE as_json (json) AS SELECT accepted, duplicates FROM telemetry.ingest_telemetry_batch($1);
PREPARE as_jsonb (jsonb) AS SELECT accepted, duplicates FROM telemetry.ingest_telemetry_batch($1);
EXECUTE as_text ('[{"device_id": "json-type", "idempotency_key": "4", "metrics": {"b": 2, "a": 1}}]');
EXECUTE as_json ('[{"device_id": "json-type", "idempotency_key": "4", "metrics": {"a": 1.0, "b": 2}}]');
EXECUTE as_jsonb ('[{"device_id": "json-type", "idempotency_key": "4", "metrics": {"a": 1, "b": 2e0, "c": null}}]');

-- The doors know each other's readings.
SELECT status FROM telemetry.ingest_telemetry('json-type', NULL, 0.1, idempotency_key => '1');
SELECT accepted, duplicates FROM telemetry.ingest_telemetry_batch(ARRAY['json-type'], NULL, NULL, NULL, ARRAY['4'], ARRAY['{"a": 1, "b": 2}']::jsonb[]);

-- on_error. With abort the first bad item ends the call, and nothing of it stays.
SELECT pg_temp.outcome($$'[{"device_id": "json-abort", "temperature": 1}, {"device_id": "json-abort", "temperature": 1e999}, {"device_id": 5}]', 'abort'$$);
SELECT pg_temp.outcome($$'[{"device_id": "json-abort", "temperature": 1}, 7]'::json, on_error => 'abort'$$);
SELECT pg_temp.outcome($$'[{"device_id": "json-abort", "idempotency_key": "k", "temperature": 1}, {"device_id": "json-abort", "idempotency_key": "k", "temperature": 2}]', on_error => 'abort'$$) ~ '^TC009' AS conflict;
SELECT count(*) FROM telemetry.measurements WHERE device_id = 'json-abort';
SELECT count(*) FROM telemetry.rejected_readings WHERE device_id = 'json-abort';
SELECT pg_temp.outcome($$'[{"device_id": "json-abort", "idempotency_key": "k", "temperature": 1}]', 'abort'$$);
SELECT pg_temp.outcome($$'[]', 'ignore'$$), pg_temp.outcome($$'[]', NULL$$);

-- A repeat of a refused item counts in its row. A chunk of the quarantine has 512 rows; one call may bring more.
SELECT pg_temp.outcome($$'[{"device_id": "json-again", "idempotency_key": "k", "temperature": 1e999}]'$$) FROM generate_series(1, 3);
SELECT pg_temp.outcome(quote_literal((SELECT jsonb_agg(jsonb_build_object('device_id', 'json-again', 'idempotency_key', 'many', 'temperature', 'x')) FROM generate_series(1, 1500))));
SELECT idempotency_key, sqlstate, deliveries, item_index, source, last_received_at > received_at AS later FROM telemetry.rejected_readings WHERE device_id = 'json-again' ORDER BY rejected_id;

-- The largest call has 100,000 items. A call with one more is refused as a whole, even if it ends with rubbish.
SELECT pg_temp.outcome(quote_literal('[' || repeat('0,', 99999) || '0]')), pg_temp.outcome(quote_literal('[' || repeat('0,', 100000) || '0]')), pg_temp.outcome(quote_literal('[' || repeat('0,', 100000) || '0] x')) ~ '^TC010' AS broken;
SELECT sqlstate, deliveries FROM telemetry.rejected_readings WHERE payload ->> 'item' = '0';
