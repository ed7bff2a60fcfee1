# Three consumers share the real readings while these come in. They are killed with kill -9 at random points, 20 times. Once a server
# process of theirs is killed, so that the server starts anew, and once the server is shut down at once. Afterwards the table of the
# consumers has each event of the log once, and the events of a device in order. They have no listener: acceptance check 5.
#
# TELEMETRY_EVERY: send every so many-th reading of the files. TELEMETRY_SEED: the seed of another run. TELEMETRY_ROUNDS: how many kills.
# Begins early.
use strict;
use warnings;

use Consumers;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

my $folder = real_data_folder();
my $obstacle = no_consumer() || (defined $folder ? '' : 'no real readings: set TELEMETRY_TEST_DATA to the folder with room_climate_a.csv.gz and room_climate_b.csv.gz');
if ($obstacle ne '')
{
	diag("SKIPPED: $obstacle");
	plan skip_all => $obstacle;
}
$LastingSession::wanted = 0;

my $every = $ENV{TELEMETRY_EVERY} // 10;
my $rounds = $ENV{TELEMETRY_ROUNDS} // 20;
my $seed = $ENV{TELEMETRY_SEED} // int(rand(1_000_000));
note "seed $seed";
srand($seed);

my $node = telemetry_node('killed', preload => 1, conf => "restart_after_crash = on\nsynchronous_commit = on\ntelemetry_cqrs.launcher_interval = 100\n");
$node->safe_psql('postgres', <<"SQL");
CREATE TABLE csv (
	n bigint GENERATED ALWAYS AS IDENTITY, device_id text, region text, measured_at timestamptz, temperature float8, humidity float8,
	light1 float8, light2 float8, idempotency_key text);
\\copy csv (device_id, region, measured_at, temperature, humidity, light1, light2, idempotency_key) FROM PROGRAM 'zcat "$folder/room_climate_a.csv.gz"' (FORMAT csv, HEADER)
\\copy csv (device_id, region, measured_at, temperature, humidity, light1, light2, idempotency_key) FROM PROGRAM 'zcat "$folder/room_climate_b.csv.gz"' (FORMAT csv, HEADER)
DELETE FROM csv WHERE n % $every <> 0;
CREATE TABLE raw AS SELECT (row_number() OVER (ORDER BY n) - 1) / 400 AS batch, * FROM csv WHERE temperature IS NOT NULL;
CREATE INDEX ON raw (batch);
ANALYZE raw;
-- Sends what the log does not have yet, and commits every batch.
CREATE PROCEDURE send() LANGUAGE plpgsql AS \$\$
BEGIN
	FOR b IN (SELECT coalesce(max(r.batch), 0) FROM raw r JOIN telemetry.event e USING (device_id, idempotency_key)) .. (SELECT max(batch) FROM raw) LOOP
		PERFORM FROM (SELECT array_agg(device_id ORDER BY n) AS d, array_agg(measured_at ORDER BY n) AS m, array_agg(temperature ORDER BY n) AS t, array_agg(idempotency_key ORDER BY n) AS k, array_agg(region ORDER BY n) AS r
		              FROM raw WHERE batch = b) AS s, LATERAL telemetry.ingest_telemetry_batch(d, m, t, NULL, k, NULL, r);
		COMMIT;
	END LOOP;
END \$\$;
SQL
my $readings = $node->safe_psql('postgres', 'SELECT count(*) FROM raw');
consumer_create($node);

my $load = psql_start($node, 'CALL send();');
my @consumers = map { consumer_start($node, "consumer $_") } 1 .. 3;
my $processed = 0;
foreach my $round (1 .. $rounds)
{
	# Blows fall over the whole load. The last ones may find everything processed.
	my $until = int($readings * ($round - 1 + rand) / ($rounds + 1));
	wait_for($node, "SELECT count(*) >= $until FROM processed", "kill $round: $until events to be processed");
	if ($round == int($rounds / 3))
	{
		my $pid = $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE application_name = 'example_consumer_python' ORDER BY random() LIMIT 1");
		kill 'KILL', $pid if $pid ne '';
		note "kill $round: server process $pid";
		wait_for($node, "SELECT state = 'running' FROM telemetry.worker_status()", 'the server after its crash');
	}
	elsif ($round == int($rounds / 3 * 2))
	{
		note "kill $round: immediate shutdown";
		$node->stop('immediate');
		$node->start;
	}
	else
	{
		my $victim = int rand 3;
		consumer_kill($consumers[$victim]);
		$consumers[$victim] = consumer_start($node, $consumers[$victim]{name});
		next;
	}
	psql_finish($load);
	$load = psql_start($node, 'CALL send();');
}
my ($out, $err) = psql_finish($load);
is($err, '', 'the load has ended');
is($node->safe_psql('postgres', 'SELECT count(*) FROM telemetry.event'), $readings, 'every reading is stored');
nothing_left($node, 'everything to be processed');
wait_for($node, "SELECT count(*) = 3 FROM pg_stat_activity WHERE application_name = 'example_consumer_python'", 'the consumers to have connected');
is(consumer_end($_), 0, "$_->{name} ends well") foreach @consumers;
processed_is_log($node, 'killed consumers');
is($node->safe_psql('postgres', 'SELECT leases, waiting_redeliveries, dead_letters FROM telemetry.subscription_status'), '0|0|0', 'nothing is left over');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'example_consumer_python'"), '0', 'no connection is left');
$node->stop;
done_testing();
