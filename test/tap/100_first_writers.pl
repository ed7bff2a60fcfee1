# Sessions that could wait for each other: the first readings of an installation in open transactions, the first reading of a
# device, and a prepared transaction that holds a key. Waiting sessions have a lock_timeout, so the test sees a session that
# stalls.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

my $node = telemetry_node('first');

# Sends one reading as a session of its own that waits at most five seconds. Returns the answer or the SQLSTATE.
sub send_one
{
	my ($device, $key, $value) = @_;
	local $LastingSession::wanted = 0;
	my ($out, $err);
	$node->psql('postgres', "\\set VERBOSITY sqlstate\nSET lock_timeout = '5s';\nSELECT status FROM telemetry.ingest_telemetry('$device', '2024-05-01 10:00:00+00', $value, NULL, '$key')",
		stdout => \$out, stderr => \$err);
	return $err =~ /ERROR:\s+(\w{5})/ ? $1 : $out;
}

# The first event of all is in an open transaction: other devices send on, whether it commits or rolls back.
my $first = session($node);
is($first->query_safe("BEGIN; SELECT status FROM telemetry.ingest_telemetry('a', '2024-05-01 10:00:00+00', 1, NULL, 'k')"), 'accepted', 'the first reading of all, not committed');
is(send_one('b', 'k', 2), 'accepted', 'another device does not wait for it');
$node->safe_psql('postgres', 'CALL telemetry.project_once()');
is($node->safe_psql('postgres', 'SELECT device_id, last_temperature FROM telemetry.device_stats'), 'b|2', 'and is projected');
$first->query_safe('ROLLBACK');
is(send_one('a', 'k', 3), 'accepted', 'rolled back: the key is free');
is($node->safe_psql('postgres', 'SELECT count(DISTINCT epoch), min(epoch) FROM telemetry.epoch'), '1|1', 'one epoch');
is($node->safe_psql('postgres', 'SELECT count(DISTINCT secret) FROM telemetry.installation'), '1', 'one installation');

# The first reading of a device in an open transaction: other devices, also new ones, send on.
$first->query_safe("BEGIN; SELECT status FROM telemetry.ingest_telemetry('new', '2024-05-01 10:00:00+00', 1, NULL, 'k')");
is(send_one('a', 'k2', 1), 'accepted', 'a known device does not wait for the registration of another');
is(send_one('newer', 'k', 1), 'accepted', 'nor does another new one');
$first->query_safe('COMMIT');

# A prepared transaction holds a key: the same key waits for it and is told what became of it, other keys do not wait.
foreach my $end ('COMMIT', 'ROLLBACK')
{
	$first->query_safe("BEGIN; SELECT status FROM telemetry.ingest_telemetry('a', '2024-05-01 10:00:00+00', 7, NULL, 'prepared $end'); PREPARE TRANSACTION 'p'");
	is(send_one('a', "other $end", 1), 'accepted', "$end PREPARED: another key of the device does not wait");
	is(send_one('a', "prepared $end", 7), 'TC101', "$end PREPARED: a session that does not want to wait is told to try again");
	my $waiter = psql_start($node, "SELECT status FROM telemetry.ingest_telemetry('a', '2024-05-01 10:00:00+00', 7, NULL, 'prepared $end')");
	wait_for($node, "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND locktype = 'transactionid')", 'a session that waits');
	$first->query_safe("$end PREPARED 'p'");
	my ($out) = psql_finish($waiter);
	chomp $out;
	is($out, $end eq 'COMMIT' ? 'duplicate' : 'accepted', "$end PREPARED: the waiting session is told");
}

# lock_timeout in a batch: TC101 as well, and nothing of the batch remains.
$first->query_safe("BEGIN; SELECT status FROM telemetry.ingest_telemetry('a', '2024-05-01 10:00:00+00', 7, NULL, 'held')");
my ($out, $err);
$node->psql('postgres', "\\set VERBOSITY sqlstate\nSET lock_timeout = '100ms';\nSELECT accepted FROM telemetry.ingest_telemetry_batch(ARRAY['a', 'a', 'a'], NULL, ARRAY[1, 7, 1], NULL, ARRAY['before', 'held', 'behind'])",
	stdout => \$out, stderr => \$err);
like($err, qr/ERROR:\s+TC101/, 'a batch that may not wait: TC101');
is($node->safe_psql('postgres', "SELECT count(*) FROM telemetry.measurements WHERE idempotency_key IN ('before', 'behind')"), '0', 'and nothing of it is stored');
$first->query_safe('COMMIT');

# A session that was cancelled while it waited leaves nothing and goes on.
$first->query_safe("BEGIN; SELECT status FROM telemetry.ingest_telemetry('a', '2024-05-01 10:00:00+00', 8, NULL, 'held 2')");
my $cancelled = psql_start($node, "\\set VERBOSITY sqlstate\nSELECT status FROM telemetry.ingest_telemetry('a', '2024-05-01 10:00:00+00', 8, NULL, 'held 2');\nSELECT status FROM telemetry.ingest_telemetry('a', '2024-05-01 10:00:00+00', 9, NULL, 'afterwards')");
wait_for($node, "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND locktype = 'transactionid')", 'a session that waits');
$node->safe_psql('postgres', "SELECT pg_cancel_backend(pid) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'");
($out, $err) = psql_finish($cancelled);
like($err, qr/ERROR:\s+57014/, 'a waiting session is cancelled as any other');
is($out, "accepted\n", 'and goes on');
$first->query_safe('COMMIT');
$first->quit;

$node->safe_psql('postgres', 'CALL telemetry.project_once()');
read_models_follow($node, 'telemetry.measurements', 'at the end');
$node->stop;
done_testing();
