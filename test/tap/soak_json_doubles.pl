# A million random numbers, most of 17 digits, come through the JSON door bit by bit.
#
# TELEMETRY_ROUNDS: how often 100,000 of them. TELEMETRY_SEED: other numbers.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use RandomDoubles;
use Test::More;
use TelemetryNode;

my $seed = $ENV{TELEMETRY_SEED} // time;
my $node = telemetry_node('json_doubles', conf => "max_wal_size = '4GB'\n");
doubles_are_exact($node, "doubles $_", 100_000, $seed + $_) foreach 1 .. $ENV{TELEMETRY_ROUNDS} // 10;
$node->stop;
done_testing();
