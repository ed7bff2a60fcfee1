# Batch numbers ascend through histories that lost the opening of an epoch, even of the first one. follow_from() raises an error
# only if a wanted batch is no longer kept, in whatever range.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

# Restores a dump of a database as a further database of the server.
sub restore_beside
{
	my ($node, $from, $to) = @_;
	my $dump = PostgreSQL::Test::Utils::tempdir . "/$to.dump";
	$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, '-d', $node->connstr($from) ], "$from is dumped");
	$node->safe_psql('postgres', "CREATE DATABASE $to");
	$node->command_ok([ 'pg_restore', '-d', $node->connstr($to), $dump ], "and restored as $to");
	return;
}

my $primary = telemetry_primary('primary');
$primary->safe_psql('postgres', "SELECT telemetry.ingest_telemetry('d', NULL, 1, 1, 'first')");
wait_applied($primary);
$primary->safe_psql('postgres', 'CREATE DATABASE fresh');
$primary->safe_psql('fresh', 'CREATE EXTENSION telemetry_cqrs');
restore_beside($primary, 'postgres', 'copy');

# The state to which the server is recovered later: nothing was accepted in the two databases yet.
$primary->backup('backup');
my %last;
foreach my $database ('fresh', 'copy')
{
	local $TelemetryNode::database = $database;
	foreach my $n (1 .. 5)
	{
		$primary->safe_psql($database, "SELECT telemetry.ingest_telemetry('d', NULL, $n)");
		wait_applied($primary);
	}
	$last{$database} = $primary->safe_psql($database, 'SELECT max(batch_id) FROM telemetry.batch');
}
$primary->stop;

my $promoted = standby_of($primary, 'promoted', 'backup');
$promoted->promote;
foreach my $database ('fresh', 'copy')
{
	local $TelemetryNode::database = $database;
	$promoted->safe_psql($database, "SELECT telemetry.ingest_telemetry('other', NULL, 1)");
	wait_applied($promoted);
	my $number = $promoted->safe_psql($database, 'SELECT max(batch_id) FROM telemetry.batch');
	cmp_ok($number, '>', $last{$database}, "$database: greater numbers than those of the epoch that was lost");
	my $from = $last{$database} + 1;
	is($promoted->safe_psql($database, "SELECT count(*) FROM telemetry.batch WHERE batch_id >= telemetry.follow_from($from)"), '1', "$database: a consumer of what was lost goes on");
	is($promoted->safe_psql('fresh', 'SELECT telemetry.follow_from(1)'), '1', "a consumer may begin with number 1") if $database eq 'fresh';
}

# --- three ranges of numbers, of which retention has passed two --------------------------------------------------------
restore_beside($promoted, 'copy', 'third');
sub sqlstate_of
{
	my ($sql) = @_;
	$promoted->psql('third', $sql, stdout => \my $out, stderr => \my $err, extra_params => [ '-v', 'VERBOSITY=sqlstate' ]);
	return $err =~ /ERROR:\s+(\w+)/ ? $1 : '';
}
my $second = $promoted->safe_psql('third', 'SELECT max(batch_id) FROM telemetry.batch');
is(sqlstate_of('SELECT telemetry.follow_from(' . ($second + 90) . ')'), '', 'a restored log is about to begin a range');
{
	local $TelemetryNode::database = 'third';
	$promoted->safe_psql('third', "SELECT telemetry.ingest_telemetry('third', NULL, 1)");
	wait_applied($promoted);
}
my $third = $promoted->safe_psql('third', 'SELECT max(batch_id) FROM telemetry.batch');
is($promoted->safe_psql('third', 'SELECT string_agg((batch_id >> 40)::text, \',\' ORDER BY batch_id) FROM telemetry.batch'), '0,2,4', 'a batch in each of three ranges');
is(sqlstate_of('SELECT telemetry.follow_from(10)'), '', 'follow_from: all are kept');
$promoted->safe_psql('third', "DELETE FROM telemetry.batch WHERE batch_id < $third");
is(sqlstate_of('SELECT telemetry.follow_from(10)'), 'TC203', 'follow_from: the batch of the second range is not kept');
is(sqlstate_of("SELECT telemetry.follow_from($second)"), 'TC203', 'follow_from: nor is it itself');
is(sqlstate_of('SELECT telemetry.follow_from(' . ($second + 1) . ')'), '', 'follow_from: after it nothing was deleted');
# As version 1.0 left it: later epochs went on in the first range, and the last one has gone on in its own since.
$promoted->safe_psql('third', 'UPDATE telemetry.epoch SET first_xid = NULL; UPDATE telemetry.batch SET from_snapshot = \'3:3:\'');
is(sqlstate_of('SELECT telemetry.follow_from(10)'), 'TC203', 'follow_from: where an epoch of version 1.0 ended is not known');
is(sqlstate_of("SELECT telemetry.follow_from($third)"), '', 'follow_from: the oldest one');
$promoted->stop;
done_testing();
