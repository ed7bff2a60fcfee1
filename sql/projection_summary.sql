-- Type telemetry.summary has a text form, a binary form and accessors, and refuses malformed input.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS telemetry_cqrs;
RESET client_min_messages;
SET timezone = 'UTC';

-- Of 2, 4, 4, 4, 5, 5, 7, 9 the mean is 5 and the sum of squared deviations 32.
CREATE TEMP TABLE s AS
    SELECT '{"version":1,"count":8,"mean":5,"m2":32,"min":2,"max":9,"first_value":2,"last_value":9,"first_at":0,"last_at":60000000}'::telemetry.summary AS s
    UNION ALL
    SELECT '{"version":1, "count":1, "mean":0.1, "m2":0, "min":0.1, "max":0.1, "first_value":0.1, "last_value":0.1, "first_at":-1, "last_at":-1}';
SELECT telemetry.sample_count(s), telemetry.avg(s), abs(telemetry.stddev(s) - sqrt(32.0 / 7)) < 1e-15 AS stddev_right, telemetry.minimum(s), telemetry.maximum(s),
       telemetry.first_value(s), telemetry.first_at(s), telemetry.last_value(s), telemetry.last_at(s) FROM s;
SELECT s FROM s;
SELECT bool_and((s::text::telemetry.summary)::text = s::text) AS text_reads_back FROM s;
-- Beyond double precision there is no standard deviation.
SELECT telemetry.stddev('{"version":1,"count":2,"mean":0,"m2":"Infinity","min":-1e308,"max":1e308,"first_value":-1e308,"last_value":1e308,"first_at":0,"last_at":1}');
SELECT telemetry.avg(NULL);

-- The binary form has a version, a count, six doubles and two times.
SELECT octet_length(telemetry.summary_send(s)), left(encode(telemetry.summary_send(s), 'hex'), 34) FROM s;

-- Rows of the state tables survive a text round trip bit for bit.
SELECT accepted FROM telemetry.ingest_telemetry_batch(
    (SELECT array_agg('summary-' || i % 3) FROM generate_series(1, 300) AS i),
    (SELECT array_agg('2024-05-01'::timestamptz + i * interval '1 second') FROM generate_series(1, 300) AS i),
    (SELECT array_agg(sqrt(i)) FROM generate_series(1, 300) AS i), NULL,
    (SELECT array_agg('summary ' || i) FROM generate_series(1, 300) AS i));
CALL telemetry.project_once();
SELECT count(*), bool_and(telemetry.summary_send(summaries[1]::text::telemetry.summary) = telemetry.summary_send(summaries[1])) AS same_bits
FROM telemetry.state_device WHERE key LIKE 'summary-%';

-- A summary with a sketch has version 2: here 3,000 values in 1,500 bins.
CREATE TEMP TABLE sketched (narrow boolean, id int, s telemetry.summary);
INSERT INTO sketched SELECT true, 1, format('{"version":2,"count":3000,"mean":1,"m2":2,"min":-1e10,"max":1e10,"first_value":0,"last_value":0,"first_at":0,"last_at":0,"sketch":{"zero":1500,"negative":[],"positive":[%s]}}',
                                     string_agg(format('[%s,1]', i), ',' ORDER BY i))::telemetry.summary FROM generate_series(-749, 750) AS i;
INSERT INTO sketched SELECT true, 2, '{"version":2,"count":4,"mean":0,"m2":8,"min":-2,"max":2,"first_value":-2,"last_value":2,"first_at":0,"last_at":3,"sketch":{"zero":2,"negative":[[35,1]],"positive":[[35,1]]}}';
INSERT INTO sketched SELECT true, 3, s FROM s;
-- The forms of a value: with a header of one byte after a column of one byte, compressed, in the TOAST table.
SELECT a.attstorage FROM pg_attribute AS a WHERE a.attrelid = 'sketched'::regclass AND a.attname = 's';
SELECT id, telemetry.sample_count(s), pg_column_compression(s) AS packed FROM sketched ORDER BY id, 2;
CREATE TEMP TABLE toasted (narrow boolean, s telemetry.summary);
ALTER TABLE toasted ALTER s SET STORAGE external;
INSERT INTO toasted SELECT true, s::text::telemetry.summary FROM sketched;
SELECT pg_relation_size(reltoastrelid) > 0 AS has_toast FROM pg_class WHERE oid = 'toasted'::regclass;
SELECT s FROM toasted WHERE telemetry.sample_count(s) < 3000 ORDER BY telemetry.sample_count(s);
SELECT count(*), bool_and(telemetry.summary_send(s::text::telemetry.summary) = telemetry.summary_send(s)) AS same_bits,
       bool_and(s::text::jsonb::text::telemetry.summary::text = s::text) AS survives_jsonb,
       sum(telemetry.maximum(s)), sum(telemetry.first_value(s)) FROM toasted;
SELECT octet_length(telemetry.summary_send(s)), right(encode(telemetry.summary_send(s), 'hex'), 24) FROM sketched WHERE id = 2;
-- The binary form reads back bit for bit.
CREATE TEMP TABLE received (s telemetry.summary);
\copy (SELECT s FROM toasted) TO PROGRAM 'cat >"$PG_ABS_BUILDDIR/summaries.bin"' (FORMAT binary)
\copy received FROM PROGRAM 'cat "$PG_ABS_BUILDDIR/summaries.bin"' (FORMAT binary)
\! rm "$PG_ABS_BUILDDIR/summaries.bin"
SELECT count(*) FROM received;
SELECT telemetry.summary_send(s) FROM toasted EXCEPT SELECT telemetry.summary_send(s) FROM received;
-- A state row takes a summary with any header; the next pass merges its statistics.
BEGIN;
UPDATE telemetry.state_device SET summaries[1] = (SELECT s FROM sketched WHERE id = 2) WHERE key = 'summary-1';
SELECT telemetry.sample_count(summaries[1]), summaries[1]::text LIKE '%sketch%' AS has_sketch FROM telemetry.state_device WHERE key = 'summary-1';
COMMIT;
SELECT status FROM telemetry.ingest_telemetry('summary-1', '2024-05-02', 100, NULL, 'one more');
CALL telemetry.project_once();
SELECT telemetry.sample_count(summaries[1]), telemetry.minimum(summaries[1]), telemetry.maximum(summaries[1]), summaries[1]::text LIKE '%sketch%' AS has_sketch
FROM telemetry.state_device WHERE key = 'summary-1';

-- Malformed input is refused.
\set VERBOSITY sqlstate
SELECT ''::telemetry.summary;
SELECT '{}'::telemetry.summary;
SELECT '{"version":2,"count":1,"mean":1,"m2":0,"min":1,"max":1,"first_value":1,"last_value":1,"first_at":0,"last_at":0}'::telemetry.summary;
SELECT '{"version":1,"count":0,"mean":1,"m2":0,"min":1,"max":1,"first_value":1,"last_value":1,"first_at":0,"last_at":0}'::telemetry.summary;
SELECT '{"version":1,"count":1,"mean":3,"m2":0,"min":1,"max":1,"first_value":1,"last_value":1,"first_at":0,"last_at":0}'::telemetry.summary;
SELECT '{"version":1,"count":1,"mean":1,"m2":0,"min":1,"max":1,"first_value":1,"last_value":1,"first_at":0,"last_at":0} x'::telemetry.summary;
SELECT '{"version":1,"count":1,"mean":NaN,"m2":0,"min":1,"max":1,"first_value":1,"last_value":1,"first_at":0,"last_at":0}'::telemetry.summary;
SELECT '{"version":2,"count":1,"mean":1,"m2":0,"min":1,"max":1,"first_value":1,"last_value":1,"first_at":0,"last_at":0,"sketch":{"zero":0,"negative":[],"positive":[[0,2]]}}'::telemetry.summary;
SELECT '{"version":2,"count":1,"mean":1,"m2":0,"min":1,"max":1,"first_value":1,"last_value":1,"first_at":0,"last_at":0,"sketch":{"zero":0,"negative":[[0,1]],"positive":[]}}'::telemetry.summary;
-- The same holds for the binary form: another version, a missing member, a sketch that is cut off, and a byte after version 1.
\copy received FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\001\004"' (FORMAT binary)
\copy received FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\003\002\000\000"' (FORMAT binary)
\copy received FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\112\002"; head -c 72 /dev/zero; printf "\010"' (FORMAT binary)
\copy received FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\112\001\000\000\000\000\000\000\000\001"; head -c 65 /dev/zero' (FORMAT binary)
SELECT count(*) FROM received;
\set VERBOSITY default
SELECT 'abc'::telemetry.summary;
