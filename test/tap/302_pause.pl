# Acceptance check 16, in part. A pause survives a restart and a dump, ends with a wake-up, and loses nothing under load. A
# resume opens a restored log.
# Begins early.
use strict;
use warnings;

use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use TelemetryNode;
use Test::More;

# The poll is too slow to be the reason why anything is applied in time.
my $node = telemetry_node('pause', preload => 1, conf => "telemetry_cqrs.poll_interval = 60s\ntelemetry_cqrs.launcher_interval = 500ms\n");
my $sent = 0;

sub in_database { my ($sql, $database) = @_; return $node->safe_psql($database // 'postgres', $sql); }
sub token { my ($database) = @_; ++$sent; return in_database("SELECT token FROM telemetry.ingest_telemetry('d', '2024-05-01 10:00:00+00'::timestamptz + $sent * interval '1 s', $sent, 50, 'k$sent', NULL, 'r')", $database); }
sub waited { my ($token, $projection, $database) = @_; return in_database("SELECT telemetry.wait_for('$token', '45 s', '$projection')", $database); }
my $states = "SELECT string_agg(projection || ' ' || state, ', ' ORDER BY projection) FROM telemetry.projection_status WHERE projection IN ('device', 'region')";
my $counts = "SELECT (SELECT coalesce(sum(sample_count), 0) FROM telemetry.device_stats) || ' ' || (SELECT coalesce(sum(sample_count), 0) FROM telemetry.region_stats)";

my $token = token();
is(waited($token, $_), 'applied', "$_: applied") for qw(device region);
is(in_database("SELECT telemetry.pause_projection('region')"), 't', 'paused');
$token = token();
is(waited($token, 'device'), 'applied', 'the other one goes on');
$node->restart;
is(in_database($states), 'device current, region paused', 'a restart changes nothing');
$token = token();
is(waited($token, 'device'), 'applied', 'the other one goes on');
is(in_database($counts), '3 1', 'and it stays where it was');
in_database("SELECT telemetry.resume_projection('region')");
is(waited($token, 'region'), 'applied', 'the resume wakes the worker, which catches up');
is(in_database($counts), '3 3', 'exactly');

# --- beside DROP EXTENSION -----------------------------------------------------------------------------------------------------

# A pause is a command: a session that drops the extension waits for its transaction before it locks a table.
for my $command (qw(pause resume))
{
	my $session = session($node);
	$session->query_safe("BEGIN; SELECT telemetry.${command}_projection('region')");
	my $drop = psql_start($node, "BEGIN; DROP EXTENSION telemetry_cqrs; ROLLBACK");
	wait_for($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'DROP EXTENSION%' AND wait_event_type = 'Lock'", 'DROP EXTENSION to wait');
	is($session->query_safe("SELECT status FROM telemetry.ingest_telemetry('drop', now(), 1, 50)"), 'accepted', "$command, DROP EXTENSION beside it, a command");
	$session->query_safe('COMMIT');
	$session->quit;
	is((psql_finish($drop))[1], '', 'no deadlock');
}

# --- paused and resumed under load -------------------------------------------------------------------------------------------

my @clients = map {
	my $client = $_;
	psql_start($node, join("\n", map { "SELECT telemetry.ingest_telemetry('c$client', now(), $_, 50, 'k$_', NULL, 'r$client');" } 1 .. 300))
} 1 .. 3;
for my $round (1 .. 8)
{
	in_database("SELECT telemetry.pause_projection('$_')") for $round % 2 ? qw(region) : qw(device region);
	in_database('CALL telemetry.project_once()') if $round % 3 == 0;
	$token = token();
	in_database("SELECT telemetry.resume_projection('$_')") for qw(region device);
	is(waited($token, 'region'), 'applied', "resumed under load, round $round") if $round % 4 == 0;
}
my @errors = grep { $_ ne '' } map { (psql_finish($_))[1] } @clients;
is("@errors", '', 'the load');
$token = token();
is(waited($token, $_), 'applied', "$_ has caught up") for qw(device region);
read_models_follow($node, 'telemetry.measurements', 'paused and resumed under load');

# --- batches ---------------------------------------------------------------------------------------------------------------------

# Old batches are merged, but not past the place of a projection that is behind.
in_database('CREATE DATABASE kept');
in_database("CREATE EXTENSION telemetry_cqrs; SELECT telemetry.pause_projection('region')", 'kept');
$node->append_conf('postgresql.conf', "telemetry_cqrs.batch_retention = 1s\n");
$node->reload;
is(waited(token('kept'), 'device', 'kept'), 'applied', 'a first batch');
{
	local $TelemetryNode::database = 'kept';
	my $merged = "SELECT string_agg(events::text, ' ' ORDER BY batch_id)";
	waited(token('kept'), 'device', 'kept') foreach 1 .. 3;
	ok(wait_for($node, "$merged = '4' FROM telemetry.batch", 'the old batches to be merged'), 'it has consumed none: all are merged into one');
	in_database("SELECT telemetry.resume_projection('region')", 'kept');
	wait_applied($node, 'it to catch up by that one');
	in_database("SELECT telemetry.pause_projection('region')", 'kept');
	waited(token('kept'), 'device', 'kept') foreach 1 .. 3;
	ok(wait_for($node, "$merged = '4 3' FROM telemetry.batch", 'the new batches to be merged'), 'batches are not merged past its place');
	in_database("SELECT telemetry.resume_projection('region')", 'kept');
	wait_applied($node, 'it to catch up from its place');
	ok(wait_for($node, "$merged = '7' FROM telemetry.batch", 'all to be merged'), 'then they are');
	read_models_follow($node, 'telemetry.measurements', 'caught up by merged batches');
}
$node->append_conf('postgresql.conf', "telemetry_cqrs.batch_retention = 1d\n");
$node->reload;
in_database('DROP DATABASE kept');

# --- dumped and restored -------------------------------------------------------------------------------------------------------

# A copy with a tail of both projections, one of them paused.
in_database("SELECT telemetry.pause_projection('region')");
$node->append_conf('postgresql.conf', "telemetry_cqrs.start_worker = off\n");
$node->reload;
wait_for($node, 'SELECT pid IS NULL FROM telemetry.worker_status()', 'the worker to end');
my $before = token();
my $dump = PostgreSQL::Test::Utils::tempdir . '/dump.sql';
$node->command_ok([ 'pg_dump', '-d', $node->connstr('postgres'), '-f', $dump ], 'pg_dump');
$node->append_conf('postgresql.conf', "telemetry_cqrs.start_worker = on\n");
$node->reload;
for my $copy (qw(resumed commanded))
{
	in_database("CREATE DATABASE $copy");
	$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($copy), '-f', $dump ], 'restored');
	is(in_database("SELECT string_agg(projection || ' ' || paused_by, ', ') FROM telemetry.pause", $copy), 'region ' . in_database('SELECT session_user'), 'the pause came along');
}
is(in_database($states, 'resumed'), 'device restored, region paused', 'and waits like what is not paused');
my $applied = in_database($counts, 'resumed');
is(in_database("SELECT telemetry.wait_for('$before', '200 ms')", 'resumed'), 'timeout', 'nothing is applied in a restored database');
is(in_database('SELECT count(*) FROM telemetry.epoch', 'resumed'), '1', 'its log is not opened');
is(in_database("SELECT telemetry.resume_projection('device'), telemetry.resume_projection('device')", 'resumed'), 't|f', 'a resume of what is not paused opens it');
is(in_database('SELECT count(*) FROM telemetry.epoch', 'resumed'), '2', 'here');
is(waited($before, 'device', 'resumed'), 'applied', 'and what waits is applied, without a command');
my ($devices, $regions) = split / /, $applied;
is(in_database($counts, 'resumed'), ($devices + 1) . " $regions", 'but to a paused projection');
is(in_database($states, 'resumed'), 'device current, region paused', 'which the status says');
is(in_database("SELECT telemetry.resume_projection('region')", 'resumed'), 't', 'resumed');
is(waited($before, 'region', 'resumed'), 'applied', 'it catches up');
is(in_database("SELECT count(*) FROM (" . statistics_sql('telemetry.measurements') . ") AS d", 'resumed'), '0', 'as plain SQL over the log has it');

$token = token('commanded');
is(waited($token, 'device', 'commanded'), 'applied', 'in the other copy a command opens it');
is(in_database($counts, 'commanded'), ($devices + 2) . " $regions", 'the paused projection is paused still, in both epochs');
in_database("SELECT telemetry.resume_projection('region')", 'commanded');
is(waited($token, 'region', 'commanded'), 'applied', 'resumed, it goes through both');
is(in_database("SELECT count(*) FROM (" . statistics_sql('telemetry.measurements') . ") AS d", 'commanded'), '0', 'as plain SQL over the log has it');
$node->stop;
done_testing();
