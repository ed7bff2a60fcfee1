-- The account of a batch says of each reading what became of it, and check_reading says so of a reading beforehand.
\set VERBOSITY terse
\set SHOW_CONTEXT never

-- A verdict with the key of the event that it names.
CREATE FUNCTION pg_temp.verdicts(token text) RETURNS TABLE (item bigint, verdict text, sqlstate text, key text) LANGUAGE sql AS $$
    SELECT v.item_index, v.verdict, v.sqlstate, e.idempotency_key
    FROM telemetry.batch_verdicts(token) WITH ORDINALITY AS v (item_index, verdict, sqlstate, reason, event_id, number)
    LEFT JOIN telemetry.event AS e USING (event_id) ORDER BY v.number
$$;
SELECT status FROM telemetry.ingest_telemetry('accounting-1', '2024-05-01', 1, NULL, 'old');

-- A batch whose readings are all stored. The order is that of the input, not that of the keys.
SELECT token AS plain FROM telemetry.ingest_telemetry_batch(ARRAY['accounting-1', 'accounting-2', 'accounting-1'], NULL, ARRAY[1, 2, 3], NULL, ARRAY['c', 'a', 'b']) \gset
SELECT * FROM pg_temp.verdicts(:'plain');
SELECT :'plain' ~ '^\d+:\d+:\d+-\d+$' AS names_its_events;

-- Each verdict there is. The same key twice in a batch: the second is a duplicate, or a conflict where it differs.
SELECT token AS mixed, received, accepted, duplicates, conflicts, rejected
FROM telemetry.ingest_telemetry_batch(
    ARRAY['accounting-1', 'accounting-1', 'accounting-1', '', 'accounting-2', 'accounting-1', 'accounting-1', 'accounting-3'],
    array_fill('2024-05-01'::timestamptz, ARRAY[8]), ARRAY[1, 1, 2, 3, 'NaN', 1, 5, 6]::float8[], NULL,
    ARRAY['m1', 'old', 'old', 'm2', 'm3', 'm1', 'm1', 'm4']) \gset
SELECT :received AS received, :accepted AS accepted, :duplicates AS duplicates, :conflicts AS conflicts, :rejected AS rejected;
SELECT * FROM pg_temp.verdicts(:'mixed');
SELECT item_index, reason FROM telemetry.batch_verdicts(:'mixed') WHERE reason IS NOT NULL AND sqlstate <> 'TC009';
SELECT verdict, count(*) FROM telemetry.batch_verdicts(:'mixed') GROUP BY 1 ORDER BY 1;
SELECT :'mixed' ~ '^\d+:\d+:[0-9a-f]{16}$' AS names_its_account;
-- The rows of the quarantine have the token and the place.
SELECT r.sqlstate, r.item_index, r.source, r.device_id, r.idempotency_key FROM telemetry.rejected_readings r WHERE r.token = :'mixed' ORDER BY r.item_index;

-- Statements of one transaction do not mix, whether they are of one kind or not, and a savepoint takes back only what is its own.
BEGIN;
SELECT token AS t1 FROM telemetry.ingest_telemetry_batch(ARRAY['accounting-4', 'accounting-4'], NULL, ARRAY[1, 2], NULL, ARRAY['t1a', 't1b']) \gset
SELECT status FROM telemetry.ingest_telemetry('accounting-4', NULL, 1, NULL, 'between');
SAVEPOINT s;
SELECT token AS t2 FROM telemetry.ingest_telemetry_batch(ARRAY['accounting-4', 'accounting-4'], NULL, ARRAY[1, 2], NULL, ARRAY['t2a', 't2b']) \gset
SELECT token AS t3 FROM telemetry.ingest_telemetry_batch(ARRAY['accounting-4', ''], NULL, ARRAY[1, 2], NULL, ARRAY['t3a', 't3b']) \gset
SELECT * FROM pg_temp.verdicts(:'t2');
ROLLBACK TO s;
SELECT token AS t4 FROM telemetry.ingest_telemetry_batch(ARRAY['accounting-4', '', 'accounting-4', 'accounting-4'], NULL, ARRAY[1, 2, 3, 4], NULL, ARRAY['t2b', 't4a', 't4b', 't1a']) \gset
SELECT token AS t5 FROM telemetry.ingest_telemetry_batch(ARRAY['accounting-4'], NULL, ARRAY[1], NULL, ARRAY['t5']) \gset
COMMIT;
SELECT * FROM pg_temp.verdicts(:'t1');
\set VERBOSITY sqlstate
SELECT * FROM pg_temp.verdicts(:'t2');
SELECT * FROM pg_temp.verdicts(:'t3');
\set VERBOSITY terse
SELECT * FROM pg_temp.verdicts(:'t4');
SELECT * FROM pg_temp.verdicts(:'t5');

-- The answer is there in the statement that sends the batch.
SELECT v.item_index, v.verdict, v.event_id = r.first_event_id + v.item_index - 1 AS is_its_event
FROM telemetry.ingest_telemetry_batch(ARRAY['accounting-5', 'accounting-5'], NULL, ARRAY[1, 2], NULL, ARRAY['x', 'y']) AS r, telemetry.batch_verdicts(r.token) AS v;
SELECT v.item_index, v.verdict, v.sqlstate FROM telemetry.ingest_telemetry_batch(ARRAY['accounting-5', ''], NULL, ARRAY[1, 2], NULL, ARRAY['z', 'y']) AS r, telemetry.batch_verdicts(r.token) AS v;

-- A call that is made twice by one command stores its readings once, and both accounts name the events.
CREATE TEMP TABLE twice AS SELECT (telemetry.ingest_telemetry_batch(ARRAY['accounting-6', ''], NULL, ARRAY[1, 2], NULL, ARRAY['w', 'w2'])).*;
SELECT v.* FROM twice, pg_temp.verdicts(twice.token) AS v;

-- Many readings, of which every third is refused.
SELECT r.token AS many, r.received, r.accepted, r.duplicates, r.rejected
FROM (SELECT array_agg(CASE WHEN i % 3 = 0 THEN '' ELSE 'accounting-' || i % 7 END ORDER BY i) AS d, array_agg(i::float8 ORDER BY i) AS t, array_agg('many-' || i ORDER BY i) AS k
      FROM generate_series(1, 3000) AS i) AS s,
     telemetry.ingest_telemetry_batch(s.d, NULL, s.t, NULL, s.k) AS r \gset
SELECT :received AS received, :accepted AS accepted, :duplicates AS duplicates, :rejected AS rejected;
SELECT count(*), bool_and((v.verdict = 'accepted') = (v.item_index % 3 <> 0)), bool_and(v.event_id IS NULL OR e.idempotency_key = 'many-' || v.item_index), count(e.event_id)
FROM telemetry.batch_verdicts(:'many') AS v LEFT JOIN telemetry.event AS e USING (event_id);

-- A batch without readings has no verdicts. A single reading has its own receipt, unless the policy kept it.
SELECT token AS none FROM telemetry.ingest_telemetry_batch('{}', NULL, NULL, NULL) \gset
SELECT * FROM telemetry.batch_verdicts(:'none');
SELECT token AS single FROM telemetry.ingest_telemetry('accounting-7', NULL, 1) \gset
\set VERBOSITY default
SELECT regexp_replace(:'single', '\d+$', '1000000') AS single \gset
SELECT * FROM telemetry.batch_verdicts(:'single');
SELECT * FROM telemetry.batch_verdicts('1:1000000:0123456789abcdef');
SELECT * FROM telemetry.batch_verdicts('1:1000000:123-456');
SELECT * FROM telemetry.batch_verdicts('1:1000000:456-123');
SELECT * FROM telemetry.batch_verdicts('nonsense');
SELECT * FROM telemetry.batch_verdicts(NULL);
\set VERBOSITY sqlstate
-- The number of a transaction alone names no batch: the epoch and the ids must fit as well.
SELECT count(*) FROM telemetry.batch_verdicts(regexp_replace(:'plain', '^\d+', '77777'));
SELECT count(*) FROM telemetry.batch_verdicts(regexp_replace(:'plain', '(\d+)-(\d+)$', '\1-9223372036854775807'));
SELECT count(*) FROM telemetry.batch_verdicts(regexp_replace(:'mixed', ':\d+:', ':1000000:'));

-- The sender sees the account, and a member of its role, and those who see the quarantine. Nobody else does.
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_accounting_sender, regress_accounting_member, regress_accounting_other, regress_accounting_admin;
RESET client_min_messages;
CREATE ROLE regress_accounting_sender;
CREATE ROLE regress_accounting_member IN ROLE regress_accounting_sender;
CREATE ROLE regress_accounting_other;
CREATE ROLE regress_accounting_admin;
SELECT telemetry.grant_writer('regress_accounting_sender'), telemetry.grant_writer('regress_accounting_member'), telemetry.grant_writer('regress_accounting_other'), telemetry.grant_admin('regress_accounting_admin');
SET ROLE regress_accounting_sender;
SELECT token AS sent FROM telemetry.ingest_telemetry_batch(ARRAY['accounting-8', ''], NULL, ARRAY[1, 2], NULL, ARRAY['v', 'v2']) \gset
SELECT item_index, verdict, sqlstate FROM telemetry.batch_verdicts(:'sent');
SET ROLE regress_accounting_member;
SELECT count(*) FROM telemetry.batch_verdicts(:'sent');
SET ROLE regress_accounting_admin;
SELECT count(*) FROM telemetry.batch_verdicts(:'sent');
SET ROLE regress_accounting_other;
\set VERBOSITY default
SELECT count(*) FROM telemetry.batch_verdicts(:'sent');
SELECT count(*) FROM telemetry.batch_verdict;
SELECT examined FROM telemetry.redrive_rejected();
RESET ROLE;
SELECT sender, reading_count, cardinality(indexes) FROM telemetry.batch_verdict WHERE batch_key = split_part(:'sent', ':', 3);
-- The name of a role that is gone opens nothing to others.
SELECT telemetry.grant_writer('regress_accounting_other');
DROP OWNED BY regress_accounting_sender, regress_accounting_member, regress_accounting_admin;
DROP ROLE regress_accounting_member, regress_accounting_sender, regress_accounting_admin;
SET ROLE regress_accounting_other;
\set VERBOSITY sqlstate
SELECT count(*) FROM telemetry.batch_verdicts(:'sent');

-- check_reading says what ingest_telemetry would, as a writer may ask.
SELECT verdict, sqlstate, reason, hint, event_id FROM telemetry.check_reading('accounting-new', '2024-05-01', 1, 2, 'k', '{"x": 1}', 'hall');
SELECT verdict, sqlstate, event_id > 0 AS event FROM telemetry.check_reading('accounting-1', '2024-05-01', 1, NULL, 'old');
SELECT verdict, sqlstate, regexp_replace(reason, 'event \d+', 'event N'), hint, event_id > 0 AS event FROM telemetry.check_reading('accounting-1', '2024-05-01', 2, NULL, 'old');
SELECT verdict, sqlstate, reason, hint FROM telemetry.check_reading('accounting-1', '2024-05-01', 'NaN');
SELECT verdict, sqlstate, reason FROM telemetry.check_reading(NULL);
SELECT verdict, sqlstate, reason FROM telemetry.check_reading('accounting-1', metrics => '{"co2": {"value": 1}}');
SELECT verdict, sqlstate FROM telemetry.check_reading('accounting-1', 'infinity');
RESET ROLE;
DROP OWNED BY regress_accounting_other;
DROP ROLE regress_accounting_other;
-- It stored nothing, registered nothing, and took no number.
SELECT count(*) FROM telemetry.device WHERE device_id = 'accounting-new';
BEGIN READ ONLY;
SELECT last_value AS last_id FROM telemetry.event_id_seq \gset
SELECT verdict FROM telemetry.check_reading('accounting-1', NULL, 1);
SELECT verdict FROM telemetry.check_reading('accounting-1', '2024-05-01', 1, NULL, 'new');
SELECT pg_current_xact_id_if_assigned() IS NULL AS no_transaction, last_value = :last_id AS no_event_id FROM telemetry.event_id_seq;
SELECT count(*) FROM telemetry.batch_verdicts(:'mixed');
COMMIT;
-- What the transaction itself has stored counts, and so does the registry.
BEGIN;
SELECT status FROM telemetry.ingest_telemetry('accounting-9', '2024-05-01', 1, NULL, 'k');
SELECT verdict FROM telemetry.check_reading('accounting-9', '2024-05-01', 1, NULL, 'k');
SELECT verdict FROM telemetry.check_reading('accounting-9', '2024-05-01', 2, NULL, 'k');
SELECT verdict FROM telemetry.check_reading('accounting-9', '2024-05-01', 2, NULL, 'k2');
UPDATE telemetry.device SET status = 'retired' WHERE device_id = 'accounting-9';
SELECT verdict, sqlstate FROM telemetry.check_reading('accounting-9', '2024-05-01', 2, NULL, 'k2');
SELECT verdict, sqlstate FROM telemetry.check_reading('accounting-9', '2024-05-01', 1, NULL, 'k');
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT verdict FROM telemetry.check_reading('accounting-1', '2024-05-01', 1, NULL, 'old');
SELECT verdict FROM telemetry.check_reading('accounting-1', '2024-05-01', 1, NULL, 'new');
COMMIT;

-- A conflict names each field that differs, with both values.
\set VERBOSITY default
SET extra_float_digits = 0;
SELECT status FROM telemetry.ingest_telemetry('accounting-10', '2024-05-01 10:00:00+00', 21.5, 40, 'k', '{"co2": 412, "light": 0.1}', 'hall');
CREATE FUNCTION pg_temp.conflict(VARIADIC sent text[]) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN regexp_replace(c.reason, 'event \d+', 'event N') FROM telemetry.check_reading(sent[1], sent[2]::timestamptz, sent[3]::float8, sent[4]::float8, sent[5], sent[6]::jsonb, sent[7]) AS c;
END $$;
SELECT pg_temp.conflict('accounting-10', '2024-05-01 10:00:00+00', '22', '40', 'k', '{"co2": 412, "light": 0.1}', 'hall');
SELECT pg_temp.conflict('accounting-10', '2024-05-01 10:00:01+00', '21.5', NULL, 'k', '{"co2": 413, "noise": 1e300}', 'yard');
SELECT pg_temp.conflict('accounting-10', NULL, '21.5', '40', 'k', '{"co2": 412, "light": 0.1}', 'hall');
-- The log does not tell a region that was sent from one of the registry, but here nothing else can differ.
SELECT pg_temp.conflict('accounting-10', '2024-05-01 10:00:00+00', '21.5', '40', 'k', '{"co2": 412, "light": 0.1}', NULL);
SELECT status FROM telemetry.ingest_telemetry('accounting-10', '2024-05-01 10:00:00+00', 1);
SELECT pg_temp.conflict('accounting-10', '2024-05-01 10:00:00+00', '1', NULL, NULL, NULL, 'hall');
SELECT pg_temp.conflict('accounting-10', '2024-05-01 10:00:00+00', '1', NULL, NULL, NULL, 'yard');
-- Without measured_at the log has the time of receipt.
SELECT status FROM telemetry.ingest_telemetry('accounting-11', NULL, 1, NULL, 'k');
SELECT regexp_replace(pg_temp.conflict('accounting-11', '2024-05-01 10:00:00+00', '1', NULL, 'k', NULL, NULL), 'receipt, [^,]*', 'receipt, T');
-- Only which fields were sent differs, and the log cannot tell which of the two.
SELECT status FROM telemetry.ingest_telemetry('accounting-10', NULL, 1, NULL, 'k2');
SELECT regexp_replace(pg_temp.conflict('accounting-10', NULL, '1', NULL, 'k2', NULL, 'hall'), '[0-9a-f]{16}', 'D', 'g');
-- Inside one batch it is known what the first one sent.
SELECT r.conflicts FROM telemetry.ingest_telemetry_batch(ARRAY['accounting-10', 'accounting-10'], NULL, ARRAY[1, 1], NULL, ARRAY['k3', 'k3'], NULL, ARRAY['hall', NULL]) AS r;
SELECT regexp_replace(reason, 'event \d+', 'event N') FROM telemetry.rejected_readings WHERE idempotency_key = 'k3';
-- The error of a single call has the same words.
\set VERBOSITY terse
DO $$ BEGIN
    PERFORM telemetry.ingest_telemetry('accounting-10', '2024-05-01 10:00:00+00', 22, 40, 'k', '{"co2": 412, "light": 0.1}', 'hall');
EXCEPTION WHEN SQLSTATE 'TC009' THEN
    DECLARE detail text; BEGIN GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL; RAISE NOTICE USING MESSAGE = regexp_replace(detail, 'event \d+', 'event N'); END;
END $$;
\set VERBOSITY default
RESET extra_float_digits;

-- on_error has words of its own for NULL.
SELECT * FROM telemetry.ingest_telemetry_batch(ARRAY['accounting-1'], NULL, NULL, NULL, on_error => NULL);
SELECT * FROM telemetry.ingest_telemetry_batch(ARRAY['accounting-1'], NULL, NULL, NULL, on_error => 'ignore');
