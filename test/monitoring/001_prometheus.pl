# prometheus/ holds together with the server: promtool accepts the configuration and the rules, their unit tests pass and would notice a
# missing alert, and a real Prometheus scrapes a real server. It evaluates every rule and every PromQL of the dashboards, and the SQL of
# every runbook runs. The test runs on a server that dev/test makes, found by the PG* variables.
use strict;
use warnings;
use Cwd ();
use File::Temp;
use FindBin;
use lib "$FindBin::Bin/../support";
use Dashboards qw(dashboards queries promql_text);
use HTTP::Tiny;
use IO::Socket::INET;
use JSON::PP;
use Test::More;
use Time::HiRes qw(sleep time);

my $project = Cwd::realpath("$FindBin::Bin/../..");
my $deadline = 180;
for my $program (qw(prometheus promtool))
{
	next if system("command -v $program >/dev/null 2>&1") == 0;
	diag("SKIPPED: no $program (Debian: prometheus), so nothing about Prometheus is tested");
	plan skip_all => "no $program";
}
plan skip_all => 'no python3 with yaml (Debian: python3-yaml)' if system(q{python3 -c 'import yaml' 2>/dev/null}) != 0;

my $scratch = File::Temp->newdir;
my $super = $ENV{PGUSER};
my %running;    # pid -> 1
END { my $status = $?; kill 'KILL', $_ for keys %running; waitpid $_, 0 for keys %running; $? = $status }

sub content { my ($path) = @_; open my $in, '<', $path or die "$path: $!"; local $/; return scalar <$in> }
sub write_file { my ($path, $text) = @_; open my $out, '>', $path or die "$path: $!"; print $out $text; close $out; return }
sub yaml { my ($path) = @_; return JSON::PP->new->decode(scalar qx{python3 -c 'import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))' '$path'}) }
sub free_port { return IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1')->sockport }

# Runs SQL and returns the rows, columns separated by |; dies where it fails.
sub sql
{
	my ($sql, %environment) = @_;
	local @ENV{ 'PGDATABASE', keys %environment } = ('prometheus', values %environment);
	open my $psql, '-|', 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-c', $sql or die "psql: $!";
	my $rows = do { local $/; <$psql> } // '';
	close $psql or die "psql failed: $sql";
	chomp $rows;
	return $rows;
}

# Runs SQL and returns its SQLSTATE; '' for success.
sub sqlstate_of
{
	my ($sql, %environment) = @_;
	local @ENV{ 'PGDATABASE', keys %environment } = ('prometheus', values %environment);
	write_file("$scratch/statement.sql", "\\set VERBOSITY sqlstate\n$sql;\n");
	my $said = qx{psql -XAtq -v ON_ERROR_STOP=1 -f '$scratch/statement.sql' 2>&1 >/dev/null};
	return $? == 0 ? '' : $said =~ /(?:ERROR|FATAL): +(\w{5})$/m ? $1 : $said;
}

sub wait_until
{
	my ($what, $condition) = @_;
	my $end = time + $deadline;
	until ($condition->())
	{
		if (time > $end) { fail("waited for: $what"); return 0 }
		sleep 0.1;
	}
	return 1;
}

# --- promtool ----------------------------------------------------------------------------------------------------------------

# A copy: the file of the token must exist, and Prometheus may be started by another folder.
system("cp -r '$project/prometheus' '$scratch/' && mkdir '$scratch/prometheus/secrets'") == 0 or die;
my $folder = "$scratch/prometheus";
write_file("$folder/secrets/telemetry_cqrs_token", "a token\n");
sub promtool { my (@arguments) = @_; my $said = qx{cd '$folder' && promtool @arguments 2>&1}; return ($?, $said) }
for ([ 'check config prometheus.yml', 'the configuration' ], [ 'check rules rules/*.yml', 'the rules' ], [ 'test rules tests/*.yml', 'the tests of the rules' ])
{
	my ($status, $said) = promtool($_->[0]);
	is($status, 0, "promtool: $_->[1]") or diag($said);
}

my $rules = yaml("$folder/rules/telemetry_cqrs.yml");
my @rules = map { @{ $_->{rules} } } @{ $rules->{groups} };
my @alerts = grep { defined $_->{alert} } @rules;
cmp_ok(scalar @alerts, '>=', 20, @alerts . ' alerts');
for my $alert (@alerts)
{
	is(join(' ', sort keys %{ $alert->{annotations} }), 'description runbook summary', "$alert->{alert} has three annotations");
	like($alert->{labels}{severity}, qr/^(?:critical|warning)$/, "$alert->{alert} has a severity");
	like($alert->{annotations}{runbook}, qr/`/, "$alert->{alert}: the runbook has SQL");
}

# Each test of an alert notices when no alert fires, and when none waits.
for ([ 'never fires', sub { $_[0]{expr} = 'vector(0) > 1' }, @alerts ], [ 'does not wait', sub { delete $_[0]{for} }, grep { defined $_->{for} } @alerts ])
{
	my ($what, $change, @changed) = @$_;
	my $copy = JSON::PP->new->decode(JSON::PP->new->encode($rules));
	$change->($_) for grep { defined $_->{alert} } map { @{ $_->{rules} } } @{ $copy->{groups} };
	write_file("$folder/rules/telemetry_cqrs.yml", JSON::PP->new->encode($copy));    # JSON is YAML
	my %failed = map { $_ => 1 } (promtool('test rules tests/*.yml'))[1] =~ /alertname="(\w+)"/g;
	is(join(' ', grep { !$failed{$_} } map { $_->{alert} } @changed), '', 'the tests notice each of ' . @changed . " alerts that $what");
}
system("cp '$project/prometheus/rules/telemetry_cqrs.yml' '$folder/rules/'") == 0 or die;

# --- a server with something of everything -----------------------------------------------------------------------------------

sql('CREATE DATABASE prometheus', PGDATABASE => $ENV{PGDATABASE});
sql('CREATE EXTENSION telemetry_cqrs');
sql(q{CREATE ROLE monitoring_scraper LOGIN; CREATE ROLE monitoring_operator LOGIN});
sql(q{SELECT telemetry.grant_reader('monitoring_scraper'), telemetry.grant_admin('monitoring_operator'); GRANT EXECUTE ON FUNCTION telemetry.health() TO monitoring_scraper});
my $sent = 0;
sub send_readings
{
	++$sent;
	sql("SELECT telemetry.ingest_telemetry_batch(array_agg('m' || i), NULL, array_agg(20.0 + i), array_agg(40.0), array_agg('$sent'::text), NULL, array_agg('r' || i % 3)) FROM generate_series(1, 30) AS i");
	sql("SELECT telemetry.ingest_telemetry_batch(ARRAY['', 'm1', 'm2'], NULL, ARRAY[1, 21, 99], ARRAY[40, 40, 40], ARRAY['x', '$sent', '$sent'])");
	return;
}
send_readings();
sql(q{SELECT telemetry.register_device('pump-1'), telemetry.create_subscription('team', '-infinity', consumer_role => 'monitoring_operator')});
sql("SELECT telemetry.set_expected_interval('m1', '1 day')");
sql(q{INSERT INTO telemetry.audit (projection, begun_at, finished_at, differences) VALUES ('device', now(), now(), 1)});

# The server itself answers GET /metrics.
my $http_port = free_port();
sql("ALTER SYSTEM SET telemetry_cqrs.http_listen = '$http_port'");
sql('SELECT pg_reload_conf()');
my ($target, $token) = ("127.0.0.1:$http_port", sql("SELECT telemetry.create_http_token('monitoring_scraper', 'Prometheus')"));

# --- Prometheus --------------------------------------------------------------------------------------------------------------

write_file("$folder/secrets/telemetry_cqrs_token", "$token\n");
my $configuration = content("$folder/prometheus.yml");
$configuration =~ s/postgres:8080/$target/ or die 'no target in prometheus.yml';
$configuration =~ s/\b1[05]s$/1s/mg == 3 or die 'no three intervals in prometheus.yml';
write_file("$folder/prometheus.yml", $configuration);
my $port = free_port();
my $prometheus = fork // die $!;
if (!$prometheus)
{
	open STDOUT, '>', "$scratch/prometheus.log";
	open STDERR, '>&', \*STDOUT;
	exec 'prometheus', "--config.file=$folder/prometheus.yml", "--storage.tsdb.path=$scratch/data", "--web.listen-address=127.0.0.1:$port", '--log.level=warn';
	die;
}
$running{$prometheus} = 1;

# Asks the API, and returns its data; undef where there is no answer, or an error.
my $error = '';
sub api
{
	my ($path, %parameters) = @_;
	my $http = HTTP::Tiny->new(timeout => 20);
	my $answer = $http->get("http://127.0.0.1:$port/api/v1/$path?" . $http->www_form_urlencode(\%parameters));
	my $json = eval { JSON::PP->new->utf8->decode($answer->{content}) } // {};
	$error = $json->{error} // $answer->{content};
	return ($json->{status} // '') eq 'success' ? $json->{data} : undef;
}
sub samples { my ($expression) = @_; my $data = api('query', query => $expression); return defined $data ? scalar @{ $data->{result} } : -1 }

my $scraped = wait_until('six scrapes', sub { send_readings(); samples('count_over_time(telemetry_cqrs_build_info[10m]) >= 6') == 1 });
ok($scraped, 'Prometheus scrapes the server') or diag(content("$scratch/prometheus.log"), JSON::PP->new->encode(api('targets') // {}));
is((api('targets')->{activeTargets}[0] // {})->{health}, 'up', 'its target is up');
is(samples('scrape_samples_scraped{job="telemetry_cqrs"} > 100'), 1, 'with more than a hundred samples');
for my $metric ('readings_total{verdict="accepted"}', 'log_events_total', 'devices{state="online"}', 'rejected_readings')
{
	my $data = api('query', query => "telemetry_cqrs_$metric");
	cmp_ok($data->{result}[0]{value}[1] // -1, '>', 0, "$metric is there");
}
my $metadata = api('metadata', limit => 1000);
is(($metadata->{telemetry_cqrs_size_bytes}[0] // {})->{type}, 'gauge', 'it knows types');
is(($metadata->{telemetry_cqrs_readings}[0] // {})->{type} // ($metadata->{telemetry_cqrs_readings_total}[0] // {})->{type}, 'counter', 'of counters too');
is(($metadata->{telemetry_cqrs_size_bytes}[0] // {})->{unit}, 'bytes', 'and units');

# --- rules -------------------------------------------------------------------------------------------------------------------

ok(wait_until('every rule', sub { my $data = api('rules') or return 0; return !grep { $_->{health} eq 'unknown' } map { @{ $_->{rules} } } @{ $data->{groups} } }), 'every rule was evaluated');
is(join(', ', map { "$_->{name}: $_->{lastError}" } grep { $_->{health} ne 'ok' } map { @{ $_->{rules} } } @{ api('rules')->{groups} }), '', 'without an error');

# Each metric that a rule or a dashboard names is one of the server's, and the server has samples of it.
my %known = map { $_ => 1 } split /\n/, sql(q{SELECT 'telemetry_cqrs_' || name || CASE type WHEN 'counter' THEN '_total' WHEN 'info' THEN '_info' ELSE '' END FROM telemetry.metric_families()});
my @dashboards = dashboards($project);
my @queries = grep { $_->{language} eq 'promql' } map { queries($_) } @dashboards;
cmp_ok(scalar @queries, '>', 40, @queries . ' queries in PromQL');
my %promql = ((map { ($_->{what} => promql_text($_, rate_interval => '10s', variables => { instance => '.+' })) } @queries), (map { ('rule ' . ($_->{alert} // $_->{record}) => $_->{expr}) } @rules));
for my $what (sort keys %promql)
{
	my @names = $promql{$what} =~ s/"[^"]*"//gr =~ /(?<![\w:])(telemetry_cqrs_\w+)/g;
	is(join(' ', grep { !$known{$_} } @names), '', "$what names metrics that exist") if @names;
	is(join(' ', grep { samples($_) < 1 } @names), '', "$what: and there are samples of them") if @names;
}

# Dashboards show something, on this server, for which every alert but one is silent.
for my $query (sort { $a->{what} cmp $b->{what} } @queries)
{
	my $found = samples($promql{ $query->{what} });
	cmp_ok($found, '>', 0, "$query->{what}: data") or diag("$promql{$query->{what}}\n$error");
}
for my $rule (grep { defined $_->{record} } @rules) { cmp_ok(samples($rule->{record}), '>', 0, "$rule->{record}: data") }
is(join(' ', sort map { $_->{metric}{alertname} } @{ api('query', query => 'ALERTS{alertstate="firing"}')->{result} }), 'TelemetryAuditDifferences', 'the alert for what the test falsified fires, and no other one');
my ($firing) = map { @{ $_->{alerts} } } grep { ($_->{name} // '') eq 'TelemetryAuditDifferences' } map { @{ $_->{rules} } } @{ api('rules')->{groups} };
is($firing->{annotations}{description}, 'The last audit of the projection device has found 1 differences.', 'its text names the projection');
cmp_ok(scalar @{ api('label/instance/values')}, '>', 0, 'the variable of the dashboards has values');

# --- runbooks ----------------------------------------------------------------------------------------------------------------

# An operator can do what they say. Nothing was ever relayed, and no such subscription of the relay exists, so 22023 is right there.
my %label = (projection => 'device', subscription => 'team', sink => 'nats', item => 'worker');
for my $alert (@alerts)
{
	for my $statement ($alert->{annotations}{runbook} =~ /`([^`]+)`/g)
	{
		$statement =~ s/\{\{ \$labels\.(\w+) \}\}/$label{$1}/g;
		my $expected = $statement =~ /'relay\.nats'/ ? '22023' : '';
		is(sqlstate_of($statement =~ /^CALL/ ? $statement : "BEGIN; $statement; ROLLBACK", PGUSER => 'monitoring_operator'), $expected, "$alert->{alert}: $statement");
	}
}

# --- and when the server is gone ---------------------------------------------------------------------------------------------

write_file("$folder/secrets/telemetry_cqrs_token", "another token\n");
ok(wait_until('the alert', sub { samples('ALERTS{alertname="TelemetryScrapeMissing", alertstate="pending"}') == 1 }), 'a wrong token raises TelemetryScrapeMissing');
is(api('targets')->{activeTargets}[0]{lastError}, 'server returned HTTP status 401 Unauthorized', 'and Prometheus says why');
kill 'TERM', $prometheus;
done_testing();
