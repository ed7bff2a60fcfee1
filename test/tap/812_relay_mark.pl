# The mark in Redis says up to which batch everything has arrived. In a backlog it does not run ahead of the values.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../support";

use RedisServer;
use RelayNode;
use TelemetryNode;
use Test::More;
use Time::HiRes qw(time usleep);

RedisServer::require_program();

my $redis = RedisServer->new->start;
my $node = relay_node('marked', redis_url => $redis->url);
send_readings($node, 1);
relay_becomes($node, 'redis', 'connected', 'the relay connects');
everything_sent($node, 'a reading');
$node->safe_psql('postgres', q(SELECT telemetry.pause_relay('redis')));
relay_becomes($node, 'redis', 'paused', 'paused');
# More devices than a look takes.
my $devices = 35_000;
send_readings($node, $devices, $devices);
wait_applied($node);
my $newest = $node->safe_psql('postgres', 'SELECT max(batch_id) FROM telemetry.batch');

my $client = $redis->client;
my ($key) = @{ $client->command('KEYS', 'telemetry_cqrs:mark:*') };
$node->safe_psql('postgres', q(SELECT telemetry.resume_relay('redis')));
my ($mark, $values) = (0, 0);
my $deadline = time + 60;
while ($mark < $newest && time < $deadline)
{
	$mark = $client->command('GET', $key);
	$values = $client->command('DBSIZE') - 1;    # a moment later
	usleep(500);
}
is($mark, $newest, 'the mark reaches the newest batch');
is($values, $devices, 'and every value had arrived before');
everything_sent($node, 'the backlog');
$node->stop;
done_testing();
