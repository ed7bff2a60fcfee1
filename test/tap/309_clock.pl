# Acceptance check 10 when the clock of the server is set back, as on a virtual machine that wakes up. The worker still leaves its
# database to a statement that needs the database for itself.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use TelemetryNode;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('clock');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'telemetry_cqrs'\n");
{
	my $library = `pg_config --pkglibdir`;
	chomp $library;
	local $ENV{LD_PRELOAD} = "$library/fault_clock.so";
	$node->start;
}
$node->safe_psql('postgres', 'CREATE DATABASE north');
$node->safe_psql('north', 'CREATE EXTENSION telemetry_cqrs');
{
	local $TelemetryNode::database = 'north';
	wait_for($node, "SELECT state = 'running' FROM telemetry.worker_status()", 'the worker');
	$node->safe_psql('north', "SELECT telemetry.ingest_telemetry('d', NULL, 1)");
	wait_applied($node);
}
my $before = $node->safe_psql('postgres', 'SELECT clock_timestamp()');
append_to_file($node->data_dir . '/clock_is_back', '');
is($node->safe_psql('postgres', "SELECT clock_timestamp() < '$before'"), 't', 'the clock is set back');
is($node->psql('postgres', 'ALTER DATABASE north RENAME TO south'), 0, 'RENAME beside the worker');
$node->stop;
done_testing();
