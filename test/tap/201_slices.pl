# A backlog that is larger than a slice of the projector. Its transactions are larger than a slice too, and a writer is open in
# its middle. Every reading is applied once. The parts of a transaction that is cut do not overlap.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

my $node = telemetry_node('slices', conf => "shared_buffers = '256MB'\nmax_wal_size = '4GB'\n");
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE sent (device_id text, idempotency_key text, region text, measured_at timestamptz, temperature float8, humidity float8, metrics jsonb);
SELECT telemetry.register_device('d' || d, 'r' || d % 3) FROM generate_series(0, 99) AS d;
-- readings of a range of numbers, in one transaction, 10,000 a batch
CREATE FUNCTION send(first int, last int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	n int := 0;
	total bigint := 0;
BEGIN
	FOR n IN SELECT generate_series(first, last, 10000) LOOP
		WITH s AS (
			INSERT INTO sent
			SELECT 'd' || i % 100, 'k' || i, 'r' || i % 100 % 3, '2024-05-01 00:00+00'::timestamptz + i * interval '1 second', i % 1000, NULL, NULL
			FROM generate_series(n, least(n + 9999, last)) AS i RETURNING *)
		SELECT total + b.accepted INTO total FROM (
			SELECT array_agg(device_id) AS d, array_agg(measured_at) AS m, array_agg(temperature) AS t, array_agg(idempotency_key) AS k FROM s) AS a,
			LATERAL telemetry.ingest_telemetry_batch(d, m, t, NULL, k) AS b;
	END LOOP;
	RETURN total;
END $$;
SQL

my $open = session($node);
is($node->safe_psql('postgres', 'SELECT send(1, 50)'), '50', 'a few readings before');
$open->query_safe('BEGIN; SELECT send(51, 150)');
is($node->safe_psql('postgres', 'SELECT send(1001, 251000)'), '250000', 'a transaction of 250,000 readings');
is($node->safe_psql('postgres', "SELECT send(300001, 300000 + 10 * 2000)"), '20000', 'and one after it');
$node->safe_psql('postgres', join ';', map { 'SELECT send(' . (400_000 + $_ * 10) . ', ' . (400_009 + $_ * 10) . ')' } 1 .. 200);
$node->safe_psql('postgres', 'CALL telemetry.project_once()');
read_models_follow($node, 'sent', 'while a writer is open');
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM telemetry.batch'), '>', 2, 'the backlog was cut');
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM telemetry.batch WHERE to_partial_xid IS NOT NULL'), '>', 0, 'and the large transaction too');
$open->query_safe('COMMIT');
$open->quit;
$node->safe_psql('postgres', 'CALL telemetry.project_once()');
log_is($node, 'sent', 'at the end');
read_models_follow($node, 'sent', 'at the end');
# Each event is in exactly one batch, also when the batches are read.
is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT r.id) FROM telemetry.batch b, LATERAL telemetry.read_events(b.batch_id) AS r'),
	join('|', (50 + 100 + 250_000 + 20_000 + 2000) x 2), 'read_events gives every event in one batch');
is($node->safe_psql('postgres', 'SELECT count(*) FROM telemetry.batch b WHERE events <> (SELECT count(*) FROM telemetry.read_events(b.batch_id))'),
	'0', 'as many as the batch says');

# A pass keeps what it has read in memory until it writes. That memory is bounded by maintenance_work_mem. 64 metrics of 27,000
# readings exceed its least value here, 16 MB.
my $batches = $node->safe_psql('postgres', 'SELECT max(batch_id) FROM telemetry.batch');
is($node->safe_psql('postgres', <<'SQL'), '27000', 'readings with many metrics');
WITH many AS (SELECT jsonb_object_agg('m' || i, i) AS metrics FROM generate_series(1, 64) AS i)
SELECT sum(b.accepted) FROM generate_series(1, 27) AS n, LATERAL (
	SELECT array_agg('w' || n * 1000 + i) AS d, array_agg(now()) AS m, array_agg(i::float8) AS t, array_agg(metrics) AS j FROM many, generate_series(1, 1000) AS i) AS a,
	LATERAL telemetry.ingest_telemetry_batch(d, m, t, NULL, NULL, j) AS b
SQL
$node->safe_psql('postgres', "SET maintenance_work_mem = '1MB'; CALL telemetry.project_once()");
is($node->safe_psql('postgres', "SELECT count(*) > 1, sum(events) FROM telemetry.batch WHERE batch_id > $batches"), 't|27000', 'are cut into batches');
is($node->safe_psql('postgres', "SELECT count(*), sum(sample_count) FROM telemetry.device_metric_stats WHERE device_id LIKE 'w%' AND metric LIKE 'm%'"),
	join('|', (27_000 * 64) x 2), 'which hold all of them');
$node->stop;
done_testing();
