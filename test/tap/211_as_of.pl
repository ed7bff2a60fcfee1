# as_of never claims more than the snapshot of the reader shows, however old that snapshot is. A standby refuses statistics that are older
# than the session wants.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

my $node = telemetry_node('as_of', conf => "wal_level = replica\nmax_wal_senders = 4\nhot_standby = on\n");
$node->safe_psql('postgres', 'CREATE TABLE moment (name text, at timestamptz)');
my $readings = 0;

# Sends and applies one more reading, and keeps its time of receipt under a name.
sub reading
{
	my ($name) = @_;
	++$readings;
	$node->safe_psql('postgres', "SELECT telemetry.ingest_telemetry('d', now(), $readings, 50)");
	$node->safe_psql('postgres', 'CALL telemetry.project_once()');
	$node->safe_psql('postgres', "INSERT INTO moment SELECT '$name', max(received_at) FROM telemetry.measurements");
	return;
}
# Tests an answer "count|as_of": it counts $count readings, and its time lies before the receipt of the reading $before and not
# before the receipt of the reading $after.
sub is_of
{
	my ($answer, $count, $before, $after, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($got, $as_of) = split /\|/, $answer;
	return fail("$what: $answer") if !defined $as_of || $as_of eq '';
	is($got, $count, "$what: the rows of its snapshot");
	my $test = "SELECT '$as_of' < (SELECT at FROM moment WHERE name = '$before')";
	$test .= " AND '$as_of' >= (SELECT at FROM moment WHERE name = '$after')" if defined $after;
	my $ok = is($node->safe_psql('postgres', $test), 't', "$what: as_of is that of the snapshot");
	diag $answer if !$ok;
	return $ok;
}

my $rows = "SELECT sample_count, as_of FROM telemetry.device_stats WHERE device_id = 'd'";
reading('first');

# --- in a transaction block ----------------------------------------------------------------------------------------------

is($node->safe_psql('postgres', "BEGIN; SELECT pg_sleep(0.01); SELECT telemetry.as_of('device') = now(); COMMIT"), "\nt", 'nothing waits: the start of the transaction');
is($node->safe_psql('postgres', "SELECT telemetry.as_of('device') = statement_timestamp()"), 't', 'which is that of a single statement');

my $reader = $node->background_psql('postgres');
$reader->query_safe('BEGIN');
$reader->query_safe("DECLARE c CURSOR FOR $rows");
reading('second');
is_of($reader->query_safe('FETCH c'), 1, 'second', 'first', 'a cursor fetched late');
like($reader->query_safe($rows), qr/^2\|/, 'the next statement shows the next reading');
$reader->query_safe('COMMIT');

$reader->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
like($reader->query_safe($rows), qr/^2\|/, 'repeatable read');
reading('third');
is_of($reader->query_safe($rows), 2, 'third', undef, 'repeatable read, later');
$reader->query_safe('COMMIT');

# --- imported snapshots --------------------------------------------------------------------------------------------------

my $exporter = $node->background_psql('postgres');
$exporter->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
my $snapshot = $exporter->query_safe('SELECT pg_export_snapshot()');
reading('fourth');
$reader->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
$reader->query_safe("SET TRANSACTION SNAPSHOT '$snapshot'");
is_of($reader->query_safe($rows), 3, 'fourth', undef, 'an imported snapshot');
$reader->query_safe('COMMIT');
$exporter->query_safe('COMMIT');
$_->quit for $reader, $exporter;

# --- a standby -----------------------------------------------------------------------------------------------------------

$node->backup('standby');
my $standby = standby_of($node, 'as_of_standby', 'standby');
$node->wait_for_catchup($standby, 'replay', $node->lsn('write'));
like($standby->safe_psql('postgres', $rows), qr/^4\|./, 'a standby');
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_pause()');
ok(wait_for($standby, "SELECT pg_get_wal_replay_pause_state() = 'paused'", 'the standby to pause'), 'which lags');
reading('fifth');
my $repeatable = $standby->background_psql('postgres');
$repeatable->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
is_of($repeatable->query_safe($rows), 4, 'fifth', undef, 'repeatable read on a standby');
my $cursor = $standby->background_psql('postgres');
$cursor->query_safe('BEGIN');
$cursor->query_safe("DECLARE c CURSOR FOR $rows");
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_resume()');
$node->wait_for_catchup($standby, 'replay', $node->lsn('write'));
is_of($repeatable->query_safe($rows), 4, 'fifth', undef, 'and later');
is_of($cursor->query_safe('FETCH c'), 4, 'fifth', undef, 'a cursor on a standby');
like($standby->safe_psql('postgres', $rows), qr/^5\|./, 'a new snapshot shows what has come');
$_->quit for $repeatable, $cursor;

# --- max_staleness on a standby ------------------------------------------------------------------------------------------

# Returns what the standby answers if a view may be as old as the moment $as_of is, less a moment: 'answers', or TC103.
sub answer
{
	my ($view, $as_of) = @_;
	my ($out, $err);
	$standby->psql('postgres', "\\set VERBOSITY sqlstate\nSELECT set_config('telemetry_cqrs.max_staleness', (floor(extract(epoch FROM clock_timestamp() - '$as_of') * 1000) - 1)::text, false) IS NULL;
		SELECT 'answers' WHERE EXISTS (SELECT FROM telemetry.$view)", stdout => \$out, stderr => \$err);
	return $err =~ /ERROR:\s+(TC103)$/ ? $1 : $out =~ s/^f\n//r . $err;
}
my @stats = qw(device_stats device_metric_stats device_stats_1m region_stats_1d lasting_stats);
$node->safe_psql('postgres', "SELECT telemetry.create_projection('own', 'device', '1 hour'), telemetry.create_projection('lasting', 'device', cadence => '0')");
reading('sixth');
$node->wait_for_catchup($standby, 'replay', $node->lsn('write'));
my $as_of = $standby->safe_psql('postgres', "SELECT max(a) FROM unnest(ARRAY[telemetry.as_of('own'), telemetry.as_of('device'), telemetry.as_of('device_1m')]) AS a");
ok(wait_for($standby, "SELECT clock_timestamp() > '$as_of'::timestamptz + interval '1 s'", 'the statistics to grow old'), 'an idle server');
is(answer($_, $as_of), 'TC103', "$_: too old for a standby, although nothing is missing") for @stats, 'own_stats';
is($standby->safe_psql('postgres', "SET telemetry_cqrs.max_staleness = '1 d'; SELECT count(*) > 0 FROM telemetry.$_"), 't', "$_: young enough for a session that asks for less") for 'device_stats', 'own_stats';
is(answer("${_}_live", $as_of), 'answers', "${_}_live: never too old") for 'device_stats', 'own_stats';
$node->safe_psql('postgres', "SELECT telemetry.pause_projection('own')");
reading('seventh');
$node->wait_for_catchup($standby, 'replay', $node->lsn('write'));
is(answer($_, $as_of), 'answers', "$_: fresh again") for @stats;
is(answer('own_stats', $as_of), 'TC103', 'own_stats: too old, because it is paused on the primary');
$node->safe_psql('postgres', "SELECT telemetry.resume_projection('own'); CALL telemetry.project_once(); SELECT telemetry.drop_projection('own'), telemetry.drop_projection('lasting')");

# --- a restored log ------------------------------------------------------------------------------------------------------

# Its transaction numbers are ahead of those of the server it was brought to. They are not looked through at each query.
$node->safe_psql('postgres', 'DO $$ BEGIN FOR i IN 1 .. 3000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$');
$node->safe_psql('postgres', <<'SQL');
SELECT telemetry.ingest_telemetry_batch(array_agg('many'::text), array_agg('2024-05-01 00:00+00'::timestamptz + i * interval '1 s'), array_agg(i::float8), NULL)
FROM generate_series(1, 20000) AS i;
CALL telemetry.project_once();
SQL
my $dump = $node->basedir . '/log.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, '-d', $node->connstr('postgres') ], 'dumped');
my $target = telemetry_node('as_of_target', conf => "wal_level = replica\nmax_wal_senders = 4\nhot_standby = on\n");
$target->safe_psql('postgres', 'CREATE DATABASE restored');
$target->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-f', $dump, '-d', $target->connstr('restored') ], 'restored');
$target->safe_psql('restored', "SELECT token FROM telemetry.ingest_telemetry('d', now(), 1, 50)");
$target->safe_psql('restored', 'CALL telemetry.project_once()');
cmp_ok($target->safe_psql('restored', "SELECT max(xid) FROM telemetry.event WHERE epoch = 1"), '>',
	$target->safe_psql('restored', 'SELECT pg_current_xact_id()'), 'with numbers of the future');
$target->backup('standby');
my $copy = standby_of($target, 'as_of_target_standby', 'standby');
$target->wait_for_catchup($copy, 'replay', $target->lsn('write'));
for my $server ($target, $copy)
{
	# Twice: the first time it reads the catalogue, too.
	my $plan = $server->safe_psql('restored', "SELECT telemetry.as_of('device'); EXPLAIN (ANALYZE, BUFFERS, TIMING off) SELECT telemetry.as_of('device')");
	my ($pages) = $plan =~ /shared hit=(\d+)/;
	cmp_ok($pages // 0, '<', $server->safe_psql('restored', "SELECT pg_relation_size('telemetry.event_1') / 8192 / 4"), $server->name . ': as_of does not read the log');
	is($server->safe_psql('restored', "SELECT state, lag_events FROM telemetry.projection_status WHERE projection = 'device'"), 'current|0', $server->name . ': nothing waits');
}
$target->safe_psql('restored', "SELECT telemetry.ingest_telemetry('d', now(), 2, 50)");
$target->wait_for_catchup($copy, 'replay', $target->lsn('write'));
is($_->safe_psql('restored', "SELECT state, lag_events FROM telemetry.projection_status WHERE projection = 'device'"), 'stopped|1', $_->name . ': one waits') for $target, $copy;

$_->stop for $copy, $target, $standby, $node;
done_testing();
