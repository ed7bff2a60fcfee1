# Real readings. Both files of the data folder go in through batches and single calls. Every 10th reading is sent twice, and
# some readings have errors. Plain SQL over the raw CSV gives the expected value of every receipt and of every figure of the
# read models. The first round has a worker that works while the load runs. The second round has no preloading and ends with
# CALL project_once(). The third round sends the same readings in a random order, and its read models are those of the others.
#
# TELEMETRY_EVERY: send every so many-th reading of the files; 1 sends all. TELEMETRY_SEED: another random order.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

my $folder = real_data_folder();
if (!defined $folder)
{
	diag('SKIPPED: no real readings. Set TELEMETRY_TEST_DATA to the folder with room_climate_a.csv.gz and room_climate_b.csv.gz.');
	plan skip_all => 'TELEMETRY_TEST_DATA does not name a folder with the real readings';
}

my $every = $ENV{TELEMETRY_EVERY} // 8;
my $in_the_files = 418_938;
my $readings = int(($in_the_files + $every - 1) / $every);
# By hand for all of them: 418938 / 30 = 13964 rest 18, / 5003 = 83, / 7001 = 59.
my $again_at_once = int($readings / 30);    # n % 30 = 0
my $again_later = int(($readings + 20) / 30);    # n % 30 = 10
my $single = int(($readings + 10) / 30);    # n % 30 = 20
my $conflicts = int($readings / 5003);
my $rejected = int($readings / 7001);
my $seed = $ENV{TELEMETRY_SEED} // time;
my %read_models;

foreach my $preload (1, 0)
{
	my $way = $preload ? 'worker' : 'project_once';
	my $node = telemetry_node("real_$way", preload => $preload, conf => "shared_buffers = '256MB'\nmax_wal_size = '4GB'\n");
	stage($node);
	send_all($node);
	if ($preload) { wait_applied($node, 'the worker to apply the whole load') }
	else { $node->safe_psql('postgres', 'CALL telemetry.project_once()') }
	check($node, $way);
	$read_models{$way} = read_models_of($node);
	$node->stop;
}

is($read_models{project_once}, $read_models{worker}, 'project_once: the read models of the worker');

note("TELEMETRY_SEED=$seed");
my $node = telemetry_node('real_shuffled', preload => 1, conf => "shared_buffers = '256MB'\nmax_wal_size = '4GB'\n");
stage($node);
$node->safe_psql('postgres', <<"SQL");
SELECT setseed($seed % 1000000 / 1000000.0);
CREATE TABLE shuffled AS SELECT (row_number() OVER (ORDER BY random()) - 1) / 1000 AS batch, raw.* FROM raw;
CREATE PROCEDURE send_shuffled() LANGUAGE plpgsql AS \$\$
BEGIN
	FOR b IN 0 .. (SELECT max(batch) FROM shuffled) LOOP
		PERFORM FROM (
			SELECT array_agg(device_id ORDER BY idempotency_key) AS device_ids, array_agg(measured_at ORDER BY idempotency_key) AS measured_ats,
			       array_agg(temperature ORDER BY idempotency_key) AS temperatures, array_agg(humidity ORDER BY idempotency_key) AS humidities,
			       array_agg(idempotency_key ORDER BY idempotency_key) AS keys, array_agg(metrics ORDER BY idempotency_key) AS metrics,
			       array_agg(region ORDER BY idempotency_key) AS regions
			FROM shuffled WHERE batch = b) AS s,
			LATERAL telemetry.ingest_telemetry_batch(device_ids, measured_ats, temperatures, humidities, keys, metrics, regions) AS r;
		COMMIT;
	END LOOP;
END \$\$;
CALL send_shuffled();
SQL
wait_applied($node, 'the worker to apply the shuffled load');
log_is($node, 'raw', 'shuffled');
read_models_follow($node, 'raw', 'shuffled');
is(read_models_of($node), $read_models{worker}, "shuffled: the read models of the sorted load");
my $verify = "SELECT p, v.key, v.bucket, v.metric FROM unnest(ARRAY['device', 'region', 'device_1m', 'device_1h', 'device_1d', 'region_1m', 'region_1h', 'region_1d']) AS p,
	LATERAL telemetry.verify_projection(p) AS v ORDER BY 1, 2, 3, 4";
is($node->safe_psql('postgres', "SET jit = off; $verify"), '', 'verify_projection() finds nothing');
my $falsified = $node->safe_psql('postgres', <<'SQL');
SET timezone = 'UTC';
WITH chosen AS (SELECT generation, key, bucket FROM telemetry.state_device_1h WHERE part = 0 AND summaries[1] IS NOT NULL ORDER BY key, bucket OFFSET 100 LIMIT 1)
UPDATE telemetry.state_device_1h s SET summaries[1] = (SELECT telemetry.summary(value, at) FROM (VALUES (telemetry.avg(s.summaries[1]) + 1, s.last_seen)) AS other (value, at))
FROM chosen c WHERE (s.generation, s.key, s.bucket, s.part) = (c.generation, c.key, c.bucket, 0)
RETURNING 'device_1h', s.key, s.bucket, 'temperature'
SQL
like($falsified, qr/^device_1h\|.+\|temperature$/, 'one state is falsified');
is($node->safe_psql('postgres', "SET timezone = 'UTC'; SET jit = off; $verify"), $falsified, 'verify_projection() names it, and nothing else');
$node->stop;

done_testing();

# Everything that does not depend on when a reading arrived. Averages and deviations differ in their last digits; read_models_follow()
# compares them.
sub read_models_of
{
	my ($node) = @_;
	return $node->safe_psql('postgres', "SET jit = off; " . join(' UNION ALL ', map {
		"SELECT '$_', count(*), md5(string_agg(row, E'\\n' ORDER BY row)) FROM (SELECT (to_jsonb(v) - ARRAY['as_of', 'avg', 'stddev', 'last_received_at', 'avg_temperature', 'stddev_temperature', 'avg_humidity', 'stddev_humidity'])::text COLLATE \"C\" AS row FROM telemetry.$_ v) AS rows"
	} qw(device_stats device_metric_stats region_stats region_metric_stats device_stats_1m device_stats_1h device_stats_1d region_stats_1m region_stats_1h region_stats_1d)));
}

# Fills two tables: raw holds the CSV; sending holds which reading goes into which batch, at which position, and the fate it must
# have.
sub stage
{
	my ($node) = @_;
	$node->safe_psql('postgres', <<"SQL");
CREATE TABLE csv (
	n bigint GENERATED ALWAYS AS IDENTITY, device_id text, region text, measured_at timestamptz, temperature float8, humidity float8,
	light1 float8, light2 float8, idempotency_key text);
\\copy csv (device_id, region, measured_at, temperature, humidity, light1, light2, idempotency_key) FROM PROGRAM 'zcat "$folder/room_climate_a.csv.gz"' (FORMAT csv, HEADER)
\\copy csv (device_id, region, measured_at, temperature, humidity, light1, light2, idempotency_key) FROM PROGRAM 'zcat "$folder/room_climate_b.csv.gz"' (FORMAT csv, HEADER)
CREATE TABLE raw AS
	SELECT (n - 1) / $every + 1 AS n, device_id, region, measured_at, temperature, humidity, idempotency_key,
	       nullif(jsonb_strip_nulls(jsonb_build_object('light1', light1, 'light2', light2)), '{}') AS metrics
	FROM csv WHERE (n - 1) % $every = 0;
CREATE TABLE sending AS
	SELECT (n - 1) / 1000 AS batch, n * 10 AS place, 'accepted' AS verdict, raw.* FROM raw
	UNION ALL  -- again in the same batch, 40 readings further on or after the last one
	SELECT (n - 1) / 1000, n * 10 + 401, 'duplicate', raw.* FROM raw WHERE n % 30 = 0
	UNION ALL  -- again in a later batch
	SELECT (n - 1) / 1000 + 1 + n % 7, n * 10, 'duplicate', raw.* FROM raw WHERE n % 30 = 10
	UNION ALL  -- again by the single call, when its batch is through
	SELECT (n - 1) / 1000, n, 'single', raw.* FROM raw WHERE n % 30 = 20
	UNION ALL  -- the same key with another temperature
	SELECT (n - 1) / 1000 + 2, n * 10, 'conflict', n, device_id, region, measured_at, temperature + 1, humidity, idempotency_key, metrics FROM raw WHERE n % 5003 = 0
	UNION ALL  -- a sensor that is broken
	SELECT (n - 1) / 1000, n * 10 + 3, 'rejected', n, device_id, region, measured_at, 'NaN', humidity, 'broken ' || idempotency_key, metrics FROM raw WHERE n % 7001 = 0;
CREATE INDEX ON sending (batch);
ANALYZE;
CREATE TABLE receipt (batch bigint, like telemetry.batch_receipt);
CREATE TABLE single (like telemetry.receipt, device_id text, idempotency_key text);
SQL
	is($node->safe_psql('postgres', "SELECT count(*), count(DISTINCT device_id), count(DISTINCT (device_id, idempotency_key)), count(*) FILTER (WHERE temperature = 'NaN' OR humidity = 'NaN') FROM csv"),
		"$in_the_files|7|$in_the_files|0", 'the raw readings are those the test is about');
	is($node->safe_psql('postgres', "SELECT count(*) FROM sending WHERE verdict IN ('duplicate', 'single')"), int($readings / 10), 'every 10th is sent twice');
}

sub send_all
{
	my ($node) = @_;
	$node->safe_psql('postgres', <<'SQL');
CREATE PROCEDURE send_all() LANGUAGE plpgsql AS $$
DECLARE
	b bigint;
BEGIN
	FOR b IN 0 .. (SELECT max(batch) FROM sending) LOOP
		INSERT INTO receipt
		SELECT b, r.* FROM (
			SELECT array_agg(device_id ORDER BY place) AS device_ids, array_agg(measured_at ORDER BY place) AS measured_ats,
			       array_agg(temperature ORDER BY place) AS temperatures, array_agg(humidity ORDER BY place) AS humidities,
			       array_agg(idempotency_key ORDER BY place) AS keys, array_agg(metrics ORDER BY place) AS metrics, array_agg(region ORDER BY place) AS regions
			FROM sending WHERE batch = b AND verdict <> 'single') AS s,
			LATERAL telemetry.ingest_telemetry_batch(device_ids, measured_ats, temperatures, humidities, keys, metrics, regions) AS r;
		COMMIT;
		INSERT INTO single
		SELECT r.*, device_id, idempotency_key FROM sending,
			LATERAL telemetry.ingest_telemetry(device_id, measured_at, temperature, humidity, idempotency_key, metrics, region) AS r
		WHERE batch = b AND verdict = 'single';
		COMMIT;
	END LOOP;
END $$;
CALL send_all();
SQL
}

sub check
{
	my ($node, $way) = @_;
	my $ask = sub { $node->safe_psql('postgres', "SET work_mem = '256MB'; SET jit = off; $_[0]") };

	is($ask->('SELECT count(*) FROM receipt WHERE received <> accepted + duplicates + conflicts + rejected'), '0', "$way: every receipt adds up");
	is($ask->(<<'SQL'), '0', "$way: every receipt counts what was sent");
SELECT count(*) FROM receipt r FULL JOIN (
	SELECT batch, count(*) AS received, count(*) FILTER (WHERE verdict = 'accepted') AS accepted, count(*) FILTER (WHERE verdict = 'duplicate') AS duplicates,
	       count(*) FILTER (WHERE verdict = 'conflict') AS conflicts, count(*) FILTER (WHERE verdict = 'rejected') AS rejected
	FROM sending WHERE verdict <> 'single' GROUP BY batch) AS s USING (batch)
WHERE (r.received, r.accepted, r.duplicates, r.conflicts, r.rejected) IS DISTINCT FROM (s.received, s.accepted, s.duplicates, s.conflicts, s.rejected)
SQL
	is($ask->('SELECT sum(received), sum(accepted), sum(duplicates), sum(conflicts), sum(rejected) FROM receipt'),
		join('|', $readings + $again_at_once + $again_later + $conflicts + $rejected, $readings, $again_at_once + $again_later, $conflicts, $rejected),
		"$way: the sums are those that follow from the number of readings");
	is($ask->(<<'SQL'), '0', "$way: first_event_id and last_event_id span what the batch stored, and its token is one");
SELECT count(*) FROM receipt r LEFT JOIN (
	SELECT s.batch, min(m.event_id) AS first, max(m.event_id) AS last FROM sending s JOIN telemetry.measurements m USING (device_id, idempotency_key)
	WHERE s.verdict = 'accepted' GROUP BY s.batch) AS s USING (batch)
WHERE (r.first_event_id, r.last_event_id) IS DISTINCT FROM (s.first, s.last) OR r.token IS NULL AND r.accepted > 0
SQL
	is($ask->("SELECT count(*), count(*) FILTER (WHERE s.status = 'duplicate' AND s.event_id = m.event_id AND s.received_at = m.received_at)
		FROM single s LEFT JOIN telemetry.measurements m USING (device_id, idempotency_key)"),
		"$single|$single", "$way: every single call is told of the first receipt");
	is($ask->("SELECT sqlstate, count(*) FROM telemetry.rejected_readings GROUP BY 1 ORDER BY 1"), "TC003|$rejected\nTC009|$conflicts", "$way: what was refused is kept");

	log_is($node, 'raw', $way);
	is($ask->(<<'SQL'), '0', "$way: every row of the log is as it was sent");
SELECT count(*) FROM telemetry.measurements m JOIN raw r USING (device_id, idempotency_key)
WHERE (m.region, m.measured_at, m.temperature, m.humidity, m.metrics) IS DISTINCT FROM (r.region, r.measured_at, r.temperature, r.humidity, r.metrics)
SQL
	read_models_follow($node, 'raw', $way);
	is($ask->('SELECT count(*) FROM telemetry.device_metric_stats'), 7 * 4, "$way: four metrics of each node");
	is($ask->("SELECT projection, applied, lag_events FROM telemetry.projection_status WHERE projection IN ('device', 'region') ORDER BY 1"), "device|$readings|0\nregion|$readings|0", "$way: the status says so too");
	is($ask->('SELECT sum(events) FROM telemetry.batch'), $readings, "$way: the batches hold every event");
}
