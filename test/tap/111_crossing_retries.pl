# Clients that retry send the same readings at the same time, in orders of their own, through arrays, JSON and the inboxes. Each reading
# is stored once, nobody waits for ever, and the server counts no deadlock.
#
# TELEMETRY_ROUNDS: how many rounds. TELEMETRY_SEED: other orders.
use strict;
use warnings;

use List::Util qw(shuffle sum0);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

my $rounds = $ENV{TELEMETRY_ROUNDS} // 8;
my $seed = $ENV{TELEMETRY_SEED} // time;
note("TELEMETRY_SEED=$seed");
srand $seed;
my $size = 1500;
my $node = telemetry_node('crossing_retries', preload => 1);
$node->safe_psql('postgres', <<"SQL");
CREATE TABLE reading AS SELECT r AS round, i, 'd' || i % 37 AS device_id, timestamptz '2024-05-01 10:00:00+00' + i * interval '1 second' AS measured_at, i / 8.0::float8 AS temperature, 'k' || r || '-' || i AS idempotency_key
	FROM generate_series(1, $rounds) AS r, generate_series(1, $size) AS i;
CREATE TABLE receipt (round integer, door text, like telemetry.batch_receipt);
SQL

# A retry has some of the readings, in some order.
my %doors = (
	arrays => 'telemetry.ingest_telemetry_batch(array_agg(device_id ORDER BY o), array_agg(measured_at ORDER BY o), array_agg(temperature ORDER BY o), NULL, array_agg(idempotency_key ORDER BY o))',
	json => q{telemetry.ingest_telemetry_batch(json_agg(json_build_object('device_id', device_id, 'measured_at', measured_at, 'temperature', temperature, 'idempotency_key', idempotency_key) ORDER BY o))});
sub retry
{
	my ($round, $door) = @_;
	my $salt = int rand 1e9;
	my $rows = "(SELECT *, hashtextextended(idempotency_key, $salt) AS o FROM reading WHERE round = $round AND hashtextextended(idempotency_key, $salt + 1) % 4 <> 0) AS r";
	my $send = $doors{$door} ? "INSERT INTO receipt SELECT $round, '$door', b.* FROM (SELECT $doors{$door} AS b FROM $rows) AS sent, LATERAL (SELECT (sent.b).*) AS b;"
	  : "INSERT INTO telemetry.$door (device_id, measured_at, temperature, idempotency_key) SELECT device_id, measured_at::MEASURED, temperature::TEMPERATURE, idempotency_key FROM $rows ORDER BY o;\nINSERT INTO receipt SELECT $round, '$door', b.* FROM telemetry.inbox_receipt() AS b;";
	my ($measured, $temperature) = $door eq 'inbox_text' ? ('text', 'text') : ('timestamptz', 'float8');
	$send =~ s/MEASURED/$measured/;
	$send =~ s/TEMPERATURE/$temperature/;
	return "BEGIN;\n$send\nCOMMIT;\n";
}
my @clients = map { [ shuffle(qw(arrays json inbox inbox_text)) ] } 1 .. 3;
my @running = map { my $client = $_; psql_start($node, "\\set VERBOSITY verbose\n" . join '', map { my $round = $_; map { retry($round, $_) } @$client } 1 .. $rounds) } @clients;
foreach my $running (@running)
{
	my ($out, $err) = psql_finish($running);
	is($err, '', 'no client has an error');
}
is($node->safe_psql('postgres', 'SELECT count(*), count(*) FILTER (WHERE received <> accepted + duplicates OR conflicts + rejected > 0) FROM receipt'), $rounds * 12 . '|0', 'every retry has its receipt, of accepted readings and duplicates');
my $sent = "SELECT round, device_id, idempotency_key, measured_at, temperature FROM reading";
is($node->safe_psql('postgres', 'SELECT (SELECT sum(accepted) FROM receipt) = (SELECT count(*) FROM telemetry.measurements), count(*), count(DISTINCT (device_id, idempotency_key)) - count(*) FROM telemetry.measurements'),
	't|' . $rounds * $size . '|0', 'each reading is accepted once');
is($node->safe_psql('postgres', 'SELECT count(*) FROM telemetry.measurements m JOIN reading r USING (device_id, idempotency_key) WHERE (m.measured_at, m.temperature) = (r.measured_at, r.temperature)'), $rounds * $size, 'and is what was sent');
is($node->safe_psql('postgres', "SELECT count(*) FILTER (WHERE accepted > 0 AND duplicates > 0) > 0, count(DISTINCT door) FROM receipt"), 't|4', 'the retries met');
is($node->safe_psql('postgres', 'SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()'), '0', 'no deadlock');
wait_for($node, 'SELECT received = accepted + duplicates AND received = (SELECT sum(received) FROM receipt) AND conflicts + rejected + rolled_back = 0 FROM telemetry.stat_ingest', 'stat_ingest to count what the receipts say');
wait_applied($node);
read_models_follow($node, 'telemetry.measurements', 'after the retries');
$node->stop;
done_testing();
