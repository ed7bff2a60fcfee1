# Acceptance checks 10, 13 and 14 for servers that do not preload the library. A command starts the worker: one for each
# database, as fresh as a preloaded worker. It comes back after every end, and leaves with the extension or the database. The
# poll is so slow here that only a latch explains why a reading is applied in time.
# Runs late: the time that commands take is bounded.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use TelemetryNode;
use Test::More;
use Time::HiRes qw(time usleep);

$LastingSession::wanted = 0;    # but for what only looks

my $in_time = 90;
my $node = telemetry_node('on_demand', on_demand => 1, conf => "telemetry_cqrs.poll_interval = 60s\nmax_worker_processes = 8\nrestart_after_crash = on\n");
my $sent = 0;

sub in_database { my ($database, $sql) = @_; return $node->safe_psql($database, $sql); }
sub projectors
{
	my ($database) = @_;
	local $LastingSession::wanted = 1;
	return $node->safe_psql('template1', "SELECT string_agg(pid::text, ',') FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs projector' AND datname = '$database'");
}
# Sends one reading, in a session that is over when this returns.
sub send_one { my ($database) = @_; ++$sent; return in_database($database, "SELECT status FROM telemetry.ingest_telemetry('d', now(), $sent, 50, 'k$sent')"); }
# Tests that the query in a database soon gives the expected answer.
sub wait_answer
{
	my ($database, $query, $expected, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	local $LastingSession::wanted = 1;
	my $deadline = time + $in_time;
	my $answer = '';
	while (time < $deadline)
	{
		$answer = eval { in_database($database, $query) } // $@;
		return pass($what) if $answer =~ $expected;
		usleep(10_000);
	}
	return like($answer, $expected, $what);
}
my $behind = 'SELECT (SELECT count(*) FROM telemetry.measurements) - (SELECT coalesce(sum(sample_count), 0) FROM telemetry.region_stats)';
sub wait_all { my ($database, $what) = @_; local $Test::Builder::Level = $Test::Builder::Level + 1; return wait_answer($database, $behind, qr/^0$/, $what); }
my $status = 'SELECT preloaded, state, pid IS NOT NULL, last_error FROM telemetry.worker_status()';
sub set { my ($line) = @_; $node->append_conf('postgresql.conf', $line); $node->reload; return; }
sub no_projector { my ($database, $what) = @_; local $Test::Builder::Level = $Test::Builder::Level + 1; return wait_answer('template1', "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs projector' AND datname = '$database'", qr/^0$/, $what); }

# --- start ---------------------------------------------------------------------------------------------------------------

is(in_database('postgres', $status), 'f|none|f|', 'no command yet: no worker');
is(projectors('postgres'), '', 'and no process');
is(send_one('postgres'), 'accepted', 'the first command');
wait_all('postgres', 'is applied, though its session has ended');
like(in_database('postgres', $status), qr/^f\|running\|t\|$/, 'worker_status shows the worker');
my $first = projectors('postgres');
is(in_database('postgres', 'SELECT pid FROM telemetry.worker_status()'), $first, 'with its pid');

# A session of its own for each reading: what wakes the worker is found anew each time.
my $start = time;
for my $n (1 .. 5) { send_one('postgres'); wait_all('postgres', "reading $n is applied"); }
note sprintf('5 readings from 5 sessions: %.2f s', time - $start);
my $session = session($node);
for my $n (1 .. 5)
{
	++$sent;
	$session->query_safe("SELECT telemetry.ingest_telemetry('d', now(), $sent, 50)");
	wait_all('postgres', "reading $n of one session is applied");
}
is(projectors('postgres'), $first, 'all by the same worker');

# --- it comes back ---------------------------------------------------------------------------------------------------------

# Each round the worker starts while the command commits: it must not miss that commit.
for my $round (1 .. 10)
{
	my $old = projectors('postgres');
	in_database('postgres', "SELECT pg_terminate_backend($old, 60000)");
	send_one('postgres');
	wait_all('postgres', "terminated, round $round: the next command starts one, which applies it");
}
my $old = projectors('postgres');
in_database('postgres', "SELECT pg_terminate_backend($old, 60000)");
++$sent;
$session->query_safe("SELECT telemetry.ingest_telemetry('d', now(), $sent, 50)");
wait_all('postgres', 'a session that knew the old one starts a new one');
$session->quit;

# A command that is rolled back starts one too; it stays and waits.
$old = projectors('postgres');
in_database('postgres', "SELECT pg_terminate_backend($old, 60000)");
in_database('postgres', "BEGIN; SELECT telemetry.ingest_telemetry('d', now(), 1, 50); ROLLBACK");
wait_answer('postgres', $status, qr/^f\|running\|t\|$/, 'a command that was rolled back has started one');

# Many at once: one worker.
$old = projectors('postgres');
in_database('postgres', "SELECT pg_terminate_backend($old, 60000)");
my $offset = -s $node->logfile;
my @clients = map {
	my $client = $_;
	psql_start($node, join("\n", map { "SELECT telemetry.ingest_telemetry('c$client', now(), $_, 50, '$_');" } 1 .. 20))
} 1 .. 8;
my @errors = grep { $_ ne '' } map { (psql_finish($_))[1] } @clients;
is("@errors", '', 'eight sessions send at once');
wait_all('postgres', 'all of it is applied');
like(projectors('postgres'), qr/^\d+$/, 'by one worker');
unlike(slurp_file($node->logfile, $offset), qr/cannot start a worker/, 'and no command missed a slot');

$old = projectors('postgres');
kill 'KILL', $old;
wait_for($node, "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $old", 'the server to recover');
wait_answer('postgres', 'SELECT 1', qr/^1$/, 'the server is back after a kill -9 of the worker');
send_one('postgres');
wait_all('postgres', 'and the next command starts a worker');
$node->stop('immediate');
$node->start;
is(in_database('postgres', $status), 'f|none|f|', 'a restart: no worker');
send_one('postgres');
wait_all('postgres', 'until the next command');

# --- the setting -----------------------------------------------------------------------------------------------------------

set('telemetry_cqrs.start_worker = off');
no_projector('postgres', 'start_worker = off: the worker ends');
send_one('postgres') for 1 .. 3;
is(projectors('postgres'), '', 'commands start none');
is(in_database('postgres', $behind), '3', 'and nothing is applied');
is(in_database('postgres', $status), 'f|none|f|', 'worker_status says so');
set('telemetry_cqrs.start_worker = on');
wait_answer('postgres', 'SHOW telemetry_cqrs.start_worker', qr/^on$/, 'start_worker = on');
send_one('postgres');
wait_all('postgres', 'the next command starts one, which applies all of it');

# --- with the extension and the database -----------------------------------------------------------------------------------

in_database('postgres', 'DROP EXTENSION telemetry_cqrs');
set('telemetry_cqrs.poll_interval = 100ms');
no_projector('postgres', 'DROP EXTENSION: the worker leaves');
in_database('postgres', 'CREATE EXTENSION telemetry_cqrs');
send_one('postgres');
wait_all('postgres', 'CREATE EXTENSION again: the next command starts one');

# Made and used in one transaction: the worker looks for the extension before that is over, and leaves.
in_database('postgres', 'DROP EXTENSION telemetry_cqrs');
no_projector('postgres', 'DROP EXTENSION again');
$session = session($node);
$session->query_safe('BEGIN; CREATE EXTENSION telemetry_cqrs');
$session->query_safe("SELECT telemetry.ingest_telemetry('d', now(), 1, 50)");
wait_answer('template1', "SELECT count(*) FROM pg_ls_dir('pg_stat_tmp') AS f WHERE f = 'telemetry_cqrs.' || (SELECT oid FROM pg_database WHERE datname = 'postgres')", qr/^0$/, 'a worker came and left');
$session->query_safe('COMMIT');
$session->quit;
wait_all('postgres', 'CREATE EXTENSION and a command in one transaction: the commit starts one');

sub measured
{
	my ($sql, $bound, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($out, $err);
	my $result = $node->psql('template1', "\\set ON_ERROR_STOP on\n\\timing on\n$sql;\n", stdout => \$out, stderr => \$err);
	my ($milliseconds) = $out =~ /Time: ([\d.]+) ms/;
	note "$sql: " . ($milliseconds // '?') . ' ms';
	return fail("$what: $err") if $result != 0;
	return cmp_ok($milliseconds, '<', $bound, $what);
}
# Makes a database with a worker in it.
sub made
{
	my ($database) = @_;
	in_database('template1', "CREATE DATABASE $database");
	in_database($database, 'CREATE EXTENSION telemetry_cqrs');
	send_one($database);
	wait_all($database, "$database has a worker");
	return;
}
set('telemetry_cqrs.poll_interval = 60s');
made('north');
measured('ALTER DATABASE north RENAME TO south', 6000, 'its database can be renamed');
is(projectors('south'), '', 'no process brings the worker back');
send_one('south');
wait_all('south', 'but the next command');
my $folder = PostgreSQL::Test::Utils::tempdir;
in_database('template1', "CREATE TABLESPACE elsewhere LOCATION '$folder'");
measured('ALTER DATABASE south SET TABLESPACE elsewhere', 6000, 'moved');
send_one('south');
wait_all('south', 'and applied there');
measured('CREATE DATABASE south_copy TEMPLATE south', 6000, 'copied');
send_one($_) for qw(south south_copy);
wait_all($_, "$_ goes on") for qw(south south_copy);
measured('DROP DATABASE south', 6000, 'and dropped, from a database without the extension');
measured('DROP DATABASE south_copy', 6000, 'the copy as well');
in_database('template1', 'DROP TABLESPACE elsewhere');

# --- library and extension that do not belong together ------------------------------------------------------------------

$offset = -s $node->logfile;
my $version = in_database('postgres', "SELECT extversion FROM pg_extension WHERE extname = 'telemetry_cqrs'");
in_database('postgres', "UPDATE pg_extension SET extversion = '0.9' WHERE extname = 'telemetry_cqrs'");
$old = projectors('postgres');
in_database('postgres', "SELECT pg_terminate_backend($old, 60000)");
# Several attempts: each finds the same.
for my $attempt (1 .. 2)
{
	send_one('postgres');
	wait_answer('postgres', $status, qr/^f\|failing\|f\|extension version 0\.9 does not belong to library version/, 'another version: the worker leaves and says why');
	usleep(2_100_000) if $attempt < 2;
}
my $lines = () = slurp_file($node->logfile, $offset) =~ /does not belong to library version/g;
is($lines, 1, 'one line in the log');
in_database('postgres', "UPDATE pg_extension SET extversion = '$version' WHERE extname = 'telemetry_cqrs'");
wait_answer('postgres', "SELECT status FROM telemetry.ingest_telemetry('v', clock_timestamp(), 1, 50); SELECT pg_sleep(0.1); SELECT state FROM telemetry.worker_status()", qr/running/,
	'the versions fit again: commands start a worker that stays');
wait_all('postgres', 'and applies everything');

# --- workers that cannot even begin -----------------------------------------------------------------------------------------------

# Each leaves a FATAL in the server log, so the attempts become rare.
in_database('template1', 'CREATE DATABASE closed');
in_database('closed', 'CREATE EXTENSION telemetry_cqrs');
{
	local $TelemetryNode::database = 'closed';
	my @sessions = map { session($node) } 1 .. 12;
	in_database('postgres', 'ALTER DATABASE closed ALLOW_CONNECTIONS false');
	$offset = -s $node->logfile;
	for my $each (@sessions)
	{
		$each->query_safe("SELECT telemetry.ingest_telemetry('d', clock_timestamp(), 1, 50)");
		usleep(350_000);  # longer than an attempt counts as being on its way
	}
	my $attempts = () = slurp_file($node->logfile, $offset) =~ /FATAL/g;
	note "$attempts attempts";
	cmp_ok($attempts, '>', 1, 'a worker that cannot connect is tried again');
	cmp_ok($attempts, '<', 9, 'more and more rarely');
	like($sessions[0]->query_safe('SELECT state, last_error FROM telemetry.worker_status()'), qr/^failing\|.*The server log says why/, 'worker_status says so');
	$_->quit for @sessions;
}
in_database('postgres', 'ALTER DATABASE closed ALLOW_CONNECTIONS true');
wait_answer('closed', "SELECT status FROM telemetry.ingest_telemetry('d', clock_timestamp(), 1, 50); SELECT state FROM telemetry.worker_status()", qr/running/, 'until one can');
wait_all('closed', 'and applies everything');
in_database('template1', 'DROP DATABASE closed');

# --- worker slots ------------------------------------------------------------------------------------------------------------

# One for logical replication, one for us.
$node->append_conf('postgresql.conf', "max_worker_processes = 2\n");
$node->restart;
in_database('template1', 'CREATE DATABASE second');
in_database('second', 'CREATE EXTENSION telemetry_cqrs');
send_one('postgres');
wait_all('postgres', 'the only slot is taken');
$offset = -s $node->logfile;
for my $attempt (1 .. 2)
{
	is(send_one('second'), 'accepted', 'no slot is free: a command is none the worse');
	usleep(2_100_000) if $attempt < 2;
}
is(in_database('second', $status), 'f|failing|f|All background worker slots of the server are in use.', 'worker_status says why nothing is applied');
is(in_database('second', $behind), '2', 'and nothing is');
$lines = () = slurp_file($node->logfile, $offset) =~ /cannot start a worker for database "second"/g;
is($lines, 1, 'one line in the log for all attempts');
like(slurp_file($node->logfile, $offset), qr/HINT:  Increase max_worker_processes\./, 'with a hint');
in_database('postgres', 'DROP EXTENSION telemetry_cqrs');
set('telemetry_cqrs.poll_interval = 100ms');
no_projector('postgres', 'the slot is free');
wait_answer('second', "SELECT status FROM telemetry.ingest_telemetry('v', clock_timestamp(), 1, 50); SELECT pg_sleep(0.1); SELECT state FROM telemetry.worker_status()", qr/running/,
	'a command takes it');
wait_all('second', 'and everything is applied');
read_models_follow_in('second');
$node->stop;

my @fatal = grep { /FATAL|PANIC/ && !/the database system is|terminating|not yet accepting|database "closed" is not/ } split /\n/, slurp_file($node->logfile);
is(scalar @fatal, 0, 'nothing fatal in the log') or diag join "\n", @fatal;
done_testing();

sub read_models_follow_in
{
	my ($database) = @_;
	return is(in_database($database, "SELECT count(*) FROM (" . statistics_sql('telemetry.measurements') . ") AS d"), '0', 'as plain SQL over the log has it');
}
