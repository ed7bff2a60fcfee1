# Acceptance checks 12, 14 and the last part of 19. The server stops in time, whatever the worker does. A worker or launcher
# that is told to end does so at once, and comes back. Storms of signals and of notifications from elsewhere change nothing.
# Without a free worker slot ingest works and the state says why no worker runs. The worker comes by itself when a slot is free.
# Runs late: the time that the end of processes takes is bounded.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../support";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ServerLog;
use TelemetryNode;
use Test::More;
use Time::HiRes qw(time usleep);

my $conf = <<'CONF';
telemetry_cqrs.launcher_interval = 300ms
autovacuum = off
wal_level = replica
max_wal_senders = 5
CONF
my $node = telemetry_node('signals', preload => 1, conf => $ServerLog::conf . $conf);

sub sql { my ($sql, $database) = @_; return $node->safe_psql($database // 'postgres', $sql); }
sub pid_of { my ($type) = @_; return sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs $type' AND coalesce(datname, 'postgres') = 'postgres'"); }
# Waits for a process of ours that is not the old one.
sub comes_back
{
	my ($type, $old, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok(wait_for($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs $type' AND coalesce(datname, 'postgres') = 'postgres' AND pid <> $old", $what), $what);
}
sub runs
{
	my ($what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok(wait_for($node, "SELECT state = 'running' FROM telemetry.worker_status()", $what), $what);
}
my $sent = 0;
sub store
{
	my ($count, $database) = @_;
	sql("SELECT telemetry.ingest_telemetry_batch(array_agg('d' || i % 1000), array_agg('2024-05-01'::timestamptz + i * interval '1 ms'), array_agg(i % 50.0), array_agg(i % 90.0))
	     FROM generate_series($sent + 1, $sent + $count) AS i", $database);
	$sent += $count;
	return;
}
# Makes a backlog that the worker has just begun to apply. Returns the worker's pid.
sub backlog
{
	sql('ALTER TABLE telemetry.state_device RENAME TO hidden');
	store(20_000) foreach 1 .. 5;
	sql('ALTER TABLE telemetry.hidden RENAME TO state_device');
	my $pid = pid_of('projector');
	sql("SELECT pg_terminate_backend($pid, 10000)");    # forgets when it wanted to try again
	return comes_back('projector', $pid, 'a worker before a backlog');
}
sub stops_in
{
	my ($seconds, $mode, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $start = time;
	$node->stop($mode);
	my $took = time - $start;
	note(sprintf '%.2f s: %s', $took, $what);
	return cmp_ok($took, '<', 3 * $seconds, $what);
}
runs('a worker');

# --- shutdown ---------------------------------------------------------------------------------------------------------------

my $from = log_end($node);
backlog();
stops_in(5, 'fast', 'fast shutdown with a backlog');
$node->start;
wait_applied($node, 'the backlog to be applied after it');

# No standby acknowledges. A session that waits for that hangs, but the worker and the shutdown do not.
$node->append_conf('postgresql.conf', "synchronous_standby_names = 'nobody'\n");
$node->reload;
my $hanging = psql_start($node, "SELECT telemetry.ingest_telemetry('h', '2024-06-01', 1, 1, 'hangs')");
ok(wait_for($node, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep')", 'a session that waits for a standby'), 'a session waits for a standby that never comes');
$ENV{PGOPTIONS} = '-c synchronous_commit=local';
backlog();
ok(wait_for($node, 'SELECT sum(sample_count) > 0 FROM telemetry.device_stats', 'the worker to apply'), 'the worker does not wait for it');
is(sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND backend_type <> 'client backend'"), '0', 'no process of ours does');
stops_in(5, 'fast', 'fast shutdown with a standby that never comes');
delete $ENV{PGOPTIONS};
psql_finish($hanging);
$node->append_conf('postgresql.conf', "synchronous_standby_names = ''\n");
$node->start;
wait_applied($node, 'everything to be applied after it');
is(sql("SELECT count(*) FROM telemetry.measurements WHERE device_id = 'h'"), '1', 'what was stored and never acknowledged is there');

# Smart shutdown waits for the client, not for us.
my $client = session($node);
$client->query_safe('SELECT 1');
LastingSession::give_up($node);
PostgreSQL::Test::Utils::system_log('pg_ctl', '-D', $node->data_dir, '-W', '-m', 'smart', 'stop');
is($client->query_safe("SELECT status FROM telemetry.ingest_telemetry('smart', '2024-06-01', 1, 1, 'k')"), 'accepted', 'smart shutdown: the last client can still store');
my $start = time;
$client->quit;
usleep(50_000) while -e $node->data_dir . '/postmaster.pid' && time - $start < $PostgreSQL::Test::Utils::timeout_default;
ok(!-e $node->data_dir . '/postmaster.pid', 'and with it gone the server stops');
note(sprintf '%.2f s: smart shutdown', time - $start);
$node->_update_pid(0);
$node->start;
wait_applied($node, 'the last reading to be applied');
read_models_follow($node, 'telemetry.measurements', 'after the shutdowns');
nothing_repeats($node, $from, 'shutdowns', most => 6);

# --- told to end ------------------------------------------------------------------------------------------------------------

$from = log_end($node);
runs('a worker at rest');
my $old = pid_of('projector');
sub ends_in
{
	my ($seconds, $pid, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $answer = sql("\\timing on\nSELECT pg_terminate_backend($pid, 60000)");
	my ($milliseconds) = $answer =~ /Time: ([0-9.]+) ms/;
	note(sprintf '%.0f ms: %s', $milliseconds, $what);
	like($answer, qr/^t$/m, $what);
	return cmp_ok($milliseconds, '<', 3000 * $seconds, "$what, in time");
}
ends_in(1, $old, 'a worker at rest ends');
comes_back('projector', $old, 'and comes back');
backlog();
$old = pid_of('projector');
ends_in(1, $old, 'a worker at work ends');
comes_back('projector', $old, 'and comes back');
$old = pid_of('launcher');
my $kept = pid_of('projector');
ends_in(1, $old, 'the launcher ends');
comes_back('launcher', $old, 'and comes back');
is(pid_of('projector'), $kept, 'while the worker goes on');
wait_applied($node, 'the backlog to be applied');

# --- storms -----------------------------------------------------------------------------------------------------------------

$old = pid_of('projector');
my $launcher = pid_of('launcher');
my $since = sql('SELECT since FROM telemetry.worker_status()');
my $loaded = sql('SELECT pg_conf_load_time()');
sql('CREATE DATABASE elsewhere');
my $flood = psql_start($node, "\\c elsewhere\nLISTEN telemetry_ingested;\n" . join('', map { "NOTIFY telemetry_ingested, 'flood $_';\n" } 1 .. 3000));
foreach my $n (1 .. 3000)
{
	kill 'USR1', $old, $launcher;
	if ($n % 300 == 0)
	{
		store(10);
		sql("SELECT pg_cancel_backend($old)") if $n % 600 == 0;
	}
}
psql_finish($flood);
wait_applied($node, 'what was sent in the storm to be applied');
is(sql('SELECT pg_conf_load_time()'), $loaded, 'a storm of SIGUSR1, cancellations and a flood of notifications from elsewhere: nothing is reloaded');
is(pid_of('projector') . ' ' . pid_of('launcher'), "$old $launcher", 'the same processes');
is(sql('SELECT since FROM telemetry.worker_status()'), $since, 'and never did the worker fail');

foreach my $n (1 .. 500)
{
	kill 'HUP', $old, $launcher;
	store(10) if $n % 100 == 0;
}
wait_applied($node, 'what was sent in the storm to be applied');
$node->append_conf('postgresql.conf', "telemetry_cqrs.poll_interval = 700ms\n");
$node->reload;
is(pid_of('projector') . ' ' . pid_of('launcher'), "$old $launcher", 'a storm of SIGHUP: the same processes');
runs('which run');
nothing_repeats($node, $from, 'ends and storms', most => 4);

# --- no free slot -----------------------------------------------------------------------------------------------------------

# Launcher, logical replication's, and one more; a second database with the extension gets none.
sql('CREATE EXTENSION telemetry_cqrs', 'elsewhere');
$node->append_conf('postgresql.conf', "max_worker_processes = 3\n");
$from = log_end($node);
$node->restart;
ok(wait_for($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs projector'", 'one worker'), 'as many workers as there are slots');
my ($with) = sql("SELECT datname FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs projector'");
my $without = $with eq 'postgres' ? 'elsewhere' : 'postgres';
my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
usleep(50_000) until sql("SELECT state FROM telemetry.worker_status()", $without) eq 'failing' || time > $deadline;
like(sql('SELECT state, last_error FROM telemetry.worker_status()', $without), qr/^failing\|All background worker slots of the server are in use\.$/, 'the state says why there is no worker');
my $had = sql('SELECT count(*) FROM telemetry.measurements', $without);
my $stored = 0;
my $watched_until = time + 4;    # some rounds of the launcher, and commands that ask it for a worker: the log must not grow with them
{
	local $LastingSession::wanted = 0;    # a session asks once a second at most
	while (time < $watched_until) { store(10, $without); $stored += 10 }
}
is(sql('SELECT count(*) FROM telemetry.measurements', $without), $had + $stored, 'ingest works');
my @complaints = grep { /cannot start a worker/ } lines_of_ours($node, $from);
is(scalar @complaints, 1, 'one line in the log') or diag join "\n", @complaints;

sql('DROP EXTENSION telemetry_cqrs CASCADE', $with);
ok(wait_for($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs projector' AND datname = '$without'", 'the worker'), 'a slot is free: the worker starts by itself');
$deadline = time + $PostgreSQL::Test::Utils::timeout_default;
usleep(50_000) until sql('SELECT coalesce(sum(sample_count), 0) FROM telemetry.device_stats', $without) == $had + $stored || time > $deadline;
is(sql('SELECT sum(sample_count) FROM telemetry.device_stats', $without), $had + $stored, 'and applies what was stored meanwhile');
nothing_repeats($node, $from, 'no free slot', most => 3);    # the ends of two workers at the restart
$node->stop;

done_testing();
