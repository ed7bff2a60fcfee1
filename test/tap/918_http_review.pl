# What clients of HTTP must not be able to do: stop the server by a text that the encoding of the database has to convert, keep a worker
# waiting for a lock, or get half an answer; and what answers say at the edges.
use strict;
use warnings;

use HTTP::Tiny;
use HttpNode;
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use TelemetryNode;
use Test::More;
use Time::HiRes qw(time usleep);

my $latin_port = PostgreSQL::Test::Cluster::get_free_port();
my $node = HttpNode->new('review', http_allow_origin => 'https://page.example');
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

# --- a database that is not in UTF-8 -----------------------------------------------------------------------------------------------

$node->safe_psql('postgres', "CREATE DATABASE latin1 ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
$node->safe_psql('latin1', 'CREATE EXTENSION telemetry_cqrs');
{
	$node->settings(http_listen => "postgres=$node->{port}, latin1=$latin_port");
	local $target = $node->client_of($node->{node}, $latin_port);
	$target->{tokens} = {};
	for my $role ('reader', 'both')
	{
		$node->safe_psql('latin1', "SELECT telemetry.grant_reader('$role'), telemetry.grant_writer('$role')");
		$target->{tokens}{$role} = $node->safe_psql('latin1', "SELECT telemetry.create_http_token('$role')");
	}
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
unlike(slurp_file($node->logfile), qr/terminated by signal/, 'no process has crashed');

# --- a table that somebody has locked -----------------------------------------------------------------------------------------------

post(qq({"device_id":"d","temperature":1,"region":"$_"})) for 'r1', 'r2', 'r3';
post('{"device_id":"d","temperature":1}');
wait_applied($node);
is(get('/devices/d/stats')->{json}{sample_count}, 4, 'a device');
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

done_testing();
