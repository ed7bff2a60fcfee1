# The relay stands still besides a pause where its subscription is lost, or where somebody has dropped it. Also a database of another
# encoding, and a relay at rest, which costs next to nothing.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../support";

use JSON::PP ();
use NatsServer;
use PostgreSQL::Test::Utils;
use RedisServer;
use RelayNode;
use TelemetryNode;
use Test::More;
use Time::HiRes qw(time usleep);

NatsServer::require_program();
RedisServer::require_program();
my $nats = NatsServer->new->start;
my $redis = RedisServer->new->start;
my $node = relay_node('standing', nats_url => $nats->url, redis_url => $redis->url);
sub sql { my ($sql, $database) = @_; return $node->safe_psql($database // 'postgres', $sql) }
send_readings($node, 100);
everything_sent($node, 'at first');

# --- lost, dropped, switched off for good ---------------------------------------------------------------------------------------------

sql("UPDATE telemetry.subscription SET lost_at = now(), lost_because = 'the test says so' WHERE subscription = 'relay.nats'");
relay_becomes($node, 'nats', 'lost', 'a lost subscription');
send_readings($node, 50);
wait_applied($node);
like(sql("SELECT state, hint FROM telemetry.health() WHERE item = 'relay'"), qr/^error\|.*restart_subscription\('relay\.nats'\)/, 'health() says what helps');
is($nats->client->stream_size('TELEMETRY'), 100, 'nothing is sent');
sql("SELECT telemetry.restart_subscription('relay.nats', 'infinity')");
send_readings($node, 30);
everything_sent($node, 'restarted');
is($nats->client->stream_size('TELEMETRY'), 130, 'what came since is sent');

# From the beginning: the stream has most of it.
sql("SELECT telemetry.restart_subscription('relay.nats', '-infinity')");
everything_sent($node, 'from the beginning');
is($nats->client->stream_size('TELEMETRY'), 180, 'each event once');
stream_is_log($node, $nats, 'from the beginning');
relay_becomes($node, 'nats', 'duplicates = 130', 'the stream had the others');

relay_settings($node, nats_url => '');
relay_becomes($node, 'nats', 'off', 'switched off');
sql("SELECT telemetry.drop_subscription('relay.nats')");
send_readings($node, 40);
wait_applied($node);
is(sql("SELECT state FROM telemetry.health() WHERE item = 'relay'"), 'ok', 'a sink that is off is no fault');
relay_settings($node, nats_url => $nats->url);
relay_becomes($node, 'nats', 'connected', 'switched on again');
send_readings($node, 10);
everything_sent($node, 'switched on again');
is($nats->client->stream_size('TELEMETRY'), 190, 'it begins with what comes then');

# --- another encoding ------------------------------------------------------------------------------------------------------------------

my $messages = $nats->client->stream_size('TELEMETRY');
sql("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
sql('CREATE EXTENSION telemetry_cqrs', 'latin');
{
	local $TelemetryNode::database = 'latin';
	relay_becomes($node, 'nats', 'waiting', 'another database');
	sql("SELECT telemetry.ingest_telemetry(U&'k\\00e4se', '2024-05-01', 1, 2, U&'\\00fc', NULL, U&'k\\00fche')", 'latin');
	everything_sent($node, 'a database in LATIN1');
}
my ($message) = ($nats->client->stream_messages('TELEMETRY'))[-1];
is($nats->client->stream_size('TELEMETRY'), $messages + 1, 'its event is in the stream');
is($message->{subject}, 'telemetry.ingested.k%C3%BChe.k%C3%A4se', 'with a subject in UTF-8');
like($message->{payload}, qr/"k\\u00e4se"/, 'and the device in its payload');
my $value = $redis->client->command('GET', "device:stats:k\xc3\xa4se");
is($value ? JSON::PP->new->utf8->decode($value)->{device_id} : '', "k\x{e4}se", 'Redis has it under a key in UTF-8');
is(scalar @{ $redis->client->command('KEYS', 'telemetry_cqrs:mark:*') }, 2, 'each database has a mark');

# --- its subscriptions ---------------------------------------------------------------------------------------------------------------------

foreach my $call ("next_batch('relay.nats')", "ack('relay.nats', 0)", "nack('relay.nats', 0)")
{
	my (undef, undef, $error) = $node->psql('postgres', "SELECT telemetry.$call");
	like($error, qr/ERROR:  the relay consumes subscription "relay.nats"\nHINT:/, "nobody else consumes what the relay sends: $call");
}

# --- at rest ------------------------------------------------------------------------------------------------------------------------------

my $pid = relay_pid($node);
sub used { return (split ' ', slurp_file("/proc/$pid/stat") =~ s/^.*\) //r)[11] + (split ' ', slurp_file("/proc/$pid/stat") =~ s/^.*\) //r)[12] }    # ticks of 10 ms
# Other processes take numbers now and then, but not in each of several periods.
sub next_xid { return sql('SELECT txid_snapshot_xmax(txid_current_snapshot())') }
my ($xid, $ticks, $until, $held, $periods) = (next_xid(), used(), time + 5, 0, 1);
while (time < $until)
{
	# A look takes a moment, and the columns of the view are not of one moment.
	$held += sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs relay' AND xact_start < clock_timestamp() - interval '1 s'");
	usleep(200_000);
	($xid, $ticks, $until, $periods) = (next_xid(), used(), time + 5, $periods + 1) if time >= $until && next_xid() ne $xid && $periods < 6;
}
my $used = used() - $ticks;
note "the relay has used $used ticks in 5 s at rest";
is($held, 0, 'a relay at rest holds no transaction');
is(next_xid(), $xid, 'and takes no transaction number');
cmp_ok($used, '<', 50, 'and hardly any processor time');
$node->stop;
done_testing();
