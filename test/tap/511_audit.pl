# The projector audits each projection in the background: slowly, beside readings that come in, with a baseline and without. It names what
# somebody falsified, and nothing else. An audit survives a restart, and goes without a trace when it is switched off.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

my $node = telemetry_node('audit', preload => 1, conf => "telemetry_cqrs.poll_interval = 100\ntelemetry_cqrs.launcher_interval = 100\n");
sub sql { my ($statement) = @_; return $node->safe_psql('postgres', $statement); }

my $sent = 0;
sub send_readings
{
	++$sent;
	sql("SELECT telemetry.ingest_telemetry_batch(array_agg('d' || i % 7), array_agg('2024-05-01'::timestamptz + i * interval '1 min'), array_agg(i * 0.5::float8), NULL, array_agg('k$sent ' || i), NULL, array_agg('r' || i % 3)) FROM generate_series(1, 500) AS i");
	return;
}
sub set_interval
{
	my ($interval) = @_;
	$node->append_conf('postgresql.conf', "telemetry_cqrs.audit_interval = '$interval'\n");
	$node->reload;
	return;
}
my $audited = "SELECT count(*) = (SELECT count(*) FROM telemetry.projection) FROM telemetry.audit WHERE finished_at > (SELECT at FROM since)";

send_readings();
wait_applied($node);
sql('SELECT telemetry.advance_baselines(max(batch_id)) FROM telemetry.batch');
send_readings();
wait_applied($node);
sql("CREATE TABLE since AS SELECT clock_timestamp() AS at");
sql("UPDATE telemetry.state_device_1h SET sample_count = sample_count + 1 WHERE key = 'd3' AND bucket = '2024-05-01 02:00' AND generation = (SELECT generation FROM telemetry.cursor WHERE projection = 'device_1h' AND purpose = 'current')");
set_interval('1s');
send_readings();
ok(wait_for($node, $audited, 'an audit of each projection', 120), 'each projection is audited');
is(sql("SELECT string_agg(concat_ws(' ', projection, differences, example ->> 'key', example ->> 'metric'), ', ') FROM telemetry.audit WHERE differences > 0"),
	'device_1h 1 d3', 'what was falsified is found, and nothing else');
is(sql("SELECT projection FROM telemetry.projection_status WHERE audit_differences > 0"), 'device_1h', 'projection_status shows it');
like(sql("SELECT concat_ws(' ', state, detail, hint) FROM telemetry.health() WHERE item = 'projection device_1h'"),
	qr/^error .*1 differences at the audit of .*rebuild_projection\('device_1h'\)/, 'so does health()');

# A rebuild mends it, and the next audit finds nothing.
sql("SELECT telemetry.rebuild_projection('device_1h')");
ok(wait_for($node, "SELECT rebuilt_events IS NULL FROM telemetry.projection_status WHERE projection = 'device_1h'", 'the rebuild to end'), 'rebuilt');
$node->restart;
sql('UPDATE since SET at = clock_timestamp()');
send_readings();
ok(wait_for($node, $audited, 'another audit of each projection', 120), 'audited again, after a restart');
is(sql('SELECT sum(differences) FROM telemetry.audit'), '0', 'and nothing differs');

# Switched off.
set_interval('0');
sql("SELECT telemetry.ingest_telemetry('d0', now(), 1)");
ok(wait_for($node, "SELECT count(*) = 0 FROM telemetry.cursor WHERE purpose = 'audit'", 'the end of audits', 90), 'no audit is left');
wait_applied($node);
is(sql("SELECT count(*) FROM telemetry.projection p CROSS JOIN LATERAL telemetry.verify_projection(p.projection)"), '0', 'the statistics are right');
$node->restart;    # the upkeep runs at the start
ok(wait_for($node, "SELECT count(DISTINCT generation) = (SELECT count(*) FROM telemetry.cursor WHERE projection = 'device') FROM telemetry.state_device", 'the rows of audits to go'), 'nor are its rows');
$node->stop;
done_testing();
