# After a promotion a transaction of the older epoch can still end: a prepared one. So batches of two epochs take turns in the list.
# A projection that is behind misses none of their events, and nothing claims more for it than it has consumed.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

my $primary = telemetry_primary('primary', conf => "hot_standby_feedback = on\n");
$primary->safe_psql('postgres', "SELECT status FROM telemetry.ingest_telemetry('d', NULL, 1, 2, 'first')");
wait_applied($primary);
my %token;
foreach my $late (qw(a b c d))
{
	$token{$late} = $primary->safe_psql('postgres', "BEGIN; SELECT token FROM telemetry.ingest_telemetry('late $late', NULL, 1, 2, '$late'); PREPARE TRANSACTION '$late'");
}
$primary->backup('backup');
my $node = standby_of($primary, 'standby', 'backup');
$primary->wait_for_catchup($node);
$primary->stop;
$node->promote;

sub sql { my ($statement) = @_; return $node->safe_psql('postgres', $statement); }
my $sent = 0;
sub send_one { ++$sent; sql("SELECT telemetry.ingest_telemetry('d', NULL, $sent, 2, 'key $sent')"); return; }
# Waits until everything is read that was committed.
sub settle
{
	my ($batched) = @_;
	wait_for($node, 'SELECT (SELECT sum(events) FROM telemetry.batcher) = (SELECT count(*) FROM telemetry.event)', 'the log to be read');
	wait_for($node, 'SELECT events = 0 FROM telemetry.batch_tail()', 'the batches to be closed') if $batched;
	return;
}

wait_for($node, 'SELECT count(DISTINCT epoch) = 2 FROM telemetry.epoch', 'the second epoch to be opened');
send_one();
settle(1);
sql("SELECT telemetry.pause_projection('device')");
send_one();
settle(1);
sql("COMMIT PREPARED 'a'");
settle(1);
send_one();
settle(1);
sql("COMMIT PREPARED 'b'");
settle(1);
like(sql("SELECT string_agg(epoch::text, '' ORDER BY batch_id) FROM telemetry.batch"), qr/^1+2+1+2+1+$/, 'the batches of two epochs take turns');
is(sql("SELECT telemetry.wait_for('$token{a}', '0 s', 'device')"), 'timeout', 'wait_for() does not say that a late reading is applied');
is(sql("SELECT telemetry.wait_for('$token{a}', '0 s', 'region')"), 'applied', 'but where it is');
is(sql("SELECT telemetry.as_of('device') < now() - interval '10 ms'"), 't', 'nor does as_of()');
is(sql("SELECT lag_events FROM telemetry.projection_status WHERE projection = 'device'"), '4', 'and the status counts them');
sql("SELECT telemetry.resume_projection('device')");
wait_applied($node, 'it to catch up through both epochs');
read_models_follow($node, 'telemetry.measurements', 'two epochs in turns');

# Nothing can close a batch: then nothing is read, because two batches must not be open.
sql("SELECT telemetry.pause_projection('device')");
send_one();
settle(1);
sql(q{CREATE FUNCTION in_the_way() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'});
sql('CREATE TRIGGER in_the_way AFTER INSERT ON telemetry.batch FOR EACH ROW EXECUTE FUNCTION in_the_way()');
send_one();
sql("COMMIT PREPARED 'c'");
wait_for($node, "SELECT count(*) = 9 FROM telemetry.projection_failure WHERE failures > 0 AND sqlstate = 'TC204'", 'the passes to wait');
is(sql('SELECT sum(open_events) FROM telemetry.batcher'), '0', 'no batch is open');
sql("SELECT telemetry.resume_projection('device')");
sql('DROP TRIGGER in_the_way ON telemetry.batch');
wait_applied($node, 'it to catch up');
read_models_follow($node, 'telemetry.measurements', 'after an obstacle');
sql("COMMIT PREPARED 'd'");
wait_applied($node);
wait_for($node, 'SELECT drained FROM telemetry.batcher WHERE epoch = 1', 'the first epoch to be drained');
read_models_follow($node, 'telemetry.measurements', 'at the end');
$node->stop;
done_testing();
