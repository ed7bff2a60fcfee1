# A pass clears a failure and is then rolled back (an injection point of a debug build). A later pass clears the failure again,
# so the projection does not stay "failing".
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

plan skip_all => 'needs a debug build in TELEMETRY_DEBUG_INSTALLATION' if !$ENV{TELEMETRY_DEBUG_INSTALLATION};

my $node = telemetry_node('cleared', preload => 1, installation => $ENV{TELEMETRY_DEBUG_INSTALLATION},
	conf => "telemetry_cqrs.launcher_interval = 100\ntelemetry_cqrs.start_worker = off\n");
sub sql { return $node->safe_psql('postgres', $_[0]); }

sql("SELECT telemetry.ingest_telemetry('d', NULL, 1)");
sql('CALL telemetry.project_once()');
sql("INSERT INTO telemetry.projection_failure VALUES ('region', 'XX000', 'of before', now(), 3)");
is(sql("SELECT state FROM telemetry.projection_status WHERE projection = 'region'"), 'failing', 'a projection that failed');

# The first pass of the worker serves all projections, and is rolled back after it has written everything.
my $offset = -s $node->logfile;
sql("ALTER SYSTEM SET telemetry_cqrs.inject = 'pass_written=error'");
sql('ALTER SYSTEM SET telemetry_cqrs.start_worker = on');
sql("SELECT telemetry.ingest_telemetry('d', NULL, 2)");
$node->reload;
wait_applied($node, 'the next passes to apply the reading');
like(slurp_file($node->logfile, $offset), qr/injects at "pass_written"/, 'a pass was rolled back');
ok(wait_for($node, "SELECT failures = 0 FROM telemetry.projection_failure WHERE projection = 'region'", 'the failure to be cleared'), 'the failure is cleared');
is(sql("SELECT DISTINCT state FROM telemetry.projection_status"), 'current', 'and the status says so');

$node->stop;
done_testing();
