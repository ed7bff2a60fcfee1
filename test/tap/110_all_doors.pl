# The real readings come through each door into a database of its own: single calls (a part), arrays, JSON, and both inboxes by INSERT and
# COPY. All logs are the same row by row, and so are all statistics. A second pass through another door brings duplicates only, so
# the doors agree on what makes two readings the same.
#
# TELEMETRY_EVERY: send every so many-th reading of the files; 1 sends all.
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

my $every = $ENV{TELEMETRY_EVERY} // 16;
my $readings = int((418_938 + $every - 1) / $every);
my $part = 2000;    # of them, by single calls
my $columns = 'device_id, measured_at, temperature, humidity, idempotency_key, metrics, region';
my $file = PostgreSQL::Test::Utils::tempdir . '/readings.csv';

# How each door takes the rows of table raw. The arrays and the JSON texts have 1,000 readings each.
my $arrays = "PERFORM telemetry.ingest_telemetry_batch(array_agg(device_id), array_agg(measured_at), array_agg(temperature), array_agg(humidity), array_agg(idempotency_key), array_agg(metrics), array_agg(region)) FROM raw WHERE WHERE_ GROUP BY n / 1000";
my $json = "PERFORM telemetry.ingest_telemetry_batch(json_agg(json_build_object('device_id', device_id, 'measured_at', measured_at, 'temperature', temperature, 'humidity', humidity, 'idempotency_key', idempotency_key, 'metrics', metrics, 'region', region))) FROM raw WHERE WHERE_ GROUP BY n / 1000";
my $jsonb = $json =~ s/json_agg\(json_build_object/jsonb_agg(jsonb_build_object/r;
sub perform { my ($what, $where) = @_; return 'DO $$ BEGIN ' . ($what =~ s/WHERE_/$where/r) . '; END $$' }
my %doors = (
	calls => perform("PERFORM telemetry.ingest_telemetry($columns) FROM raw WHERE WHERE_", "n <= $part") . ";\n" . perform($arrays, "n > $part"),
	arrays => perform($arrays, 'true'),
	json => perform($json, 'true'),
	jsonb => perform($jsonb, 'true'),
	copy => "\\copy telemetry.inbox ($columns) FROM '$file' (FORMAT csv)",
	insert => "INSERT INTO telemetry.inbox ($columns) SELECT $columns FROM raw ORDER BY md5(idempotency_key)",
	copy_text => "\\copy telemetry.inbox_text ($columns) FROM '$file' (FORMAT csv)",
	insert_text => "INSERT INTO telemetry.inbox_text ($columns) SELECT device_id, measured_at::text, temperature::text, humidity::text, idempotency_key, metrics::text, region FROM raw ORDER BY n DESC");
my @names = sort keys %doors;

my $node = telemetry_node('all_doors', preload => 1, conf => "max_worker_processes = 30\nmax_wal_size = '4GB'\ntelemetry_cqrs.launcher_interval = 200\n");
$node->safe_psql('postgres', 'CREATE DATABASE source');
$node->safe_psql('source', <<"SQL");
CREATE TABLE csv (n bigint GENERATED ALWAYS AS IDENTITY, device_id text, region text, measured_at timestamptz, temperature float8, humidity float8, light1 float8, light2 float8, idempotency_key text);
\\copy csv (device_id, region, measured_at, temperature, humidity, light1, light2, idempotency_key) FROM PROGRAM 'zcat "$folder/room_climate_a.csv.gz"' (FORMAT csv, HEADER)
\\copy csv (device_id, region, measured_at, temperature, humidity, light1, light2, idempotency_key) FROM PROGRAM 'zcat "$folder/room_climate_b.csv.gz"' (FORMAT csv, HEADER)
CREATE TABLE raw AS SELECT row_number() OVER (ORDER BY n) AS n, device_id, region, measured_at, temperature, humidity, idempotency_key, nullif(jsonb_strip_nulls(jsonb_build_object('light1', light1, 'light2', light2)), '{}') AS metrics
	FROM csv WHERE (n - 1) % $every = 0;
DROP TABLE csv;
\\copy (SELECT $columns FROM raw ORDER BY md5(device_id || idempotency_key)) TO '$file' (FORMAT csv)
SQL

my (%log, %statistics);
foreach my $name (@names)
{
	$node->safe_psql('postgres', "CREATE DATABASE $name TEMPLATE source");
	$node->safe_psql($name, 'CREATE EXTENSION telemetry_cqrs');
	$node->safe_psql($name, $doors{$name});
	local $TelemetryNode::database = $name;
	log_is($node, 'raw', $name);
	is($node->safe_psql($name, "SELECT count(*) FROM telemetry.measurements JOIN raw r USING (device_id, idempotency_key) WHERE (measurements.region, measurements.measured_at, measurements.temperature, measurements.humidity, measurements.metrics) IS DISTINCT FROM (r.region, r.measured_at, r.temperature, r.humidity, r.metrics)"),
		'0', "$name: every row of the log is as it was sent");
	$log{$name} = $node->safe_psql($name, q{SELECT count(*), md5(string_agg(row, E'\n' ORDER BY row)) FROM (SELECT (to_jsonb(e) - ARRAY['event_id', 'xid', 'received_at', 'fingerprint', 'request_digest'])::text COLLATE "C" AS row FROM telemetry.event_1 AS e) AS rows});
	is($log{$name}, $log{arrays} // $log{ $names[0] }, "$name: the log of the other doors");
}
like($log{arrays}, qr/^$readings\|/, 'the logs have all readings');
# The identities depend on a secret of each database.
is($node->safe_psql('arrays', q{SELECT string_agg(key, ' ' ORDER BY key) FROM jsonb_object_keys((SELECT to_jsonb(e) - ARRAY['event_id', 'xid', 'received_at', 'fingerprint', 'request_digest'] FROM telemetry.event_1 AS e LIMIT 1)) AS key}),
	'device_id epoch humidity idempotency_key measured_at metrics region temperature type version', 'the columns that were compared');

# Once more, each through the next door: duplicates, whose devices and keys the first door wrote.
foreach my $i (0 .. $#names)
{
	my ($name, $door) = ($names[$i], $names[ ($i + 1) % @names ]);
	$node->safe_psql($name, $doors{$door});
	is($node->safe_psql($name, "BEGIN; INSERT INTO telemetry.inbox (device_id, idempotency_key) SELECT 'rolled back', 'k' || i FROM generate_series(1, 12000) AS i; ROLLBACK; SELECT count(*) FROM telemetry.measurements"),
		$readings, "$name: a pass through $door stores nothing new");
	local $TelemetryNode::database = $name;
	wait_applied($node, "the worker of $name");
	read_models_follow($node, 'raw', $name) if $name eq 'arrays' || $name eq 'copy_text';
	$statistics{$name} = $node->safe_psql($name, "SET jit = off; " . join(' UNION ALL ', map {
		"SELECT '$_', count(*), md5(string_agg(row, E'\\n' ORDER BY row)) FROM (SELECT (to_jsonb(v) - ARRAY['as_of', 'avg', 'stddev', 'last_received_at', 'avg_temperature', 'stddev_temperature', 'avg_humidity', 'stddev_humidity'])::text COLLATE \"C\" AS row FROM telemetry.$_ v) AS rows"
	} qw(device_stats device_metric_stats region_stats region_metric_stats device_stats_1m device_stats_1h device_stats_1d region_stats_1m region_stats_1h region_stats_1d)));
	is($statistics{$name}, $statistics{ $names[0] }, "$name: the statistics of the other doors");
	wait_for($node, "SELECT (received, accepted, duplicates, conflicts, rejected, rolled_back) = (2 * $readings + 12000, $readings, $readings, 0, 0, 12000) AND received = accepted + duplicates + conflicts + rejected + rolled_back FROM telemetry.stat_ingest", "$name: stat_ingest to count every reading of both passes");
	is($node->safe_psql($name, 'SELECT count(*) FROM telemetry.rejected_readings'), '0', "$name: nothing is in the quarantine");
}
$node->stop;
done_testing();
