# Acceptance check 19. Every process of the extension has one thread, in each of its states: the launcher, the projector
# (waiting, working, failing, paused), and a session that has sent, read and applied. Projector and launcher catch, ignore and
# block the same signals as a plain background worker of the server. A storm of SIGUSR1 and a flood of notifications from
# another database make no process read the configuration again.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

$LastingSession::wanted = 0;

my $node = telemetry_node('processes', preload => 1);
$node->safe_psql('postgres', 'CREATE DATABASE other');
my $session = session($node);
my $backend = $session->query_safe('SELECT pg_backend_pid()');
wait_for($node, "SELECT state = 'running' FROM telemetry.worker_status()", 'the projector');

one_thread('at the start');

# A backlog that takes many passes; the projector is looked at while it works on it.
$session->query_safe("SELECT (telemetry.ingest_telemetry_batch(array_agg('d' || i % 2000), NULL, array_agg(i::float8), NULL)).accepted FROM generate_series(1, 60000) AS i");
my $looks = 0;
until ($node->safe_psql('postgres', 'SELECT bool_and(lag_events = 0) FROM telemetry.projection_status') eq 't' || $looks > 1000)
{
	++$looks;
	last if grep { $_ > 1 } values %{ threads() };
}
one_thread("after $looks looks while it worked");

$session->query_safe('SELECT count(*) FROM telemetry.read_events(1)');
$session->query_safe('SELECT count(*) FROM telemetry.device_metric_stats');
$session->query_safe('CALL telemetry.project_once()');
one_thread('after queries and a pass of the session');

# A table that is locked makes it fail and wait.
$session->query_safe('BEGIN; LOCK TABLE telemetry.state_device IN SHARE MODE');
$node->safe_psql('postgres', "SELECT telemetry.ingest_telemetry('d1', NULL, 1)");
wait_for($node, "SELECT state = 'failing' FROM telemetry.worker_status()", 'the projector to fail');
one_thread('while it fails');
$session->query_safe('COMMIT');
wait_for($node, "SELECT state = 'running' FROM telemetry.worker_status()", 'the projector to go on');

# --- signals ----------------------------------------------------------------------------------------------------------

my %plain = signals($node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'logical replication launcher'"));
like($plain{SigCgt}, qr/[1-9a-f]/, 'a plain worker of the server catches signals');
my %ours = ours();
foreach my $name (sort keys %ours)
{
	next if $name eq 'session';
	is_deeply({ signals($ours{$name}) }, \%plain, "$name: signals as in a plain worker of the server");
}

# --- SIGUSR1 ----------------------------------------------------------------------------------------------------------

# A setting decides what a notification carries. Its change in the file takes effect with the reload, and no other signal brings
# it about.
$session->query_safe('LISTEN telemetry_ingested');
$node->append_conf('postgresql.conf', "telemetry_cqrs.notify_payload = off\n");
my $flood = psql_start_in($node, 'other', "NOTIFY anything, 'x';\n" x 300);
my %before = ours();
foreach (1 .. 300) { kill 'USR1', $before{projector}, $before{launcher} }
$flood->finish;
foreach my $round (1 .. 5)
{
	$node->safe_psql('postgres', "SELECT telemetry.ingest_telemetry('d$round', NULL, 1)");
	wait_for($node, 'SELECT bool_and(lag_events = 0) FROM telemetry.projection_status', 'the reading to be applied');
}
is($node->safe_psql('postgres', 'SHOW telemetry_cqrs.notify_payload'), 'events', 'no process has read the configuration');
my ($answer, $heard) = ('', 0);
my $deadline = time + 180;
while (!$heard && time < $deadline) { ($answer) = $session->query('SELECT 1'); $heard = $answer =~ /telemetry_ingested/ }
ok($heard, 'the projector still tells, as it was told before');
is_deeply({ ours() }, \%before, 'the processes are the same');
one_thread('after the storm');

$session->quit;
$node->stop;
done_testing();

sub ours
{
	my %pids = split /[|\n]/, $node->safe_psql('postgres', "SELECT replace(backend_type, 'telemetry_cqrs ', ''), pid FROM pg_stat_activity WHERE backend_type LIKE 'telemetry_cqrs %'");
	return (%pids, session => $backend);
}

sub threads
{
	my %pids = ours();
	return { map { my @tasks = glob "/proc/$pids{$_}/task/*"; $_ => scalar @tasks } keys %pids };
}

sub one_thread
{
	my ($when) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is_deeply(threads(), { launcher => 1, projector => 1, session => 1 }, "one thread in each process $when");
}

sub signals
{
	my ($pid) = @_;
	return slurp_file("/proc/$pid/status") =~ /^(Sig(?:Cgt|Ign|Blk)):\s*(\w+)$/mg;
}

sub psql_start_in
{
	my ($server, $database, $script) = @_;
	return IPC::Run::start([ 'psql', '-XAtq', '-d', $server->connstr($database) ], '<', \$script, '>', '/dev/null');
}
