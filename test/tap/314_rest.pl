# The projector rests between two passes of a stream, so one pass serves several commits. A session that waits for a pass ends the
# rest, and an idle projector serves a reading at once.
#
# Runs late: it bounds how long something takes.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;
use Time::HiRes qw(time);

my $node = telemetry_node('rest', preload => 1, conf => "autovacuum = off\nsynchronous_commit = off\n");
$node->safe_psql('postgres', <<'SQL');
-- Commits a single reading each millisecond.
CREATE PROCEDURE stream(readings int) LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. readings LOOP
		PERFORM telemetry.ingest_telemetry('d' || i % 100, NULL, i), pg_sleep(0.001);
		COMMIT;
	END LOOP;
END $$;
-- Sends readings, and returns when the projection has them. A wait of another kind than wait_for() asks for no pass.
CREATE PROCEDURE send(count int, told bool) LANGUAGE plpgsql AS $$
DECLARE sent text; before bigint := (SELECT coalesce(sum(sample_count), 0) FROM telemetry.device_stats);
BEGIN
	SELECT max(token) INTO sent FROM telemetry.ingest_telemetry_batch(ARRAY(SELECT 'd' || i FROM generate_series(1, count) AS i), NULL,
		ARRAY(SELECT i::float8 FROM generate_series(1, count) AS i), NULL, NULL, NULL, NULL);
	COMMIT;
	IF told THEN PERFORM telemetry.wait_for(sent, '1 min'); END IF;
	WHILE (SELECT coalesce(sum(sample_count), 0) FROM telemetry.device_stats) < before + count LOOP PERFORM pg_sleep(0.005); END LOOP;
END $$;
SQL
$node->safe_psql('postgres', 'CALL send(100, false)');

# Every transaction with a number is one of the streams' or the projector's. A pass that applies readings is followed by a rest of
# 2 ms. Each 20 ms that rest may be shorter, and two further transactions write a batch and its notification. The streams have so few
# readings a millisecond that without a rest the projector would make a pass for nearly each.
my $next = 'SELECT pg_snapshot_xmax(pg_current_snapshot())';
my $before = $node->safe_psql('postgres', $next);
my ($streams, $readings) = (4, 1000);
my $began = time;
my @streams = map { psql_start($node, "CALL stream($readings)") } 1 .. $streams;
is((psql_finish($_))[1], '', 'a stream of small commits') for @streams;
my $milliseconds = 1000 * (time - $began);
my $passes = $node->safe_psql('postgres', $next) - $before - $streams * $readings;
diag "$streams * $readings readings in $milliseconds ms: $passes transactions of the projector";
cmp_ok($passes, '>', 0, 'the projector works beside them');
cmp_ok($passes, '<', 0.7 * $milliseconds, 'and rests after each pass');
wait_applied($node);
read_models_follow($node, 'telemetry.measurements', 'after the stream');

# With the longest rest after ten readings or more, a session shows whether it has to wait for its end.
$node->safe_psql('postgres', 'ALTER SYSTEM SET telemetry_cqrs.coalesce = 1000');
$node->reload;
wait_for($node, "SELECT setting = '1000' FROM pg_settings WHERE name = 'telemetry_cqrs.coalesce'", 'the setting');
$node->safe_psql('postgres', 'CALL send(20, false)');
my $rests = seconds_for(5, 'CALL send(20, false)');
cmp_ok($rests, '>', 3, 'the projector rests after each pass with many readings');
wait_for($node, 'SELECT open_events = 0 FROM telemetry.batcher', 'the last batch to be closed, after the rest');
my $told = seconds_for(5, 'CALL send(20, true)');
note "$rests s, and $told s by wait_for()";
cmp_ok($told, '<', $rests / 2, 'a session that waits for a pass ends the rest');
wait_for($node, 'SELECT open_events = 0 FROM telemetry.batcher', 'the last batch to be closed');
my $single = seconds_for(5, 'CALL send(1, false)');
cmp_ok($single, '<', $rests / 2, 'single readings are served without such a rest');
$node->stop;
done_testing();

sub seconds_for
{
	my ($rounds, $statement) = @_;
	my $start = time;
	$node->safe_psql('postgres', $statement) for 1 .. $rounds;
	return time - $start;
}
