-- Indexes on a table of the read side while the projector updates it. From PostgreSQL 16 on, a version of a row that other indexes
-- need no entry for has one in a BRIN index: the primary key must not get it, and the BRIN index must not lack it.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS telemetry_cqrs;
CREATE EXTENSION amcheck;
RESET client_min_messages;
SET timezone = 'UTC';

-- 300 devices, all of them again in each round; the index comes when they are known
CREATE PROCEDURE pg_temp.send(round integer, INOUT token text) LANGUAGE plpgsql AS $$
BEGIN
    SELECT r.token INTO token FROM telemetry.ingest_telemetry_batch(
        (SELECT array_agg('indexed-' || i) FROM generate_series(1, 300) AS i),
        (SELECT array_agg('2013-03-01'::timestamptz + round * interval '1 day' + i * interval '1 second') FROM generate_series(1, 300) AS i),
        (SELECT array_agg(i::double precision) FROM generate_series(1, 300) AS i), NULL) AS r;
    COMMIT;
END $$;
CALL pg_temp.send(0, NULL) \gset
SELECT telemetry.wait_for(:'token', '60 s');
CREATE INDEX state_device_last_seen ON telemetry.state_device USING brin (last_seen) WITH (pages_per_range = 1);

-- the primary key is looked at while the projector is at work
DO $$
DECLARE token text;
BEGIN
    FOR round IN 1 .. 10 LOOP
        CALL pg_temp.send(round, token);
        PERFORM bt_index_check('telemetry.state_device_pkey', true);
        IF round % 3 = 0 THEN PERFORM telemetry.wait_for(token, '60 s'); END IF;
        COMMIT;
    END LOOP;
END $$;
CALL pg_temp.send(11, NULL) \gset
SELECT telemetry.wait_for(:'token', '60 s');
SELECT bt_index_check('telemetry.state_device_pkey', true);

-- both ways find every device: its last reading is of the last round
SET enable_indexscan = off;
SET enable_seqscan = off;
EXPLAIN (COSTS off) SELECT count(*) FROM telemetry.state_device WHERE last_seen BETWEEN '2013-03-12' AND '2013-03-13';
SELECT count(*) FROM telemetry.state_device WHERE last_seen BETWEEN '2013-03-12' AND '2013-03-13';
RESET enable_seqscan;
SET enable_bitmapscan = off;
SELECT count(*) FROM telemetry.state_device WHERE last_seen BETWEEN '2013-03-12' AND '2013-03-13';
RESET enable_bitmapscan;
RESET enable_indexscan;
SELECT count(*), min(sample_count), max(sample_count) FROM telemetry.state_device WHERE key LIKE 'indexed-%';

DROP INDEX telemetry.state_device_last_seen;
DROP EXTENSION amcheck;
