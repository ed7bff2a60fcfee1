# A DBA rewrites tables of the extension beside the worker: the log while a writer is open, the state emptied table by table, and
# a dump with a tail restored into its own database. Nothing is lost, and nothing is counted twice.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

my $node = telemetry_node('rewritten', preload => 1);

sub ingest
{
	my ($count, $key) = @_;
	return $node->safe_psql('postgres', "SELECT accepted FROM telemetry.ingest_telemetry_batch(
		(SELECT array_agg('d' || i % 10) FROM generate_series(1, $count) AS i), NULL,
		(SELECT array_agg(i::float8) FROM generate_series(1, $count) AS i), NULL,
		(SELECT array_agg('$key:' || i) FROM generate_series(1, $count) AS i))");
}

# Tests that the log, device_stats and region_stats agree on this number.
sub all_hold
{
	my ($count, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	wait_applied($node, $what);
	is($node->safe_psql('postgres', 'SELECT (SELECT count(*) FROM telemetry.measurements), (SELECT sum(sample_count) FROM telemetry.device_stats),
		(SELECT sum(sample_count) FROM telemetry.region_stats)'), "$count|$count|$count", $what);
}

my ($writer, $dba) = (session($node), session($node));
ingest(1000, 'a');
all_hold(1000, 'at the start');

# The rewrite waits for the writer. The worker, woken by the writer's commit, waits for the rewrite.
$writer->query_safe("BEGIN; SELECT telemetry.ingest_telemetry('w', NULL, 1, 1, 'w')");
my $rewrite = psql_start($node, 'VACUUM FULL telemetry.event_1;');
wait_for($node, "SELECT count(*) = 1 FROM pg_locks WHERE relation = 'telemetry.event_1'::regclass AND mode = 'AccessExclusiveLock' AND NOT granted", 'the rewrite to queue');
$writer->query_safe('COMMIT');
psql_finish($rewrite);
is(ingest(1, 'b'), 1, 'a reading after the rewrite');
all_hold(1002, 'a rewrite of the log loses nothing');

# State and positions emptied in two steps of one transaction, a reading between them: all is applied anew, or nothing was.
$dba->query_safe('BEGIN; TRUNCATE telemetry.state_device');
ingest(100, 'c');
$dba->query_safe('TRUNCATE telemetry.state_region, telemetry.batch, telemetry.batcher, telemetry.cursor; COMMIT');
all_hold(1102, 'emptied state is filled again');

# A table that is locked for long is a state with a reason, and over when the lock is.
$dba->query_safe('BEGIN; LOCK TABLE telemetry.state_region IN SHARE MODE');
ingest(1, 'd');
wait_for($node, "SELECT state = 'failing' AND last_error LIKE '%locked by another session%' FROM telemetry.worker_status()", 'the state to say why');
# The lock lets readers through: the dump shows a reading that is stored and not applied.
my $dump = $node->basedir . '/tail.dump';
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, '-d', $node->connstr('postgres') ], 'the dump');
$dba->query_safe('COMMIT');
all_hold(1103, 'applied when the lock is gone');

$_->quit foreach $writer, $dba;
$node->safe_psql('postgres', 'DROP EXTENSION telemetry_cqrs');
$node->command_ok([ 'pg_restore', '--clean', '--if-exists', '-d', $node->connstr('postgres'), $dump ], 'restored into the same database');
is(ingest(1, 'e'), 1, 'a reading into the restored log');
all_hold(1104, 'a tail restored into its own database is applied');
is($node->safe_psql('postgres', 'SELECT count(DISTINCT epoch) FROM telemetry.epoch'), '2', 'under an epoch of its own');
$node->stop;
done_testing();
