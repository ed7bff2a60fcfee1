# Old batches are merged beside subscriptions. A required one loses nothing and gets nothing twice, wherever it stands: at the end of a
# batch, inside a batch, or with a lease that is not answered yet. One that is not required goes on while its place is there; otherwise
# it is lost, visibly, and never skips an event. One that lags too much is lost, too, and holds nothing back.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

my $node = telemetry_node('kept', preload => 1, conf => "telemetry_cqrs.start_worker = off\n");
sub sql { my ($statement) = @_; return $node->safe_psql('postgres', $statement); }
sub sqlstate_of { my ($statement) = @_; $node->psql('postgres', "\\set VERBOSITY sqlstate\n$statement", stderr => \my $err); return $err =~ /ERROR:\s+(\w+)/ ? $1 : ''; }

sql(<<'SQL');
CREATE TABLE seen (n bigint GENERATED ALWAYS AS IDENTITY, subscription text, lease bigint, id bigint, device_id text);
CREATE FUNCTION take(s text, most int) RETURNS bigint LANGUAGE sql AS $$
	WITH t AS (INSERT INTO seen (subscription, lease, id, device_id) SELECT s, b.lease, b.id, b.device_id FROM telemetry.next_batch(s, most, '1 hour', 'one') AS b RETURNING lease) SELECT max(lease) FROM t
$$;
CREATE FUNCTION consume(s text, most int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE l CONSTANT bigint := take(s, most);
BEGIN
	IF l IS NOT NULL THEN PERFORM telemetry.ack(s, l); END IF;
	RETURN l;
END $$;
CREATE PROCEDURE drain(s text, most int) LANGUAGE plpgsql AS $$ BEGIN WHILE consume(s, most) IS NOT NULL LOOP COMMIT; END LOOP; END $$;
SQL

# Sends a transaction of so many readings for each number, and makes each a batch.
my $sent = 0;
sub make_batches
{
	my $script = '';
	foreach my $readings (@_)
	{
		++$sent;
		$script .= "SELECT telemetry.ingest_telemetry_batch(array_agg('d' || i % 5), NULL, array_agg(i::float8), NULL, array_agg('k' || $sent || ' ' || i)) FROM generate_series(1, $readings) AS i \\g /dev/null\nCALL telemetry.project_once();\n";
	}
	psql_finish(psql_start($node, "SET synchronous_commit = off;\n$script"));
	return;
}

# A subscription has got each event of the log once, beginning with the first one.
sub has_everything
{
	my ($subscription, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(sql("SELECT count(*) FILTER (WHERE s.id IS NULL) || ' missed, ' || (SELECT count(*) - count(DISTINCT id) FROM seen WHERE subscription = '$subscription') || ' twice'
		FROM telemetry.event e LEFT JOIN (SELECT DISTINCT id FROM seen WHERE subscription = '$subscription') AS s ON s.id = e.event_id"), '0 missed, 0 twice', "$subscription: $what");
	return;
}

sub drain_all { sql("CALL drain('$_', 100)") foreach @_; return; }

# Turns the projector and its merging on and off. While it is off, each call of project_once() makes a batch.
sub projector
{
	my ($on) = @_;
	$node->append_conf('postgresql.conf', "telemetry_cqrs.start_worker = $on\n");
	$node->reload;
	return $on eq 'on' || wait_for($node, "SELECT state <> 'running' FROM telemetry.worker_status()", 'the projector to end');
}

sql("SELECT telemetry.set_cadence(projection, '0') FROM telemetry.projection WHERE cadence > '0'");
my @required = qw(whole inside leased);
my @optional = qw(optional optional_inside optional_leased);
sql("SELECT telemetry.create_subscription('$_', '-infinity')") foreach @required;
sql("SELECT telemetry.create_subscription('$_', '-infinity', required => false)") foreach 'beginning', @optional;
sql("SELECT telemetry.create_subscription('impatient', '-infinity', max_lag => '1 s')");
make_batches(1);
drain_all(@required, @optional);
$node->append_conf('postgresql.conf', "telemetry_cqrs.batch_retention = '1s'\ntelemetry_cqrs.launcher_interval = 100\n");
$node->reload;

# In the first round only subscriptions that are not required stand inside a batch.
foreach my $round ([ 'optional_inside', 'optional_leased' ], [ 'inside', 'leased' ])
{
	my ($inside, $leased) = @$round;

	# 1. Three batches of one event. A transaction that is older than those of the next two batches stays open until they are made.
	# 2. The next batch is one transaction, of which two subscriptions consume a part: one has acknowledged it, the other has a lease.
	# 3. The batch after the next has the old transaction. In a merged batch its events would come before those of step 2.
	make_batches((1) x 3);
	my $last = sql('SELECT max(batch_id) FROM telemetry.batch');
	sql("BEGIN; SELECT telemetry.ingest_telemetry_batch(ARRAY['d1', 'd2', 'd3'], NULL, ARRAY[1, 2, 3], NULL); PREPARE TRANSACTION 'straggler'");
	make_batches(30, 1);
	sql("COMMIT PREPARED 'straggler'; CALL telemetry.project_once()");
	make_batches((1) x 20);
	my $batches = sql('SELECT count(*) FROM telemetry.batch');

	sql("SELECT consume('$_', 3)") foreach 'whole', 'optional', $inside, $leased;
	sql("SELECT consume('$inside', 12)");
	my $lease = sql("SELECT take('$leased', 17)");
	is(sql("SELECT batch_id - $last, partial_xid IS NOT NULL FROM telemetry.subscription_share WHERE subscription = '$inside'"), '0|t', "$inside stands inside a batch");
	is(sql("SELECT lease_batch_id - $last, lease_partial_xid IS NOT NULL FROM telemetry.subscription_share WHERE subscription = '$leased'"), '0|t', "the lease of $leased ends inside a batch");
	sql("SELECT consume('optional', 31)");
	is(sql("SELECT batch_id - $last FROM telemetry.subscription_share WHERE subscription = 'optional'"), '2', 'optional has gone on, and stands where no required one does');

	# A transaction that leases old batches keeps them from being merged until it ends.
	wait_for($node, "SELECT max(created_at) < now() - interval '2 s' FROM telemetry.batch", 'the batches to be old');
	my $open = session($node);
	$open->query_safe('BEGIN');
	my $open_lease = $open->query_safe("SELECT take('whole', 34)");
	is(sql("SELECT mode, granted FROM pg_locks WHERE locktype = 'advisory' AND objid = 4 AND objsubid = 3 AND database = (SELECT oid FROM pg_database WHERE datname = 'postgres')"), 'ShareLock|t', 'a lease of old batches holds the lock of merging');
	projector('on');
	if ($inside eq 'optional_inside')
	{
		ok(wait_for($node, "SELECT lost_at IS NOT NULL FROM telemetry.subscription_status WHERE subscription = 'impatient'", 'one that lags by more than max_lag to be lost', 120), 'the projector marks one that lags');
		like(sql("SELECT state, lost_because FROM telemetry.subscription_status WHERE subscription = 'impatient'"), qr/^lost\|It lagged by more than 00:00:01, behind batch 0/, 'and says why');
		is(sqlstate_of("SELECT * FROM telemetry.next_batch('impatient')"), 'TC205', 'its consumers are told');
	}
	else
	{
		wait_for($node, "SELECT state = 'running' FROM telemetry.worker_status()", 'the projector');
	}
	is(sql('SELECT count(*) FROM telemetry.batch'), $batches, 'nothing is merged while the transaction is open');
	$open->query_safe('COMMIT');
	ok(wait_for($node, 'SELECT count(*) <= 6 FROM telemetry.batch', 'old batches to be merged', 60), 'then they are merged');
	note(sql("SELECT string_agg(batch_id - $last || ': ' || events, ', ' ORDER BY batch_id) FROM telemetry.batch"));
	is(sql("SELECT string_agg((batch_id - $last)::text, ' ' ORDER BY batch_id) FROM telemetry.batch WHERE batch_id BETWEEN $last AND $last + 3"), '0 1 3', 'not past a place of a required one, nor one inside a batch');

	# The leases end at batches that are there.
	$open->query_safe("SELECT telemetry.ack('whole', $open_lease)");
	$open->quit;
	sql("SELECT telemetry.ack('$leased', $lease)");
	foreach my $subscription ($inside eq 'optional_inside' ? 'beginning' : (), 'whole', $inside, $leased)
	{
		sql("CALL drain('$subscription', 7)");
		has_everything($subscription, 'each event once');
	}
	# One that is not required, and whose batch is gone, says so.
	is(sqlstate_of("CALL drain('optional', 7)"), 'TC205', 'optional: its place is gone');
	if ($inside eq 'optional_inside')
	{
		ok(wait_for($node, "SELECT lost_because ~ 'merged' FROM telemetry.subscription_status WHERE subscription = 'optional'", 'the projector to mark it', 120), 'optional: the projector marks it');
		like(sql("SELECT state || detail FROM telemetry.health() WHERE item = 'subscriptions'"), qr/^error.*impatient is lost, optional is lost/, 'health() has both');
	}
	sql("SELECT telemetry.restart_subscription('optional', '-infinity'); DELETE FROM seen WHERE subscription = 'optional'");
	drain_all('optional', @required);
	has_everything('optional', 'begun anew, each event once');
	projector('off');
	sql("SELECT telemetry.drop_subscription('$_')") foreach $inside eq 'optional_inside' ? ('impatient', 'beginning', 'optional_inside', 'optional_leased') : 'optional';
}

# When everybody is through, everything is merged.
make_batches(1);
drain_all(@required);
projector('on');
ok(wait_for($node, 'SELECT count(*) <= 2 FROM telemetry.batch', 'the rest to be merged', 60), 'when all are through, everything is merged');
has_everything($_, 'in the end, each event once') foreach @required;
$node->stop;
done_testing();
