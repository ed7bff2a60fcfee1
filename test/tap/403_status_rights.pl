# The status views need no right that an administrator may have revoked from PUBLIC. Readers can use them when
# pg_control_system() is revoked, with the grants of version 1.0, and in a restored log.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

my $node = telemetry_node('rights');
$node->safe_psql('postgres', 'CREATE ROLE reader; CREATE ROLE reader_1_0; CREATE ROLE operator');

# The script of version 1.0 gives a role the rights of its grant_reader().
$node->safe_psql('postgres', "DROP EXTENSION telemetry_cqrs; CREATE EXTENSION telemetry_cqrs VERSION '1.0'; SELECT telemetry.grant_reader('reader_1_0'); ALTER EXTENSION telemetry_cqrs UPDATE;
	SELECT telemetry.grant_reader('reader'), telemetry.grant_admin('operator')");
$node->safe_psql('postgres', "SELECT telemetry.ingest_telemetry('d', '2024-05-01 10:00+00', i) FROM generate_series(1, 5) AS i");
my $dump = $node->basedir . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, '-d', $node->connstr('postgres') ], 'dumped');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-f', $dump, '-d', $node->connstr('restored') ], 'restored');

my $functions = 'SELECT quote_ident(n.nspname) || \'.\' || p.proname || \'(\' || pg_get_function_identity_arguments(p.oid) || \')\' FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.proname LIKE \'pg_control%\'';
for my $database (qw(postgres restored))
{
	$node->safe_psql($database, "REVOKE ALL ON FUNCTION $_ FROM PUBLIC") for split /\n/, $node->safe_psql($database, $functions);
	my $state = $database eq 'restored' ? 'restored' : 'stopped';
	my $later = $database eq 'restored' ? 'f' : 't';
	for my $role (qw(reader reader_1_0 operator))
	{
		is($node->safe_psql($database, "SET ROLE $role; SELECT projection, state, lag_events, lag_seconds > 0 FROM telemetry.projection_status WHERE projection IN ('device', 'region') ORDER BY 1"), "device|$state|5|$later\nregion|$state|5|$later", "$database: $role reads projection_status");
		is($node->safe_psql($database, "SET ROLE $role; SELECT events, oldest_received_at IS NOT NULL FROM telemetry.projection_tail('device')"), "5|$later", "$database: $role measures a tail");
	}
	is($node->safe_psql($database, "SET ROLE $_; SELECT stage, state, waiting, lag_seconds > 0 FROM telemetry.pipeline_status WHERE waiting > 0 AND stage <> 'event log' AND stage !~ '_'"),
		"projection device|$state|5|$later\nprojection region|$state|5|$later\nnotification|$state|5|$later", "$database: $_ reads pipeline_status") for qw(reader operator);
	unlike($node->safe_psql($database, "SET ROLE operator; SELECT string_agg(detail, ' ') FROM telemetry.health()"), qr/could not be checked/, "$database: health() checks everything");
	unlike($node->safe_psql($database, "SET ROLE operator; SELECT string_agg(detail, ' ') FROM telemetry.setup()"), qr/could not be checked/, "$database: setup() checks everything");
}
$node->safe_psql('restored', "SELECT telemetry.ingest_telemetry('here', NULL, 1)");
is($node->safe_psql('restored', "SET ROLE reader_1_0; SELECT DISTINCT state, lag_events, lag_seconds > 0 FROM telemetry.projection_status"), 'stopped|6|t', 'restored, and opened by the first command');

$node->stop;
done_testing();
