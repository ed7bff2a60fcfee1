# The projections go on while no batch can be closed, and wait only if one of them has to leave the others. When the obstacle is
# gone, the list of batches catches up by itself.
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
send_one('device', 'region') foreach 1 .. 2;
is($node->safe_psql('postgres', 'SELECT count(*) FROM telemetry.batch'), '0', 'no batch is closed while something is in the way');
$node->safe_psql('postgres', "SELECT telemetry.pause_projection('device')");
send_one();
wait_for($node, "SELECT count(*) = 9 FROM telemetry.projection_failure WHERE failures > 0 AND sqlstate = 'TC204' AND message LIKE '%telemetry.batch cannot be written%'", 'the passes to wait, and to say why');
is($node->safe_psql('postgres', 'SELECT sum(sample_count) FROM telemetry.region_stats'), '2', 'a projection that is paused must leave the others: they wait for a batch');
$node->safe_psql('postgres', 'DROP TRIGGER in_the_way ON telemetry.batch');
wait_for($node, "SELECT string_agg(events::text, ' ' ORDER BY batch_id) = '2 1' FROM telemetry.batch", 'both batches to be closed', 20);
is($node->safe_psql('postgres', 'SELECT sum(sample_count) FROM telemetry.region_stats'), '3', 'and the others go on');

# Nothing shows what came in where every projection is paused.
$node->safe_psql('postgres', "SELECT telemetry.pause_projection('region')");
send_one() foreach 1 .. 3;
wait_for($node, 'SELECT sum(events) = 6 FROM telemetry.batch', 'batches to go on while every projection is paused', 20);
$node->safe_psql('postgres', "SELECT telemetry.resume_projection('device')");
$node->safe_psql('postgres', "SELECT telemetry.resume_projection('region')");
wait_applied($node);
read_models_follow($node, 'telemetry.measurements', 'at the end');
$node->stop;
done_testing();
