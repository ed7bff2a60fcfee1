# The list of batches catches up by itself, whatever held it back. The projections may be ahead of it, each at a position of its
# own.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

my $node = telemetry_node('behind', preload => 1, conf => "telemetry_cqrs.poll_interval = 50\n");
$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION in_the_way() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER in_the_way BEFORE INSERT ON telemetry.batch FOR EACH ROW EXECUTE FUNCTION in_the_way();
SQL
my $applied = 0;
sub send_one
{
	my (@projections) = @_;
	++$applied;
	$node->safe_psql('postgres', "SELECT telemetry.ingest_telemetry('d', NULL, 1)");
	wait_for($node, "SELECT lag_events = 0 FROM telemetry.projection_status WHERE projection = '$_'", "$_ to apply reading $applied") foreach @projections;
}
send_one('device', 'region');
$node->safe_psql('postgres', "SELECT telemetry.pause_projection('device')");
send_one('region');
is($node->safe_psql('postgres', 'SELECT count(*) FROM telemetry.batch'), '0', 'no batch is written while something is in the way');
$node->safe_psql('postgres', 'DROP TRIGGER in_the_way ON telemetry.batch');
wait_for($node, 'SELECT sum(events) = 2 FROM telemetry.batch', 'both readings to be in batches, though the device projection stands between them', 20);

# Nothing shows what came in where every projection is paused.
$node->safe_psql('postgres', "SELECT telemetry.pause_projection('region')");
send_one() foreach 1 .. 3;
wait_for($node, 'SELECT sum(events) = 5 FROM telemetry.batch', 'batches to go on while every projection is paused', 20);
$node->safe_psql('postgres', "SELECT telemetry.resume_projection('device')");
$node->safe_psql('postgres', "SELECT telemetry.resume_projection('region')");
wait_applied($node);
read_models_follow($node, 'telemetry.measurements', 'at the end');
$node->stop;
done_testing();
