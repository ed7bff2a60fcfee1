# Queries by HTTP: each route answers what SQL says, with validators; the OpenAPI description and the routes are the same; a client
# can wait for its own write.
use strict;
use warnings;

use HttpNode;
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use TelemetryNode;
use Test::More;
use Time::HiRes qw(time);

my $node = HttpNode->new('queries', conf => "telemetry_cqrs.expected_interval = '1 h'\n");
sub sql { return $node->safe_psql('postgres', $_[0]) }
sub get
{
	my ($path, %options) = @_;
	return $node->request(GET => $path, { token => $options{token} // $node->token('reader'), headers => $options{headers} // {} });
}
sub json_of { return JSON::PP->new->canonical->encode($_[0]) }

sql(<<'SQL');
SELECT telemetry.ingest_telemetry_batch(json_agg(json_build_object('device_id', 'dev ' || d, 'region', CASE d % 4 WHEN 0 THEN 'north' WHEN 1 THEN 'süd/west' WHEN 2 THEN NULL ELSE 'east' END,
    'measured_at', now() - make_interval(mins => i * 7), 'temperature', d + i * 0.25, 'humidity', CASE WHEN i % 2 = 0 THEN 40 + i END, 'metrics', json_build_object('light 1', i, 'µ', 1e-9 * d)))::text)
FROM generate_series(1, 12) d, generate_series(0, 60) i;
SELECT telemetry.ingest_telemetry_batch('[{"device_id":"dev 1","temperature":"x"}]');
SQL
wait_applied($node);
ok(wait_for($node, "SELECT bool_and(lag_events = 0) FROM telemetry.projection_status", 'the rollups', 60), 'everything is applied');

# --- a device ---------------------------------------------------------------------------------------------------------------------

my $answer = get('/devices/dev%201/stats');
is($answer->{status}, 200, 'a device');
is($answer->{headers}{'content-type'}, 'application/json', 'it is JSON');
my $expected = JSON::PP::decode_json(sql(<<'SQL'));
SET TimeZone = 'UTC';
SELECT row_to_json(r) FROM (SELECT device_id, region, sample_count, avg_temperature, min_temperature, max_temperature, stddev_temperature, last_temperature,
    avg_humidity, min_humidity, max_humidity, stddev_humidity, last_humidity,
    to_char(first_seen, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS first_seen, to_char(last_seen, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS last_seen, to_char(last_received_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS last_received_at,
    (SELECT json_object_agg(metric, json_build_object('sample_count', sample_count, 'avg', avg, 'min', min, 'max', max, 'stddev', stddev, 'last', last_value))
     FROM telemetry.device_metric_stats m WHERE m.device_id = 'dev 1' AND metric NOT IN ('temperature', 'humidity')) AS metrics
  FROM telemetry.device_stats WHERE device_id = 'dev 1') AS r
SQL
is(json_of($answer->{json}), json_of($expected), 'it is what the views say');
my $live = get('/devices/dev%201/stats?live=true');
is(json_of($live->{json}), json_of($answer->{json}), 'live: the same members and values where everything is applied');
cmp_ok($live->{headers}{'as-of'}, 'gt', $answer->{json}{last_received_at}, 'live: complete up to now');
like($answer->{headers}{'as-of'}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/, 'As-Of is a time');
my $tag = $answer->{headers}{etag};
my $again = get('/devices/dev%201/stats', headers => { 'If-None-Match' => $tag });
is($again->{status}, 304, 'a client that has the answer gets 304');
is($again->{content} // '', '', 'without a body');
is($again->{headers}{etag}, $tag, 'and with the tag');
is(get('/devices/dev%201/stats', headers => { 'If-None-Match' => '"other"' })->{status}, 200, 'another tag does not count');
is(get('/devices/nobody/stats')->{status}, 404, 'an unknown device');
is(get('/devices/nobody/stats?live=true')->{status}, 404, 'also with live');
is(get('/devices//stats')->{status}, 404, 'an empty id');
is(get('/devices/dev%2/stats')->{status}, 400, 'half a percent sign');
is(get('/devices/%FF%FE/stats')->{status}, 404, 'bytes that are no text: the id of no device');
is(get('/devices/%FF%FE/stats?live=true')->{status}, 400, 'nor of a statement');
my $head = $node->request(HEAD => '/devices/dev%201/stats', { token => $node->token('reader') });
is("$head->{status} $head->{headers}{etag} " . length($head->{content} // ''), "200 $tag 0", 'HEAD has the fields and no body');
is($head->{headers}{'content-length'}, length $answer->{content}, 'and says how long it would be');

# --- lists ------------------------------------------------------------------------------------------------------------------------

my (@pages, $after);
do
{
	my $page = get('/devices?limit=5' . (defined $after ? "&after=$after" : ''));
	push @pages, [ map { $_->{device_id} } @{ $page->{json}{devices} } ];
	($after = $page->{json}{next} // '') =~ s/ /%20/g;
} while $after ne '' && @pages < 10;
is(join(' ', map { scalar @$_ } @pages), '5 5 2', 'pages of devices');
is(join(',', map { @$_ } @pages), sql(q{SELECT string_agg(device_id, ',' ORDER BY device_id) FROM telemetry.device}), 'each device once');
is(join(',', map { $_->{device_id} } @{ get('/devices?region=north')->{json}{devices} }), 'dev 12,dev 4,dev 8', 'devices of a region');
is(scalar @{ get('/devices?prefix=dev%201')->{json}{devices} }, 4, 'devices that begin so');
is(scalar @{ get('/devices?state=online')->{json}{devices} }, 12, 'devices in a state');
is(scalar @{ get('/devices?state=offline')->{json}{devices} }, 0, 'and in none');
is(json_of(get('/devices?prefix=dev%2012')->{json}{devices}[0]), json_of(JSON::PP->new->decode(sql(<<'SQL'))), 'what is said of a device');
SELECT row_to_json(r) FROM (SELECT l.device_id, l.region, l.state, to_char(l.last_received_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS last_received_at,
  to_char(l.last_measured_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS last_measured_at, s.sample_count, s.last_temperature, s.last_humidity, NULL AS overdue_seconds
  FROM telemetry.device_liveness l JOIN telemetry.device_stats s USING (device_id) WHERE device_id = 'dev 12') r
SQL
is(get("/devices?limit=$_")->{status}, 400, "limit=$_") for 'x', '1e9999', '99999999999', "1'";
my @regions = @{ get('/regions')->{json}{regions} };
is(join(',', map { $_->{region} // 'none' } @regions), "east,north,s\x{fc}d/west,none", 'regions');
is($regions[3]{sample_count}, sql('SELECT sample_count FROM telemetry.region_stats WHERE region IS NULL'), 'and readings without one');
is(json_of(get('/regions?live=true')->{json}), json_of(get('/regions')->{json}), 'live: the same');
is(get('/regions?limit=2')->{json}{next}, 'north', 'a page of regions');
is(json_of(get('/liveness')->{json}), '{"late":0,"never_seen":0,"offline":0,"online":12,"unknown":0}', 'liveness');

# --- charts -----------------------------------------------------------------------------------------------------------------------

my $series = get('/series?device=dev%203&metric=temperature&points=1000')->{json};
my @points = split /\n/, sql(q{SELECT round(extract(epoch FROM time), 4), value, min, max FROM telemetry.series('dev 3', 'temperature', now() - interval '1 day', now(), 1000)});
cmp_ok(scalar @points, '>', 50, 'a series has points');
is(join("\n", map { my $i = $_; join '|', sprintf('%.4f', $series->{time}[$i]), map { $series->{$_}[$i] } qw(value min max) } 0 .. $#{ $series->{time} }), join("\n", @points), 'it is what telemetry.series() says');
is(scalar @{ get('/series?region=s%C3%BCd/west&metric=%C2%B5&points=10')->{json}{time} } <= 10, 1, 'of a region and a metric with a name of its own');
ok(@{ get('/series?region=&metric=humidity')->{json}{time} } > 0, 'of readings without a region');
is(get('/series?device=a&from=tomorrow&to=yesterday')->{status}, 400, 'a span that ends before it begins');
is(get('/series?device=a&from=never')->{json}{sqlstate}, '22007', 'no time');
is(get('/series?device=nobody')->{json}{value}[0], undef, 'of an unknown device: no point');
my $quantiles = get('/quantiles?device=dev%203')->{json};
is(join(' ', map { $_ // 'null' } @{ $quantiles->{sample_count} }), sql(q{SELECT string_agg(sample_count::text, ' ' ORDER BY time) FROM telemetry.device_stats_1h WHERE device_id = 'dev 3' AND metric = 'temperature'}), 'quantiles by hours');
is($quantiles->{p95}[2] + 0, sql(q{SELECT p95 FROM telemetry.device_stats_1h WHERE device_id = 'dev 3' AND metric = 'temperature' ORDER BY time OFFSET 2 LIMIT 1}) + 0, 'as the rollup says');

# --- the others -------------------------------------------------------------------------------------------------------------------

my $status = get('/status')->{json};
is($status->{worker}{state}, 'running', 'status: the worker');
is($status->{ingest}{accepted}, 732, 'status: what was accepted');
is(join(',', map { $_->{projection} } @{ $status->{projections} }), sql(q{SELECT string_agg(projection, ',' ORDER BY projection) FROM telemetry.projection_status}), 'status: projections');
is(join(',', map { "$_->{sink} $_->{state}" } @{ $status->{relay} }), 'nats off,redis off', 'status: the relay');
is(get('/rejected')->{status}, 403, 'a reader may not see what was refused');
my $rejected = get('/rejected', token => $node->token('admin'))->{json};
is("$rejected->{rejected}[0]{device_id} $rejected->{rejected}[0]{sqlstate} $rejected->{by_sqlstate}{TC012}", 'dev 1 TC012 1', 'an administrator may');
like(get('/metrics')->{content}, qr/^telemetry_cqrs_.*\n# EOF\n\z/ms, 'metrics') if sql("SELECT to_regproc('telemetry.open_metrics') IS NOT NULL") eq 't';
my $state = sql("SELECT CASE WHEN bool_or(state = 'error') THEN 'error' WHEN bool_or(state = 'warning') THEN 'warning' ELSE 'ok' END FROM telemetry.health()");
is(json_of($node->request(GET => '/healthz', { token => undef })->{json}), qq({"state":"$state"}), 'the state without a token');
is(json_of(get('/healthz')->{json}), qq({"state":"$state"}), 'and for a reader');
is(scalar @{ get('/healthz', token => $node->token('admin'))->{json}{items} }, sql('SELECT count(*) FROM telemetry.health()'), 'each item for an administrator');
is(get('/nothing')->{status}, 404, 'no route');
is($node->request(DELETE => '/devices', { token => $node->token('reader') })->{headers}{allow}, 'GET, HEAD, OPTIONS', 'another method');
is(get('/devices?limits=1')->{status}, 400, 'an unknown parameter');
is(get('/devices?limit=1&limit=2')->{status}, 400, 'a parameter that is given twice');
is(get('/status?live=true')->{status}, 400, 'live where it means nothing');

# --- the description --------------------------------------------------------------------------------------------------------------

my $description = $node->request(GET => '/openapi.json', { token => undef })->{json};
is($description->{openapi}, '3.1.0', 'the description');
my %sample = ('/devices/{device_id}/stats' => '/devices/dev%201/stats', '/series' => '/series?device=dev%201', '/quantiles' => '/quantiles?device=dev%201');
for my $path (sort keys %{ $description->{paths} })
{
	for my $method (sort keys %{ $description->{paths}{$path} })
	{
		next if $path eq '/events' || $path eq '/' || ($path eq '/metrics' && sql("SELECT to_regproc('telemetry.open_metrics') IS NOT NULL") ne 't');
		my $told = $description->{paths}{$path}{$method};
		my $is_open = $told->{security} && !@{ $told->{security} };
		my $url = $sample{$path} // $path;
		my $with = $node->request(uc $method => $url, { token => $node->token('admin'), headers => { 'Content-Type' => 'application/json' }, content => $method eq 'post' ? '[]' : undef });
		ok($told->{responses}{ $with->{status} } && $with->{status} == 200, "$method $path: 200 is described, and comes") or diag "$with->{status} $with->{content}";
		my $type = (sort keys %{ $told->{responses}{200}{content} })[0];
		is($with->{headers}{'content-type'}, $type, "$method $path: its type") if $path ne '/telemetry';
		my $without = $node->request(uc $method => $url, { token => undef, headers => { 'Content-Type' => 'application/json' }, content => $method eq 'post' ? '[]' : undef });
		is($without->{status}, $is_open ? 200 : 401, "$method $path: without a token");
		ok($told->{responses}{401}, "$method $path: 401 is described") if !$is_open;
		for my $parameter (grep { $_->{in} eq 'query' && !$_->{required} } @{ $told->{parameters} })
		{
			next if $path =~ /series|quantiles/ && $parameter->{name} =~ /^(?:device|region)$/;
			my %values = (integer => '10', string => $parameter->{schema}{format} ? ($parameter->{name} eq 'to' ? '2099-01-01' : '2026-01-01') : $parameter->{schema}{default} // 'x');
			next if $parameter->{name} eq 'fresh';
			my $joined = $url . ($url =~ /\?/ ? '&' : '?') . "$parameter->{name}=" . ($parameter->{name} eq 'time_unit' ? 's' : $values{ $parameter->{schema}{type} });
			is($node->request(uc $method => $joined, { token => $node->token('admin'), headers => { 'Content-Type' => 'application/json' }, content => $method eq 'post' ? '[]' : undef })->{status}, 200, "$method $path: parameter $parameter->{name}");
		}
	}
}
for my $path (qw(/devices /regions /series /liveness /healthz /metrics /events /openapi.json / /telemetry /devices/{device_id}/stats))
{
	ok($description->{paths}{$path}, "$path is described");
}

# --- one's own write --------------------------------------------------------------------------------------------------------------

sql("SELECT telemetry.pause_projection('device')");
my $token = $node->request(POST => '/telemetry', { token => $node->token('both'), headers => { 'Content-Type' => 'application/json' }, content => '{"device_id":"own","temperature":7}' })->{json}{token};
is(get('/devices/own/stats')->{status}, 404, 'while the projection is paused, the write does not show');
is(get('/devices/own/stats?live=true')->{json}{last_temperature}, 7, 'live: it does');
my $begin = time;
$node->append_conf('postgresql.conf', "telemetry_cqrs.http_timeout = '1 s'");
$node->reload;
ok(wait_for($node, "SELECT setting = '1000' FROM pg_settings WHERE name = 'telemetry_cqrs.http_timeout'", 'the setting'), 'a short time');
my $late = get("/devices/own/stats?fresh=$token", token => $node->token('both'));
is("$late->{status} $late->{json}{sqlstate} $late->{headers}{'retry-after'}", '503 TC103 1', 'fresh: not in time');
cmp_ok(time - $begin, '<', 10, 'the wait has an end');
$node->append_conf('postgresql.conf', "telemetry_cqrs.http_timeout = '30 s'");
$node->reload;
ok(wait_for($node, "SELECT setting = '30000' FROM pg_settings WHERE name = 'telemetry_cqrs.http_timeout'", 'the setting'), 'a long time');
my $waiting = $node->raw_socket;
print $waiting "GET /devices/own/stats?fresh=$token HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${\ $node->token('both')}\r\nConnection: close\r\n\r\n";
is(get('/liveness')->{status}, 200, 'while a client waits, others are answered');
sql("SELECT telemetry.resume_projection('device')");
my $text = do { local $/; <$waiting> };
like($text, qr/^HTTP\/1\.1 200 OK\r\n.*"last_temperature":7,/s, 'fresh: the answer has the write');
is(get("/devices/own/stats?fresh=$token", token => $node->token('both'))->{status}, 200, 'fresh: at once');
is(get('/devices/own/stats?fresh=nonsense', token => $node->token('both'))->{status}, 400, 'fresh: no token');
is(get("/devices?fresh=$token&prefix=own", token => $node->token('both'))->{json}{devices}[0]{device_id}, 'own', 'fresh: a list');

# In a hundred rounds each client sees what it has just written.
my $missed = 0;
for my $i (1 .. 100)
{
	my $receipt = $node->request(POST => '/telemetry', { token => $node->token('both'), headers => { 'Content-Type' => 'application/json' }, content => qq({"device_id":"own","temperature":$i}) })->{json};
	$missed++ if (get("/devices/own/stats?fresh=$receipt->{token}", token => $node->token('both'))->{json}{last_temperature} // '') ne $i;
}
is($missed, 0, 'each of a hundred writes shows');

# --- rights -----------------------------------------------------------------------------------------------------------------------

is(get($_, token => $node->token('writer'))->{status}, 403, "a writer: $_") for '/devices/own/stats', '/devices', '/regions', '/series?device=own', '/status', '/liveness';
is(sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs http' AND (backend_xid IS NOT NULL OR backend_xmin IS NOT NULL)"), '0', 'no transaction is left open');

done_testing();
