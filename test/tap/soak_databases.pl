# Acceptance checks 10 and 13, long form. More databases come and go than the shared state has slots, and the next one still
# gets its worker. In the minute afterwards the extension writes nothing to the server log.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../support";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ServerLog;
use TelemetryNode;
use Test::More;
use Time::HiRes qw(time usleep);

my $node = telemetry_node('many', preload => 1, conf => $ServerLog::conf . "telemetry_cqrs.launcher_interval = 200ms\nmax_worker_processes = 20\n");
sub sql { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }
sub has_worker
{
	my ($database) = @_;
	return wait_for($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs projector' AND datname = '$database'", "a worker in $database", 60);
}
my @ways = ('DROP DATABASE %s', 'DROP DATABASE %s WITH (FORCE)');
my $served = 0;
sql('CREATE DATABASE original');
$node->safe_psql('original', 'CREATE EXTENSION telemetry_cqrs');
foreach my $n (1 .. 80)
{
	sql("CREATE DATABASE passing_$n TEMPLATE original");
	$served += has_worker("passing_$n");
	sql(sprintf $ways[ $n % 2 ], "passing_$n");
}
is($served, 80, 'each of 80 databases, more than there are slots, had its worker');
ok(has_worker('original'), 'and so has the one they were copied from');
ok(wait_for($node, "SELECT count(*) = 2 FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs projector'", 'the others to be gone'), 'no projector of a dropped database is left');

my $from = log_end($node);
my $watched_until = time + 60;
usleep(200_000) while time < $watched_until;
is_deeply([ lines_of_ours($node, $from) ], [], 'a minute of silence');
$node->stop;

done_testing();
