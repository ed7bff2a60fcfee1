# Acceptance check 5. A notification is only a hint. The test kills a consumer 50 times while it listens under load. In the end
# the consumer has seen every event exactly once, because it goes on from the last batch number that it read.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;
use Time::HiRes qw(usleep);

my $rounds = 50;
my $node = telemetry_node('killed_listeners', preload => 1);
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE enough ();
CREATE PROCEDURE load() LANGUAGE plpgsql AS $$
DECLARE
	n bigint := 0;
BEGIN
	WHILE NOT EXISTS (SELECT FROM enough) LOOP
		n := n + 1;
		PERFORM telemetry.ingest_telemetry('d' || n % 7, '2024-05-01', n % 100, NULL, 'k' || n);
		COMMIT;
		PERFORM pg_sleep(0.002);  -- a batch for most of them
	END LOOP;
END $$;
SQL
my $load = psql_start($node, 'CALL load()');
wait_for($node, 'SELECT EXISTS (SELECT FROM telemetry.batch)', 'the first batch');

my (%batch_of, %events_of);    # by event, by batch
my $last = 0;
# Takes in the events of whole batches. A batch may come again, and must have the same events then. Returns how many batches came.
sub consume
{
	my ($text) = @_;
	my %read;
	$read{$1}{$2} = 1 while $text =~ /^(\d+) (\d+)$/mg;
	foreach my $batch (sort { $a <=> $b } keys %read)
	{
		$batch_of{$_}{$batch} = 1 foreach keys %{ $read{$batch} };
		$events_of{$batch} = keys %{ $read{$batch} };
		$last = $batch if $batch > $last;
	}
	return scalar keys %read;
}
sub events_after
{
	my ($batch, $most) = @_;
	return "SELECT b.batch_id || ' ' || e.id FROM (SELECT batch_id FROM telemetry.batch WHERE batch_id > $batch ORDER BY batch_id LIMIT $most) AS b, LATERAL telemetry.read_events(b.batch_id) AS e";
}

my ($killed, $useful) = (0, 0);
foreach my $round (1 .. $rounds)
{
	my $consumer = psql_start($node, "SET application_name = 'consumer'; LISTEN telemetry_ingested;\n" . events_after($last, 100) . " \\watch 0.05\n");
	wait_for($node, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'consumer' AND query LIKE '%read_events%')", "consumer $round to read") or last;
	usleep(rand(50_000));
	$killed += $node->safe_psql('postgres', "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'consumer'");
	my ($out) = psql_finish($consumer);
	$useful += consume($out) > 0;
}
is($killed, $rounds, "$rounds consumers were killed");
cmp_ok($useful, '>', 0, "$useful of them had read something");

$node->safe_psql('postgres', 'INSERT INTO enough DEFAULT VALUES');
is((psql_finish($load))[1], '', 'the load knows nothing of it');
wait_applied($node);
1 while consume($node->safe_psql('postgres', events_after($last, 10_000))) > 0;

is(scalar(grep { keys %{ $batch_of{$_} } > 1 } keys %batch_of), 0, 'no event is in two batches, however often they were read');
is(join(' ', sort { $a <=> $b } keys %batch_of), $node->safe_psql('postgres', "SELECT string_agg(event_id::text, ' ' ORDER BY event_id) FROM telemetry.measurements"),
	'every event was read: ' . keys(%batch_of));
is(join(' ', map { "$_:$events_of{$_}" } sort { $a <=> $b } keys %events_of), $node->safe_psql('postgres', "SELECT string_agg(batch_id || ':' || events, ' ' ORDER BY batch_id) FROM telemetry.batch"),
	'in batches without a gap, each whole');
$node->stop;
done_testing();
