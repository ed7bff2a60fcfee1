# The story of the whole system: devices post by HTTP, and post again; NATS has each event once; Redis, HTTP and SQL say the same of
# each device. It is told again after every process was killed, one after another and all at once.
use strict;
use warnings;

use HttpNode;
use JSON::PP ();
use LastingSession;
use NatsServer;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use RedisServer;
use RelayNode;
use TelemetryNode;
use Test::More;

NatsServer::require_program();
RedisServer::require_program();
$LastingSession::wanted = 0;

my $nats = NatsServer->new->start;
my $redis = RedisServer->new->start;
my $node = HttpNode->new('story', conf => join '', map { "$_\n" } "telemetry_cqrs.nats_url = '${\ $nats->url}'", "telemetry_cqrs.redis_url = '${\ $redis->url}'",
	'telemetry_cqrs.poll_interval = 500ms', 'telemetry_cqrs.http_workers = 2', 'restart_after_crash = on');
sub sql { return $node->safe_psql('postgres', $_[0]) }

# Posts until the server has answered. A client that got no answer, or 503, does not know whether the reading is stored, and sends the
# same again.
sub post
{
	my ($content, $key) = @_;
	for (1 .. 600)
	{
		my $answer = $node->request(POST => '/telemetry', { token => $node->token('writer'), headers => { 'Content-Type' => 'application/json', 'Idempotency-Key' => $key }, content => $content });
		return $answer if $answer->{status} != 599 && $answer->{status} != 503;
		select undef, undef, undef, 0.1;
	}
	die 'nobody answers';
}

my (%event_of, @wrong);
sub send_round
{
	my ($round) = @_;
	for my $i (1 .. 12)
	{
		my ($device, $key) = ("device-$i", "$round:$i");
		my $content = JSON::PP->new->canonical->encode({ device_id => $device, region => $i % 2 ? 'north' : 'south', temperature => 20 + $i + $round, humidity => 40 + $i, metrics => { battery => 3.5 + $round / 10 } });
		my $first = post($content, $key);
		my $again = post($content, $key);
		push @wrong, "$key: $first->{status} $first->{content}" if $first->{status} != 200;
		push @wrong, "$key again: $again->{status} $again->{content}" if $again->{status} != 200 || $again->{json}{status} ne 'duplicate' || $again->{json}{event_id} != $first->{json}{event_id};
		$event_of{$key} = $first->{json}{event_id};
	}
	return;
}

sub holds
{
	my ($what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(join("\n", splice @wrong), '', "$what: each reading is stored, and its repeat is a duplicate");
	is(sql('SELECT count(*) FROM telemetry.measurements'), scalar keys %event_of, "$what: the log has each once");
	everything_sent($node, $what, 120);
	stream_is_log($node, $nats, "$what: NATS has each event once", ordered => 1);
	cache_is_stats($node, $redis, "$what: Redis has what the views say");
	my $client = $redis->client;
	my @differing;
	for my $device (map { "device-$_" } 1 .. 12)
	{
		my $cached = JSON::PP::decode_json($client->command('GET', "device:stats:$device"));
		delete $cached->{version};
		my $answered = $node->request(GET => "/devices/$device/stats", { token => $node->token('reader') })->{json};
		my ($left, $right) = map { JSON::PP->new->canonical->encode($_) } $cached, $answered;
		push @differing, "$device: Redis $left, HTTP $right" if $left ne $right;
	}
	is(join("\n", @differing), '', "$what: Redis and HTTP say the same of each device");
	return;
}

send_round(0);
holds('at first');
my $round = 0;
my %pid_of;
sub pid_of { my ($type) = @_; return sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs $type' ORDER BY random() LIMIT 1") }
for my $type (qw(http projector relay launcher))
{
	my $pid = pid_of($type);
	ok($pid, "there is a process: $type");
	kill 'KILL', $pid;
	send_round(++$round);
	ok($node->wait_for_http, "$type killed: HTTP is back");
	holds("$type killed");
}
$nats->stop('KILL');
send_round(++$round);
$nats->start;
holds('NATS killed');
$redis->stop('KILL');
send_round(++$round);
$redis->start;
holds('Redis killed');
$nats->stop('KILL');
$redis->stop('KILL');
$node->stop('immediate');
$node->start;
$redis->start;
$nats->start;
send_round(++$round);
holds('all killed at once');

done_testing();
