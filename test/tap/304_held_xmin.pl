# Acceptance check 3. An idle REPEATABLE READ transaction keeps vacuum from removing anything, under load. Readings are still
# applied, and the log has no dead rows. After the transaction ends and the tables are vacuumed, the tables of positions are small
# again. The test shows how long a pass takes; only its long form compares that with the first tenth of the time.
#
# TELEMETRY_SECONDS: for how long.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

my $seconds = $ENV{TELEMETRY_SECONDS} // 8;
my $node = telemetry_node('held_xmin', preload => 1, conf => "autovacuum_naptime = 1s\nsynchronous_commit = off\n");
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE pass (at timestamptz, milliseconds float8);
-- Sends 40 readings of 20 devices, waits until they are applied, and again.
CREATE PROCEDURE send(seconds float8) LANGUAGE plpgsql AS $$
DECLARE
	start timestamptz := clock_timestamp(); sent timestamptz; n bigint := 0;
BEGIN
	WHILE clock_timestamp() < start + seconds * interval '1 second' LOOP
		n := n + 1;
		PERFORM telemetry.ingest_telemetry_batch(d, NULL, v, v, k, NULL, NULL) FROM (
			SELECT array_agg('d' || i % 20) AS d, array_agg((i + n)::float8) AS v, array_agg(start::text || n || '-' || i) AS k
			FROM generate_series(1, 40) AS i) AS a;
		COMMIT;
		sent := clock_timestamp();
		CALL telemetry.project_once();
		INSERT INTO pass VALUES (sent, 1000 * extract(epoch FROM clock_timestamp() - sent));
		COMMIT;
	END LOOP;
END $$;
SQL
$node->safe_psql('postgres', 'CALL send(0.5)');

# A session that waits for a table holds nothing back itself.
my $locker = session($node);
$locker->query_safe('BEGIN; LOCK telemetry.state_device IN SHARE MODE');
my $pass = psql_start($node, 'CALL telemetry.project_once()');
my $waits = "query LIKE 'CALL telemetry.project_once%' AND wait_event_type = 'Lock'";
wait_for($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE $waits AND wait_event = 'relation'", 'a pass to wait');
is($node->safe_psql('postgres', "SELECT coalesce(backend_xmin::text, 'none') FROM pg_stat_activity WHERE $waits"), 'none', 'a pass that waits holds no snapshot');
$locker->query_safe('ROLLBACK');
$locker->quit;
is((psql_finish($pass))[1], '', 'and goes on');

my $reader = session($node);
$reader->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM telemetry.device_stats');
my $seen = $reader->query_safe('SELECT sum(sample_count) FROM telemetry.device_stats');
$node->safe_psql('postgres', 'TRUNCATE pass');

$node->safe_psql('postgres', "CALL send($seconds)", timeout => 20 * $seconds + 300);

is($reader->query_safe('SELECT sum(sample_count) FROM telemetry.device_stats'), $seen, 'the reader still sees what it saw');
wait_applied($node);
read_models_follow($node, 'telemetry.measurements', 'while vacuum is held back');
# Statistics are told by processes that have been idle for a moment.
my $dead = "SELECT n_dead_tup FROM pg_stat_user_tables WHERE relid = 'telemetry.event_1'::regclass";
wait_for($node, "SELECT n_tup_ins = (SELECT count(*) FROM telemetry.event_1) FROM pg_stat_user_tables WHERE relid = 'telemetry.event_1'::regclass", 'the statistics of the log');
is($node->safe_psql('postgres', $dead), '0', 'the log has no dead row');
is($node->safe_psql('postgres', 'SELECT n_tup_upd + n_tup_del FROM pg_stat_user_tables WHERE relid = \'telemetry.event_1\'::regclass'), '0', '... and never had one');
my $tenths = $node->safe_psql('postgres', "SELECT tenth, count(*), round(percentile_cont(0.5) WITHIN GROUP (ORDER BY milliseconds)::numeric, 2), round(percentile_cont(0.95) WITHIN GROUP (ORDER BY milliseconds)::numeric, 2)
	FROM (SELECT milliseconds, width_bucket(extract(epoch FROM at - min(at) OVER ())::float8, 0, $seconds + 0.001, 10) AS tenth FROM pass) AS p GROUP BY tenth ORDER BY tenth");
diag("tenth of $seconds s | passes | median | p95 ms\n$tenths");
my $size = "SELECT string_agg(relname || ' ' || pg_relation_size(oid) / 1024 || ' kB', ', ' ORDER BY relname) FROM pg_class WHERE relname IN ('batcher', 'cursor', 'state_device', 'state_region', 'state_device_pkey')";
note 'held: ' . $node->safe_psql('postgres', $size);
cmp_ok($node->safe_psql('postgres', "SELECT pg_relation_size('telemetry.cursor') / 8192"), '>', 8, 'the cursors were read from a long table');
if ($seconds >= 60)
{
	my @p95 = map { (split /\|/)[3] } split /\n/, $tenths;
	cmp_ok($p95[-1], '<=', 2 * $p95[0], 'a pass takes twice as long at the end as at the beginning, at most');
}

$reader->query_safe('COMMIT');
$reader->quit;
my $positions = "SELECT greatest(pg_relation_size('telemetry.batcher'), pg_relation_size('telemetry.cursor'))";
# The rows must first go back to the beginning, which they do as soon as vacuum has found room there; then vacuum gives back the rest.
my $deadline = time + 180;
while (1)
{
	$node->safe_psql('postgres', 'VACUUM telemetry.batcher, telemetry.cursor');
	last if $node->safe_psql('postgres', $positions) < 1_048_576 || time > $deadline;
	$node->safe_psql('postgres', 'CALL send(0.2)');
}
note 'released: ' . $node->safe_psql('postgres', $size);
cmp_ok($node->safe_psql('postgres', $positions), '<', 1_048_576, 'positions and cursors take less than 1 MB');
wait_applied($node);
read_models_follow($node, 'telemetry.measurements', 'afterwards');
$node->stop;
done_testing();
