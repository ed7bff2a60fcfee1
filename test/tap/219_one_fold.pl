# Whatever order readings come in, however they are cut into transactions and batches, and whatever is killed meanwhile: each projection
# equals one fold of all readings, which plain SQL makes here.
#
# A seed decides everything but the timing. In each round three clients store transactions with random readings; some are rolled back,
# repeat readings or send another reading under a key that is taken. Meanwhile an administrator acts at random: he pauses, resumes and
# rebuilds projections, cancels rebuilds, lets baselines go on, changes cadences, makes projections of his own and drops them, and applies
# readings himself. In most rounds one blow falls: kill -9 of the worker, of a client's session or of a session that applies, or an
# immediate shutdown. A client sends a file of transactions again until it is acknowledged. The projector audits itself beside it.
#
# TELEMETRY_ROUNDS: how many rounds. TELEMETRY_SEED: the seed of another run.
# Begins early.
use strict;
use warnings;

use IPC::Run ();
use List::Util qw(shuffle);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;
use Time::HiRes qw(time usleep);

my $rounds = $ENV{TELEMETRY_ROUNDS} // 7;
my $seed = $ENV{TELEMETRY_SEED} // int(rand(1_000_000));
diag "seed $seed, $rounds rounds: TELEMETRY_SEED=$seed TELEMETRY_ROUNDS=$rounds repeats them";
srand($seed);

$LastingSession::wanted = 0;    # servers die here
my $node = telemetry_node('one_fold', preload => 1, conf => <<'CONF');
restart_after_crash = on
telemetry_cqrs.batch_retention = '1s'
telemetry_cqrs.launcher_interval = 200
telemetry_cqrs.poll_interval = 100
telemetry_cqrs.max_ahead = 3600
telemetry_cqrs.audit_interval = 5
CONF
my $folder = PostgreSQL::Test::Utils::tempdir;
my $now = int(time);

sub sql { my ($statement) = @_; return $node->safe_psql('postgres', $statement); }
sub one_of { return $_[ rand @_ ]; }
sub quoted { my ($text) = @_; return 'NULL' if !defined $text; $text =~ s/'/''/g; return "'$text'"; }

# A handler keeps the number of each event that it gets.
sql(q{CREATE TABLE handled (event_id bigint);
	CREATE FUNCTION handle(batch bigint) RETURNS void LANGUAGE sql AS 'INSERT INTO public.handled SELECT id FROM telemetry.read_events(batch)';
	SELECT telemetry.create_handler_projection('handling', 'handle(bigint)');
	CREATE FUNCTION busy_session(application text) RETURNS int LANGUAGE plpgsql AS $$
	DECLARE
		found int;
	BEGIN
		FOR i IN 1 .. 200 LOOP
			SELECT pid INTO found FROM pg_stat_activity WHERE application_name = application AND state = 'active' ORDER BY pid LIMIT 1;
			EXIT WHEN found IS NOT NULL;
			PERFORM pg_sleep(0.002), pg_stat_clear_snapshot();
		END LOOP;
		RETURN found;
	END $$});

# --- readings ---------------------------------------------------------------------------------------------------------

my @devices = ((map { "d$_" } 1 .. 9), 'd_1', 'D1', "it's");
my @regions = ('north', 'south', 'North', 'east-1');
my @further = map { sprintf 'm%02d', $_ } 1 .. 24;
my @extremes = qw(1.7976931348623157e308 -1.7976931348623157e308 1e300 -1e300 1e154 -1e154 1e20 -1e20 1e-20 -1e-20 1e-300 2.2250738585072014e-308 5e-324 -5e-324 0 -0.0 1 -1);
my (@stored, %stored);    # what committed transactions have sent; by key
my @settled;              # what those of earlier rounds have sent, under keys that are taken
my $keys = 0;

sub value
{
	my $kind = rand;
	return $kind < 0.1 ? 0 : $kind < 0.3 ? int(rand(7)) - 3 : $kind < 0.9 ? sprintf('%.2f', rand(100) - 50) : sprintf('%.3f', rand(2e6) - 1e6);
}

# In seconds since 1970: in order, some seconds to two months late, in the future, or at a time that many share and where buckets begin.
sub measured_at
{
	my $kind = rand;
	my $in_order = 1_714_521_600 + $keys * 7;
	return sprintf '%.3f', $in_order + rand(20) if $kind < 0.55;
	return sprintf '%.6f', $in_order - rand() * one_of(60, 3600, 86_400, 60 * 86_400) if $kind < 0.8;
	return $now + int(rand(3000)) if $kind < 0.85;
	return 1_714_521_600 - 3600 * int(rand(3)) + 60 * int(rand(3));
}

sub reading
{
	my %metrics;
	my $most = rand() < 0.1 ? 20 : 3;
	$metrics{$_} = rand() < 0.05 ? 'null' : value() foreach (shuffle @further)[ 0 .. int(rand($most)) ];
	$metrics{extreme} = one_of(@extremes) if rand() < 0.2;
	return {
		device => one_of(@devices), region => rand() < 0.1 ? undef : one_of(@regions), at => measured_at(), key => 'k' . ++$keys,
		temperature => rand() < 0.8 ? value() : undef, humidity => rand() < 0.5 ? value() : undef,
		metrics => rand() < 0.2 ? undef : '{' . join(', ', map { qq("$_": $metrics{$_}) } sort keys %metrics) . '}',
	};
}

# A call that stores readings; the single one raises an error for a key that is taken, so that is for array calls.
sub call
{
	my (@readings) = @_;
	my $list = sub { my ($of, $type) = @_; return 'ARRAY[' . join(', ', map { $of->() } @readings) . "]::$type\[]" };
	my $at = sub { return "to_timestamp($_->{at})" };
	if (@readings == 1 && !$readings[0]{is_other})
	{
		local $_ = $readings[0];
		return 'SELECT telemetry.ingest_telemetry(' . join(', ', quoted($_->{device}), $at->(), $_->{temperature} // 'NULL', $_->{humidity} // 'NULL', quoted($_->{key}), quoted($_->{metrics}), quoted($_->{region})) . ");\n";
	}
	return 'SELECT telemetry.ingest_telemetry_batch(' . join(', ', $list->(sub { quoted($_->{device}) }, 'text'), $list->($at, 'timestamptz'),
		$list->(sub { $_->{temperature} // 'NULL' }, 'float8'), $list->(sub { $_->{humidity} // 'NULL' }, 'float8'), $list->(sub { quoted($_->{key}) }, 'text'),
		$list->(sub { quoted($_->{metrics}) }, 'jsonb'), $list->(sub { quoted($_->{region}) }, 'text')) . ");\n";
}

# Returns the transactions of a client's file, and remembers what they store.
sub transactions
{
	my $script = "SET application_name = 'client';\nSET lock_timeout = '20s';\n";
	for (1 .. 4 + rand(12))
	{
		my (@sent, @kept);
		my $rolls_back = rand() < 0.15;
		$script .= "BEGIN;\n";
		for (1 .. 1 + rand(3))
		{
			my @readings = map { reading() } 1 .. one_of(1, 1 + rand(10), 1 + rand(80));
			push @readings, $readings[ rand @readings ] if rand() < 0.2;
			push @readings, one_of(@stored) if @stored && rand() < 0.3;
			my @others = @settled && rand() < 0.1 ? { %{ one_of(@settled) }, temperature => 12345, is_other => 1 } : ();
			my $is_taken_back = rand() < 0.1;
			$script .= "SAVEPOINT s;\n" if $is_taken_back;
			$script .= call(shuffle @readings, @others);
			$script .= "ROLLBACK TO s;\n" if $is_taken_back;
			$script .= 'SELECT pg_sleep(' . rand(0.3) . ");\n" if rand() < 0.3;
			push @kept, @readings if !$is_taken_back && !$rolls_back;
		}
		$script .= $rolls_back ? "ROLLBACK;\n" : "COMMIT;\n";
		foreach my $reading (@kept)
		{
			push @sent, $reading if !$stored{ $reading->{key} }++;
		}
		push @stored, @sent;
	}
	return $script;
}

# --- what an administrator does, and blows ----------------------------------------------------------------------------

my @trouble;
my $is_struck = 0;

# Runs a statement, which may fail as the pattern says, and where the server has been struck.
sub attempt
{
	my ($statement, $may_fail) = @_;
	my ($status, $out, $err) = $node->psql('postgres', $statement);
	push @trouble, "$statement: $err" if $status != 0 && !$is_struck && !($may_fail && $err =~ $may_fail);
	return $status == 0 ? $out : undef;
}

sub projections
{
	my ($condition) = @_;
	return split /\n/, attempt("SELECT projection FROM telemetry.projection WHERE $condition ORDER BY projection") // '';
}

my $own = 0;
sub create_projection
{
	my $name = 'own_' . ++$own;
	my $list = sub { return rand() < 0.5 ? 'NULL' : 'ARRAY[' . join(', ', map { quoted($_) } (shuffle @_)[ 0 .. rand(@_) ]) . ']' };
	attempt("SELECT telemetry.create_projection('$name', '" . one_of(qw(device region all)) . "', " . one_of('NULL', "'15 minutes'", "'6 hours'", "'1 day'") .
		', metrics => ' . $list->('temperature', 'extreme', @further[ 0 .. 5 ]) . ', devices => ' . one_of('NULL', "'d%'", "'d\\_%'", "'_1'") .
		', regions => ' . $list->(@regions) . ', quantiles => ' . one_of(qw(true false)) . ", cadence => '" . one_of('0', '50 ms', '1 s') . "')");
	return;
}

my %acts = (
	pause => sub { attempt("SELECT telemetry.pause_projection('$_')") foreach one_of(projections('true')) // () },
	resume => sub { attempt("SELECT telemetry.resume_projection(projection) FROM telemetry.pause") },
	cadence => sub { attempt("SELECT telemetry.set_cadence('$_', " . one_of("'0'", "'50 ms'", "'1 s'", 'NULL') . ')') foreach one_of(projections('true')) // () },
	rebuild => sub { attempt("SELECT telemetry.rebuild_projection('$_')", qr/is being rebuilt|has no statistics/) foreach one_of(projections('handler IS NULL')) // () },
	cancel => sub { attempt("SELECT telemetry.cancel_rebuild('$_')", qr/is not being rebuilt/) foreach one_of(projections('handler IS NULL')) // () },
	baseline => sub { attempt('SELECT telemetry.advance_baselines(max(batch_id)) FROM telemetry.batch') },
	create => \&create_projection,
	drop => sub { attempt("SELECT telemetry.drop_projection('$_')") foreach one_of(projections('NOT is_own AND handler IS NULL')) // () },
	'project once' => sub { attempt('CALL telemetry.project_once()') },
	verify => sub {
		foreach my $name (one_of(projections('handler IS NULL')) // ())
		{
			my $found = attempt("SELECT string_agg(v::text, '; ') FROM (SELECT * FROM telemetry.verify_projection('$name') LIMIT 3) AS v");
			push @trouble, "$name differs from the log: $found" if defined $found && $found ne '';
		}
	},
	wait => sub { usleep(rand 300_000) },
);

sub kill_session_of
{
	my ($application) = @_;
	my $pid = attempt("SELECT busy_session('$application')");
	kill 'KILL', $pid if $pid;
	note "no session of $application was busy" if !$pid;
	return;
}

my %blows = (
	'kill -9 of the worker' => sub {
		my $pid = attempt('SELECT pid FROM telemetry.worker_status()');
		kill 'KILL', $pid if $pid;
	},
	'kill -9 of a client' => sub { kill_session_of('client') },
	'kill -9 of a session that applies' => sub {
		my $pass = psql_start($node, "SET application_name = 'applies';\n" . "CALL telemetry.project_once();\n" x 200);
		kill_session_of('applies');
		eval { psql_finish($pass) };
	},
	'immediate shutdown' => sub { $node->stop('immediate'); $node->start },
);

# --- the rounds -------------------------------------------------------------------------------------------------------

my @names = sort keys %acts;
my @blows = sort keys %blows;
my $done = '';
foreach my $round (1 .. $rounds)
{
	@settled = @stored;
	my @clients;
	{
		local %ENV = $node->_get_env();
		foreach my $client (1 .. 3)
		{
			my $file = "$folder/$round.$client.sql";
			append_to_file($file, transactions());
			push @clients, IPC::Run::start([ 'sh', '-c', "for try in \$(seq 600); do psql -XAtq -v ON_ERROR_STOP=1 -d postgres -f $file >/dev/null 2>>$file.err && exit; sleep 0.1; done; exit 1" ]);
		}
	}
	my @steps = map { one_of(@names) } 1 .. 3 + rand(4);
	splice @steps, rand(3), 0, $blows[ ($round - 1) % @blows ] if $round % 5;
	foreach my $step (@steps)
	{
		$done .= " $step,";
		usleep(rand 150_000);
		$is_struck = 1 if $blows{$step};
		($blows{$step} // $acts{$step})->();
	}
	wait_for($node, 'SELECT true', 'the server', 120) if $is_struck;
	$_->finish foreach @clients;
	push @trouble, "a client of round $round did not get through" if grep { $_->result != 0 } @clients;
	$is_struck = 0;
	last if @trouble;
}
note "done:$done";
is("@trouble", '', 'nothing but blows makes statements fail, and no projection differs from the log meanwhile') or diag "after:$done";

$LastingSession::wanted = 1;

# --- one fold ---------------------------------------------------------------------------------------------------------

sql('SELECT telemetry.resume_projection(projection) FROM telemetry.pause');
wait_applied($node, 'all to be applied');
wait_for($node, 'SELECT bool_and(rebuilt_events IS NULL) FROM telemetry.projection_status', 'the rebuilds to end');

# What was sent is what the log has, and so plain SQL over the log is one fold of it.
my $sent = "CREATE TABLE sent (device_id text, idempotency_key text, region text, measured_at timestamptz, temperature float8, humidity float8, metrics jsonb);\nINSERT INTO sent VALUES\n" .
	join(",\n", map { '(' . join(', ', quoted($_->{device}), quoted($_->{key}), quoted($_->{region}), "to_timestamp($_->{at})", $_->{temperature} // 'NULL', $_->{humidity} // 'NULL', quoted($_->{metrics})) . ')' } @stored) . ';';
append_to_file("$folder/sent.sql", $sent);
$node->command_ok([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', "$folder/sent.sql" ], scalar(@stored) . ' readings were sent');
log_is($node, 'sent', 'in the end');
is(sql('SELECT count(*) FROM sent s JOIN telemetry.measurements m USING (device_id, idempotency_key) WHERE (s.measured_at, s.temperature, s.humidity, coalesce(s.region, m.region, \'\'))
	IS DISTINCT FROM (m.measured_at, m.temperature, m.humidity, coalesce(m.region, \'\')) OR NULLIF(jsonb_strip_nulls(s.metrics), \'{}\') IS DISTINCT FROM NULLIF(jsonb_strip_nulls(m.metrics), \'{}\')'), '0', 'and as it was sent');
is(sql('SELECT count(*) = count(DISTINCT e.id) AND count(*) = (SELECT count(*) FROM telemetry.event) FROM telemetry.batch b, telemetry.read_events(b.batch_id) AS e'), 't', 'the batches hold each event once');
is(sql('SELECT count(*) = count(DISTINCT event_id) AND count(*) = (SELECT count(*) FROM telemetry.event) FROM handled'), 't', 'the handler has had each event once');

# Doubles as exact numbers, for sums that double precision could not hold.
sql(<<'SQL');
CREATE FUNCTION exact(float8) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT $1::text::numeric';
CREATE FUNCTION is_near(got float8, expected numeric, slack numeric) RETURNS boolean LANGUAGE sql IMMUTABLE AS
	'SELECT CASE WHEN got IS NULL OR expected IS NULL THEN got IS NULL AND expected IS NULL ELSE abs(exact(got) - expected) <= slack END';
CREATE TABLE value AS
	SELECT device_id, coalesce(region, '') AS region, measured_at, m.metric COLLATE "C" AS metric, m.value, exact(m.value) AS number
	FROM telemetry.measurements, LATERAL (
		SELECT 'temperature', temperature UNION ALL SELECT 'humidity', humidity
		UNION ALL SELECT j.key, j.value::text::float8 FROM jsonb_each(jsonb_strip_nulls(metrics)) AS j) AS m (metric, value)
	WHERE m.value IS NOT NULL;
ANALYZE value;
SQL

# Returns the query for the groups of a projection that differ from plain SQL: what a key has, then what a metric of it has.
sub differences_sql
{
	my ($projection, $grain, $width, $quantiles, $taken, $metrics, $view) = @_;
	my $key = { device => 'device_id', region => "coalesce(region, '')", all => "''" }->{$grain};
	my $bucket = $width ? "date_bin('$width', measured_at, '2000-01-01 00:00+00')" : "'-infinity'::timestamptz";
	my $shown_bucket = $width ? 'time' : "'-infinity'::timestamptz";
	my $region = $grain eq 'device' ? "(array_agg(coalesce(region, '') ORDER BY measured_at DESC, region COLLATE \"C\" DESC NULLS LAST))[1]" : "''";
	my $shown_quantiles = $view =~ /_metric_/ ? 'NULL::float8, NULL::float8, NULL::float8' : 'p50, p95, p99';
	my $wanted_quantiles = $quantiles ? 'percentile_disc(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY value)' : 'ARRAY[NULL, NULL, NULL]::float8[]';
	my $are_near = join ' AND ', map { "is_near(a.p$_->[1], exact(e.quantiles[$_->[0]]), greatest(0.01000001 * abs(exact(e.quantiles[$_->[0]])), 1e-307))" } [ 1, 50 ], [ 2, 95 ], [ 3, 99 ];
	return <<"SQL";
WITH expected_key AS (
	SELECT $key AS key, $bucket AS bucket, count(*) AS sample_count, min(measured_at) AS first_seen, max(measured_at) AS last_seen, max(received_at) AS last_received_at, $region AS region
	FROM telemetry.measurements WHERE $taken GROUP BY 1, 2
), actual_key AS (
	SELECT key, CASE WHEN @{[ $width ? 'true' : 'false' ]} THEN bucket ELSE '-infinity' END AS bucket, sample_count, first_seen, last_seen, last_received_at, @{[ $grain eq 'device' ? "coalesce(region, '')" : "''" ]} AS region
	FROM telemetry.state_$projection WHERE part = 0 AND generation = (SELECT c.generation FROM telemetry.cursor c WHERE c.projection = '$projection' AND c.purpose = 'current')
), expected AS (
	SELECT $key AS key, $bucket AS bucket, metric, count(*) AS sample_count, min(value), max(value), avg(number), var_samp(number) AS variance, greatest(abs(min(number)), abs(max(number))) AS scale,
	       (array_agg(value ORDER BY measured_at, value))[1] AS first_value, (array_agg(value ORDER BY measured_at DESC, value DESC))[1] AS last_value, $wanted_quantiles AS quantiles
	FROM value WHERE $taken AND $metrics GROUP BY 1, 2, 3
), actual AS (
	SELECT $key AS key, $shown_bucket AS bucket, metric COLLATE "C" AS metric, sample_count, avg, min, max, stddev, first_value, last_value, $shown_quantiles FROM telemetry.$view
)
SELECT concat_ws(' ', key, bucket), to_jsonb(e) AS expected, to_jsonb(a) AS actual FROM expected_key e FULL JOIN actual_key a USING (key, bucket)
WHERE (a.sample_count, a.first_seen, a.last_seen, a.last_received_at, a.region) IS DISTINCT FROM (e.sample_count, e.first_seen, e.last_seen, e.last_received_at, e.region)
UNION ALL
SELECT concat_ws(' ', key, bucket, metric), to_jsonb(e), to_jsonb(a) FROM expected e FULL JOIN actual a (key, bucket, metric, sample_count, avg, min, max, stddev, first_value, last_value, p50, p95, p99) USING (key, bucket, metric)
WHERE NOT coalesce((a.sample_count, a.min, a.max, a.first_value, a.last_value) = (e.sample_count, e.min, e.max, e.first_value, e.last_value)
	AND is_near(a.avg, e.avg, greatest(1e-9 * abs(e.avg), 1e-12, 1e-13 * e.scale))
	-- A sum of squares beyond double precision gives NULL.
	AND CASE WHEN e.variance * (e.sample_count - 1) > 1.8e308 THEN a.stddev IS NULL
	         ELSE is_near(a.stddev, sqrt(e.variance), greatest(1e-9 * sqrt(e.variance), 1e-12, 1e-13 * e.scale)) END
	AND $are_near, false)
SQL
}

foreach my $row (split /\n/, sql("SELECT projection, grain, coalesce(extract(epoch FROM bucket) || ' s', ''), quantiles, coalesce('device_id LIKE ' || quote_literal(devices), 'true'),
	coalesce('region = ANY (' || quote_literal(regions::text) || ')', 'true'), coalesce('metric = ANY (' || quote_literal(metrics::text) || ')', 'true') FROM telemetry.projection WHERE handler IS NULL ORDER BY is_own DESC, projection"))
{
	my ($projection, $grain, $width, $quantiles, $devices, $regions, $metrics) = split /\|/, $row;
	my $view = $projection =~ /^own/ ? "${projection}_stats" : $width ? $projection =~ s/_/_stats_/r : "${projection}_metric_stats";
	my $differences = LastingSession::ask($node, 'postgres', "SET LOCAL jit = off; SET LOCAL work_mem = '128MB';\n" . differences_sql($projection, $grain, $width, $quantiles eq 't', "$devices AND $regions", $metrics, $view));
	my @lines = split /\n/, $differences;
	is(scalar @lines, 0, "$projection ($grain, " . ($width || 'no bucket') . ", $devices, $regions, $metrics) = plain SQL") or diag(join "\n", @lines[ 0 .. ($#lines < 4 ? $#lines : 4) ]);
	is(sql("SELECT count(*) FROM telemetry.verify_projection('$projection')"), '0', "$projection: proved");
}
foreach my $view (split /\n/, sql("SELECT relname FROM pg_class WHERE relnamespace = 'telemetry'::regnamespace AND relkind = 'v' AND relname ~ '_stats(_1[mhd])?\$' ORDER BY 1"))
{
	my ($shown, $live) = map { "SELECT to_jsonb(v) - 'as_of' FROM telemetry.$_ AS v" } $view, "${view}_live";
	is(sql("SELECT (SELECT count(*) FROM ($shown EXCEPT ALL $live) AS d) + (SELECT count(*) FROM ($live EXCEPT ALL $shown) AS d)"), '0', "$view = its live twin");
}
is(sql('SELECT projection, example FROM telemetry.audit WHERE differences > 0'), '', 'no audit has found a difference');
unlike(slurp_file($node->logfile), qr/PANIC|TRAP:|terminated by signal (?!9\b)/, 'no process went down by itself');
note sql('SELECT count(*) FROM telemetry.audit WHERE finished_at IS NOT NULL') . ' projections were audited, ' . sql('SELECT count(*) FROM telemetry.event') . ' events, ' . sql('SELECT count(*) FROM value') . ' values, batches up to ' . sql('SELECT max(batch_id) FROM telemetry.batch');
$node->stop;
done_testing();
