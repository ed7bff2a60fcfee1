-- INSERT and COPY into the inboxes. Each statement stores its readings once, and says so in its receipt.
\set SHOW_CONTEXT never
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS telemetry_cqrs;
RESET client_min_messages;
SET timezone = 'UTC';
SET datestyle = 'ISO';
SET search_path = telemetry, pg_catalog, public;

-- What the last statement brought, and what is there of a device.
CREATE FUNCTION pg_temp.receipt() RETURNS text LANGUAGE sql AS $$
    SELECT coalesce((SELECT format('%s received: %s accepted, %s duplicates, %s conflicts, %s rejected%s', r.received, r.accepted, r.duplicates, r.conflicts, r.rejected,
                                   CASE WHEN r.token ~ '^\d+:\d+:' AND (r.accepted = 0) = (r.first_event_id IS NULL) THEN '' ELSE ' BAD TOKEN ' || r.token END)
                     FROM telemetry.inbox_receipt() AS r WHERE r.received IS NOT NULL), 'no receipt')
$$;
CREATE FUNCTION pg_temp.stored(device text) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg(concat_ws(' ', coalesce(idempotency_key, '-'), temperature), ', ' ORDER BY idempotency_key, temperature), 'nothing') FROM telemetry.measurements WHERE device_id = device
$$;

SELECT pg_temp.receipt();
SELECT * FROM inbox UNION ALL SELECT device_id, NULL, NULL, NULL, NULL, NULL, NULL FROM inbox_text;

-- INSERT with each column, with some, with defaults, of a query, of no row.
INSERT INTO inbox VALUES ('in-1', '2024-05-01 10:00:00+00', 20.5, 40, 'k1', '{"a": 1, "b": null}', 'hall');
SELECT pg_temp.receipt();
SELECT device_id, region, measured_at, temperature, humidity, idempotency_key, metrics FROM measurements WHERE device_id = 'in-1';
INSERT INTO inbox (temperature, device_id) VALUES (1, 'in-2'), (2, 'in-2');
SELECT pg_temp.receipt(), pg_temp.stored('in-2');
INSERT INTO inbox (device_id, idempotency_key, temperature) SELECT 'in-3', 'k' || i, i FROM generate_series(1, 3) AS i;
SELECT pg_temp.receipt(), pg_temp.stored('in-3');
INSERT INTO inbox (device_id, idempotency_key, temperature) SELECT 'in-3', 'k' || i, i FROM generate_series(1, 4) AS i;
SELECT pg_temp.receipt(), pg_temp.stored('in-3');
INSERT INTO inbox SELECT 'in-3' WHERE false;
SELECT pg_temp.receipt();
INSERT INTO inbox DEFAULT VALUES;
SELECT pg_temp.receipt();
-- RETURNING gives the rows as sent, also refused ones and repeats.
INSERT INTO inbox (device_id, idempotency_key, temperature) VALUES ('in-4', 'k1', 1), ('in-4', 'k1', 1), ('in-4', 'k2', 'NaN'), (NULL, NULL, 3) RETURNING device_id, temperature, inbox.idempotency_key || '!' AS key;
SELECT pg_temp.receipt(), pg_temp.stored('in-4');

-- ON CONFLICT.
INSERT INTO inbox (device_id, idempotency_key, temperature) VALUES ('in-5', 'k1', 1), ('in-5', 'k1', 1) ON CONFLICT DO NOTHING;
SELECT pg_temp.receipt(), pg_temp.stored('in-5');
INSERT INTO inbox (device_id, idempotency_key) VALUES ('in-5', 'k2') ON CONFLICT (device_id) DO NOTHING;
INSERT INTO inbox (device_id, idempotency_key) VALUES ('in-5', 'k2') ON CONFLICT (device_id) DO UPDATE SET temperature = 5;
UPDATE inbox SET temperature = 1;
UPDATE inbox_text SET temperature = '1' WHERE device_id = 'in-5';
DELETE FROM inbox;
DELETE FROM inbox_text;
TRUNCATE inbox;
SELECT * FROM inbox FOR UPDATE;
SELECT pg_temp.stored('in-5');
-- MERGE. PostgreSQL 15 refuses views. Later versions let a view with INSTEAD OF triggers take what MERGE inserts.
CREATE FUNCTION pg_temp.merged(command text, expected text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE command;
    RETURN pg_temp.stored('in-5') = expected AND current_setting('server_version_num')::int >= 170000;
EXCEPTION WHEN feature_not_supported OR wrong_object_type OR object_not_in_prerequisite_state THEN RETURN pg_temp.stored('in-5') = 'k1 1';
END $$;
SELECT pg_temp.merged($$MERGE INTO telemetry.inbox AS i USING (VALUES ('k1'), ('k2')) AS v (key) ON i.idempotency_key = v.key WHEN MATCHED THEN UPDATE SET temperature = 9 WHEN NOT MATCHED THEN INSERT (device_id, idempotency_key, temperature) VALUES ('in-5', v.key, 1)$$, 'k1 1') AS update_refused,
       pg_temp.merged($$MERGE INTO telemetry.inbox AS i USING (VALUES ('k1'), ('k2')) AS v (key) ON i.idempotency_key = v.key WHEN NOT MATCHED THEN INSERT (device_id, idempotency_key, temperature) VALUES ('in-5', v.key, 1)$$, 'k1 1, k2 1') AS once_or_refused;

-- COPY: text, csv, some columns, a header, NULL.
COPY inbox FROM stdin;
in-6	2024-05-01 10:00:00+00	1	\N	k1	{"a": 1}	\N
in-6	\N	2	50	k2	\N	yard
\.
SELECT pg_temp.receipt(), pg_temp.stored('in-6');
COPY inbox (device_id, idempotency_key, temperature) FROM stdin (FORMAT csv, HEADER);
device_id,key,t
in-6,k3,3
in-6,k1,9
"in-6",k4,inf
in-6,k3,3.0
\.
SELECT pg_temp.receipt(), pg_temp.stored('in-6');
COPY inbox (device_id, idempotency_key) FROM stdin (FREEZE);
\.
COPY inbox FROM stdin;
\.
SELECT pg_temp.receipt();
COPY inbox (device_id, idempotency_key, temperature) FROM stdin WHERE temperature > 4;
in-6	k5	5
in-6	k6	4
\.
SELECT pg_temp.receipt(), pg_temp.stored('in-6');
COPY inbox TO stdout;
COPY (SELECT * FROM inbox) TO stdout;
-- An error in row 3: nothing stays, and the receipt is still that of the statement before.
COPY inbox (device_id, idempotency_key, temperature) FROM stdin;
in-7	k1	1
in-7	k2	2
in-7	k3	warm
in-7	k4	4
\.
SELECT pg_temp.receipt(), pg_temp.stored('in-7');
INSERT INTO inbox (device_id, idempotency_key, temperature) SELECT 'in-7', 'k' || i, 1 / (3 - i) FROM generate_series(1, 5) AS i;
SELECT pg_temp.receipt(), pg_temp.stored('in-7');
-- The same after a first portion of 10,000 rows.
INSERT INTO inbox (device_id, idempotency_key, temperature) SELECT 'in-7', 'k' || i, 1 / (12000 - i) FROM generate_series(1, 15000) AS i;
SELECT pg_temp.receipt(), pg_temp.stored('in-7');

-- Portions: 10,000 rows are one, and the last row of another is stored too. A repeat in a later portion is a duplicate.
INSERT INTO inbox (device_id, idempotency_key, temperature) SELECT 'in-8', 'k' || i % 15000, i % 15000 FROM generate_series(0, 20000) AS i;
SELECT pg_temp.receipt(), count(*), count(DISTINCT idempotency_key), sum(temperature) FROM measurements WHERE device_id = 'in-8';
INSERT INTO inbox (device_id, idempotency_key, temperature) SELECT 'in-8b', 'k' || i, CASE WHEN i IN (5, 10000, 10001, 20000) THEN 'NaN'::float8 ELSE i END FROM generate_series(1, 20000) AS i;
SELECT pg_temp.receipt();
SELECT item_index, idempotency_key, source, deliveries, token = (inbox_receipt()).token AS token FROM rejected_readings WHERE device_id = 'in-8b' ORDER BY rejected_id;
SELECT first_index, reading_count, indexes, verdicts, sqlstates, last_event_id - first_event_id AS span FROM batch_verdict WHERE batch_key = split_part((inbox_receipt()).token, ':', 3) ORDER BY first_index;
-- Large rows fill a portion earlier.
INSERT INTO inbox (device_id, idempotency_key, region) SELECT 'in-8c', 'k' || i, repeat('r', 3000) FROM generate_series(1, 4000) AS i;
SELECT pg_temp.receipt();
SELECT count(*), sum(deliveries), min(item_index), max(item_index) FROM rejected_readings WHERE device_id = 'in-8c';

-- What is refused is kept: why, of which statement, at which place, and how often.
INSERT INTO inbox (device_id, measured_at, temperature, idempotency_key, metrics) VALUES
    ('in-9', 'infinity', 1, 'k1', NULL), ('in-9', NULL, 'Infinity', 'k2', NULL), ('in-9', NULL, 1, '', NULL), ('', NULL, 1, 'k4', NULL), (repeat('d', 300), NULL, 1, 'k5', NULL),
    ('in-9', NULL, 1, 'k6', '{"a": "x"}'), ('in-9', NULL, 1, 'k7', '[]'), ('in-9', NULL, 1, 'k8', NULL), ('in-9', NULL, 2, 'k8', NULL), ('in-9', '1969-01-01 00:00+00', 1, 'k9', NULL), ('in-9', NULL, 1, 'k8', NULL);
SELECT pg_temp.receipt();
SELECT item_index, sqlstate, left(device_id, 10) AS device_id, idempotency_key, source, token = (inbox_receipt()).token AS token, deliveries FROM rejected_readings WHERE token = (inbox_receipt()).token ORDER BY item_index;
INSERT INTO inbox (device_id, temperature, idempotency_key) VALUES ('in-9', 'Infinity', 'k2'), ('in-9', 'Infinity', 'k2'), ('in-9', 'Infinity', NULL), ('in-9', 'Infinity', NULL);
SELECT pg_temp.receipt();
SELECT idempotency_key, deliveries, item_index, last_received_at > received_at AS later FROM rejected_readings WHERE device_id = 'in-9' AND sqlstate = 'TC003' ORDER BY rejected_id;

-- inbox_text keeps the rows whose values are not of their type.
INSERT INTO inbox_text VALUES ('in-10', '2024-05-01 10:00:00+00', '20.5', '40', 'k1', '{"a": 1}', 'hall');
SELECT pg_temp.receipt();
SELECT region, measured_at, temperature, humidity, metrics FROM measurements WHERE device_id = 'in-10';
COPY inbox_text (device_id, measured_at, temperature, idempotency_key, metrics) FROM stdin (FORMAT csv);
in-10,yesterday at noon,1,k2,
in-10,2024-05-01T12:00:00+02:00,2,k3,
in-10,,warm,k4,
in-10,,1e999,k5,
in-10,,1e-999,k6,
in-10,,NaN,k7,
in-10,99999-13-01 00:00,1,k8,
in-10,,1,k9,{
in-10,,1,k10,"{""a"": 1e999}"
in-10,,1,k11,"{""a"": 1, ""a"": 2}"
in-10,,1,k12,"{""a"": 1}, ""temperature"": 2"
in-10,,1,k13,"{""a"": 1} {}"
in-10,,1,k14,[1]
in-10,,1,k15,null
in-10,, 5 ,k16," {""a"": 2} "
in-10,,"",k17,
in-10,infinity,1,k18,
in-10,,0x10,k19,
in-10,,1,k20,"{""a\u0000"": 2}"
in-10,2024-05-01 10:00:00,1,k21,"{""a"": 2}"
in-10,,1,k22,"""a"""
,,x,k23,
in-10,,1,k24,"{""a"": 1}}"
\.
SELECT pg_temp.receipt(), pg_temp.stored('in-10');
SELECT item_index, sqlstate, regexp_replace(reason, 'clock, [0-9T:.-]+Z', 'clock') AS reason, payload FROM rejected_readings WHERE token = (inbox_receipt()).token ORDER BY item_index;
INSERT INTO inbox_text (device_id, temperature) VALUES ('in-10', 21.5);
INSERT INTO inbox_text (device_id, temperature, idempotency_key) VALUES ('in-10', 'warm', 'k4');
SELECT deliveries FROM rejected_readings WHERE device_id = 'in-10' AND idempotency_key = 'k4';

-- Two inserts in one statement: into one inbox, into both, and one that feeds the other.
WITH a AS (INSERT INTO inbox (device_id, idempotency_key) VALUES ('in-11', 'k1') RETURNING 1), b AS (INSERT INTO inbox (device_id, idempotency_key) VALUES ('in-11', 'k1'), ('in-11', 'k2')) SELECT count(*) FROM a;
SELECT pg_temp.receipt(), pg_temp.stored('in-11');
WITH a AS (INSERT INTO inbox (device_id, idempotency_key) VALUES ('in-11', 'k3') RETURNING 1), b AS (INSERT INTO inbox_text (device_id, idempotency_key) VALUES ('in-11', 'k4')) SELECT count(*) FROM a;
SELECT pg_temp.receipt(), pg_temp.stored('in-11');
WITH a AS (INSERT INTO inbox (device_id, idempotency_key, temperature) SELECT 'in-12', 'k' || i, i FROM generate_series(1, 25000) AS i RETURNING *)
    INSERT INTO inbox_text (device_id, idempotency_key, temperature) SELECT device_id, idempotency_key || 't', temperature::text FROM a;
SELECT pg_temp.receipt(), count(*), sum(temperature) FROM measurements WHERE device_id = 'in-12';
WITH a AS (INSERT INTO inbox (device_id, idempotency_key) VALUES ('in-11', 'k5')) INSERT INTO inbox_text (device_id, idempotency_key) SELECT 'in-11', 'k6' WHERE 1 / (SELECT count(*) - 1 FROM (VALUES (1)) AS one) = 0;
SELECT pg_temp.stored('in-11');

-- A function that inserts while an insert is under way.
CREATE FUNCTION pg_temp.nested(key text, then_fail boolean = false) RETURNS double precision LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO telemetry.inbox (device_id, idempotency_key) VALUES ('in-13', key);
    IF then_fail THEN RAISE division_by_zero; END IF;
    RETURN (telemetry.inbox_receipt()).accepted;
END $$;
CREATE FUNCTION pg_temp.nested_sql(key text) RETURNS double precision LANGUAGE sql AS $$
    INSERT INTO telemetry.inbox (device_id, idempotency_key) VALUES ('in-13', key), ('in-13', key || '+') RETURNING 7.0::double precision
$$;
CREATE FUNCTION pg_temp.caught(key text) RETURNS double precision LANGUAGE plpgsql AS $$
BEGIN
    RETURN pg_temp.nested(key, true);
EXCEPTION WHEN division_by_zero THEN RETURN -1;
END $$;
INSERT INTO inbox (device_id, idempotency_key, temperature) SELECT 'in-14', 'k' || i, CASE i % 3 WHEN 0 THEN pg_temp.nested('p' || i) WHEN 1 THEN pg_temp.nested_sql('s' || i) ELSE pg_temp.caught('c' || i) END FROM generate_series(1, 6) AS i;
SELECT pg_temp.receipt(), pg_temp.stored('in-13'), pg_temp.stored('in-14');
INSERT INTO inbox_text (device_id, idempotency_key, temperature) VALUES ('in-14', 'k7', pg_temp.nested('p7')::text), ('in-14', 'k8', pg_temp.nested('p8', true)::text);
SELECT pg_temp.receipt(), pg_temp.stored('in-14');
DO $$ BEGIN INSERT INTO telemetry.inbox (device_id, idempotency_key) VALUES ('in-14', 'k9'); INSERT INTO telemetry.inbox (device_id, idempotency_key, temperature) SELECT 'in-14', 'k10', 1 / (2 - i) FROM generate_series(1, 3) AS i; EXCEPTION WHEN division_by_zero THEN NULL; END $$;
SELECT pg_temp.receipt(), pg_temp.stored('in-14');
-- The same, and the block goes on with another insert.
DO $$ BEGIN
    BEGIN INSERT INTO telemetry.inbox (device_id, idempotency_key, temperature) SELECT 'in-14', 'k11', 1 / (2 - i) FROM generate_series(1, 3) AS i; EXCEPTION WHEN division_by_zero THEN NULL; END;
    INSERT INTO telemetry.inbox (device_id, idempotency_key) VALUES ('in-14', 'k12');
END $$;
SELECT pg_temp.receipt(), pg_temp.stored('in-14');
-- Loops over what an insert returns, and a cursor of PL/pgSQL.
DO $$
DECLARE
    row record; c refcursor;
BEGIN
    FOR row IN INSERT INTO telemetry.inbox (device_id, idempotency_key) VALUES ('in-15', 'k1'), ('in-15', 'k2') RETURNING idempotency_key LOOP EXIT; END LOOP;
    OPEN c FOR EXECUTE 'INSERT INTO telemetry.inbox (device_id, idempotency_key) VALUES (''in-15'', ''k3''), (''in-15'', ''k4'') RETURNING idempotency_key';
    FETCH c INTO row;
    CLOSE c;
END $$;
SELECT pg_temp.receipt(), pg_temp.stored('in-15');
BEGIN;
DECLARE c CURSOR FOR WITH a AS (INSERT INTO inbox (device_id) VALUES ('in-15') RETURNING 1) SELECT FROM a;
ROLLBACK;
BEGIN;
DECLARE c CURSOR FOR SELECT pg_temp.nested('cursor' || i) FROM generate_series(1, 5) AS i;
FETCH 2 FROM c;
SAVEPOINT s;
FETCH 1 FROM c;
ROLLBACK TO s;
COMMIT;
SELECT pg_temp.stored('in-13');

-- Savepoints, and the receipt after a rollback.
INSERT INTO inbox (device_id, idempotency_key) VALUES ('in-16', 'k0');
BEGIN;
INSERT INTO inbox (device_id, idempotency_key) VALUES ('in-16', 'k1'), ('in-16', 'k1+');
SAVEPOINT a;
INSERT INTO inbox (device_id, idempotency_key) VALUES ('in-16', 'k2');
SAVEPOINT b;
INSERT INTO inbox (device_id, idempotency_key) VALUES ('in-16', 'k3'), ('in-16', NULL), (NULL, NULL);
SELECT pg_temp.receipt();
ROLLBACK TO b;
SELECT pg_temp.receipt();
INSERT INTO inbox (device_id, idempotency_key) VALUES ('in-16', 'k4');
RELEASE b;
SELECT pg_temp.receipt();
ROLLBACK TO a;
SELECT pg_temp.receipt(), pg_temp.stored('in-16');
INSERT INTO inbox (device_id, idempotency_key) VALUES ('in-16', 'k3');
COMMIT;
SELECT pg_temp.receipt(), pg_temp.stored('in-16');
BEGIN;
INSERT INTO inbox (device_id, idempotency_key) VALUES ('in-16', 'k5');
ROLLBACK;
SELECT pg_temp.receipt(), pg_temp.stored('in-16');

-- Levels of isolation, and transactions that may not write.
BEGIN ISOLATION LEVEL REPEATABLE READ;
INSERT INTO inbox (device_id, idempotency_key) VALUES ('in-17', 'k1'), ('in-17', 'k1'), ('in-16', 'k0'), ('in-17', '');
SELECT pg_temp.receipt(), pg_temp.stored('in-17');
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
INSERT INTO inbox (device_id, idempotency_key, temperature) SELECT 'in-17', 's' || i % 12000, i % 12000 FROM generate_series(1, 13000) AS i;
SELECT pg_temp.receipt();
COMMIT;
BEGIN READ ONLY;
INSERT INTO inbox (device_id) VALUES ('in-17');
ROLLBACK;
BEGIN READ ONLY;
COPY inbox (device_id) FROM stdin;
in-17
\.
ROLLBACK;
SELECT count(*) FROM measurements WHERE device_id = 'in-17';

-- A prepared statement, with a plan for each call and with one for all.
PREPARE into_inbox (text, float8) AS INSERT INTO inbox (device_id, idempotency_key, temperature) VALUES ('in-18', $1, $2);
SET plan_cache_mode = force_generic_plan;
EXECUTE into_inbox ('k1', 1);
EXECUTE into_inbox ('k2', 2);
RESET plan_cache_mode;
EXECUTE into_inbox ('k2', 2);
SELECT pg_temp.receipt(), pg_temp.stored('in-18');

-- Triggers of a user: one that changes rows before ours, one that keeps a row back, statement triggers that insert.
CREATE FUNCTION public.change_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.idempotency_key = 'drop' THEN RETURN NULL; END IF;
    NEW.temperature := NEW.temperature * 10;
    NEW.region := 'changed';
    RETURN NEW;
END $$;
CREATE TRIGGER a_change INSTEAD OF INSERT ON inbox FOR EACH ROW EXECUTE FUNCTION public.change_row();
INSERT INTO inbox (device_id, idempotency_key, temperature, metrics) VALUES ('in-19', 'k1', 1, '{"a": 1}'), ('in-19', 'drop', 2, NULL), ('in-19', 'k3', 3, NULL) RETURNING temperature, region;
SELECT pg_temp.receipt(), pg_temp.stored('in-19'), (SELECT string_agg(DISTINCT region, ', ') FROM measurements WHERE device_id = 'in-19') AS region;
DROP TRIGGER a_change ON inbox;
CREATE TRIGGER z_change INSTEAD OF INSERT ON inbox FOR EACH ROW EXECUTE FUNCTION public.change_row();
INSERT INTO inbox (device_id, idempotency_key, temperature) VALUES ('in-19', 'k4', 4) RETURNING temperature;
SELECT pg_temp.receipt(), pg_temp.stored('in-19');
DROP TRIGGER z_change ON inbox;
CREATE FUNCTION public.insert_too() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('my.nested', true) = 'on' THEN RETURN NULL; END IF;
    PERFORM set_config('my.nested', 'on', true);
    INSERT INTO telemetry.inbox (device_id, idempotency_key) VALUES ('in-20', TG_NAME);
    PERFORM set_config('my.nested', 'off', true);
    RETURN NULL;
END $$;
CREATE TRIGGER a_before BEFORE INSERT ON inbox FOR EACH STATEMENT EXECUTE FUNCTION public.insert_too();
CREATE TRIGGER z_before BEFORE INSERT ON inbox FOR EACH STATEMENT EXECUTE FUNCTION public.insert_too();
CREATE TRIGGER a_after AFTER INSERT ON inbox FOR EACH STATEMENT EXECUTE FUNCTION public.insert_too();
CREATE TRIGGER z_after AFTER INSERT ON inbox FOR EACH STATEMENT EXECUTE FUNCTION public.insert_too();
INSERT INTO inbox (device_id, idempotency_key) VALUES ('in-20', 'k1'), ('in-20', 'k2');
SELECT pg_temp.stored('in-20');
DROP TRIGGER a_before ON inbox;
DROP TRIGGER z_before ON inbox;
DROP TRIGGER a_after ON inbox;
DROP TRIGGER z_after ON inbox;
DROP FUNCTION public.insert_too(), public.change_row();

-- A trigger of ours that is missing: an error, whatever is missing, and whatever savepoints there are. ROLLBACK brings the triggers back.
BEGIN;
ALTER EXTENSION telemetry_cqrs DROP VIEW inbox;
SAVEPOINT s;
DROP TRIGGER begin_intake ON inbox;
INSERT INTO inbox (device_id) VALUES ('in-21');
ROLLBACK TO s;
DROP TRIGGER take_row ON inbox;
INSERT INTO inbox (device_id) VALUES ('in-21');
ROLLBACK;
SELECT tgname FROM pg_trigger WHERE tgrelid = 'inbox'::regclass ORDER BY 1;
BEGIN;
DROP TRIGGER end_intake ON inbox;
INSERT INTO inbox (device_id) VALUES ('in-21');
COMMIT;
BEGIN;
DROP TRIGGER end_intake ON inbox;
SAVEPOINT s;
INSERT INTO inbox (device_id) VALUES ('in-21');
RELEASE s;
COMMIT;
BEGIN;
DROP TRIGGER end_intake ON inbox;
SAVEPOINT s;
INSERT INTO inbox (device_id) VALUES ('in-21');
RELEASE s;
SAVEPOINT s;
ROLLBACK TO s;
COMMIT;
BEGIN;
DROP TRIGGER end_intake ON inbox;
SAVEPOINT s;
INSERT INTO inbox (device_id) VALUES ('in-21');
ROLLBACK TO s;
ROLLBACK;
SELECT tgname FROM pg_trigger WHERE tgrelid = 'inbox'::regclass ORDER BY 1;
SELECT pg_temp.stored('in-21');
-- A statement whose end is missing does not make the next one lose anything.
BEGIN;
DROP TRIGGER end_intake ON inbox_text;
INSERT INTO inbox_text (device_id) VALUES ('in-21');
INSERT INTO inbox (device_id, idempotency_key) VALUES ('in-21', 'k1');
SELECT pg_temp.receipt(), pg_temp.stored('in-21');
COMMIT;
SELECT pg_temp.stored('in-21');
ALTER VIEW inbox DISABLE TRIGGER end_intake;
ALTER TABLE inbox DISABLE TRIGGER take_row;

-- A replica's session fires no triggers. So the inboxes take nothing there.
CREATE FUNCTION pg_temp.into_both() RETURNS void LANGUAGE plpgsql AS $$ BEGIN INSERT INTO telemetry.inbox (device_id) VALUES ('in-22'); INSERT INTO telemetry.inbox_text (device_id) VALUES ('in-22'); END $$;
SELECT pg_temp.into_both();
SET session_replication_role = replica;
INSERT INTO inbox (device_id) VALUES ('in-22');
INSERT INTO inbox_text (device_id) SELECT 'in-22' WHERE false;
WITH a AS (INSERT INTO inbox (device_id) VALUES ('in-22')) SELECT 1;
EXECUTE into_inbox ('k3', 3);
SELECT pg_temp.into_both();
SELECT pg_temp.nested('replica'), pg_temp.nested_sql('replica');
COPY inbox (device_id) FROM stdin;
in-22
\.
CREATE TEMP VIEW through AS SELECT * FROM inbox;
INSERT INTO through (device_id) VALUES ('in-22');
COPY telemetry.inbox_text (device_id) FROM stdin;
in-22
\.
EXPLAIN (COSTS off) INSERT INTO inbox (device_id) VALUES ('in-22');
EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) INSERT INTO inbox (device_id) VALUES ('in-22');
SELECT count(*) FROM inbox;
SET session_replication_role = local;
INSERT INTO inbox (device_id) VALUES ('in-22');
RESET session_replication_role;
SELECT pg_temp.receipt(), pg_temp.stored('in-22');
SELECT pg_temp.stored('in-18');

-- The functions of the triggers are for the inboxes only.
CREATE TABLE public.not_an_inbox (device_id text);
CREATE TRIGGER t BEFORE INSERT ON public.not_an_inbox FOR EACH STATEMENT EXECUTE FUNCTION begin_intake();
INSERT INTO public.not_an_inbox VALUES ('d');
DROP TABLE public.not_an_inbox;
SELECT begin_intake();
CREATE VIEW public.not_an_inbox AS SELECT NULL::integer AS a;
CREATE TRIGGER b BEFORE INSERT ON public.not_an_inbox FOR EACH STATEMENT EXECUTE FUNCTION begin_intake();
CREATE TRIGGER t INSTEAD OF INSERT ON public.not_an_inbox FOR EACH ROW EXECUTE FUNCTION take_inbox_row();
CREATE TRIGGER e AFTER INSERT ON public.not_an_inbox FOR EACH STATEMENT EXECUTE FUNCTION end_intake();
INSERT INTO public.not_an_inbox VALUES (1);
DROP VIEW public.not_an_inbox;
CREATE VIEW public.through AS SELECT * FROM inbox;
INSERT INTO public.through (device_id, idempotency_key) VALUES ('in-23', 'k1');
SELECT pg_temp.stored('in-23');
DROP VIEW public.through;

-- Every reading is accounted for.
SELECT received = accepted + duplicates + conflicts + rejected + rolled_back AS adds_up FROM stat_ingest;
SELECT count(*) FROM pg_backend_memory_contexts WHERE name = 'telemetry_cqrs inbox';
