# A pass wakes only the sessions that wait for a projection that it served. A session that waits for a paused projection looks
# again only now and then, however many passes the other projections have.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;
use Time::HiRes qw(time);

my $node = telemetry_node('waiters', preload => 1, conf => "telemetry_cqrs.start_worker = off\n");
my $passes = 400;
$node->safe_psql('postgres', "SELECT telemetry.pause_projection('region')");
my $token = $node->safe_psql('postgres', "SELECT token FROM telemetry.ingest_telemetry('d', NULL, 1)");

# A look reads telemetry.epoch from its beginning to its end, once.
my $start = time;
my $waiter = psql_start($node, "BEGIN;\nSELECT telemetry.wait_for('$token', '10 min', 'region');\nSELECT pg_stat_get_xact_numscans('telemetry.epoch'::regclass);\nCOMMIT;\n");
wait_for($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Extension' AND query LIKE '%wait_for(''%'", 'the waiter to wait');
my $others = psql_start($node, join "\n", map { "SELECT telemetry.ingest_telemetry('d', NULL, $_);\nCALL telemetry.project_once();" } 1 .. $passes);
psql_finish($others);
is($node->safe_psql('postgres', "SELECT sum(sample_count) FROM telemetry.device_stats"), $passes + 1, 'the other projection had its passes');
$node->safe_psql('postgres', "SELECT telemetry.resume_projection('region')");
$node->safe_psql('postgres', 'CALL telemetry.project_once()');
my ($answer, $looks) = split /\n/, (psql_finish($waiter))[0];
my $seconds = time - $start;
is($answer, 'applied', 'resumed: the waiter is told');
note "$looks looks in $seconds s beside $passes passes";
cmp_ok($looks, '<=', 4 * $seconds + 10, 'meanwhile it looked four times a second at most');
cmp_ok($looks, '>=', 2, 'looks are counted');

$node->stop;
done_testing();
