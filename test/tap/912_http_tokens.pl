# Who may do what by HTTP: tokens, the role without a token, other sites' pages. A token is of use while it is kept, has not expired
# and names a role that is no superuser. What the role may not do gives 403, and what nobody has asked for properly gives 401.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../support";

use Digest::SHA qw(sha256_hex);
use HttpNode;
use PostgreSQL::Test::Utils;
use TelemetryNode;
use Test::More;
use Time::HiRes qw(time usleep);

my $http = HttpNode->new('tokens');
my $node = $http->{node};
sub sql { return $http->sql(@_) }

# The status for a token, or for none.
sub status { my ($token, $path) = @_; return $http->get($path // '/devices', token => $token)->{status} }

# As this role, the error that a statement gives.
sub sqlstate_as
{
	my ($role, $statement) = @_;
	my ($out, $err);
	$node->psql('postgres', "\\set VERBOSITY sqlstate\n$statement", stdout => \$out, stderr => \$err, extra_params => [ '-U', $role ]);
	return $err =~ /ERROR:\s+(\w{5})$/m ? $1 : "$out$err";
}

# Waits until a request with this token gets this status.
sub becomes
{
	my ($token, $status, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $deadline = time + 30;
	usleep(20_000) until status($token) == $status || time > $deadline;
	return is(status($token), $status, $what);
}

is($http->post('/telemetry', { device_id => 'a', region => 'hall', temperature => 1 })->{json}{status}, 'accepted', 'a writer stores a reading');
wait_applied($node);

# --- making and ending tokens ------------------------------------------------------------------------------------------

my $token = sql("SELECT telemetry.create_http_token('reader', 'the page')");
like($token, qr/^tcq_[0-9a-f]{64}$/, 'a token');
isnt(sql("SELECT telemetry.create_http_token('reader')"), $token, 'each token is another one');
is(sql("SELECT hash FROM telemetry.http_token WHERE description = 'the page'"), sha256_hex($token), 'the table keeps its SHA-256');
is(sql("SELECT count(*) FROM telemetry.http_token t WHERE strpos(t::text, '$token') > 0 OR strpos(t::text, '" . substr($token, 4) . "') > 0"), '0', 'and nowhere the token');
unlike(slurp_file($node->logfile), qr/\Q$token\E/, 'the server log has no token');
is(status($token), 200, 'it is of use');
is(sql("SELECT state FROM telemetry.http_tokens WHERE description = 'the page'"), 'active', 'telemetry.http_tokens shows it');
is(status($token . '0'), 401, 'a longer one is not');
is(status(substr $token, 0, -1), 401, 'a shorter one is not');
is(status(uc $token), 401, 'one in capitals is not');
is(status(sha256_hex($token)), 401, 'its hash is none');

my $id = sql("SELECT token_id FROM telemetry.http_tokens WHERE description = 'the page'");
my $stream = $http->raw_socket;
print $stream "GET /events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer $token\r\n\r\n";
like(scalar $http->read_all($stream, 30, qr/retry: /), qr/^HTTP\/1\.1 200 /, 'a stream begins');
is(sql("SELECT telemetry.revoke_http_token('$id')"), 't', 'it is revoked');
is(status($token), 401, 'the next request gets 401');
my ($rest, $has_closed) = $http->read_all($stream, 30);
ok($has_closed, 'the stream ends');
like($rest, qr/event: error\b.*401/s, 'and says why');
is(sql("SELECT telemetry.revoke_http_token('$id')"), 'f', 'there is nothing more to revoke');

# --- expiry ------------------------------------------------------------------------------------------------------------

my $short = sql("SELECT telemetry.create_http_token('reader', 'short', clock_timestamp() + '3 seconds')");
is(status($short), 200, 'before it expires');
becomes($short, 401, 'a token expires');
is(sql("SELECT state FROM telemetry.http_tokens WHERE description = 'short'"), 'expired', 'and the view says so');
is(sqlstate_as('postgres', "SELECT telemetry.create_http_token('reader', NULL, now() - interval '1 s')"), '22023', 'a time that has passed');

# --- the role of a token -----------------------------------------------------------------------------------------------

sql("CREATE ROLE guest; SELECT telemetry.grant_reader('guest')");
my $guest = $http->token('guest');
my $state = "SELECT state FROM telemetry.http_tokens WHERE role = 'guest'";
is(status($guest), 200, 'a role without LOGIN');
is(status($guest, '/devices/a/stats'), 200, 'and natively');
sql('ALTER ROLE guest RENAME TO visitor');
is(status($guest), 401, 'the role has another name');
is(status($guest, '/devices/a/stats'), 401, 'and natively');
is(sql($state), 'no such role', 'the view says so');
sql('ALTER ROLE visitor RENAME TO guest');
is(status($guest), 200, 'it has its name again');
sql('ALTER ROLE guest SUPERUSER');
is(status($guest), 401, 'it has become a superuser');
is(status($guest, '/devices/a/stats'), 401, 'and natively');
is(sql($state), 'superuser', 'the view says so');
sql('ALTER ROLE guest NOSUPERUSER');
is(status($guest), 200, 'it is none any more');
sql('DROP OWNED BY guest; DROP ROLE guest');
is(status($guest), 401, 'it was dropped');
is(sql($state), 'no such role', 'the view says so');

is(sqlstate_as('postgres', "SELECT telemetry.create_http_token('postgres')"), '42501', 'no token for a superuser');
is(sqlstate_as('postgres', "SELECT telemetry.create_http_token('nobody')"), '42704', 'nor for an unknown role');
is(sqlstate_as('postgres', 'SELECT telemetry.create_http_token(0)'), '42704', 'nor for no role');
is(sqlstate_as('postgres', 'SELECT telemetry.create_http_token(NULL)'), '22004', 'nor for NULL');
is(sqlstate_as('admin', "SELECT telemetry.create_http_token('reader')"), '42501', 'an administrator needs to be a member of the role');
like(sqlstate_as('admin', "SELECT telemetry.create_http_token('admin')"), qr/^tcq_/, 'and is one of its own');
sql('GRANT reader TO admin');
like(sqlstate_as('admin', "SELECT telemetry.create_http_token('reader')"), qr/^tcq_/, 'and now of the other');
sql('REVOKE reader FROM admin');
SKIP:
{
	skip 'memberships have no option SET before PostgreSQL 16', 1 if sql("SELECT current_setting('server_version_num')::int < 160000") eq 't';
	sql('GRANT reader TO admin WITH SET FALSE, INHERIT FALSE');
	is(sqlstate_as('admin', "SELECT telemetry.create_http_token('reader')"), '42501', 'a member that may not become the role');
	sql('REVOKE reader FROM admin');
}
foreach my $role (qw(reader writer))
{
	is(sqlstate_as($role, "SELECT telemetry.create_http_token('$role')"), '42501', "a $role makes no token");
	is(sqlstate_as($role, "SELECT telemetry.revoke_http_token('$id')"), '42501', "a $role ends none");
	is(sqlstate_as($role, 'SELECT * FROM telemetry.http_tokens'), '42501', "a $role sees none");
	is(sqlstate_as($role, 'SELECT * FROM telemetry.http_token'), '42501', "a $role reads no hashes");
}
is(sqlstate_as('admin', 'SELECT hash FROM telemetry.http_token'), '42501', 'an administrator reads no hashes');
is(sqlstate_as('admin', "INSERT INTO telemetry.http_token VALUES ('x', 'postgres', NULL, 'x', now(), NULL)"), '42501', 'nor writes them');
like(sqlstate_as('admin', 'SELECT count(*) FROM telemetry.http_tokens'), qr/^\d+$/, 'an administrator sees the tokens');

# --- what is no token --------------------------------------------------------------------------------------------------

my %routes = (
	'/devices/a/stats' => 'reader', '/devices/a/stats?live=true' => 'reader', '/devices' => 'reader', '/regions' => 'reader', '/liveness' => 'reader',
	'/series?device=a' => 'reader', '/quantiles?device=a' => 'reader', '/status' => 'reader', '/rejected' => 'admin', '/metrics' => 'reader', '/events' => 'reader');
foreach my $path (sort keys %routes)
{
	foreach my $case ([ 'no field', undef ], [ 'an empty token', '' ], [ 'an unknown token', 'tcq_' . '0' x 64 ], [ 'a long token', 'x' x 1000 ], [ 'other characters', q{tcq_"\' --} ])
	{
		my ($name, $given) = @$case;
		my $answer = $http->get($path, token => $given);
		is($answer->{status}, 401, "$path: $name") or diag $answer->{content};
		is($answer->{headers}{'www-authenticate'}, 'Bearer', "$path: $name: the field says what is wanted");
		is($answer->{headers}{'content-type'}, 'application/problem+json', "$path: $name: a problem");
	}
	is($http->get($path, token => undef, headers => { Authorization => 'Basic ' . 'a' x 20 })->{status}, 401, "$path: another scheme");
	is($http->request('HEAD', $path, { token => undef })->{status}, 401, "$path: HEAD without a token");
}
is($http->post('/telemetry', { device_id => 'a' }, token => undef)->{status}, 401, 'no token, no reading');
is($http->get('/devices', token => undef, headers => { Authorization => 'bEARER ' . $http->token('reader') })->{status}, 200, 'the scheme has no case');
is(status(undef, $_), 200, "$_ needs none") foreach qw(/openapi.json /healthz);
isnt(status(undef, '/'), 401, 'the page needs none');
is(status('tcq_x', '/healthz'), 401, '/healthz with a wrong token');
ok(!exists $http->get('/healthz', token => undef)->{json}{items}, 'nobody is told the items');
ok(!exists $http->get('/healthz', token => $http->token('writer'))->{json}{items}, 'nor a writer');
ok(exists $http->get('/healthz', token => $http->token('admin'))->{json}{items}, 'but an administrator');

# --- rights ------------------------------------------------------------------------------------------------------------

my $has_metrics = sql("SELECT to_regproc('telemetry.open_metrics') IS NOT NULL") eq 't';
diag('SKIPPED: there is no telemetry.open_metrics() yet, so nothing is tested about the rights to /metrics') if !$has_metrics;
# A bare role may connect and nothing more.
sql('CREATE ROLE bare');
foreach my $path (sort keys %routes)
{
	next if $path eq '/events';    # a stream does not end
	next if $path eq '/metrics' && !$has_metrics;
	foreach my $role (qw(bare writer reader admin))
	{
		my $may = $role eq 'admin' || $role eq $routes{$path};
		my $answer = $http->get($path, token => $http->token($role));
		is($answer->{status}, $may ? 200 : 403, "$path: $role") or diag $answer->{content};
		is($answer->{json}{sqlstate}, '42501', "$path: $role: because of its rights") if !$may;
	}
}
is($http->get('/events', token => $http->token($_))->{json}{sqlstate}, '42501', "/events: $_") foreach qw(bare writer);
foreach my $role (qw(bare reader))
{
	my $answer = $http->post('/telemetry', { device_id => 'a', temperature => 2 }, token => $http->token($role));
	is("$answer->{status} $answer->{json}{sqlstate}", '403 42501', "POST /telemetry: $role");
}
is($http->post('/telemetry', { device_id => 'a', temperature => 3 }, token => $http->token('both'))->{status}, 200, 'POST /telemetry: a role with both rights');
is(status($http->token('both')), 200, 'which also reads');
# The role of one client is not that of the next one.
foreach (1 .. 50)
{
	my @statuses = map { status($_, '/devices/a/stats') } $http->token('reader'), $http->token('bare'), undef;
	next if "@statuses" eq '200 403 401';
	fail("in turn: @statuses");
	last;
}
my $pipelined = $http->raw_socket;
print $pipelined join '', map { "GET /devices/a/stats HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer $_\r\n\r\n" } $http->token('reader'), $http->token('bare'), 'x', $http->token('reader');
my ($answers) = $http->read_answers($pipelined, 4);
is(join(' ', $answers =~ /HTTP\/1\.1 (\d+)/g), '200 403 401 200', 'one after the other in one connection');

# --- the role of requests without a token ------------------------------------------------------------------------------

$http->settings(http_anonymous_role => 'reader');
becomes(undef, 200, 'without a token as a reader');
is(status(undef, '/devices/a/stats'), 200, 'and natively');
is(status('tcq_x'), 401, 'a wrong token does not become none');
is($http->post('/telemetry', { device_id => 'a' }, token => undef)->{status}, 403, 'a reader writes nothing');
is(status(undef, '/rejected'), 403, 'and reads no more than a reader');
is($http->post('/telemetry', { device_id => 'a', temperature => 4 })->{status}, 200, 'a token counts as before');
$http->settings(http_anonymous_role => 'postgres');
becomes(undef, 503, 'a superuser is refused');
$http->settings(http_anonymous_role => 'nobody at all');
is($http->get('/devices')->{status}, 200, 'a token counts as before');
becomes(undef, 503, 'and so is no role');
$http->settings(http_anonymous_role => '');
becomes(undef, 401, 'without a role for them they get 401');

# --- pages of other sites ----------------------------------------------------------------------------------------------

sub origin_of { my ($answer) = @_; return $answer->{headers}{'access-control-allow-origin'} // 'none' }
my %from = (headers => { Origin => 'https://fleet.example.com' });
is(origin_of($http->get('/devices', %from)), 'none', 'off: no page of another site reads an answer');
is(origin_of($http->request('OPTIONS', '/devices', { %from, token => undef })), 'none', 'off: nor may it ask');
$http->settings(http_allow_origin => 'https://fleet.example.com');
my $deadline = time + 30;
usleep(20_000) until origin_of($http->get('/devices', %from)) ne 'none' || time > $deadline;
foreach my $case ([ GET => '/devices', $http->token('reader'), 200 ], [ GET => '/devices/a/stats', $http->token('reader'), 200 ], [ GET => '/devices', undef, 401 ], [ GET => '/events', undef, 401 ],
	[ GET => '/events', $http->token('writer'), 403 ], [ GET => '/nothing', undef, 404 ], [ POST => '/telemetry', undef, 415 ], [ PUT => '/devices', undef, 405 ])
{
	my ($method, $path, $given, $status) = @$case;
	my $answer = $http->request($method, $path, { %from, token => $given });
	is("$answer->{status} " . origin_of($answer), "$status https://fleet.example.com", "on: $method $path $status");
	like($answer->{headers}{vary}, qr/Origin/, "on: $method $path $status: varies") if origin_of($answer) ne 'none';
}
is(origin_of($http->get('/devices', headers => { Origin => 'https://other.example.com' })), 'none', 'on: not another site');
is(origin_of($http->get('/devices', headers => { Origin => 'https://fleet.example.com.evil.org' })), 'none', 'on: nor one that begins so');
is(origin_of($http->get('/devices')), 'none', 'on: no origin, no field');
my $preflight = $http->request('OPTIONS', '/telemetry', { token => undef, headers => { %{ $from{headers} }, 'Access-Control-Request-Method' => 'POST', 'Access-Control-Request-Headers' => 'authorization, content-type' } });
is($preflight->{status}, 204, 'a preflight');
like($preflight->{headers}{'access-control-allow-methods'}, qr/POST/, 'which method');
like($preflight->{headers}{'access-control-allow-headers'}, qr/Authorization.*Content-Type/i, 'which fields');
is(origin_of($preflight), 'https://fleet.example.com', 'from where');
is($preflight->{content} // '', '', 'and no more');
ok(!exists $preflight->{headers}{'access-control-allow-credentials'}, 'no cookie is sent along');
my $split = $http->raw_socket;
$http->settings(http_allow_origin => '*');
$deadline = time + 30;
usleep(20_000) until origin_of($http->get('/devices', headers => { Origin => 'http://any' })) eq 'http://any' || time > $deadline;
is(origin_of($http->get('/devices', headers => { Origin => 'http://any' })), 'http://any', '*: any site');
$http->settings(http_allow_origin => '');

# --- forms of other sites ----------------------------------------------------------------------------------------------

# A page may send these three types without asking first. So no browser can be led to store a reading.
my $count = sql('SELECT count(*) FROM telemetry.measurements');
foreach my $type ('application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'text/plain', 'text/plain;charset=UTF-8', 'TEXT/PLAIN; application/json', '', 'application/jsonp', 'text/"\\')
{
	my $answer = $http->request('POST', '/telemetry', { headers => { 'Content-Type' => $type, Origin => 'http://evil.example.com' }, content => '{"device_id": "a", "temperature": 99}' });
	is($answer->{status}, 415, "a body of type \"$type\"");
	ok(defined $answer->{json}, "a body of type \"$type\": the problem is JSON");
}
is(sql('SELECT count(*) FROM telemetry.measurements'), $count, 'and nothing was stored');
is($http->request('POST', '/telemetry', { headers => { 'Content-Type' => 'Application/JSON ; charset=utf-8' }, content => '{"device_id": "a", "temperature": 5}' })->{status}, 200, 'a type in capitals with a parameter');

$node->stop;
done_testing();
