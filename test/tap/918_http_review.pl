# What clients of HTTP must not be able to do: stop the server by a text that the encoding of the database has to convert, keep a worker
# waiting for a lock, or get half an answer; and what answers say at the edges.
use strict;
use warnings;

use FindBin;
use HTTP::Tiny;
use HttpNode;
use IO::Select;
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use TelemetryNode;
use Test::More;
use Time::HiRes qw(time usleep);

my $other_port = PostgreSQL::Test::Cluster::get_free_port();
my $node = HttpNode->new('review', init => { allows_streaming => 1 }, http_allow_origin => 'https://page.example');
our $target = $node;    # whom get() and post() ask
sub sql { return $node->safe_psql('postgres', $_[0]) }
sub get
{
	my ($path, %options) = @_;
	return $target->request(GET => $path, { token => $options{token} // $target->token('reader'), headers => $options{headers} // {} });
}
sub post
{
	my ($content, %headers) = @_;
	return $target->request(POST => '/telemetry', { token => $target->token('both'), headers => { 'Content-Type' => 'application/json', %headers }, content => $content });
}

# A client of the database "other", with tokens of its own.
sub other_database
{
	$node->settings(http_listen => "postgres=$node->{port}, other=$other_port");
	my $client = $node->client_of($node->{node}, $other_port);
	$client->{tokens} = {};
	for my $role ('reader', 'both')
	{
		$node->safe_psql('other', "SELECT telemetry.grant_reader('$role')");
		$client->{tokens}{$role} = $node->safe_psql('other', "SELECT telemetry.create_http_token('$role')");
	}
	$node->safe_psql('other', "SELECT telemetry.grant_writer('both')");
	return $client;
}

# --- a database that is not in UTF-8 -----------------------------------------------------------------------------------------------

$node->safe_psql('postgres', "CREATE DATABASE other ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
$node->safe_psql('other', 'CREATE EXTENSION telemetry_cqrs');
{
	local $target = other_database();
	ok($target->wait_for_http, 'LATIN1: it answers');
	my $answer = get('/series?device=a&from=%C3%BC');
	is("$answer->{status} $answer->{json}{sqlstate}", '400 22007', 'LATIN1: an error about a text with ü');
	like($answer->{json}{detail}, qr/"\x{fc}"/, 'is told in UTF-8');
	is(post(qq({"device_id":"\xc3\xbc","temperature":1,"idempotency_key":"k"}))->{status}, 200, 'LATIN1: a device ü');
	$answer = post(qq({"device_id":"\xc3\xbc","temperature":2,"idempotency_key":"k"}));
	is("$answer->{status} $answer->{json}{sqlstate}", '409 TC009', 'LATIN1: a conflict of it');
	like($answer->{json}{detail}, qr/"\x{fc}"/, 'is told in UTF-8, too');
	is(post(qq({"device_id":"\xe2\x82\xac"}))->{status}, 400, 'LATIN1: a device that it cannot store');
	is(get("/devices?$_=%E2%82%AC")->{json}{sqlstate}, '22P05', "LATIN1: $_ as such a text") for 'prefix', 'after', 'region';
	is(get('/devices/%E2%82%AC/stats')->{status}, 404, 'LATIN1: it knows no such device');
	ok(wait_for_device('/devices/%C3%BC/stats'), 'LATIN1: the device that it knows');
	is(get($_)->{json}{device_id}, "\x{fc}", "LATIN1: $_") for '/devices/%C3%BC/stats', '/devices/%C3%BC/stats?live=true';
	is(get('/devices?prefix=%C3%BC')->{json}{devices}[0]{device_id}, "\x{fc}", 'LATIN1: a list');
}
sub wait_for_device
{
	my ($path) = @_;
	my $end = time + 30;
	while (time < $end)
	{
		return 1 if get($path)->{status} == 200;
		usleep(50_000);
	}
	return 0;
}
$node->safe_psql('postgres', 'DROP DATABASE other WITH (FORCE)');
$node->safe_psql('postgres', "CREATE DATABASE other ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0");
$node->safe_psql('other', 'CREATE EXTENSION telemetry_cqrs');
{
	local $target = other_database();
	ok($target->wait_for_http, 'SQL_ASCII: it answers');
	$node->safe_psql('other', q{SELECT telemetry.ingest_telemetry(E'\\xc3\\xbc\\x85', NULL, 1)});
	ok(wait_for_device('/devices/%C3%BC%85/stats'), 'SQL_ASCII: a device whose name is not UTF-8');
	is(get($_)->{json}{device_id}, "\x{fc}\x{fffd}", "SQL_ASCII: $_ is UTF-8 all the same") for '/devices/%C3%BC%85/stats';
	is(get('/devices')->{json}{devices}[0]{device_id}, "\x{fc}\x{fffd}", 'SQL_ASCII: so is a list');
}
unlike(slurp_file($node->logfile), qr/terminated by signal/, 'no process has crashed');

# --- a table that somebody has locked -----------------------------------------------------------------------------------------------

post(qq({"device_id":"d","temperature":1,"region":"$_"})) for 'r1', 'r2', 'r3';
post('{"device_id":"n","temperature":1}');
wait_applied($node);
is(get('/devices/d/stats')->{json}{sample_count}, 3, 'a device');
for my $table (qw(http_token state_device))
{
	my $locker = $node->background_psql('postgres');
	$locker->query_safe("BEGIN; LOCK telemetry.$table IN ACCESS EXCLUSIVE MODE");
	for my $path ('/devices/d/stats', $table eq 'http_token' ? '/regions' : ())
	{
		my $begin = time;
		my $answer = get($path);
		my $took = time - $begin;
		is("$answer->{status} $answer->{json}{sqlstate} $answer->{headers}{'retry-after'}", '503 55P03 1', "$table is locked: $path says try again");
		cmp_ok($took, '<', 5, "$table is locked: $path does not keep the worker waiting");
	}
	$locker->query_safe('ROLLBACK');
	$locker->quit;
}

# --- answers at the edges -----------------------------------------------------------------------------------------------------------

is(get("/devices/d/stats?live=$_")->{status}, 400, "live=$_ is neither true nor false") for '', 1, 'TRUE';
is(get('/devices/d/stats?live=false')->{status}, 200, 'live=false');
is(get('/devices?live=true')->{status}, 400, 'live where there is no such answer');
{
	my ($after, @seen) = ('');
	for (1 .. 5)
	{
		my $page = get("/regions?limit=2$after")->{json};
		push @seen, map { $_->{region} // 'none' } @{ $page->{regions} };
		last if !defined $page->{next};
		$after = "&after=$page->{next}";
	}
	is("@seen", 'r1 r2 r3 none', 'pages of regions: each once, also what has none');
}
my %from_page = (Origin => 'https://page.example');
is(post('{"device_id":"d","temperature":2}', %from_page)->{headers}{'access-control-allow-origin'}, 'https://page.example', 'a page may read the answer to its command');
is(post('[', %from_page)->{headers}{'access-control-allow-origin'}, 'https://page.example', 'and why it was refused');
my $nobody = $node->request(GET => '/events', { token => undef, headers => {%from_page} });
is(join(' ', map { $_ // '' } $nobody->{status}, @{ $nobody->{headers} }{qw(www-authenticate access-control-allow-origin x-content-type-options)}), '401 Bearer https://page.example nosniff', 'the refusal of a stream has the fields of any other');
is($node->request(HEAD => '/events', $_->[0])->{status}, $_->[1], "HEAD of a stream: $_->[1]") for [ { token => undef } => 401 ], [ { token => $node->token('writer') } => 403 ], [ { token => $node->token('reader') } => 200 ];

# The manual's table has each status of the command, and so has the description.
my ($rows) = slurp_file("$FindBin::Bin/../../doc/manual/http.md") =~ /\n\| status \|.*?\n\|---.*?\n(.*?)\n\n/s;
my %of_manual = map { $_ => 1 } map { /^\| ([\d, ]+) \|/ ? split /, /, $1 : () } split /\n/, $rows;
is(join(' ', sort keys %{ get('/openapi.json')->{json}{paths}{'/telemetry'}{post}{responses} }), join(' ', sort keys %of_manual), 'the description has the statuses of the manual');

# --- a place in a stream that this log has never had ----------------------------------------------------------------------------------

# Returns what the stream has sent when it matches, or after some seconds.
sub stream_from
{
	my ($place, $pattern) = @_;
	my $socket = $node->raw_socket;
	print $socket "GET /events?after=$place HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${\ $node->token('reader')}\r\n\r\n";
	my ($text, $end) = ('', time + 20);
	while ($text !~ $pattern && time < $end)
	{
		next if !IO::Select->new($socket)->can_read(0.2);
		last if !sysread $socket, $text, 65536, length $text;
	}
	return $text;
}
my $newest = sql('SELECT max(batch_id) FROM telemetry.batch');
like(stream_from($newest + 5, qr/event: \w+/), qr/event: lost\r?\ndata: .*"TC203"/, 'a batch ahead of the log: lost, not an endless wait');
like(stream_from('9223372036854775806', qr/event: \w+/), qr/event: lost/, 'the largest number that a batch can follow');
is(get('/events?after=9223372036854775807')->{status}, 400, 'and one that none can follow');

# --- who may make a token -------------------------------------------------------------------------------------------------------------

sql("CREATE ROLE maker; CREATE ROLE boss; SELECT telemetry.grant_admin('maker')");
sub make_token { return $node->psql('postgres', "SET ROLE maker; SELECT telemetry.create_http_token('boss')") }
isnt(make_token(), 0, 'a stranger can make no token of a role');
sql('GRANT boss TO maker');
is(make_token(), 0, 'a member can');
SKIP:
{
	skip 'before version 16 each member of a role can act as it', 1 if $node->pg_version < 16;
	sql('GRANT boss TO maker WITH SET FALSE, INHERIT FALSE');
	isnt(make_token(), 0, 'but not one that cannot act as the role');
}

# --- a standby ------------------------------------------------------------------------------------------------------------------------

is(defined get($_, token => $node->token('admin'))->{headers}{'as-of'}, 1, "$_: complete up to now") for '/rejected', '/series?device=d';
$node->backup('of_review');
my $standby = standby_of($node, 'standby', 'of_review', conf => "telemetry_cqrs.http_listen = 'postgres=$other_port'\ntelemetry_cqrs.launcher_interval = 200ms\n");
$node->wait_for_catchup($standby);
{
	local $target = $node->client_of($standby, $other_port);
	$node->stop;
	ok($target->wait_for_http, 'the standby answers');
	for ('/rejected', '/series?device=d')
	{
		my $answer = get($_, token => $node->token('admin'));
		is("$answer->{status} " . ($answer->{headers}{'as-of'} // 'not known'), '200 not known', "$_: a standby does not know up to when it is complete");
	}
}
$standby->stop;

done_testing();
