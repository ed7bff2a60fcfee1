# nats-server, redis-server and the relay are killed at random points under load, frozen, and told to end. Redis has no persistence.
# Afterwards the stream holds each accepted reading once, in the order of each device, and Redis equals device_stats.
#
# TELEMETRY_ROUNDS: how many blows. TELEMETRY_SEED: the seed of another run.
# Begins early.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../support";

use NatsServer;
use PostgreSQL::Test::Utils;
use RedisServer;
use RelayNode;
use TelemetryNode;
use Test::More;
use Time::HiRes qw(time usleep);

NatsServer::require_program();
RedisServer::require_program();
my $rounds = $ENV{TELEMETRY_ROUNDS} // 6;
my $seed = $ENV{TELEMETRY_SEED} // int(rand(1_000_000));
note "seed $seed";
srand($seed);
$LastingSession::wanted = 0;

my $nats = NatsServer->new->start;
my $redis = RedisServer->new->start;
my $node = relay_node('killed', nats_url => $nats->url, redis_url => $redis->url);
send_readings($node, 1);
relay_becomes($node, $_, 'connected', 'the relay connects') foreach qw(nats redis);

my ($load, $part) = (undef, 0);
# Sends until it is told to end. A client whose server died is followed by another one.
sub keep_sending
{
	return if $load && $load->{run}->pumpable;
	psql_finish($load) if $load;
	++$part;
	$load = psql_start($node, join '', map { "SELECT accepted FROM telemetry.ingest_telemetry_batch(ARRAY(SELECT 'dev ' || i % 40 FROM generate_series(1, 40) AS i), NULL,
		ARRAY(SELECT random() * 50 FROM generate_series(1, 40)), ARRAY(SELECT random() * 90 FROM generate_series(1, 40)), ARRAY(SELECT 'p$part $_ ' || i FROM generate_series(1, 40) AS i));\nSELECT pg_sleep(0.002);\n" } 1 .. 300);
	return;
}
# Waits for a random time under load.
sub pause
{
	my ($longest) = @_;
	my $until = time + rand $longest;
	while (time < $until) { keep_sending(); usleep(20_000) }
	return;
}
my %blows = (
	'kill NATS' => sub { $nats->stop('KILL'); pause(1.5); $nats->start },
	'end NATS' => sub { $nats->stop('TERM'); pause(0.5); $nats->start },
	'freeze NATS' => sub { $nats->freeze; pause(1); $nats->thaw },
	'kill Redis' => sub { $redis->stop('KILL'); pause(1.5); $redis->start },
	'freeze Redis' => sub { $redis->freeze; pause(1); $redis->thaw },
	'kill the relay' => sub {
		my $pid = relay_pid($node) or return;
		kill 'KILL', $pid;
		wait_for($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs relay' AND pid <> $pid", 'a relay after the crash', 120);
	},
	'end the relay' => sub { my $pid = relay_pid($node) or return; $node->safe_psql('postgres', "SELECT pg_terminate_backend($pid, 10000)") },
	'kill both servers' => sub { $nats->stop('KILL'); $redis->stop('KILL'); pause(0.5); $redis->start; $nats->start },
);
my @names = sort keys %blows;
my @order = map { $names[ rand @names ] } 1 .. $rounds;
@order[ 0 .. 2 ] = ('kill NATS', 'kill Redis', 'kill the relay');    # these in any case
foreach my $name (@order)
{
	pause(1.2);
	note $name;
	$blows{$name}->();
}
keep_sending();
pause(1);
$load->{run}->kill_kill(grace => 1) if $load->{run}->pumpable;

everything_sent($node, "$rounds blows", 180);
my $accepted = $node->safe_psql('postgres', 'SELECT count(*) FROM telemetry.event');
note "$accepted readings; ", $node->safe_psql('postgres', "SELECT string_agg(sink || ': ' || failures || ' failures, ' || duplicates || ' duplicates', '; ') FROM telemetry.relay_status");
is($nats->client->stream_size('TELEMETRY'), $accepted, 'the stream has as many messages as readings were accepted');
stream_is_log($node, $nats, 'after the blows', ordered => 1);
cache_is_stats($node, $redis, 'after the blows');
read_models_follow($node, 'telemetry.measurements', 'after the blows');
$node->stop;
done_testing();
