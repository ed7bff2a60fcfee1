# Consumers behind pgbouncer in transaction mode. Three consumers have two server processes, which run DISCARD ALL after each transaction.
# So a lease is given in one process and answered in another one, and nothing that a session remembers counts. Each event is processed
# once, also when a consumer is killed, when pgbouncer starts anew, and in a session that runs DISCARD ALL between the calls. There is no
# listener: acceptance check 5.
use strict;
use warnings;

use Consumers;
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;
use Time::HiRes qw(usleep);

my ($pgbouncer) = grep { -x } '/usr/sbin/pgbouncer', '/usr/bin/pgbouncer';
my $obstacle = no_consumer() || ($pgbouncer ? '' : 'no pgbouncer (Debian: pgbouncer)');
if ($obstacle ne '')
{
	diag("SKIPPED: $obstacle");
	plan skip_all => $obstacle;
}
$LastingSession::wanted = 0;

my $node = telemetry_node('pooled', preload => 1, conf => "telemetry_cqrs.launcher_interval = 100\n");
my $folder = PostgreSQL::Test::Utils::tempdir_short;
my $port = PostgreSQL::Test::Cluster::get_free_port();
append_to_file("$folder/pgbouncer.ini", <<"INI");
[databases]
postgres = host=${\ $node->host} port=${\ $node->port} user=${\ $node->safe_psql('postgres', 'SELECT current_user')}
[pgbouncer]
listen_addr =
listen_port = $port
unix_socket_dir = $folder
auth_type = any
pool_mode = transaction
default_pool_size = 2
server_reset_query = DISCARD ALL
server_reset_query_always = 1
logfile = $folder/log
pidfile = $folder/pid
INI
my $pooler;
my @pooled = (PGHOST => $folder, PGPORT => $port, PGUSER => 'pooled');

sub pooler_start
{
	$pooler = IPC::Run::start([ $pgbouncer, '-q', "$folder/pgbouncer.ini" ], '<', '/dev/null', '>', "$folder/out", '2>&1');
	for (1 .. 600)
	{
		local %ENV = (%ENV, @pooled);
		return if IPC::Run::run([ 'psql', '-XAtq', '-d', 'postgres', '-c', 'SELECT 1' ], '<', '/dev/null', '>', \my $out, '2>', \my $err);
		usleep(100_000);
	}
	die 'pgbouncer does not start: ' . slurp_file("$folder/log");
}
pooler_start();
END { local $?; $pooler->kill_kill if $pooler; }

sub send_readings
{
	my ($rounds) = @_;
	$node->safe_psql('postgres', "DO \$\$ BEGIN FOR r IN 1 .. $rounds LOOP PERFORM telemetry.ingest_telemetry_batch(ARRAY(SELECT 'd' || i % 30 FROM generate_series(1, 200) AS i), NULL, ARRAY(SELECT (i % 40)::float8 FROM generate_series(1, 200) AS i), NULL); COMMIT; END LOOP; END \$\$");
	return;
}

consumer_create($node);
my @consumers = map { consumer_start($node, "pooled $_", @pooled) } 1 .. 3;
send_readings(10);
nothing_left($node, 'the first readings to be processed');
is($node->safe_psql('postgres', "SELECT count(*) BETWEEN 1 AND 2 FROM pg_stat_activity WHERE backend_type = 'client backend' AND client_port = -1 AND pid <> pg_backend_pid()"), 't', 'by two server processes at most');
# The first consumer may be done before the others have begun.
my $parts = 0;
for (1 .. 30)
{
	$parts = $node->safe_psql('postgres', 'SELECT count(DISTINCT consumer) FROM telemetry.subscription_share');
	last if $parts > 1;
	send_readings(10);
	nothing_left($node, 'more readings to be processed');
}
cmp_ok($parts, '>', 1, 'more than one consumer had a part');
processed_is_log($node, 'pooled');

send_readings(10);
consumer_kill($consumers[0]);
$consumers[0] = consumer_start($node, 'pooled 1', @pooled);
send_readings(10);
$pooler->signal('KILL');
$pooler->finish;
unlink glob("$folder/.s.PGSQL.*"), "$folder/pid";
pooler_start();
send_readings(10);
nothing_left($node, 'the readings to be processed');
processed_is_log($node, 'a consumer and pgbouncer killed');
is(consumer_end($_), 0, "$_->{name} ends well") foreach @consumers;

# One session, DISCARD ALL between all calls.
send_readings(5);
wait_for($node, 'SELECT sum(events) = (SELECT count(*) FROM telemetry.event) FROM telemetry.batch', 'the batches');
my $session = session($node);
for (;;)
{
	my $lease = $session->query_safe("SELECT max(lease) FROM telemetry.next_batch('example', 77, '1 hour', 'discarding')");
	last if $lease eq '';
	$session->query_safe('DISCARD ALL');
	$session->query_safe("SELECT telemetry.nack('example', $lease, counts => false)");
	$session->query_safe('DISCARD ALL');
	my $events = $session->query_safe("WITH e AS MATERIALIZED (SELECT * FROM telemetry.next_batch('example', 77, '1 hour', 'discarding')),
		p AS (INSERT INTO processed (event_id, epoch, device_id, fahrenheit) SELECT id, epoch, device_id, (payload->>'temperature')::float8 * 9 / 5 + 32 FROM e) SELECT max(lease) FROM e");
	$session->query_safe('DISCARD ALL');
	$session->query_safe("SELECT telemetry.ack('example', $events)");
	$session->query_safe('DISCARD ALL');
}
$session->quit;
processed_is_log($node, 'DISCARD ALL');
$node->stop;
done_testing();
