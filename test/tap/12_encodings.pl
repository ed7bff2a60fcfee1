# In a database that is not UTF8 a refusal may cut what was sent inside a character; the words must reach a client all the same,
# with the SQLSTATE that they explain.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

my $node = telemetry_node('encodings');
$node->safe_psql('postgres', "CREATE DATABASE japanese ENCODING 'EUC_JP' LOCALE 'C' TEMPLATE template0");
local $TelemetryNode::database = 'japanese';
local $ENV{PGCLIENTENCODING} = 'UTF8';
$node->safe_psql('japanese', 'CREATE EXTENSION telemetry_cqrs');

# two bytes a character, the first at an odd place
my $long = q{'x' || repeat(U&'\3042', 200)};
foreach my $refused (
	[ 'TC001', 'a device', "SELECT telemetry.ingest_telemetry($long)" ],
	[ 'TC005', 'a key', "SELECT telemetry.ingest_telemetry('d', idempotency_key => $long || $long)" ],
	[ 'TC007', 'a region', "SELECT telemetry.ingest_telemetry('d', region => $long)" ],
	[ 'TC006', 'a metric', "SELECT telemetry.ingest_telemetry('d', metrics => jsonb_build_object($long, 1))" ],
	[ 'TC001', 'a device in a batch', "SELECT telemetry.ingest_telemetry_batch(ARRAY[$long], NULL, NULL, NULL, on_error => 'abort')" ],
	[ 'TC010', 'an option', "SELECT telemetry.ingest_telemetry_batch(ARRAY['d'], NULL, NULL, NULL, on_error => $long)" ],
	[ 'TC001', 'a registration', "SELECT telemetry.register_device($long)" ])
{
	my ($sqlstate, $what, $command) = @$refused;
	my (undef, undef, $err) = $node->psql('japanese', "\\set VERBOSITY verbose\n$command");
	like($err, qr/ERROR:  $sqlstate: .*DETAIL:  .*"x.*\.\.\."/s, "$what that is too long");
}
is($node->safe_psql('japanese', "SELECT rejected FROM telemetry.ingest_telemetry_batch(ARRAY[$long], NULL, NULL, NULL)"), '1', 'quarantined');
is($node->safe_psql('japanese', "SELECT payload->>'device_id' = $long, sqlstate FROM telemetry.rejected_readings"), 't|TC001', 'and kept as it was');

$node->stop;
done_testing();
