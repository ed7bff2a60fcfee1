# One device sends through a connection pool. Two sessions take turns for 1,000 rounds. In half of the rounds the session runs DISCARD
# ALL between the calls, as a pool does. Meanwhile the registry changes the region of the device. All readings are stored and
# the figures are exact. A reading without a region gets the region that the registry had when it was sent.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

$LastingSession::wanted = 0;

my $rounds = $ENV{TELEMETRY_ROUNDS} // 1000;
my $node = telemetry_node('pooled', preload => 1);
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE sent (device_id text, idempotency_key text, region text, measured_at timestamptz, temperature float8, humidity float8, metrics jsonb);
SELECT telemetry.register_device('pooled', 'region-0');
SQL

my @sessions = map { session($node) } 0, 1;
my ($region, $wrong, $duplicates) = ('region-0', 0, 0);
foreach my $round (1 .. $rounds)
{
	my $session = $sessions[ $round % 2 ];
	# Every 50 rounds the other session moves the device; the next call of this session must see it.
	if ($round % 50 == 0)
	{
		$region = 'region-' . $round / 50 % 4;
		$sessions[ 1 - $round % 2 ]->query_safe("UPDATE telemetry.device SET region = '$region' WHERE device_id = 'pooled'");
	}
	# Times go up, but every 7th reading is a late one; values are whole numbers, so that sums are exact.
	my $at = $round % 7 == 0 ? $round - 6000 : $round;
	my $value = $round * 31 % 997;
	my $call = "telemetry.ingest_telemetry('pooled', '2024-05-01 10:00:00+00'::timestamptz + $at * interval '1 second', $value, NULL, 'k$round')";
	my $answer = $session->query_safe("SELECT status FROM $call");
	$wrong++ if $answer ne 'accepted';
	# Every 10th is sent again by the other session.
	if ($round % 10 == 3)
	{
		$answer = $sessions[ 1 - $round % 2 ]->query_safe("SELECT status FROM $call");
		$duplicates++ if $answer eq 'duplicate';
	}
	$session->query_safe("INSERT INTO sent VALUES ('pooled', 'k$round', '$region', '2024-05-01 10:00:00+00'::timestamptz + $at * interval '1 second', $value)"
		. ($round % 2 == 1 && $round > $rounds / 2 || $round % 4 == 2 ? '; DISCARD ALL' : ''));
}
is($wrong, 0, "$rounds rounds: every reading accepted");
is($duplicates, $rounds / 10, 'what the other session sends again is a duplicate');
$_->quit foreach @sessions;

wait_applied($node);
log_is($node, 'sent', 'two sessions');
is($node->safe_psql('postgres', 'SELECT count(*) FROM telemetry.measurements m JOIN sent s USING (device_id, idempotency_key) WHERE m.region IS DISTINCT FROM s.region'),
	'0', 'every reading has the region the registry had when it was sent');
read_models_follow($node, 'sent', 'two sessions');
# The last measured reading, by hand: the highest round that is not late.
my $last = $rounds % 7 == 0 ? $rounds - 1 : $rounds;
is($node->safe_psql('postgres', "SELECT last_temperature, sample_count, region FROM telemetry.device_stats WHERE device_id = 'pooled'"),
	join('|', $last * 31 % 997, $rounds, $region), 'last value, number of readings and region');
$node->stop;
done_testing();
