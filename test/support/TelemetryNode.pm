# Makes clusters with the extension, waits for conditions, and computes by plain SQL from raw rows what the read models must say.
#
#   my $node = telemetry_node('name', preload => 1, conf => "work_mem = '64MB'\n");
#   wait_for($node, 'SELECT ...', 'what is awaited');          # until it gives t; a failed test after the deadline
#   read_models_follow($node, 'telemetry.measurements', 'after the crash');
#
# All of them work in database postgres. local $TelemetryNode::database = 'copy' chooses another one for a while.
package TelemetryNode;

use strict;
use warnings;

use ClusterTemplate ();
use Exporter 'import';
use IPC::Run ();
use LastingSession ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

our $database = 'postgres';
our @EXPORT = qw(telemetry_node telemetry_primary standby_of wait_for wait_applied read_models_follow log_is statistics_sql psql_start psql_finish session real_data_folder);

# A cluster with the extension in database postgres.
# preload: the library is in shared_preload_libraries, so a worker runs. on_demand: commands start a worker. With neither of the two,
# only a call of project_once() applies readings.
# conf: lines for its settings. installation: another one than that in PATH. init: parameters for init().
sub telemetry_node
{
	my ($name, %options) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name, $options{installation} ? (install_path => $options{installation}) : ());
	$node->init(%{ $options{init} // {} });
	$node->append_conf('postgresql.conf', <<"CONF");
log_statement = none
lc_messages = 'C'
timezone = 'UTC'
max_prepared_transactions = 20
max_connections = 60
CONF
	$node->append_conf('postgresql.conf', "shared_preload_libraries = 'telemetry_cqrs'") if $options{preload};
	$node->append_conf('postgresql.conf', 'telemetry_cqrs.start_worker = off') if !$options{preload} && !$options{on_demand};
	$node->append_conf('postgresql.conf', $options{conf}) if $options{conf};
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION telemetry_cqrs');
	return $node;
}

# Returns the same for a server that may have standbys, with a worker that looks often. archive: it archives its write-ahead log.
sub telemetry_primary
{
	my ($name, %options) = @_;
	return telemetry_node($name, preload => 1, init => { allows_streaming => 1, has_archiving => $options{archive} ? 1 : 0 },
		conf => "telemetry_cqrs.launcher_interval = 100\ntelemetry_cqrs.poll_interval = 50\n" . ($options{conf} // ''));
}

# Starts a standby of a server from a backup of it; conf: lines for its settings. from: it follows this other server.
sub standby_of
{
	my ($primary, $name, $backup, %options) = @_;
	my $standby = PostgreSQL::Test::Cluster->new($name);
	$standby->init_from_backup($primary, $backup, has_streaming => 1);
	$standby->enable_streaming($options{from}) if $options{from};
	$standby->append_conf('postgresql.conf', $options{conf}) if $options{conf};
	$standby->start;
	return $standby;
}

# A psql that cannot connect ends before it has read its script, and then the write to its pipe fails. Tests that kill servers get the
# status of a failed connection instead of that failure.
{
	no warnings 'redefine';
	my $psql = \&PostgreSQL::Test::Cluster::psql;
	*PostgreSQL::Test::Cluster::psql = sub {
		my ($node, $dbname, $sql, %params) = @_;
		my @answer = eval { wantarray ? $psql->(@_) : scalar $psql->(@_) };
		return wantarray ? @answer : $answer[0] if $@ eq '';
		die $@ if $@ !~ /Broken pipe/ || $params{on_error_die};
		${ $params{stdout} } = '' if $params{stdout};
		${ $params{stderr} } = 'no connection' if $params{stderr};
		return wantarray ? (2, '', 'no connection') : 2;
	};
}

# Waits until the query gives t. An error meanwhile, such as a server that is not up yet, means: not yet.
sub wait_for
{
	my ($node, $query, $what, $seconds) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $deadline = time + ($seconds // $PostgreSQL::Test::Utils::timeout_default);
	my ($out, $err) = ('', '');
	my $pause = 10_000;    # longer and longer: each look takes time from what is waited for
	while (time < $deadline)
	{
		($out, $err) = _look($node, $query);
		return 1 if defined $out && $out eq 't';
		usleep($pause);
		$pause *= 1.5 if $pause < ($LastingSession::wanted ? 100_000 : 250_000);
	}
	$out //= '';
	fail("waited in vain: $what");
	diag("last answer: $out\n$err");
	return 0;
}

sub _look
{
	my ($node, $query) = @_;
	return LastingSession::look($node, $database, $query) if $LastingSession::wanted;
	my ($out, $err);
	my $status = $node->psql($database, $query, stdout => \$out, stderr => \$err, on_error_die => 0, on_error_stop => 1);
	return defined $status && $status == 0 ? ($out, $err) : (undef, $err);
}

# Waits until the read models and the batches hold as many readings as the log does.
sub wait_applied
{
	my ($node, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return wait_for(
		$node,
		"SELECT (SELECT count(*) FROM telemetry.measurements) = (SELECT coalesce(sum(sample_count), 0) FROM telemetry.device_stats)
		    AND (SELECT count(*) FROM telemetry.measurements) = (SELECT coalesce(sum(sample_count), 0) FROM telemetry.region_stats)
		    AND (SELECT count(*) FROM telemetry.event) = (SELECT coalesce(sum(events), 0) FROM telemetry.batch)
		    AND (SELECT coalesce(bool_and(lag_events = 0), true) FROM telemetry.projection_status WHERE state <> 'paused')",
		$what // 'the read models to hold every reading of the log');
}

# Starts a psql that runs a script. psql_finish() waits for its end, and returns its standard output and its standard error.
sub psql_start
{
	my ($node, $script) = @_;
	LastingSession::make_way_for($script);
	my $base = PostgreSQL::Test::Utils::tempdir . '/script';
	open my $file, '>', $base or die "$base: $!";
	print $file $script;
	close $file;
	local %ENV = $node->_get_env();
	my $run = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr($database), '-f', $base ], '<', '/dev/null', '>', "$base.out", '2>', "$base.err");
	return { run => $run, base => $base };
}

sub psql_finish
{
	my ($started) = @_;
	$started->{run}->finish;
	return map { slurp_file("$started->{base}.$_") } qw(out err);
}

# Starts a psql that runs one query after the other. Each query has the whole time limit: the usual one, or so many seconds.
sub session
{
	my ($node, $seconds) = @_;
	my $session = $node->background_psql($database, $seconds ? (timeout => $seconds) : ());
	$session->set_query_timer_restart();
	return $session;
}

# Returns the folder with the real readings, or undef.
sub real_data_folder
{
	my $folder = $ENV{TELEMETRY_TEST_DATA};
	return undef if !defined $folder || $folder eq '';
	return undef if grep { !-r "$folder/room_climate_$_.csv.gz" } qw(a b);
	return $folder;
}

# A query whose rows are the differences between the read models and the statistics of a relation with the columns device_id,
# region, measured_at, temperature, humidity, metrics: no row, no difference. Counts, min, max, first and last must be equal,
# avg and stddev to 1e-9 relative or 1e-12 absolute. Of values with the same time the last is the greatest, the first the smallest;
# of regions with the same time the greatest in byte order counts.
sub statistics_sql
{
	my ($relation) = @_;
	return <<"SQL";
WITH raw AS MATERIALIZED (
	SELECT device_id, coalesce(region, '') AS region, measured_at, temperature, humidity, metrics FROM $relation
), value AS (
	SELECT device_id, region, measured_at, 'temperature' AS metric, temperature AS value FROM raw WHERE temperature IS NOT NULL
	UNION ALL
	SELECT device_id, region, measured_at, 'humidity', humidity FROM raw WHERE humidity IS NOT NULL
	UNION ALL
	SELECT device_id, region, measured_at, m.key, m.value::text::float8 FROM raw, jsonb_each(jsonb_strip_nulls(metrics)) AS m
), keyed AS MATERIALIZED (
	SELECT 'device' AS grain, device_id AS key, metric, measured_at, value FROM value
	UNION ALL
	SELECT 'region', region, metric, measured_at, value FROM value
), totals AS MATERIALIZED (
	SELECT grain, key, metric, count(*) AS sample_count, avg(value) AS avg, stddev_samp(value) AS stddev, min(value) AS min, max(value) AS max,
	       min(measured_at) AS first_at, max(measured_at) AS last_at
	FROM keyed GROUP BY grain, key, metric
), expected AS MATERIALIZED (
	SELECT t.*, f.first_value, l.last_value
	FROM totals t
	JOIN (SELECT k.grain, k.key, k.metric, min(k.value) AS first_value FROM keyed k
	      JOIN totals t ON (k.grain, k.key, k.metric, k.measured_at) = (t.grain, t.key, t.metric, t.first_at) GROUP BY 1, 2, 3) AS f USING (grain, key, metric)
	JOIN (SELECT k.grain, k.key, k.metric, max(k.value) AS last_value FROM keyed k
	      JOIN totals t ON (k.grain, k.key, k.metric, k.measured_at) = (t.grain, t.key, t.metric, t.last_at) GROUP BY 1, 2, 3) AS l USING (grain, key, metric)
), actual AS (
	SELECT 'device' AS grain, device_id AS key, metric, sample_count, avg, stddev, min, max, first_at, last_at, first_value, last_value FROM telemetry.device_metric_stats
	UNION ALL
	SELECT 'region', coalesce(region, ''), metric, sample_count, avg, stddev, min, max, first_at, last_at, first_value, last_value FROM telemetry.region_metric_stats
), metric_difference AS (
	SELECT grain || ' ' || key || ' ' || metric AS what, to_jsonb(e) - ARRAY['grain', 'key', 'metric'] AS expected, to_jsonb(a) - ARRAY['grain', 'key', 'metric'] AS actual
	FROM expected e FULL JOIN actual a USING (grain, key, metric)
	WHERE NOT coalesce(
		(a.sample_count, a.min, a.max, a.first_at, a.last_at, a.first_value, a.last_value) = (e.sample_count, e.min, e.max, e.first_at, e.last_at, e.first_value, e.last_value)
		AND abs(a.avg - e.avg) <= greatest(1e-9 * abs(e.avg), 1e-12)
		AND CASE WHEN e.stddev IS NULL OR a.stddev IS NULL THEN e.stddev IS NULL AND a.stddev IS NULL
		         ELSE abs(a.stddev - e.stddev) <= greatest(1e-9 * abs(e.stddev), 1e-12) END, false)
), wide_expected AS (
	SELECT g.grain, g.key, g.region, g.sample_count, g.first_seen, g.last_seen, t.*, h.*
	FROM (
		SELECT 'device' AS grain, device_id AS key, count(*) AS sample_count, min(measured_at) AS first_seen, max(measured_at) AS last_seen, l.region
		FROM raw JOIN (SELECT DISTINCT ON (device_id) device_id, region FROM raw ORDER BY device_id, measured_at DESC, region COLLATE "C" DESC) AS l USING (device_id)
		GROUP BY device_id, l.region
		UNION ALL
		SELECT 'region', region, count(*), min(measured_at), max(measured_at), region FROM raw GROUP BY region
	) AS g
	LEFT JOIN LATERAL (SELECT avg AS avg_t, min AS min_t, max AS max_t, stddev AS stddev_t, last_value AS last_t FROM expected e
	                   WHERE e.grain = g.grain AND e.key = g.key AND e.metric = 'temperature') AS t ON true
	LEFT JOIN LATERAL (SELECT avg AS avg_h, min AS min_h, max AS max_h, stddev AS stddev_h, last_value AS last_h FROM expected e
	                   WHERE e.grain = g.grain AND e.key = g.key AND e.metric = 'humidity') AS h ON true
), wide_actual AS (
	SELECT 'device' AS grain, device_id AS key, coalesce(region, '') AS region, sample_count, first_seen, last_seen,
	       avg_temperature AS avg_t, min_temperature AS min_t, max_temperature AS max_t, stddev_temperature AS stddev_t, last_temperature AS last_t,
	       avg_humidity AS avg_h, min_humidity AS min_h, max_humidity AS max_h, stddev_humidity AS stddev_h, last_humidity AS last_h
	FROM telemetry.device_stats
	UNION ALL
	SELECT 'region', coalesce(region, ''), coalesce(region, ''), sample_count, first_seen, last_seen,
	       avg_temperature, min_temperature, max_temperature, stddev_temperature, last_temperature,
	       avg_humidity, min_humidity, max_humidity, stddev_humidity, last_humidity
	FROM telemetry.region_stats
), wide_difference AS (
	SELECT grain || ' ' || key AS what, to_jsonb(e) - ARRAY['grain', 'key'] AS expected, to_jsonb(a) - ARRAY['grain', 'key'] AS actual
	FROM wide_expected e FULL JOIN wide_actual a USING (grain, key)
	WHERE (a.region, a.sample_count, a.first_seen, a.last_seen, a.min_t, a.max_t, a.last_t, a.min_h, a.max_h, a.last_h)
	      IS DISTINCT FROM (e.region, e.sample_count, e.first_seen, e.last_seen, e.min_t, e.max_t, e.last_t, e.min_h, e.max_h, e.last_h)
	   OR EXISTS (
		SELECT FROM (VALUES (e.avg_t, a.avg_t), (e.stddev_t, a.stddev_t), (e.avg_h, a.avg_h), (e.stddev_h, a.stddev_h)) AS v (want, got)
		WHERE (want IS NULL) <> (got IS NULL) OR abs(got - want) > greatest(1e-9 * abs(want), 1e-12))
)
SELECT * FROM metric_difference UNION ALL SELECT * FROM wide_difference
SQL
}

# Tests that the read models say of every device, region and metric what plain SQL says of the rows of the relation.
sub read_models_follow
{
	my ($node, $relation, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $differences = LastingSession::ask($node, $database, "SET LOCAL work_mem = '256MB'; SET LOCAL jit = off; SET LOCAL enable_mergejoin = off;\n" . statistics_sql($relation));
	my @lines = split /\n/, $differences;
	my $ok = is(scalar @lines, 0, "$name: read models = plain SQL over $relation");
	diag(join "\n", @lines[ 0 .. ($#lines < 9 ? $#lines : 9) ]) if !$ok;
	my $received = $node->safe_psql($database,
		'SELECT count(*) FROM telemetry.device_stats d FULL JOIN
		     (SELECT device_id, max(received_at) AS last FROM telemetry.measurements GROUP BY device_id) AS m USING (device_id)
		 WHERE d.last_received_at IS DISTINCT FROM m.last');
	$ok &= is($received, '0', "$name: last_received_at = the log's");
	wait_for($node, "SELECT coalesce(bool_and(lag_events = 0), true) FROM telemetry.projection_status WHERE cadence > '0' AND state <> 'paused'", "$name: the rollups");
	@lines = split /\n/, LastingSession::ask($node, $database, "SET LOCAL work_mem = '256MB'; SET LOCAL jit = off; SET LOCAL enable_mergejoin = off;\n" . rollups_sql($relation));
	my $same = is(scalar @lines, 0, "$name: rollups = plain SQL over $relation");
	diag(join "\n", @lines[ 0 .. ($#lines < 9 ? $#lines : 9) ]) if !$same;
	return $ok && $same;
}

# Returns the query for rows of the rollups that differ from plain SQL over a relation. Quantiles may differ by 1 %, and a day has all of
# them.
sub rollups_sql
{
	my ($relation) = @_;
	my $actual = join "\n	UNION ALL ", map {
		my ($grain, $key, $bucket) = @$_;
		"SELECT '$grain' AS grain, '$bucket' AS bucket, time, coalesce($key, '') AS key, metric, sample_count, avg, min, max, stddev, first_value, last_value, p50, p95, p99 FROM telemetry.${grain}_stats_$bucket"
	} map { my $bucket = $_; ([ 'device', 'device_id', $bucket ], [ 'region', 'region', $bucket ]) } qw(1m 1h 1d);
	return <<"SQL";
WITH value AS MATERIALIZED (
	SELECT device_id, coalesce(region, '') AS region, measured_at, m.metric, m.value
	FROM $relation, LATERAL (
		SELECT 'temperature', temperature UNION ALL SELECT 'humidity', humidity
		UNION ALL SELECT j.key, j.value::text::float8 FROM jsonb_each(jsonb_strip_nulls(metrics)) AS j) AS m (metric, value)
	WHERE m.value IS NOT NULL
), expected AS MATERIALIZED (
	SELECT g.grain, b.bucket, date_bin(b.width, measured_at, '2000-01-01 00:00+00') AS time, g.key, metric, count(*) AS sample_count, avg(value), min(value), max(value),
	       stddev_samp(value) AS stddev, (array_agg(value ORDER BY measured_at, value))[1] AS first_value, (array_agg(value ORDER BY measured_at DESC, value DESC))[1] AS last_value,
	       percentile_disc(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY value) AS quantiles
	FROM value, LATERAL (VALUES ('device', device_id), ('region', region)) AS g (grain, key), (VALUES ('1m', interval '1 min'), ('1h', '1 hour'), ('1d', '1 day')) AS b (bucket, width)
	GROUP BY 1, 2, 3, 4, 5
), actual AS MATERIALIZED (
	$actual
)
SELECT concat_ws(' ', grain, bucket, time, key, metric), to_jsonb(e) - ARRAY['grain', 'bucket', 'time', 'key', 'metric'] AS expected, to_jsonb(a) - ARRAY['grain', 'bucket', 'time', 'key', 'metric'] AS actual
FROM expected e FULL JOIN actual a USING (grain, bucket, time, key, metric)
WHERE NOT coalesce(
	(a.sample_count, a.min, a.max, a.first_value, a.last_value) = (e.sample_count, e.min, e.max, e.first_value, e.last_value)
	AND abs(a.avg - e.avg) <= greatest(1e-9 * abs(e.avg), 1e-12)
	AND CASE WHEN e.stddev IS NULL OR a.stddev IS NULL THEN e.stddev IS NULL AND a.stddev IS NULL
	         ELSE abs(a.stddev - e.stddev) <= greatest(1e-9 * abs(e.stddev), 1e-14 * abs(e.avg), 1e-12) END
	AND CASE WHEN bucket = '1m' THEN a.p50 IS NULL
	         ELSE abs(a.p50 - e.quantiles[1]) <= 0.01000001 * abs(e.quantiles[1]) AND abs(a.p95 - e.quantiles[2]) <= 0.01000001 * abs(e.quantiles[2])
	              AND abs(a.p99 - e.quantiles[3]) <= 0.01000001 * abs(e.quantiles[3]) END, false)
LIMIT 20
SQL
}

# Tests that the log holds exactly the readings of the relation (device_id, idempotency_key), each once.
sub log_is
{
	my ($node, $relation, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $answer = $node->safe_psql($database, <<"SQL");
SELECT count(*) FILTER (WHERE s.idempotency_key IS NULL) || ' not sent, ' || count(*) FILTER (WHERE m.idempotency_key IS NULL) || ' lost, ' ||
       (SELECT count(*) - count(DISTINCT (device_id, idempotency_key)) FROM telemetry.measurements) || ' twice'
FROM telemetry.measurements m FULL JOIN $relation s USING (device_id, idempotency_key)
SQL
	return is($answer, '0 not sent, 0 lost, 0 twice', "$name: the log = what was sent");
}

1;
