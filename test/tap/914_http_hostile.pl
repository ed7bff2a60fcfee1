# Clients of HTTP that are slow, broken or malicious. The worker always answers or closes. It never crashes, reads no two requests where
# a proxy in front would see one, answers the others meanwhile, and its memory stays as it is.
# Begins early.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../support";

use HttpNode;
use IO::Compress::Gzip qw(gzip $GzipError);
use IO::Select;
use PostgreSQL::Test::Utils;
use ServerLog;
use Socket qw(SOL_SOCKET SO_RCVBUF SHUT_WR);
use TelemetryNode;
use Test::More;
use Time::HiRes qw(time usleep);

my $timeout = 2;    # seconds
my $http = HttpNode->new('hostile', http_timeout => "${timeout}s", http_body => '1MB', conf => $ServerLog::conf);
my $node = $http->{node};
my $from = log_end($node);
sub sql { return $http->sql(@_) }
my $reader = 'Authorization: Bearer ' . $http->token('reader');
my $writer = 'Authorization: Bearer ' . $http->token('writer');
my ($pid) = $http->pids;
$http->post('/telemetry', [ map { { device_id => "d$_", region => 'hall', temperature => $_ } } 1 .. 1000 ]);
wait_applied($node);

# Sends bytes, ends its side of the connection, and returns what comes until the server closes.
sub exchange
{
	my ($bytes, %options) = @_;
	my $socket = $http->raw_socket or return ('', 0);
	send_all($socket, $bytes);
	shutdown $socket, SHUT_WR if !$options{open};
	return $http->read_all($socket, $options{seconds} // 30);
}

# A server that answers and closes before it has read everything makes the write fail.
sub send_all
{
	my ($socket, $bytes) = @_;
	local $SIG{PIPE} = 'IGNORE';
	for (my $sent = 0; $sent < length $bytes;)
	{
		my $count = syswrite $socket, $bytes, 1 << 16, $sent;
		return 0 if !$count;
		$sent += $count;
	}
	return 1;
}

# Takes answers apart by their lengths: statuses, and what is left.
sub statuses
{
	my ($bytes) = @_;
	my @found;
	while ($bytes =~ s/\AHTTP\/1\.1 (\d{3}) [^\r\n]*\r\n((?:[^\r\n]+\r\n)*)\r\n//)
	{
		my ($status, $fields) = ($1, $2);
		push @found, $status;
		substr($bytes, 0, $1) = '' if $fields =~ /^Content-Length: (\d+)\r$/mi;
	}
	push @found, 'and more' if length $bytes;
	return join ' ', @found;
}

# The others are answered.
sub others_are_answered
{
	my ($name, $most) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($longest, @bad) = (0);
	foreach my $path (qw(/devices/d1/stats /liveness /openapi.json))
	{
		my $began = time;
		my $answer = $http->get($path);
		push @bad, "$path: $answer->{status} $answer->{content}" if $answer->{status} != 200;
		my $took = time - $began;
		$longest = $took if $took > $longest;
	}
	is("@bad", '', "$name: others are answered");
	return ok($longest < ($most // 1), sprintf '%s: within %.3f s', $name, $longest);
}

# The sockets that the worker has open.
sub sockets_of
{
	my ($process) = @_;
	return scalar grep { (readlink $_ // '') =~ /^socket:/ } glob "/proc/$process/fd/*";
}

sub until_true
{
	my ($seconds, $condition) = @_;
	my $deadline = time + $seconds;
	until ($condition->()) { return 0 if time > $deadline; usleep(20_000) }
	return 1;
}

my $get = "GET /devices/d1/stats HTTP/1.1\r\nHost: x\r\n$reader\r\n\r\n";
my $post = "POST /telemetry HTTP/1.1\r\nHost: x\r\n$writer\r\nContent-Type: application/json\r\n";
my $begin = "POST /telemetry HTTP/1.1\r\nHost: x\r\n";
sub with_length { my ($head, $body) = @_; return $head . 'Content-Length: ' . length($body) . "\r\n\r\n$body" }
is(statuses(exchange($get)), '200', 'a good request');
my $idle_sockets = sockets_of($pid);

# --- one request, one answer -------------------------------------------------------------------------------------------

# Behind each of them comes a good request. A status with nothing behind it: the connection was closed, and the good one not read.
my @cases = (    # name, bytes, the statuses without the good request
	[ 'half a request line', 'GET /dev', '' ],
	[ 'half a head', "GET / HTTP/1.1\r\nHost: x\r\n", '' ],
	[ 'a length, then chunks', "${begin}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", '400' ],
	[ 'chunks, then a length', "${begin}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", '400' ],
	[ 'two lengths', "${begin}Content-Length: 0\r\nContent-Length: 44\r\n\r\n", '400' ],
	[ 'a list of lengths', "${begin}Content-Length: 5, 5\r\n\r\nabcde", '400' ],
	[ 'a length with a sign', "${begin}Content-Length: +5\r\n\r\nabcde", '400' ],
	[ 'a negative length', "${begin}Content-Length: -1\r\n\r\n", '400' ],
	[ 'a length in hexadecimal digits', "${begin}Content-Length: 0x5\r\n\r\nabcde", '400' ],
	[ 'a length of nothing', "${begin}Content-Length: \r\n\r\nabcde", '400' ],
	[ 'a length with a word', "${begin}Content-Length: 5 a\r\n\r\nabcde", '400' ],
	[ 'a huge length', "${begin}Content-Length: 1000000000\r\n\r\n", '413' ],
	[ 'a length of 2^64', "${begin}Content-Length: 18446744073709551616\r\n\r\n", '400' ],
	[ 'a length of 2^63', "${begin}Content-Length: 9223372036854775808\r\n\r\n", '413' ],
	[ 'a coding that is none', "${begin}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", '501' ],
	[ 'a coding in quotes', "${begin}Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", '501' ],
	[ 'chunked and identity', "${begin}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", '501' ],
	[ 'chunked twice', "${begin}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", '501' ],
	[ 'two fields of codings', "${begin}Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", '501' ],
	[ 'a coding in the next line', "${begin}Transfer-Encoding:\r\n chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", '400' ],
	[ 'a space before the colon', "${begin}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", '400' ],
	[ 'a tab before the name', "GET / HTTP/1.1\r\n\tHost: x\r\n\r\n", '400' ],
	[ 'a coding with a vertical tab', "${begin}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", '400' ],
	[ 'chunks of HTTP/1.0', "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", '400' ],
	[ 'a chunk with a sign', "${begin}Transfer-Encoding: chunked\r\n\r\n+5\r\nabcde\r\n0\r\n\r\n", '400' ],
	[ 'a chunk with a space', "${begin}Transfer-Encoding: chunked\r\n\r\n 5\r\nabcde\r\n0\r\n\r\n", '400' ],
	[ 'a chunk of nothing', "${begin}Transfer-Encoding: chunked\r\n\r\n\r\nabcde\r\n0\r\n\r\n", '400' ],
	[ 'a chunk longer than it says', "${begin}Transfer-Encoding: chunked\r\n\r\n1\r\nabcde\r\n0\r\n\r\n", '400' ],
	[ 'a chunk of 2^64 bytes', "${begin}Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\nabcde\r\n0\r\n\r\n", '400' ],
	[ 'a chunk of 2^60 bytes', "${begin}Transfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\nabcde\r\n0\r\n\r\n", '413' ],
	[ 'chunks with LF only', "${begin}Transfer-Encoding: chunked\r\n\r\n5\nabcde\r\n0\r\n\r\n", '400' ],
	[ 'an extension without an end', "${begin}Transfer-Encoding: chunked\r\n\r\n5;" . 'a' x 3_000_000, '431' ],
	[ 'fields without an end behind the chunks', "${begin}Transfer-Encoding: chunked\r\n\r\n0\r\nA: " . 'a' x 3_000_000, '431' ],
	[ 'LF only', "GET / HTTP/1.1\nHost: x\n\n", '(400|505)' ],
	[ 'a lone CR', "GET / HTTP/1.1\r\nA: b\rContent-Length: 44\r\n\r\n", '400' ],
	[ 'a NUL in a field', "GET / HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n", '400' ],
	[ 'a NUL in a name', "GET / HTTP/1.1\r\nHost: x\r\nA\0: b\r\n\r\n", '400' ],
	[ 'a NUL in the path', "GET /a\0b HTTP/1.1\r\nHost: x\r\n\r\n", '400' ],
	[ 'a NUL in the method', "GE\0T / HTTP/1.1\r\nHost: x\r\n\r\n", '400' ],
	[ 'zeros', "\0" x 5000, '400' ],
	[ 'a space in the path', "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", '(400|505)' ],
	[ 'HTTP/2', "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", '505' ],
	[ 'HTTP/1.2', "GET / HTTP/1.2\r\nHost: x\r\n\r\n", '505' ],
	[ 'HTTP/0.9', "GET /\r\n", '(400|505)' ],
	[ 'a name of a protocol in small letters', "GET / http/1.1\r\nHost: x\r\n\r\n", '(400|505)' ],
	[ 'TLS', "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" . 'x' x 500, '400' ],
	[ 'no host', "GET /openapi.json HTTP/1.1\r\n\r\n", '400' ],
	[ 'two hosts', "GET /openapi.json HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", '400' ],
	[ '100,000 fields', "GET / HTTP/1.1\r\nHost: x\r\n" . join('', map { "F$_: x\r\n" } 1 .. 100_000) . "\r\n", '431' ],
	[ 'a field of a megabyte', "GET / HTTP/1.1\r\nHost: x\r\nA: " . 'a' x 1_000_000 . "\r\n\r\n", '431' ],
	[ 'a name of a megabyte', "GET / HTTP/1.1\r\nHost: x\r\n" . 'a' x 1_000_000 . ": x\r\n\r\n", '431' ],
	[ 'a path of a megabyte', 'GET /' . 'a' x 1_000_000 . " HTTP/1.1\r\nHost: x\r\n\r\n", '431' ],
	[ 'a method of a megabyte', 'G' x 1_000_000 . " / HTTP/1.1\r\nHost: x\r\n\r\n", '(400|431)' ],
	[ 'a broken request behind HEAD', "HEAD /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" . "\0" x 100, undef ]);
foreach my $case (@cases)
{
	my ($name, $bytes, $expected) = @$case;
	my ($answer, $has_closed) = exchange($bytes . $get, open => 1, seconds => $timeout + 10);
	ok($has_closed, "$name: the connection is closed");
	if (!defined $expected)
	{
		like($answer, qr/\AHTTP\/1\.1 200 .*?\r\n\r\nHTTP\/1\.1 400 .*\r\n\r\n\{.*\}\n\z/s, "$name: the second answer has its body");
		next;
	}
	# The good request is the rest of the broken one, which is then no request, or is not read at all.
	my $got = statuses($answer);
	$expected = '(|400|408|505)' if $expected eq '';
	ok($got =~ /\A$expected\z/ || ($got eq '' && length $bytes > 50_000), "$name: one answer at most") or diag "got: $got\n", substr $answer, 0, 500;
}
others_are_answered('after broken requests');
is(sockets_of($pid), $idle_sockets, 'no connection is left') if until_true(20, sub { sockets_of($pid) <= $idle_sockets });

# What only looks like a second request is a body.
my $hidden = "GET /liveness HTTP/1.1\r\nHost: x\r\n$reader\r\n\r\n";
is(statuses(exchange(with_length("${begin}$writer\r\nContent-Type: text/plain\r\n", $hidden) . $get)), '415 200', 'a request in a body');
is(statuses(exchange("${begin}$writer\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n" . sprintf("%x;a=\"b\"\r\n", length $hidden) . "$hidden\r\n0\r\nAuthorization: x\r\nHost: y\r\n\r\n$get")), '415 200', 'a request in a chunk, and fields behind it');
is(statuses(exchange("${begin}$writer\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 44\r\n\r\n$get")), '400', 'a length behind the chunks');
is(statuses(exchange(with_length("GET /devices/d1/stats HTTP/1.1\r\nHost: x\r\n$reader\r\n", $hidden) . $get)), '200 200', 'a request in the body of a GET');
is(statuses(exchange("GET /devices/d1/stats HTTP/1.1\r\nHost: x\r\n$reader\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n$get")), '200 200', 'an upgrade is not made');
is(statuses(exchange("CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n$get")), '400', 'CONNECT');
# Not one byte may follow an answer that closes.
is(statuses(exchange("GET /devices/d1/stats HTTP/1.1\r\nHost: x\r\n$reader\r\nConnection: close\r\n\r\n$get")), '200', 'nothing is read after the client has said that it closes');
is(statuses(exchange("GET /devices/d1/stats HTTP/1.0\r\n$reader\r\n\r\n$get")), '200', 'HTTP/1.0 closes');
is(statuses(exchange("GET /devices/d1/stats HTTP/1.0\r\n$reader\r\nConnection: keep-alive\r\n\r\n$get")), '200', 'HTTP/1.0 closes, whatever it asks for');

# Each place in which bytes can be cut.
my $body = '{"device_id": "d1", "temperature": 1}';
foreach my $bytes ("${post}Transfer-Encoding: chunked\r\n\r\n" . sprintf("%x\r\n", length $body) . "$body\r\n0\r\n\r\n", "${post}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
{
	my %seen;
	foreach my $cut (index($bytes, "\r\n\r\n") - 3 .. length($bytes) - 1)
	{
		my $socket = $http->raw_socket;
		setsockopt $socket, Socket::IPPROTO_TCP(), Socket::TCP_NODELAY(), 1;
		send_all($socket, substr $bytes, 0, $cut);
		# The worker has seen the first piece when it has answered another connection since.
		$http->get('/openapi.json', token => undef);
		send_all($socket, substr $bytes, $cut, 1);
		$http->get('/openapi.json', token => undef);
		send_all($socket, substr $bytes, $cut + 1);
		++$seen{ statuses(scalar $http->read_all($socket, 30, qr/\r\n\r\n.*\}\n/s)) };
	}
	is(scalar keys %seen, 1, 'chunks cut anywhere: ' . join ', ', %seen);
}
is(join(' ', $http->pids), $pid, 'the worker is the same');

# --- bytes of no encoding ----------------------------------------------------------------------------------------------

foreach my $case (
	[ 'in a path', "GET /devices/%ff%fe/stats HTTP/1.1\r\nHost: x\r\n$reader\r\n\r\n", 404 ],
	[ 'in a path, raw', "GET /devices/\xff\xfe/stats HTTP/1.1\r\nHost: x\r\n$reader\r\n\r\n", '400|404' ],
	[ 'in a path of no route', "GET /%ff%fe HTTP/1.1\r\nHost: x\r\n$reader\r\n\r\n", 404 ],
	[ 'in a path with a NUL', "GET /devices/%00/stats HTTP/1.1\r\nHost: x\r\n$reader\r\n\r\n", 400 ],
	[ 'in half an escape', "GET /devices/%f/stats HTTP/1.1\r\nHost: x\r\n$reader\r\n\r\n", 400 ],
	[ 'in a query', "GET /devices?prefix=%ff%fe HTTP/1.1\r\nHost: x\r\n$reader\r\n\r\n", 400 ],
	[ 'in a live query', "GET /devices/%ff/stats?live=true HTTP/1.1\r\nHost: x\r\n$reader\r\n\r\n", '400|404' ],
	[ 'in the name of a parameter', "GET /devices?%ff%fe=1 HTTP/1.1\r\nHost: x\r\n$reader\r\n\r\n", 400 ],
	[ 'in a number', "GET /devices?limit=%ff HTTP/1.1\r\nHost: x\r\n$reader\r\n\r\n", 400 ],
	[ 'in a token', "GET /devices HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\xfe\xfd\r\n\r\n", 401 ],
	[ 'in a tag', "GET /devices HTTP/1.1\r\nHost: x\r\n$reader\r\nIf-None-Match: \"\xff\"\r\n\r\n", 200 ],
	[ 'in an origin', "GET /devices HTTP/1.1\r\nHost: x\r\n$reader\r\nOrigin: \xff\r\n\r\n", 200 ],
	[ 'in the id of an event', "GET /events HTTP/1.1\r\nHost: x\r\n$reader\r\nLast-Event-ID: \xff\r\n\r\n", 400 ],
	[ 'in a type', with_length("${begin}$writer\r\nContent-Type: \xff/\xfe\r\n", '{}'), 415 ],
	[ 'in a coding', with_length("${post}Content-Encoding: \xff\r\n", '{}'), 415 ],
	[ 'in a key', with_length("${post}Idempotency-Key: \xff\r\n", $body), '400|422' ],
	[ 'in a body', with_length($post, "{\"device_id\": \"\xff\xfe\", \"temperature\": 1}"), '400|422' ],
	[ 'in a list', with_length($post, "[{\"device_id\": \"\xff\xfe\", \"temperature\": 1}]"), '207|400|422' ],
	[ 'in a line', with_length($post =~ s/json/x-ndjson/r, "\xff\xfe\n$body\n"), '207|400|422' ],
	[ 'a NUL in a body', with_length($post, "{\"device_id\": \"a\0b\", \"temperature\": 1}"), '400|422' ],
	[ 'an escaped NUL in a body', with_length($post, '{"device_id": "a\u0000b", "temperature": 1}'), '400|422' ],
	[ 'half a surrogate pair', with_length($post, '{"device_id": "\ud800", "temperature": 1}'), '400|422' ])
{
	my ($name, $bytes, $status) = @$case;
	my $answer = exchange($bytes);
	like(statuses($answer), qr/\A(?:$status)\z/, "bytes of no encoding $name") or diag $answer;
	next if $answer !~ /\r\n\r\n(.+)/s;
	ok(defined eval { JSON::PP->new->utf8->decode($1) }, "bytes of no encoding $name: the answer is JSON in UTF-8") or diag $answer;
}

# --- bodies ------------------------------------------------------------------------------------------------------------

sub packed { my ($text) = @_; my $bytes; gzip(\$text => \$bytes, -Level => 9) or die $GzipError; return $bytes }
my $packed = $post =~ s/json\r\n/json\r\nContent-Encoding: gzip\r\n/r;
is(statuses(exchange(with_length($packed, packed($body)))), '200', 'a packed body');
my $empty = packed('');
my $bomb = packed("\0" x 200_000_000);
foreach my $case (
	[ 'a bomb', $bomb, 413 ], [ 'a bomb in a bomb', packed($bomb), '400|413|422' ], [ 'a bomb of blanks', packed(' ' x 100_000_000), 413 ],
	[ '20,000 empty members', $empty x 20_000 . packed($body), 200 ],
	[ 'half of it', substr(packed($body x 1000), 0, 50), 400 ], [ 'no packed body', $body, 400 ], [ 'nothing', '', 400 ],
	[ 'a wrong sum', packed($body) =~ s/.{8}\z/xxxxxxxx/sr, 400 ], [ 'garbage behind it', packed($body) . 'garbage', 400 ])
{
	my ($name, $bytes, $status) = @$case;
	like(statuses(exchange(with_length($packed, $bytes))), qr/\A(?:$status)\z/, "gzip: $name") or diag length $bytes;
}
foreach my $case (
	[ '1,000,000 brackets', '[' x 1_000_000, '4..' ], [ '300,000 objects in each other', '{"a":' x 190_000, '4..' ], [ 'a list in a list in a list', '[' x 400_000 . ']' x 400_000, '(207|4..)' ],
	[ 'a number of 1,000,000 digits', '{"device_id": "a", "temperature": ' . '9' x 1_000_000 . '}', '4..' ], [ '1e999999999', '{"device_id": "a", "temperature": 1e999999999}', '4..' ],
	[ 'NaN', '{"device_id": "a", "temperature": NaN}', '4..' ], [ 'a string without an end', '{"device_id": "' . 'a' x 900_000, '4..' ],
	[ '500,000 numbers', '[' . join(',', (1) x 500_000) . ']', '(207|4..)' ], [ 'nothing', '', '4..' ], [ 'blanks', ' ' x 1_000_000, '4..' ])
{
	my ($name, $bytes, $status) = @$case;
	like(statuses(exchange(with_length($post, $bytes))), qr/\A$status\z/, "JSON: $name");
	like(statuses(exchange(with_length($post =~ s/json/x-ndjson/r, $bytes))), qr/\A(?:200|207|4..)\z/, "JSON: $name: as lines");
}
others_are_answered('after hostile bodies');
is(statuses(exchange("${post}Expect: 100-continue\r\nContent-Length: 1000000000\r\n\r\n", open => 1)), '413', 'who asks to send too much is told at once');

{
	my $socket = $http->raw_socket;
	send_all($socket, "${post}Expect: 100-Continue\r\nContent-Length: " . length($body) . "\r\n\r\n");
	is(scalar $http->read_all($socket, 30, qr/\r\n\r\n/), "HTTP/1.1 100 Continue\r\n\r\n", 'the client may go on');
	send_all($socket, $body . $get);
	shutdown $socket, SHUT_WR;
	is(statuses(scalar $http->read_all($socket)), '200 200', 'and does');
}
is(statuses(exchange(($post =~ s/1\.1/1.0/r) . "Expect: 100-continue\r\nContent-Length: " . length($body) . "\r\n\r\n$body")), '200', 'a client of HTTP/1.0 is not told to go on');
foreach my $path (qw(/devices/d1/stats /devices /openapi.json /nothing))
{
	my ($whole) = exchange("GET $path HTTP/1.1\r\nHost: x\r\n$reader\r\n\r\n");
	my ($head) = exchange("HEAD $path HTTP/1.1\r\nHost: x\r\n$reader\r\n\r\n");
	$whole =~ s/\r\n\r\n.*/\r\n\r\n/s;
	s/^(?:Date|As-Of|ETag): .*\r\n//mg foreach $whole, $head;
	is($head, $whole, "HEAD $path: the head of GET, and no body");
}

# A stream for a client of HTTP/1.0 has no chunks, and its end is that of the connection.
{
	my $socket = $http->raw_socket;
	send_all($socket, "GET /events HTTP/1.0\r\n$reader\r\n\r\n");
	my $begun = $http->read_all($socket, 30, qr/retry: 2000\n\n/);
	unlike($begun, qr/chunked/i, 'HTTP/1.0: a stream without chunks');
	like($begun, qr/\r\n\r\nretry: 2000\n\n\z/, 'HTTP/1.0: a stream begins');
}

# --- many requests in one connection -----------------------------------------------------------------------------------

{
	my @paths = ('/devices/d1/stats', '/openapi.json', '/nothing', '/devices?limit=1', '/healthz', '/devices/none/stats');
	my $many = join '', map { "GET $paths[$_ % @paths] HTTP/1.1\r\nHost: x\r\n$reader\r\n\r\n" } 0 .. 2999;
	my $socket = $http->raw_socket;
	defined(my $child = fork) or die "fork: $!";
	if ($child == 0) { send_all($socket, $many); shutdown $socket, SHUT_WR; POSIX::_exit(0) }
	others_are_answered('while a client sends 3,000 requests at once');
	my $answers = $http->read_all($socket, 120);
	waitpid $child, 0;
	is(statuses($answers), join(' ', map { (200, 200, 404, 200, 200, 404)[ $_ % 6 ] } 0 .. 2999), '3,000 requests at once: each its answer, in order');
}

# --- slow clients ------------------------------------------------------------------------------------------------------

{
	my @slow = map { $http->raw_socket } 1 .. 50;
	my %open = map { $_ => time } 0 .. $#slow;
	my ($longest, $round) = (0, 0);
	my %answer;
	while (%open && time - $open{ (keys %open)[0] } < 60)
	{
		foreach my $i (keys %open)
		{
			my $text = $i % 2 ? with_length($post, $body) : $get;
			syswrite $slow[$i], substr $text, $round % length $text, 1;
		}
		++$round;
		others_are_answered("round $round of slow clients") if $round == 3;
		my $until = time + 0.3;    # the pace of the clients
		while ((my $left = $until - time) > 0)
		{
			foreach my $socket (IO::Select->new(map { $slow[$_] } keys %open)->can_read($left))
			{
				my ($i) = grep { $slow[$_] == $socket } keys %open;
				next if sysread $socket, $answer{$i}, 4096, length($answer{$i} // '');
				my $took = time - $open{$i};
				$longest = $took if $took > $longest;
				delete $open{$i};
			}
			last if !%open;
		}
	}
	is(scalar keys %open, 0, 'a byte now and then: each connection is closed');
	# Two seconds for the client to read the answer, and half a second between looks.
	ok($longest < $timeout + 8, sprintf 'a byte now and then: closed after %.1f s', $longest);
	is(scalar grep({ ($answer{$_} // '') !~ /\AHTTP\/1\.1 408 / } 0 .. $#slow), 0, 'a byte now and then: each is told why');
}
{
	my @silent = map { $http->raw_socket } 1 .. 50;
	my $select = IO::Select->new(@silent);
	my $deadline = time + $timeout + 10;
	while ($select->count && time < $deadline) { foreach my $socket ($select->can_read(1)) { $select->remove($socket) if !sysread $socket, my $bytes, 100 } }
	is($select->count, 0, 'clients that say nothing are gone');
}

# Clients that do not read. The small buffer makes the answers wait in the worker.
sub deaf_socket
{
	my $socket = IO::Socket::INET->new(Proto => 'tcp') or die $!;
	setsockopt $socket, SOL_SOCKET, SO_RCVBUF, 4096;
	connect $socket, Socket::pack_sockaddr_in($http->{port}, Socket::inet_aton('127.0.0.1')) or die "connect: $!";
	return $socket;
}
until_true(20, sub { sockets_of($pid) <= $idle_sockets });
{
	my @deaf = map { deaf_socket() } 1 .. 20;
	send_all($_, "GET /devices?limit=1000 HTTP/1.1\r\nHost: x\r\n$reader\r\n\r\n" x 60) foreach @deaf;
	others_are_answered('beside clients that do not read', 5);
	ok(until_true($timeout + 15, sub { sockets_of($pid) <= $idle_sockets + 1 }), 'clients that do not read are gone');
}

# --- slow readers of a stream ------------------------------------------------------------------------------------------

my $before = $http->memory_of($pid);
{
	my @deaf = map { deaf_socket() } 1 .. 30;
	send_all($_, "GET /events HTTP/1.1\r\nHost: x\r\n$reader\r\n\r\n") foreach @deaf;
	$http->read_all($_, 30, qr/retry/) foreach @deaf;
	my ($rows, $rounds) = (10_000, 10);
	my $good = count_events($rows * $rounds);
	foreach my $round (1 .. $rounds)
	{
		sql("SELECT telemetry.ingest_telemetry_batch(array_agg('d' || i % 1000), NULL, array_agg(i::float8), NULL) FROM generate_series(1, $rows) AS i");
		wait_applied($node);
	}
	is(readline($good->{from}), $rows * $rounds . "\n", 'a client that reads has each event');
	waitpid $good->{pid}, 0;
	others_are_answered('beside streams that nobody reads', 5);
	ok(until_true($timeout + 20, sub { sockets_of($pid) <= $idle_sockets + 2 }), 'streams that nobody reads are gone');
	note sprintf 'resident: %d kB before the streams, %d kB after', $before, $http->memory_of($pid);
	cmp_ok($http->memory_of($pid) - $before, '<', 120_000, 'they have cost no memory of their own');
}

# A child that reads a stream, and says how many events it has had when it has had so many, or when nothing more comes.
sub count_events
{
	my ($wanted) = @_;
	my $socket = $http->raw_socket;
	send_all($socket, "GET /events HTTP/1.1\r\nHost: x\r\n$reader\r\n\r\n");
	$http->read_all($socket, 30, qr/retry/);
	pipe(my $from, my $to) or die $!;
	defined(my $child = fork) or die "fork: $!";
	if ($child == 0)
	{
		my ($count, $text, $select) = (0, '', IO::Select->new($socket));
		while ($count < $wanted && $select->can_read(60))
		{
			sysread $socket, $text, 1 << 18, length $text or last;
			$count += () = $text =~ /^event: telemetry\.ingested\n/mg;
			$text =~ s/.*\n//s;
		}
		syswrite $to, "$count\n";
		POSIX::_exit(0);
	}
	close $to;
	return { pid => $child, from => $from };
}

# --- more connections than the setting allows --------------------------------------------------------------------------

$http->settings(http_connections => 50);
{
	my @open;
	delete $http->{client};    # which keeps one open
	ok(until_true(30, sub {
		@open = map { $http->raw_socket } 1 .. 50;
		send_all($_, "GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n") foreach @open;
		my @full = grep { $http->read_all($_, 10, qr/\r\n\r\n/) =~ /\AHTTP\/1\.1 200/ } @open;
		return @full == 50 && exchange($get) =~ /\AHTTP\/1\.1 503 /;
	}), '50 connections are taken');
	my @beyond = map { scalar exchange('', open => 1) } 1 .. 30;
	is(scalar grep({ !/\AHTTP\/1\.1 503 .*\r\nRetry-After: 1\r\n.*\r\n\r\n\{/s } @beyond), 0, 'each one beyond is told so');
	close $_ foreach splice @open, 0, 10;
	ok(until_true(20, sub { exchange($get) =~ /\AHTTP\/1\.1 200 / }), 'when some have gone, others are taken');
}

# --- many idle connections ---------------------------------------------------------------------------------------------

my ($hard) = slurp_file("/proc/$pid/limits") =~ /^Max open files\s+\d+\s+(\d+)/m;
my $many = 6000;
SKIP:
{
	if ($hard < $many + 2000)
	{
		diag("SKIPPED: a process may open $hard files here, so $many connections were not tested");
		skip 'too few files', 1;
	}
	$http->settings(http_connections => $many + 500, http_timeout => '30s');
	ok(until_true(30, sub { (slurp_file("/proc/$pid/limits") =~ /^Max open files\s+(\d+)/m)[0] >= $many + 500 }), 'the worker may open the files, without a restart');
	my @rounds;
	foreach my $round (1 .. 2)
	{
		# Children hold the connections, because one process may not open so many files by itself.
		my @children = map { hold_connections(750) } 1 .. $many / 750;
		my $taken = 0;
		foreach my $child (@children) { my $line = readline $child->{from}; $taken += $line // 0 }
		is($taken, $many, "round $round: $many connections have had an answer");
		cmp_ok(sockets_of($pid), '>=', $many, "round $round: and are open");
		others_are_answered("round $round: beside $many idle ones");
		push @rounds, $http->memory_of($pid);
		foreach my $child (@children) { syswrite $child->{to}, 'x'; waitpid $child->{pid}, 0 }
		ok(until_true(30, sub { sockets_of($pid) <= $idle_sockets + 2 }), "round $round: they are gone");
	}
	note "resident: $rounds[0] kB, then $rounds[1] kB";
	cmp_ok($rounds[1] - $rounds[0], '<', 5_000, 'the second round takes no more memory');
	$http->settings(http_timeout => "${timeout}s");
}

sub hold_connections
{
	my ($count) = @_;
	pipe(my $from, my $to_parent) or die $!;
	pipe(my $from_parent, my $to) or die $!;
	defined(my $child = fork) or die "fork: $!";
	if ($child == 0)
	{
		close $from;
		close $to;
		my @open = grep { defined } map { $http->raw_socket } 1 .. $count;
		send_all($_, "GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n") foreach @open;
		my $answered = grep { $http->read_all($_, 60, qr/\}\s*\z/) =~ /\AHTTP\/1\.1 200/ } @open;
		syswrite $to_parent, "$answered\n";
		sysread $from_parent, my $word, 1;
		POSIX::_exit(0);
	}
	close $to_parent;
	close $from_parent;
	return { pid => $child, from => $from, to => $to };
}

# --- random bytes ------------------------------------------------------------------------------------------------------

my $seed = $ENV{TELEMETRY_SEED} // int rand 1_000_000_000;
note "TELEMETRY_SEED=$seed";
srand $seed;
my @good = ($get, with_length($post, $body), "${post}Transfer-Encoding: chunked\r\n\r\n5;a\r\n{\"dev\r\n0\r\nA: b\r\n\r\n", "HEAD /devices?limit=3&prefix=d HTTP/1.1\r\nHost: x\r\n$reader\r\n\r\n",
	with_length($packed, packed($body)), "OPTIONS /telemetry HTTP/1.1\r\nHost: x\r\nOrigin: http://a\r\n\r\n", "GET /series?device=d1&from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z&points=10 HTTP/1.1\r\nHost: x\r\n$reader\r\n\r\n",
	with_length($post =~ s/json/x-ndjson/r, "$body\n$body\nx\n"), "GET /events?after=1-1 HTTP/1.1\r\nHost: x\r\n$reader\r\nLast-Event-ID: 1-2\r\n\r\n");
sub random_bytes { my ($count) = @_; return join '', map { chr int rand 256 } 1 .. $count }
sub mutated
{
	my ($bytes) = @_;
	foreach (0 .. int rand 4)
	{
		my $at = int rand length $bytes;
		my $kind = int rand 6;
		if ($kind == 0) { substr($bytes, $at, 1) = chr int rand 256 }
		elsif ($kind == 1) { substr($bytes, $at, int rand 20) = '' }
		elsif ($kind == 2) { substr($bytes, $at, 0) = random_bytes(1 + int rand 8) }
		elsif ($kind == 3) { $bytes = substr $bytes, 0, $at }
		elsif ($kind == 4) { substr($bytes, $at, 0) = substr $bytes, int rand length $bytes, int rand 60 }
		else { substr($bytes, $at, 0) = ("\r\n", "\r\n\r\n", '%', ': ', "\0", "Content-Length: 3\r\n", "Transfer-Encoding: chunked\r\n", 'fffffff', '0')[ int rand 9 ] }
		return $bytes if $bytes eq '';
	}
	return $bytes;
}
my @memory;
foreach my $round (1 .. 3)
{
	my $unclosed = 0;
	foreach (1 .. 3000)
	{
		my $bytes = rand() < 0.1 ? random_bytes(1 + int rand 300) : join '', map { mutated($good[ int rand @good ]) } 0 .. int rand 3;
		my $is_stream = $bytes =~ /GET \/events/;
		my ($answer, $has_closed) = exchange($bytes, seconds => $is_stream ? 0.01 : 30);
		next if $has_closed || $is_stream;
		++$unclosed;
		diag "not closed: $answer, of " . unpack 'H*', $bytes;
	}
	is($unclosed, 0, "random bytes, round $round: each connection is closed");
	others_are_answered("random bytes, round $round");
	push @memory, $http->memory_of($pid);
}
note "resident: @memory kB";
cmp_ok($memory[2] - $memory[1], '<', 5_000, 'random bytes: memory stays');

# --- many requests -----------------------------------------------------------------------------------------------------

# The server keeps what it learns of tables and plans, so the first round counts nothing.
@memory = ();
foreach my $round (1 .. 3)
{
	foreach my $i (1 .. 30)
	{
		my $bytes = $get x 1000 . join '', map { with_length($post, "{\"device_id\": \"d$_\", \"temperature\": $i}") . "GET /devices?limit=1&after=d$_ HTTP/1.1\r\nHost: x\r\n$reader\r\n\r\n" } 1 .. 20;
		my $answers = exchange($bytes, seconds => 120);
		my %count;
		++$count{$_} foreach split / /, statuses($answers);
		next if ($count{200} // 0) == 1040 && keys %count == 1;
		fail("round $round: " . join ', ', %count);
		last;
	}
	push @memory, $http->memory_of($pid);
}
note "resident: @memory kB";
cmp_ok($memory[2] - $memory[1], '<', 3_000, '30,000 requests more: memory stays');

is(join(' ', $http->pids), $pid, 'the worker has never ended');
nothing_repeats($node, $from, 'hostile clients', most => 2);
unlike(slurp_file($node->logfile, $from), qr/was terminated by signal|exited with exit code [^0]/, 'no process has crashed');
$node->stop;
done_testing();
