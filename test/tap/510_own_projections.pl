# A dump carries users' own projections: definitions, statistics, cursors and views. A restored copy goes on with them, and DROP
# EXTENSION drops their relations there as well. A cadence that comes and goes loses nothing, and old buckets go. A rebuild under load is invisible to readers until it holds everything.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

my $node = telemetry_node('own', preload => 1, conf => "telemetry_cqrs.poll_interval = 100\ntelemetry_cqrs.launcher_interval = 100\n");
sub sql { my ($statement, $database) = @_; return $node->safe_psql($database // 'postgres', $statement); }

my $sent = 0;
sub send_readings
{
	my ($database) = @_;
	++$sent;
	sql("SELECT telemetry.ingest_telemetry_batch(array_agg('d' || i % 7), array_agg('2024-05-01'::timestamptz + i * interval '1 min'), array_agg(i * 0.5::float8), NULL, array_agg('k$sent ' || i), NULL, array_agg('r' || i % 3)) FROM generate_series(1, 500) AS i", $database);
	return;
}
my $seen = "SELECT string_agg(concat_ws(' ', device_id, metric, sample_count, min, max), ', ' ORDER BY device_id, metric) FROM telemetry.own_stats";
my $wanted = "SELECT string_agg(concat_ws(' ', device_id, 'temperature', n, low, high), ', ' ORDER BY device_id) FROM (SELECT device_id, count(*) AS n, min(temperature) AS low, max(temperature) AS high FROM telemetry.measurements WHERE region = 'r1' GROUP BY 1) AS m";

send_readings();
sql(q{SELECT telemetry.create_projection('own', 'device', regions => ARRAY['r1'], quantiles => false);
	CREATE TABLE handled (batch bigint, events bigint);
	CREATE FUNCTION handle(batch bigint) RETURNS void LANGUAGE sql AS 'INSERT INTO public.handled SELECT batch, count(*) FROM telemetry.read_events(batch)';
	SELECT telemetry.create_handler_projection('handling', 'handle(bigint)');
	SELECT telemetry.set_cadence('own', '100 ms')});
ok(wait_for($node, "SELECT state = 'current' FROM telemetry.projection_status WHERE projection = 'own'", 'the projection to be filled'), 'filled from the history');
send_readings();
wait_applied($node);
is(sql($seen), sql($wanted), 'it keeps up');
is(sql('SELECT sum(events) FROM handled'), '1000', 'the handler has had every event once');
is(sql("SELECT count(*) FROM telemetry.verify_projection('own')"), '0', 'proved');

my $dump = $node->basedir . '/own.dump';
command_ok([ 'pg_dump', '-Fc', '-f', $dump, '-d', $node->connstr('postgres') ], 'dumped');
sql('CREATE DATABASE copy');
command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr('copy'), $dump ], 'restored');
is(sql($seen, 'copy'), sql($seen), 'the copy has the statistics');
is(sql("SELECT projection || ' ' || cadence FROM telemetry.projection_status WHERE projection = 'own'", 'copy'), 'own 00:00:00.1', 'and the setting');
send_readings('copy');
{
	local $TelemetryNode::database = 'copy';
	wait_applied($node, 'the copy to go on');
}
is(sql($seen, 'copy'), sql($wanted, 'copy'), 'the copy goes on');
is(sql('SELECT sum(events) FROM handled', 'copy'), '1500', 'and so does its handler');
$node->restart;    # the upkeep runs at the start
{
	local $TelemetryNode::database = 'copy';
	ok(wait_for($node, "SELECT count(*) = 3 FROM pg_depend d JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid WHERE d.deptype = 'x' AND c.relname ~ 'own'", 'the relations to be adopted'), 'they belong to the extension again');
}
sql('DROP EXTENSION telemetry_cqrs', 'copy');
is(sql("SELECT count(*) FROM pg_class WHERE relname ~ '^(state_own|own_stats)'", 'copy'), '0', 'DROP EXTENSION drops them');

# Falsified statistics are rebuilt while readings come in. A reader sees either the falsified or the right ones.
sql('UPDATE telemetry.state_own SET sample_count = 1, summaries[1] = NULL');
sql("SELECT telemetry.rebuild_projection('own')");
my %found;
for (1 .. 200)
{
	send_readings() if $_ % 20 == 0;
	my ($devices, $waits) = split /\|/, sql("SELECT (SELECT count(*) FROM telemetry.own_stats), (SELECT rebuilt_events IS NOT NULL FROM telemetry.projection_status WHERE projection = 'own')");
	++$found{$devices};
	last if $waits eq 'f' && $_ > 20;
}
is(join(' ', grep { $_ != 0 && $_ != 7 } sort keys %found), '', 'no half result is seen');
wait_applied($node);
is(sql($seen), sql($wanted), 'rebuilt under load');
is(sql("SELECT count(*) FROM telemetry.verify_projection('own')"), '0', 'and proved');
ok(wait_for($node, 'SELECT count(DISTINCT generation) = 1 FROM telemetry.state_own', 'the old rows to be deleted'), 'the old rows go');

# A projection that follows gets a cadence, and loses it again: nothing is counted twice or left out.
for my $cadence ("'200 ms'", "'0'")
{
	sql("SELECT telemetry.set_cadence('device', $cadence)");
	send_readings() foreach 1 .. 3;
	wait_applied($node);
	read_models_follow($node, 'telemetry.measurements', "cadence $cadence");
	is(sql("SELECT batch_id IS NULL FROM telemetry.cursor WHERE projection = 'device'"), $cadence eq "'0'" ? 't' : 'f', 'it follows without a cadence, and not with one');
}

# A projection is filled from the history. Its view shows what is there, and the status says how far it is. An index of the DBA's holds
# the filling up before its last batch.
sql("SELECT telemetry.ingest_telemetry('last', '2024-05-01', 1, NULL, 'the last one')");
wait_applied($node);
my $holder = session($node);
$holder->query_safe('SELECT pg_advisory_lock(4711)');
sql(q{CREATE FUNCTION wait_at(key text, n bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	WHILE key = 'last' AND NOT pg_try_advisory_xact_lock_shared(4711) LOOP
		PERFORM pg_sleep(0.05);
	END LOOP;
	RETURN n;
END $$;
	BEGIN;
	SELECT telemetry.create_projection('filling', 'device');
	CREATE INDEX waiting ON telemetry.state_filling (public.wait_at(key, sample_count));
	COMMIT});
my $status = "FROM telemetry.projection_status WHERE projection = 'filling'";
ok(wait_for($node, "SELECT state = 'rebuilding' AND applied > 0 AND lag_events > 0 $status", 'a part of the history to be applied'), 'the status says so, and how far it is');
is(sql("SELECT count(*) FILTER (WHERE device_id = 'last'), count(*) > 0, sum(sample_count) = (SELECT applied $status) FROM telemetry.filling_stats WHERE metric = 'temperature'"),
	'0|t|t', 'the view shows what is applied');
is(sql("SELECT count(*) FROM telemetry.filling_stats_live l JOIN telemetry.device_stats d USING (device_id, sample_count) WHERE metric = 'temperature'"),
	sql('SELECT count(*) FROM telemetry.device_stats'), 'its live view has all of it');
$holder->query_safe('SELECT pg_advisory_unlock(4711)');
$holder->quit;
ok(wait_for($node, "SELECT state = 'current' $status", 'the rest'), 'it is filled');
is(sql("SELECT count(*) FROM telemetry.verify_projection('filling')"), '0', 'and proved');

# The worker deletes old buckets, of this projection and no other.
my $hours = sql('SELECT count(*) FROM telemetry.device_stats_1h');
sql("SELECT telemetry.set_retention('device_1m', '1 hour')");
$node->restart;
ok(wait_for($node, 'SELECT count(*) = 0 FROM telemetry.device_stats_1m', 'old minutes to be deleted'), 'old minutes go');
is(sql('SELECT count(*) FROM telemetry.device_stats_1h'), $hours, 'and no hours');
is(sql("SELECT count(*) FROM telemetry.verify_projection('device_1m')"), '0', 'which is no difference from the log');
$node->stop;
done_testing();
