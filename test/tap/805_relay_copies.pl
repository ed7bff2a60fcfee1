# Acceptance check 16. A copy of the log publishes nothing until adopt_relay() is called there: a copy by pg_dump in the same server and in
# another one, a promoted standby, and a base backup that became a server of its own. Afterwards it goes on without loss, and the ids keep
# the stream from taking what it has.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../support";

use NatsServer;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use RedisServer;
use RelayNode;
use TelemetryNode;
use Test::More;

NatsServer::require_program();
RedisServer::require_program();
my $nats = NatsServer->new->start;
my $redis = RedisServer->new->start;
my %settings = (nats_url => $nats->url, redis_url => $redis->url);
my $node = relay_node('original', %settings, init => { allows_streaming => 1 });
sub sql { my ($sql, $database, $of) = @_; return ($of // $node)->safe_psql($database // 'postgres', $sql) }
sub size { return $nats->client->stream_size('TELEMETRY') }

send_readings($node, 500);
everything_sent($node, 'the original');
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
is($standby->safe_psql('postgres', "SELECT string_agg(state, ',') FROM telemetry.relay_status"), 'stopped,stopped', 'no relay on a standby');
is($standby->safe_psql('postgres', "SELECT state FROM telemetry.health() WHERE item = 'relay'"), 'ok', 'which is no fault');

# Each copy is sent further readings, and the original, too.
my $sent = size();
sub publishes_nothing
{
	my ($copy, $database, $name) = @_;
	local $TelemetryNode::database = $database;
	relay_becomes($copy, $_, "state = 'not adopted' AND pid IS NOT NULL", "$name: not adopted") foreach qw(nats redis);
	send_readings($copy, 100);
	wait_applied($copy, "$name: applied");
	relay_becomes($copy, 'nats', "state = 'not adopted' AND lag_events >= 100 AND sent = 0", "$name: events wait");
	like($copy->safe_psql($database, "SELECT state, hint FROM telemetry.health() WHERE item = 'relay'"), qr/^warning\|nats: This log is a copy\..*adopt_relay\(\)/, "$name: health() says so");
	is(size(), $sent, "$name: nothing is published");
	return;
}
sub adopts
{
	my ($copy, $database, $name) = @_;
	local $TelemetryNode::database = $database;
	is($copy->safe_psql($database, 'SELECT telemetry.adopt_relay()'), '2', "$name: adopt_relay()");
	is($copy->safe_psql($database, 'SELECT telemetry.adopt_relay()'), '0', "$name: once more");
	everything_sent($copy, $name);
	is(size() - $sent, 100, "$name: it sends what came here, and nothing twice");
	cache_is_stats($copy, $redis, $name);
	$sent = size();
	return;
}

# --- by pg_dump, in the same server ------------------------------------------------------------------------------------------------

my $dump = PostgreSQL::Test::Utils::tempdir . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, '-d', $node->connstr('postgres') ], 'pg_dump');
sql('CREATE DATABASE copy');
$node->command_ok([ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $node->connstr('copy') ], 'psql');
publishes_nothing($node, 'copy', 'a dump in the same server');
adopts($node, 'copy', 'a dump in the same server');
sql('DROP DATABASE copy');

# --- by pg_dump, in another server --------------------------------------------------------------------------------------------------

my $other = PostgreSQL::Test::Cluster->new('other');
$other->init;
$other->append_conf('postgresql.conf', "shared_preload_libraries = 'telemetry_cqrs'\ntimezone = 'UTC'\ntelemetry_cqrs.launcher_interval = 200ms\ntelemetry_cqrs.poll_interval = 500ms\n" . join '', map { "telemetry_cqrs.$_ = '$settings{$_}'\n" } keys %settings);
$other->start;
$other->command_ok([ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $other->connstr('postgres') ], 'psql on another server');
publishes_nothing($other, 'postgres', 'a dump in another server');
adopts($other, 'postgres', 'a dump in another server');
$other->stop;

# --- a base backup that becomes a server of its own ------------------------------------------------------------------------------------

my $restored = PostgreSQL::Test::Cluster->new('restored');
$restored->init_from_backup($node, 'base', has_streaming => 0);
$restored->append_conf('postgresql.conf', "recovery_target = 'immediate'\nrecovery_target_action = 'promote'\nrestore_command = 'false'\n");
$restored->set_recovery_mode;
$restored->start;
wait_for($restored, 'SELECT NOT pg_is_in_recovery()', 'the promotion');
publishes_nothing($restored, 'postgres', 'a restored backup');
adopts($restored, 'postgres', 'a restored backup');
$restored->stop;

# --- the fail-over ---------------------------------------------------------------------------------------------------------------------

# The original dies with messages that it had sent and whose arrival it had not stored, and with readings that it had not sent.
sql('SELECT telemetry.refresh_cache()');
everything_sent($node, 'the original once more');
send_readings($node, 300);
$nats->freeze;
send_readings($node, 200);
$node->wait_for_catchup($standby);
$node->stop('immediate');
$nats->thaw;
my $at_death = size();
$standby->promote;
wait_for($standby, 'SELECT NOT pg_is_in_recovery()', 'the promotion');
relay_becomes($standby, $_, "state = 'not adopted' AND pid IS NOT NULL", 'a promoted standby: not adopted') foreach qw(nats redis);
is(size(), $at_death, 'a promoted standby: nothing is published');
is($standby->safe_psql('postgres', "SELECT telemetry.adopt_relay('nats')"), '1', 'adopt_relay(nats)');
relay_becomes($standby, 'redis', 'not adopted', 'the other sink waits');
is($standby->safe_psql('postgres', 'SELECT telemetry.adopt_relay()'), '1', 'adopt_relay()');
send_readings($standby, 100);
everything_sent($standby, 'a promoted standby');
# The copies above have sent 100 events each under ids of their own.
is(size() - 300, $standby->safe_psql('postgres', 'SELECT count(*) FROM telemetry.event'), 'a promoted standby: each event once');
note $standby->safe_psql('postgres', "SELECT sent || ' sent, ' || duplicates || ' duplicates' FROM telemetry.relay_status WHERE sink = 'nats'");
my %count;
$count{ $_->{id} }++ foreach $nats->client->stream_messages('TELEMETRY');
is(scalar(grep { $_ > 1 } values %count), 0, 'no id twice');
my %wanted = map { $_ => 1 } split /\n/, $standby->safe_psql('postgres', 'SELECT event_id FROM telemetry.event');
my %there = map { s/-.*//r => 1 } keys %count;
is(scalar(grep { !$there{$_} } keys %wanted), 0, 'and none is missing');
cache_is_stats($standby, $redis, 'a promoted standby');
$standby->stop;
done_testing();
