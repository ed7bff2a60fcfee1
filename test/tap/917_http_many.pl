# Two hundred clients at once: some ask, some post, some listen. Nobody gets an error, every listener has every event, every reading is
# stored once, and the projector keeps up.
#
# TELEMETRY_SECONDS: how long they go on.
use strict;
use warnings;

use HttpNode;
use IO::Select;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use TelemetryNode;
use Test::More;
use Time::HiRes qw(time);

my $seconds = $ENV{TELEMETRY_SECONDS} // 6;
my ($askers, $senders, $listeners) = (100, 60, 40);
my $node = HttpNode->new('many', conf => "telemetry_cqrs.http_workers = 2\n");
sub sql { return $node->safe_psql('postgres', $_[0]) }

sql("SELECT telemetry.ingest_telemetry('d ' || i, NULL, 20, 40, 'first', region => 'r' || i % 5) FROM generate_series(1, 50) i");
wait_applied($node);
ok(wait_for($node, 'SELECT (SELECT sum(events) FROM telemetry.batch) = (SELECT count(*) FROM telemetry.event)', 'the batches'), 'all are in batches');

my @paths = ('/devices/d%201/stats', '/devices/d%2042/stats', '/devices/nobody/stats', '/regions', '/liveness', '/devices?limit=10', '/healthz', '/openapi.json', '/metrics');
my (%clients, @wrong, %answers);
my $select = IO::Select->new;
sub client
{
	my ($kind, $number) = @_;
	my $socket = $node->raw_socket;
	$socket->blocking(0);
	$clients{$socket} = { socket => $socket, kind => $kind, number => $number, in => '', asked => 0 };
	$select->add($socket);
	return $clients{$socket};
}
sub ask
{
	my ($client) = @_;
	my $count = ++$client->{asked};
	my $path = $paths[ ($client->{number} + $count) % @paths ];
	my $body = qq({"device_id":"c $client->{number}","temperature":$count,"idempotency_key":"$count"});
	my $request = $client->{kind} eq 'asks' ? "GET $path HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${\ $node->token('reader')}\r\n\r\n"
	  : $client->{kind} eq 'sends'          ? "POST /telemetry HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${\ $node->token('writer')}\r\nContent-Type: application/json\r\nContent-Length: ${\ length $body}\r\n\r\n$body"
	  :                                       "GET /events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${\ $node->token('reader')}\r\n\r\n";
	syswrite $client->{socket}, $request;
	$client->{expected} = $path =~ /nobody/ && $client->{kind} eq 'asks' ? 404 : 200;
	return;
}
my $is_over = 0;
sub take
{
	my ($client) = @_;
	my $count = sysread $client->{socket}, $client->{in}, 262144, length $client->{in};
	if (!$count)
	{
		push @wrong, "$client->{kind} $client->{number}: closed" if defined $count;
		$select->remove($client->{socket}) if defined $count;
		return;
	}
	if ($client->{kind} eq 'listens')
	{
		my $end = rindex $client->{in}, "\n";
		my $whole = substr $client->{in}, 0, $end + 1, '';
		$client->{heard} += () = $whole =~ /^event: telemetry\.ingested$/mg;
		push @wrong, "listener $client->{number}: $1" if $whole =~ /^(HTTP\/1\.1 [^2].*|event: (?:lost|error))/m;
		return;
	}
	while ($client->{in} =~ /\A(HTTP\/1\.1 (\d+).*?\r\n\r\n)/s)
	{
		my ($head, $status) = (length $1, $2);
		my ($size) = $1 =~ /^Content-Length: (\d+)\r$/m;
		$size //= 0;
		last if length $client->{in} < $head + $size;
		push @wrong, "$client->{kind} $client->{number}: $status " . substr $client->{in}, 0, 300 if $status != $client->{expected};
		substr($client->{in}, 0, $head + $size) = '';
		++$answers{ $client->{kind} };
		$client->{done} = $client->{asked};
		ask($client) if !$is_over;
	}
	return;
}
sub serve
{
	my ($until) = @_;
	while (!$until->())
	{
		take($clients{$_}) foreach $select->can_read(0.1);
	}
	return;
}

client('listens', $_) for 1 .. $listeners;
ask($_) for values %clients;
my $begin = time;
serve(sub { time > $begin + 60 || !grep { !defined $_->{heard} } values %clients });    # each has the head of its stream
client('asks', $_) for 1 .. $askers;
client('sends', $_) for 1 .. $senders;
is(scalar keys %clients, 200, 'two hundred clients');
$begin = time;
ask($_) for grep { $_->{kind} ne 'listens' } values %clients;
serve(sub { time > $begin + $seconds });
$is_over = 1;
my @busy = grep { $_->{kind} ne 'listens' } values %clients;
serve(sub { time > $begin + $seconds + 60 || !grep { ($_->{done} // 0) < $_->{asked} } @busy });
note join ', ', map { "$_ $answers{$_}" } sort keys %answers;
is(scalar(grep { ($_->{done} // 0) < $_->{asked} } @busy), 0, 'each request has an answer');
my $sent = 0;
$sent += $_->{done} // 0 for grep { $_->{kind} eq 'sends' } values %clients;
is(sql("SELECT count(*) FROM telemetry.measurements WHERE device_id LIKE 'c %'"), $sent, 'each reading is stored once');
ok(wait_for($node, 'SELECT (SELECT sum(events) FROM telemetry.batch) = (SELECT count(*) FROM telemetry.event)', 'the projector', 30), 'the projector keeps up');
$begin = time;
serve(sub { time > $begin + 60 || !grep { $_->{kind} eq 'listens' && $_->{heard} < $sent } values %clients });
is(join(' ', map { $_->{heard} } grep { $_->{kind} eq 'listens' } values %clients), join(' ', ($sent) x $listeners), 'each listener has every event');
is(join("\n", @wrong), '', 'nobody got an error');
cmp_ok($answers{asks}, '>', 200, 'those who ask were answered');
cmp_ok($answers{sends}, '>', 200, 'and those who send');
is(sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs http'"), '2', 'the workers are there');

done_testing();
