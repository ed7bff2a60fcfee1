# Subscriptions move with their database. A dump that is restored elsewhere has every place, lease, waiting event and dead letter, and the
# consumers go on there: each event once. On a standby the views answer, and next_batch() and ack() give 25006. After its promotion the
# consumers go on from the place that was replicated.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

my $primary = telemetry_primary('primary');

# A consumer keeps what it has acknowledged in the same transaction.
$primary->safe_psql('postgres', <<'SQL');
CREATE TABLE processed (n bigint GENERATED ALWAYS AS IDENTITY, id bigint, epoch int, device_id text);
CREATE FUNCTION consume(s text, most int) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE l bigint;
BEGIN
	WITH e AS MATERIALIZED (SELECT * FROM telemetry.next_batch(s, most, '1 hour', 'one')), p AS (INSERT INTO processed (id, epoch, device_id) SELECT id, epoch, device_id FROM e)
	SELECT max(lease) INTO l FROM e;
	IF l IS NOT NULL THEN PERFORM telemetry.ack(s, l); END IF;
	RETURN l IS NOT NULL;
END $$;
CREATE PROCEDURE drain(s text, most int) LANGUAGE plpgsql AS $$ BEGIN WHILE consume(s, most) LOOP COMMIT; END LOOP; END $$;
SQL
sub send_readings
{
	my ($node, $name, $count) = @_;
	$node->safe_psql($TelemetryNode::database, "SELECT accepted FROM telemetry.ingest_telemetry_batch(ARRAY(SELECT '$name' || i % 10 FROM generate_series(1, $count) AS i), NULL, ARRAY(SELECT i::float8 FROM generate_series(1, $count) AS i), NULL)");
	return wait_applied($node, "$name to be applied");
}

# The table has each event of the log once, but for these ids.
sub processed_is_log
{
	my ($node, $name, $but) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($node->safe_psql($TelemetryNode::database, "SELECT count(*) FILTER (WHERE p.id IS NULL) || ' missed, ' || count(*) FILTER (WHERE e.event_id IS NULL) || ' invented, ' || (SELECT count(*) - count(DISTINCT (id, epoch)) FROM processed) || ' twice'
		FROM processed p FULL JOIN (SELECT * FROM telemetry.event WHERE event_id <> ALL ('{" . ($but // '') . "}')) AS e ON (e.event_id, e.epoch) = (p.id, p.epoch)"), '0 missed, 0 invented, 0 twice', "$name: processed = the log");
	return;
}

# --- a dump ----------------------------------------------------------------------------------------------------------------

$primary->safe_psql('postgres', "SELECT telemetry.create_subscription('moved', '-infinity', max_attempts => 1, devices => NULL, retry_delay => '0')");
$primary->safe_psql('postgres', "SELECT telemetry.create_subscription('filtered', '-infinity', devices => ARRAY['first3'], required => false, max_lag => '3 days')");
send_readings($primary, 'first', 500);
is($primary->safe_psql('postgres', "SELECT consume('moved', 120)"), 't', 'some events are processed');
# One is a dead letter, one device waits, and the rest of a lease is processed.
my ($lease, $dead, $waiting) = split /\|/, $primary->safe_psql('postgres', "SELECT max(lease), min(id) FILTER (WHERE device_id = 'first1'), min(id) FILTER (WHERE device_id = 'first2') FROM telemetry.next_batch('moved', 50)");
$primary->safe_psql('postgres', "UPDATE telemetry.subscription SET max_attempts = 1 WHERE subscription = 'moved'; SELECT telemetry.nack('moved', $lease, 'dead', ARRAY[$dead])");
$primary->safe_psql('postgres', "INSERT INTO processed (id, epoch, device_id) SELECT event_id, epoch, device_id FROM telemetry.event WHERE event_id BETWEEN 121 AND 170 AND event_id <> $dead");
($lease, $waiting) = split /\|/, $primary->safe_psql('postgres', "UPDATE telemetry.subscription SET max_attempts = 5 WHERE subscription = 'moved'; SELECT max(lease), min(id) FROM telemetry.next_batch('moved', 10)");
$primary->safe_psql('postgres', "SELECT telemetry.nack('moved', $lease, 'later', ARRAY[$waiting], '1 hour'); INSERT INTO processed (id, epoch, device_id) SELECT event_id, epoch, device_id FROM telemetry.event WHERE event_id BETWEEN 171 AND 180 AND event_id <> $waiting");
# And one lease is open.
my $open = $primary->safe_psql('postgres', "WITH e AS MATERIALIZED (SELECT * FROM telemetry.next_batch('moved', 30, '1 hour', 'dumped')), p AS (INSERT INTO processed (id, epoch, device_id) SELECT id, epoch, device_id FROM e) SELECT max(lease) FROM e");

my $dump = $primary->basedir . '/dump.sql';
$primary->command_ok([ 'pg_dump', '-f', $dump, '-d', $primary->connstr('postgres') ], 'dumped');
my $target = telemetry_node('target', preload => 1, conf => "telemetry_cqrs.launcher_interval = 100\n");
my %places;
foreach my $copy ([ $primary, 'beside' ], [ $target, 'elsewhere' ])
{
	my ($node, $name) = @$copy;
	$node->safe_psql('postgres', "CREATE DATABASE $name");
	$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-f', $dump, '-d', $node->connstr($name) ], "restored $name");
}
foreach my $table (qw(subscription subscription_share redelivery dead_letter subscription_consumer lease_seq))
{
	my $rows = "SELECT count(*), coalesce(md5(string_agg(t::text, ' ' ORDER BY t::text)), '') FROM telemetry.$table AS t";
	$rows = 'SELECT last_value, is_called FROM telemetry.lease_seq' if $table eq 'lease_seq';
	my $original = $primary->safe_psql('postgres', $rows);
	is($primary->safe_psql('beside', $rows), $original, "$table beside it");
	is($target->safe_psql('elsewhere', $rows), $original, "$table elsewhere");
}
is($target->safe_psql('elsewhere', "SELECT state, waiting_redeliveries, dead_letters, leased_events FROM telemetry.subscription_status WHERE subscription = 'moved'"), 'retrying|4|1|27', 'the views answer in the copy: of 30 events of ten devices the lease holds three back');

# The consumers go on in each of the three databases.
foreach my $copy ([ $primary, 'postgres' ], [ $primary, 'beside' ], [ $target, 'elsewhere' ])
{
	my ($node, $name) = @$copy;
	local $TelemetryNode::database = $name;
	$node->safe_psql($name, "SELECT telemetry.ack('moved', $open)");
	$node->safe_psql($name, "CALL drain('moved', 40)");
	# The device that waits has more events, which are held back behind the first one.
	my $device = $node->safe_psql($name, "SELECT device_id FROM telemetry.event WHERE event_id = $waiting");
	is($node->safe_psql($name, "SELECT count(*) FROM processed p WHERE device_id = '$device' AND id > $waiting AND id > 210"), '0', "$name: later events of a device wait");
	$node->safe_psql($name, "UPDATE telemetry.redelivery SET due_at = '-infinity'");
	$node->safe_psql($name, "CALL drain('moved', 40)");
	processed_is_log($node, $name, $dead);
	is($node->safe_psql($name, "SELECT telemetry.replay_dead_letters('moved')"), '1', "$name: the dead letter is there");
	send_readings($node, 'second', 100);
	$node->safe_psql($name, "CALL drain('moved', 40)");
	processed_is_log($node, "$name, with new readings");
	is($node->safe_psql($name, "SELECT count(*) FROM telemetry.next_batch('filtered')"), '50', "$name: a filter");
}

# --- a standby ---------------------------------------------------------------------------------------------------------------

$primary->backup('backup');
my $standby = standby_of($primary, 'standby', 'backup');
send_readings($primary, 'third', 300);
$primary->safe_psql('postgres', "SELECT consume('moved', 111)");
$lease = $primary->safe_psql('postgres', "SELECT max(lease) FROM telemetry.next_batch('moved', 50, '1 hour', 'one')");
$primary->wait_for_catchup($standby);
is($standby->safe_psql('postgres', "SELECT state, leased_events, lag_events FROM telemetry.subscription_status WHERE subscription = 'moved'"), 'working|50|300', 'standby: the view answers');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM telemetry.dead_letters'), '0', 'standby: so does the other one');
foreach my $statement ("SELECT * FROM telemetry.next_batch('moved')", "SELECT telemetry.ack('moved', $lease)", "SELECT telemetry.nack('moved', $lease)", "SELECT telemetry.extend_lease('moved', $lease, '1 s')")
{
	$standby->psql('postgres', "\\set VERBOSITY sqlstate\n$statement", stderr => \my $err);
	is($err =~ /ERROR:\s+(\w{5})$/ ? $1 : $err, '25006', "standby: $statement");
}
$primary->stop('immediate');
$standby->promote;
wait_for($standby, "SELECT state = 'running' FROM telemetry.worker_status()", 'the worker of the promoted server');
# The consumer of the old primary answers here.
$standby->safe_psql('postgres', "SELECT telemetry.nack('moved', $lease, 'the server has changed', counts => false)");
send_readings($standby, 'fourth', 200);
$standby->safe_psql('postgres', "CALL drain('moved', 70)");
processed_is_log($standby, 'promoted');
is($standby->safe_psql('postgres', "SELECT count(*) = count(DISTINCT epoch) * 0 + 1100 AND count(DISTINCT epoch) > 1 FROM processed"), 't', 'promoted: events of both servers');
$standby->stop;
$target->stop;
done_testing();
