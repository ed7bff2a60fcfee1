# The relay and Redis. The value of each device is what telemetry.device_stats and telemetry.device_metric_stats say of it. It expires,
# an older value never replaces a newer one, and each change is published. The relay fills a server that has lost its values.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../support";

use JSON::PP ();
use PostgreSQL::Test::Utils;
use RedisServer;
use RelayNode;
use TelemetryNode;
use Test::More;

RedisServer::require_program();
my $redis = RedisServer->new->start;
my $node = relay_node('cached');
sub sql { return $node->safe_psql('postgres', $_[0]) }

# What was stored before the relay first started is in Redis as well.
send_readings($node, 2500, 1300);
wait_applied($node);
relay_settings($node, redis_url => $redis->url(undef, 3), redis_expiry => '1000s');
everything_sent($node, 'the first start');
cache_is_stats($node, $redis, 'the first start', database => 3);
is(sql("SELECT note, server FROM telemetry.relay_status WHERE sink = 'redis'"), 'the server had no values, and all of them are sent|redis://127.0.0.1:' . $redis->port . '/3', 'note and server');

my $client = $redis->client;
$client->command('SELECT', 3);
my $listener = $redis->client;
$listener->command('SUBSCRIBE', 'device:stats');
send_readings($node, 50, 50);
sql("SELECT telemetry.ingest_telemetry('ünï \"quoted\"', '2024-05-01', 20.5, NULL, 'k', '{\"a\": 1e-7}', 'hall')");
everything_sent($node, 'some more');
cache_is_stats($node, $redis, 'some more', database => 3);
my $told = $listener->reply;
is("$told->[0] $told->[1]", 'message device:stats', 'a change is published on channel device:stats');
my $value = JSON::PP->new->utf8->decode($told->[2]);
ok(defined $value->{device_id} && $value->{version} > 0 && $value->{sample_count} > 0, 'with the value');
my $left = $client->command('TTL', 'device:stats:dev 1');
ok($left > 900 && $left <= 1000, "it expires ($left s left)");
my ($mark) = @{ $client->command('KEYS', 'telemetry_cqrs:mark:*') };
is($mark, 'telemetry_cqrs:mark:' . sql("SELECT system_identifier || ':' || (SELECT oid FROM pg_database WHERE datname = current_database()) FROM pg_control_system()"), 'the mark');
wait_for($node, "SELECT '" . $client->command('GET', $mark) . "'::bigint = max(batch_id) FROM telemetry.batch", 'the mark to be the last batch');
is($client->command('GET', $mark), sql('SELECT max(batch_id) FROM telemetry.batch'), 'which is the last batch');

SKIP:
{
	skip 'TELEMETRY_TEST_DATA is not set, so the real readings are NOT sent', 3 if !real_data_folder();
	is(send_real_readings($node, 4000), 4000, 'readings of the real file are accepted');
	everything_sent($node, 'the real readings');
	cache_is_stats($node, $redis, 'the real readings', database => 3);
}

# A newer value stays: what a relay of an older copy of the log would send is too late.
$client->command('SET', 'device:stats:dev 7', '{"version":9000000000000000,"device_id":"dev 7"}');
send_readings($node, 50, 50);
everything_sent($node, 'a newer value');
like($client->command('GET', 'device:stats:dev 7'), qr/^\{"version":9000000000000000,/, 'a value with a higher version stays');
relay_becomes($node, 'redis', 'duplicates >= 1', 'and counts as a duplicate');
# A request to refresh replaces it, and brings back what was deleted.
$client->command('DEL', 'device:stats:dev 8');
is(sql('SELECT telemetry.refresh_cache()'), '1', 'refresh_cache()');
everything_sent($node, 'refresh_cache()');
cache_is_stats($node, $redis, 'refresh_cache()', database => 3);

# Redis dies and has no persistence.
$redis->stop('KILL');
relay_becomes($node, 'redis', "state IN ('backing off', 'connecting') AND last_failure_phase IN ('connect', 'read')", 'Redis is gone');
send_readings($node, 200, 1300);
$redis->start;
everything_sent($node, 'Redis has lost everything');
cache_is_stats($node, $redis, 'Redis has lost everything', database => 3);
is(sql("SELECT note FROM telemetry.relay_status WHERE sink = 'redis'"), 'the server had no values, and all of them are sent', 'the note says so');
$client = $redis->client;
$client->command('SELECT', 3);

# It dies while a refresh of many devices is under way, and once more.
send_readings($node, 6000, 6000);
everything_sent($node, 'many devices');
for my $round (1 .. 3)
{
	$client->command('FLUSHALL');
	sql('SELECT telemetry.refresh_cache()');
	my $deadline = time + 60;
	1 while $client->command('DBSIZE') < 500 * $round && time < $deadline;
	$redis->stop('KILL');
	$redis->start;
	$client = $redis->client;
	$client->command('SELECT', 3);
}
everything_sent($node, 'Redis died in a refresh');
cache_is_stats($node, $redis, 'Redis died in a refresh', database => 3);

# The relay is paused while it refreshes.
$client->command('FLUSHALL');
$redis->freeze;
sql('SELECT telemetry.refresh_cache()');
relay_becomes($node, 'redis', 'pending > 0', 'a refresh is on its way');
sql("SELECT telemetry.pause_relay('redis')");
relay_becomes($node, 'redis', "state = 'paused' AND pending = 0", 'paused in a refresh');
$redis->thaw;
sql("SELECT telemetry.resume_relay('redis')");
everything_sent($node, 'paused in a refresh');
cache_is_stats($node, $redis, 'paused in a refresh', database => 3);

# A projection that is behind: the relay sends nothing that the projection has not applied, and everything later.
sql("SELECT telemetry.pause_projection('device')");
send_readings($node, 300, 1300);
cache_is_stats($node, $redis, 'the projection is paused', database => 3);
sql("SELECT telemetry.resume_projection('device')");
wait_applied($node);
everything_sent($node, 'the projection goes on');
cache_is_stats($node, $redis, 'the projection goes on', database => 3);
sql("SELECT telemetry.rebuild_projection('device')");
ok(wait_for($node, "SELECT count(*) = 1 AND bool_and(generation > 1) FROM telemetry.cursor WHERE projection = 'device' AND purpose = 'current'", 'the rebuild'), 'the projection is rebuilt');
send_readings($node, 10);
everything_sent($node, 'a rebuild');
cache_is_stats($node, $redis, 'a rebuild', database => 3);

# Values without an end, and none at all.
relay_settings($node, redis_expiry => '0');
send_readings($node, 50, 50);
everything_sent($node, 'no expiry');
is($client->command('TTL', 'device:stats:dev 1'), '-1', 'without redis_expiry a value stays');
relay_settings($node, redis_url => '');
ok(wait_for($node, "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs relay'", 'the relay to leave'), 'without a URL there is no relay');

# A rebuild that no relay sees puts other statistics in place of those that were sent.
my $generation = sql("SELECT generation FROM telemetry.cursor WHERE projection = 'device' AND purpose = 'current'");
sql("SELECT telemetry.rebuild_projection('device')");
ok(wait_for($node, "SELECT count(*) = 1 AND bool_and(generation > $generation) FROM telemetry.cursor WHERE projection = 'device' AND purpose = 'current'", 'the second rebuild'), 'it is rebuilt without a relay');
$client->command('SET', 'device:stats:dev 1', '{"version":1,"device_id":"dev 1"}');    # so that it shows whether the value comes again
relay_settings($node, redis_url => $redis->url(undef, 3));
wait_for($node, "SELECT r.generation = c.generation FROM telemetry.relay r, telemetry.cursor c WHERE r.sink = 'redis' AND c.projection = 'device' AND c.purpose = 'current'", 'the relay to see the rebuild');
everything_sent($node, 'a rebuild without a relay');
cache_is_stats($node, $redis, 'a rebuild without a relay', database => 3);
$node->stop;
done_testing();
