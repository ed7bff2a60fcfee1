# Acceptance check 8 when only the postmaster is killed. A worker in the middle of a backlog leaves after its current pass,
# because a new server cannot start before the worker is gone. The next worker applies the rest.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use TelemetryNode;
use Test::More;
use Time::HiRes qw(time usleep);

$LastingSession::wanted = 0;

my $node = telemetry_node('orphan', preload => 1);
sub sql { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }
sub touch { my ($name) = @_; append_to_file($node->data_dir . "/$name", ''); return; }
sub store
{
	my ($first, $last) = @_;
	return sql("SELECT telemetry.ingest_telemetry_batch(array_agg('d' || i % 100), array_agg('2024-05-01'::timestamptz + i * interval '1 ms'), array_agg(i % 50.0), NULL)
	            FROM generate_series($first, $last) AS i");
}
sub deadline { return time + $PostgreSQL::Test::Utils::timeout_default; }

# While the file "held" is there, the index holds each pass until there is a file of its own for it.
store(1, 1);
wait_applied($node);
sql(<<'SQL');
CREATE SEQUENCE calls;
CREATE FUNCTION hold(sample_count bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE go text := 'go_' || nextval('public.calls');
BEGIN
	LOOP EXIT WHEN (pg_stat_file('held', true)).size IS NULL OR (pg_stat_file(go, true)).size IS NOT NULL; END LOOP;
	RETURN sample_count;
END $$;
CREATE INDEX holding ON telemetry.state_region (public.hold(sample_count));
SQL
my $pass = 1 + sql('SELECT last_value FROM calls');
touch('held');

# The first pass is held until there is more than one pass can take; the next is cut off there.
store($_ * 50_000 + 1, ($_ + 1) * 50_000) foreach 1 .. 5;
wait_for($node, "SELECT last_value = $pass FROM calls", 'a pass to be held');
touch("go_$pass");
++$pass;
ok(wait_for($node, "SELECT last_value = $pass FROM calls", 'the next pass to be held'), 'a worker is in the midst of a pass, and more waits');
my $worker = sql('SELECT pid FROM telemetry.worker_status()');
my ($postmaster) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;
$node->kill9;
my $deadline = deadline();
usleep(20_000) while kill(0, $postmaster) && time < $deadline;
touch("go_$pass");
$deadline = deadline();
usleep(20_000) while kill(0, $worker) && time < $deadline;
ok(!kill('KILL', $worker), 'with the postmaster gone it finishes the pass and leaves');

# The postmaster's other children may be there a moment longer.
unlink $node->data_dir . '/held' or die $!;
$deadline = deadline();
usleep(100_000) until $node->start(fail_ok => 1) || time > $deadline;
sql('DROP INDEX telemetry.holding');
wait_applied($node, 'the next server to apply the rest');
read_models_follow($node, 'telemetry.measurements', 'after the death of the postmaster');
$node->stop;
done_testing();
