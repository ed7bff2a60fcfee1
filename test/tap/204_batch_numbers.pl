# A later history of the log gives its batches greater numbers than any earlier history, including numbers that were lost. The
# test promotes a standby that lagged, and recovers to an earlier moment. A consumer that follows by number misses nothing
# without an error. A number ahead of the log, or older than the kept batches, raises TC203.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

my $primary = telemetry_primary('primary', archive => 1);

# One reading, until it is in a batch. The number of that batch.
my $sent = 0;
sub send_one
{
	my ($node) = @_;
	++$sent;
	$node->safe_psql('postgres', "SELECT telemetry.ingest_telemetry('d', NULL, 1, 1, 'key-$sent')");
	my $batch = "FROM telemetry.batch b, LATERAL telemetry.read_events(b.batch_id) AS e WHERE e.payload->>'idempotency_key' = 'key-$sent'";
	wait_for($node, "SELECT EXISTS (SELECT $batch)", "the batch of key-$sent");
	return $node->safe_psql('postgres', "SELECT b.batch_id $batch");
}

# Reads as a consumer: takes in the keys of all batches from the consumer's next number on, and moves that number. Returns the
# SQLSTATE, or ''.
sub follow
{
	my ($node, $consumer) = @_;
	my ($out, $err) = ('', '');
	$node->psql('postgres', "SELECT b.batch_id, e.payload->>'idempotency_key' FROM (SELECT batch_id FROM telemetry.batch WHERE batch_id >= telemetry.follow_from($consumer->{next})) AS b, LATERAL telemetry.read_events(b.batch_id) AS e ORDER BY 1",
		stdout => \$out, stderr => \$err, extra_params => ['-v', 'VERBOSITY=sqlstate']);
	foreach (split /\n/, $out)
	{
		my ($batch, $key) = split /\|/;
		$consumer->{seen}{$key} = 1;
		$consumer->{next} = $batch + 1;
	}
	return $err =~ /ERROR:\s+(\w+)/ ? $1 : '';
}

sub sqlstate_of
{
	my ($node, $sql) = @_;
	my $err = '';
	$node->psql('postgres', $sql, stdout => \my $out, stderr => \$err, extra_params => ['-v', 'VERBOSITY=sqlstate']);
	return $err =~ /ERROR:\s+(\w+)/ ? $1 : '';
}

is(send_one($primary), '1', 'the first batch is number 1');
send_one($primary);
is($primary->safe_psql('postgres', 'SELECT DISTINCT epoch FROM telemetry.read_events(1)'), '1', 'read_events says the epoch');

# --- a standby that lagged is promoted --------------------------------------------------------------------------------
$primary->backup('backup');
my $standby = standby_of($primary, 'standby', 'backup');
send_one($primary);
$primary->wait_for_catchup($standby);
$standby->stop;
my $lost = 0;
$lost = send_one($primary) foreach 1 .. 20;
my $recovery_target = $primary->safe_psql('postgres', 'SELECT pg_current_wal_lsn()');
my %consumer = (next => 1, seen => {});
is(follow($primary, \%consumer), '', 'a consumer follows the primary');
is($consumer{next}, $lost + 1, 'up to its last batch');
my $further = send_one($primary);
$primary->safe_psql('postgres', 'SELECT pg_switch_wal()');
wait_for($primary, "SELECT last_archived_wal IS NOT NULL AND pg_walfile_name('$recovery_target') <= last_archived_wal FROM pg_stat_archiver", 'the WAL to be archived');
$primary->stop;

$standby->start;
is(sqlstate_of($standby, "SELECT telemetry.follow_from($consumer{next})"), '', 'a standby may lag');
$standby->promote;
my $number = send_one($standby);
cmp_ok($number, '>', $lost, 'the promoted standby gives out greater numbers than those that were lost');
is($standby->safe_psql('postgres', "SELECT DISTINCT epoch FROM telemetry.read_events($number)"), '2', 'in an epoch of its own');
is(follow($standby, \%consumer), '', 'the consumer goes on');
ok($consumer{seen}{"key-$sent"}, 'and sees what came after');
is($consumer{next}, $number + 1, 'up to the last batch');

# --- what cannot be followed raises -----------------------------------------------------------------------------------
is(sqlstate_of($standby, 'SELECT * FROM telemetry.read_events(' . ($number + 1) . ')'), 'TC203', 'read_events: ahead of the log');
is(sqlstate_of($standby, 'SELECT telemetry.follow_from(' . ($number + 1) . ')'), '', 'follow_from: the next batch');
is(sqlstate_of($standby, 'SELECT telemetry.follow_from(' . ($number + 2) . ')'), 'TC203', 'follow_from: ahead of the log');
is(sqlstate_of($standby, 'SELECT telemetry.follow_from(3)'), '', 'follow_from: a batch that is there');
is(sqlstate_of($standby, 'SELECT telemetry.follow_from(10)'), '', 'follow_from: between the ranges of two epochs');
send_one($standby) foreach 1, 2;
$standby->append_conf('postgresql.conf', "telemetry_cqrs.batch_retention = 1s\n");
$standby->reload;
wait_for($standby, 'SELECT count(*) = 2 FROM telemetry.batch', 'the batches of each range to be merged into one');
is(sqlstate_of($standby, "SELECT telemetry.follow_from($_)"), 'TC203', "follow_from: $_, which was merged with earlier ones") foreach 3, $number + 1, $number + 2;
is(sqlstate_of($standby, "SELECT telemetry.follow_from($_)"), '', "follow_from: $_, with which a merged batch begins") foreach 1, $number;
is(sqlstate_of($standby, 'SELECT telemetry.follow_from(10)'), '', 'follow_from: between two ranges');
is(sqlstate_of($standby, 'SELECT telemetry.follow_from(' . ($number + 3) . ')'), '', 'follow_from: the next batch');
is($standby->safe_psql('postgres', "SELECT count(*) = (SELECT count(*) FROM telemetry.events) FROM telemetry.batch b, telemetry.read_events(b.batch_id)"), 't', 'merged batches hold every event once');
read_models_follow($standby, 'telemetry.measurements', 'promoted');
$standby->stop;

# --- recovery to an earlier moment ------------------------------------------------------------------------------------
# The archive knows of the promoted timeline, so that this one has a number of its own: its epoch is number 3.
my $recovered = PostgreSQL::Test::Cluster->new('recovered');
$recovered->init_from_backup($primary, 'backup', has_restoring => 1, standby => 0);
$recovered->append_conf('postgresql.conf', "recovery_target_lsn = '$recovery_target'\nrecovery_target_action = 'promote'\nrecovery_target_timeline = 'current'\narchive_mode = off\n");
$recovered->start;
wait_for($recovered, 'SELECT NOT pg_is_in_recovery()', 'the recovery to end');
# The consumer has read the batch after the moment of recovery, which is lost now.
%consumer = (next => $further + 1, seen => {});
# No command comes: the worker alone begins the new epoch.
wait_for($recovered, 'SELECT max(epoch) = 3 FROM telemetry.epoch', 'the epoch of the timeline');
$number = send_one($recovered);
cmp_ok($number, '>', 2 << 40, 'the recovered server gives out greater numbers than those that were lost, on the promoted timeline, too');
is(follow($recovered, \%consumer), '', 'a consumer that had read what was lost goes on');
ok($consumer{seen}{"key-$sent"}, 'and sees what came after');
read_models_follow($recovered, 'telemetry.measurements', 'recovered');

is($recovered->safe_psql('postgres', "SELECT string_agg(DISTINCT epoch || ' ' || timeline, ', ') FROM telemetry.epoch"), '1 1, 3 3', 'recovered: its epoch is that of its timeline');
$recovered->stop;
done_testing();
