# The processes of the extension: when they start, come back and leave, and what the server log says about it.
# Runs late: the time that statements take is bounded.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../support";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use TelemetryNode;
use Test::More;
use Time::HiRes qw(time);

my $start;
my $projectors = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs projector'";
my $launcher = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs launcher'";

my $node = PostgreSQL::Test::Cluster->new('worker');
$node->init;
$node->append_conf('postgresql.conf', <<'CONF');
shared_preload_libraries = 'telemetry_cqrs'
lc_messages = 'C'
max_prepared_transactions = 10
telemetry_cqrs.launcher_interval = 500ms
CONF
$node->start;

sub in_database { my ($database, $sql) = @_; return $node->safe_psql($database, $sql); }
sub pid_of
{
	my ($database) = @_;
	return $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs projector' AND datname = '$database'");
}

# Tests that soon exactly these databases have a running worker, one each.
sub wait_workers
{
	my ($what, @databases) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $expected = join ',', sort @databases;
	return ok(wait_for($node, "SELECT coalesce(string_agg(datname, ',' ORDER BY datname COLLATE \"C\"), '') = '$expected' FROM pg_stat_activity
	                           WHERE backend_type = 'telemetry_cqrs projector'", $what), $what);
}
# Tests that the query in a database soon gives the expected answer.
sub wait_answer
{
	my ($database, $query, $expected, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
	my $answer = '';
	while (time < $deadline)
	{
		$answer = eval { in_database($database, $query) } // $@;
		return pass($what) if $answer =~ $expected;
		Time::HiRes::usleep(20_000);
	}
	return like($answer, $expected, $what);
}
sub wait_running
{
	my ($database, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return wait_answer($database, 'SELECT preloaded, state, pid IS NOT NULL, since IS NOT NULL FROM telemetry.worker_status()', qr/^t\|running\|t\|t$/, $what);
}
my $worker_state = "SELECT state || ' ' || coalesce(last_error, '') FROM telemetry.worker_status()";

# --- coming and going with the extension ---------------------------------------------------------------------------------

ok(wait_for($node, "SELECT count(*) = 1 FROM ($launcher) AS l", 'the launcher to start'), 'one launcher');
is($node->safe_psql('postgres', $projectors), '0', 'no worker without the extension');

in_database('postgres', 'CREATE EXTENSION telemetry_cqrs');
wait_workers('CREATE EXTENSION gets a worker without a restart', 'postgres');
wait_running('postgres', 'worker_status says so');

in_database('postgres', 'CREATE DATABASE north');
in_database('postgres', 'CREATE DATABASE south');
in_database($_, 'CREATE EXTENSION telemetry_cqrs') for qw(north south);
wait_workers('three databases, a worker each', qw(postgres north south));

$node->psql('postgres', 'CREATE DATABASE bare');
in_database('bare', 'BEGIN; CREATE EXTENSION telemetry_cqrs; ROLLBACK');
in_database('bare', "BEGIN; CREATE EXTENSION telemetry_cqrs; DROP EXTENSION telemetry_cqrs; COMMIT");
in_database('postgres', "CREATE DATABASE a_template IS_TEMPLATE true");
in_database('a_template', 'CREATE EXTENSION telemetry_cqrs');

in_database('south', 'DROP EXTENSION telemetry_cqrs');
wait_workers('DROP EXTENSION ends the worker; a rollback, an extension gone at once and a template get none', qw(postgres north));
is(in_database('a_template', "SELECT state, detail FROM telemetry.health() WHERE item = 'worker'"), 'warning|none: a template database has no worker', 'health() says why');
in_database('south', 'CREATE EXTENSION telemetry_cqrs');
wait_workers('the extension again, the worker again', qw(postgres north south));
in_database('south', 'BEGIN; DROP EXTENSION telemetry_cqrs; CREATE EXTENSION telemetry_cqrs; COMMIT');
wait_running('south', 'dropped and made again in one transaction: a worker runs');

in_database('postgres', 'CREATE DATABASE copy TEMPLATE a_template');
wait_workers('a database made from a template with the extension gets a worker', qw(postgres north south copy));

# --- dying and coming back -----------------------------------------------------------------------------------------------

my $old = pid_of('north');
in_database('postgres', "SELECT pg_terminate_backend($old, 5000)");
ok(wait_for($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs projector' AND datname = 'north' AND pid <> $old", 'the worker to come back'),
	'a terminated worker comes back');

my $old_launcher = $node->safe_psql('postgres', $launcher);
my $before = in_database('postgres', "SELECT string_agg(pid::text, ',' ORDER BY pid) FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs projector'");
in_database('postgres', "SELECT pg_terminate_backend($old_launcher, 5000)");
ok(wait_for($node, "SELECT count(*) = 1 FROM ($launcher) AS l WHERE pid <> $old_launcher", 'the launcher to come back'), 'a terminated launcher comes back');
in_database('bare', 'CREATE EXTENSION telemetry_cqrs');
wait_workers('the new launcher serves new databases', qw(postgres north south copy bare));
is(in_database('postgres', "SELECT string_agg(pid::text, ',' ORDER BY pid) FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs projector' AND datname <> 'bare'"),
	$before, 'and took over the workers that ran');
$old = pid_of('south');
in_database('postgres', "SELECT pg_terminate_backend($old, 5000)");
ok(wait_for($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs projector' AND datname = 'south' AND pid <> $old", 'the adopted worker to come back'),
	'one that was taken over comes back too');

in_database('postgres', 'DROP DATABASE bare WITH (FORCE)');
in_database('postgres', 'DROP DATABASE copy WITH (FORCE)');
wait_workers('DROP DATABASE WITH (FORCE) takes the workers along', qw(postgres north south));

# --- the worker leaves when a command wants the database for itself ---------------------------------------------------------------

$node->append_conf('postgresql.conf', "telemetry_cqrs.poll_interval = 60s\n");
$node->reload;
sub takes_less_than { my ($seconds, $sql, $what) = @_; $start = time; in_database('postgres', $sql); return cmp_ok(time - $start, '<', $seconds, $what); }
in_database('postgres', 'CREATE DATABASE east');
in_database('east', 'CREATE EXTENSION telemetry_cqrs');
wait_running('east', 'a worker that polls once a minute');
in_database('postgres', 'CREATE DATABASE without');
takes_less_than(4, 'CREATE DATABASE east_copy TEMPLATE east', 'its database can be copied');
wait_workers('and both have workers then', qw(postgres north south east east_copy));
takes_less_than(4, 'ALTER DATABASE east RENAME TO west', 'renamed');
wait_workers('with a worker under its new name', qw(postgres north south west east_copy));
$start = time;
in_database('without', 'DROP DATABASE west');
cmp_ok(time - $start, '<', 4, 'and dropped, from a database without the extension');
my $other = $node->background_psql('east_copy');
my ($drop_status, undef, $drop_error) = $node->psql('without', 'DROP DATABASE east_copy');
like($drop_error, qr/is being accessed by other users/, 'DROP DATABASE fails because another session is connected');
wait_workers('gives the worker back', qw(postgres north south east_copy));
$other->quit;
in_database('postgres', 'DROP DATABASE east_copy');
in_database('postgres', 'DROP DATABASE without');
in_database('postgres', 'ALTER DATABASE south IS_TEMPLATE true');
wait_workers('a database that becomes a template loses its worker', qw(postgres north));
in_database('postgres', 'ALTER DATABASE south IS_TEMPLATE false');
wait_workers('and has it again when it is none any more', qw(postgres north south));
$node->append_conf('postgresql.conf', "telemetry_cqrs.poll_interval = 1s\n");
$node->reload;

# --- waking --------------------------------------------------------------------------------------------------------------

$node->append_conf('postgresql.conf', "telemetry_cqrs.poll_interval = 60s\n");
$node->reload;
wait_running('north', 'a worker that polls once a minute');
my $counted = "SELECT coalesce(sum(sample_count), 0) FROM telemetry.device_stats WHERE device_id = 'd'";
$start = time;
for my $n (1 .. 5)
{
	in_database('north', "SELECT telemetry.ingest_telemetry('d', now(), $n, 50)");
	wait_answer('north', $counted, qr/^$n$/, "reading $n is applied");
}
cmp_ok(time - $start, '<', 20, 'a commit wakes the worker');
in_database('north', "BEGIN; SELECT telemetry.ingest_telemetry('d', now(), 6, 50); ROLLBACK");
in_database('north', "BEGIN; SELECT telemetry.ingest_telemetry('d', now(), 7, 50); PREPARE TRANSACTION 'later'");
is(in_database('north', $counted), '5', 'neither a rollback nor a prepared transaction counts');
$node->append_conf('postgresql.conf', "telemetry_cqrs.poll_interval = 1s\n");
$node->reload;
in_database('north', "COMMIT PREPARED 'later'");
wait_answer('north', $counted, qr/^6$/, 'COMMIT PREPARED wakes no process; the poll finds it');

# Old batches are merged.
$node->append_conf('postgresql.conf', "telemetry_cqrs.batch_retention = 1s\n");
$node->reload;
wait_answer('north', 'SELECT count(*) = 1 AND min(batch_id) > 1 AND min(batch_id) = (SELECT max(last_batch_id) FROM telemetry.batcher) FROM telemetry.batch', qr/^t$/,
	'batch_retention: old batches are merged into one');
in_database('north', "SELECT telemetry.ingest_telemetry('d', now(), 8, 50)");
wait_answer('north', $counted, qr/^7$/, 'and numbering goes on after it');
$node->append_conf('postgresql.conf', "telemetry_cqrs.batch_retention = 1d\n");
$node->reload;

# --- one thread, no transaction ------------------------------------------------------------------------------------------

SKIP:
{
	skip 'no /proc', 1 unless -d '/proc/self/task';
	my @processes = split /\n/, $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type LIKE 'telemetry_cqrs%'");
	my @threads = map { scalar(my @tasks = glob "/proc/$_/task/*") } @processes;
	is("@threads", join(' ', (1) x @processes), 'one thread in each process');
}
ok(wait_for($node, "SELECT count(*) = 0 FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE a.backend_type LIKE 'telemetry_cqrs%' AND l.locktype NOT IN ('advisory', 'virtualxid')", 'idle workers'),
	'no lock on any relation while idle');
ok(wait_for($node, "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type LIKE 'telemetry_cqrs%' AND (backend_xid IS NOT NULL OR backend_xmin IS NOT NULL)", 'idle workers'),
	'no xid and no xmin while idle');

# --- settings ------------------------------------------------------------------------------------------------------------

is(in_database('postgres', "SELECT string_agg(name || ' ' || setting || coalesce(unit, '') || ' ' || context, E'\n' ORDER BY name) FROM pg_settings WHERE name LIKE 'telemetry_cqrs.%'"),
	join("\n",
		'telemetry_cqrs.age_action reject sighup', 'telemetry_cqrs.ahead_action reject sighup', 'telemetry_cqrs.audit_interval 0s sighup', 'telemetry_cqrs.auto_register on sighup', 'telemetry_cqrs.batch_retention 86400s sighup', 'telemetry_cqrs.coalesce 2ms sighup', 'telemetry_cqrs.device_burst 100 sighup', 'telemetry_cqrs.device_rate 0 sighup', 'telemetry_cqrs.expected_interval 0s sighup',
		'telemetry_cqrs.http_allow_origin  sighup', 'telemetry_cqrs.http_anonymous_role  sighup', 'telemetry_cqrs.http_body 16384kB sighup', 'telemetry_cqrs.http_connections 1000 sighup',
		'telemetry_cqrs.http_listen  sighup', 'telemetry_cqrs.http_timeout 10000ms sighup', 'telemetry_cqrs.http_workers 1 sighup',
		'telemetry_cqrs.launcher_interval 500ms sighup', 'telemetry_cqrs.liveness_interval 0s sighup', 'telemetry_cqrs.max_age 0s sighup', 'telemetry_cqrs.max_ahead 300s sighup', 'telemetry_cqrs.max_backlog 0 sighup', 'telemetry_cqrs.max_batch_readings 100000 sighup', 'telemetry_cqrs.max_devices 1000000 sighup', 'telemetry_cqrs.max_metric_names 10000 sighup', 'telemetry_cqrs.max_metrics 64 sighup',
		'telemetry_cqrs.max_staleness 0ms user',
		'telemetry_cqrs.nats_stream TELEMETRY sighup', 'telemetry_cqrs.nats_url  sighup', 'telemetry_cqrs.nats_window 4096 sighup', 'telemetry_cqrs.notify_payload events sighup',
		'telemetry_cqrs.poll_interval 1000ms sighup', 'telemetry_cqrs.quarantine_retention 2592000s sighup', 'telemetry_cqrs.quarantine_rows 1000000 sighup', 'telemetry_cqrs.redis_expiry 86400s sighup', 'telemetry_cqrs.redis_url  sighup',
		'telemetry_cqrs.relay_ca_file  sighup', 'telemetry_cqrs.start_worker on sighup', 'telemetry_cqrs.total_burst 100000 sighup', 'telemetry_cqrs.total_rate 0 sighup', 'telemetry_cqrs.verdict_retention 604800s sighup'),
	'the settings, their units and contexts');
my ($status, $out, $err) = $node->psql('postgres', "SET telemetry_cqrs.poll_intervall = 5");
like($err, qr/invalid configuration parameter name "telemetry_cqrs.poll_intervall"/, 'a misspelt setting is refused');

# --- hostile surroundings ------------------------------------------------------------------------------------------------

in_database('postgres', <<'SQL');
CREATE ROLE nobody;
CREATE SCHEMA evil;
ALTER DATABASE north SET role = 'nobody';
ALTER DATABASE north SET search_path = 'evil';
ALTER DATABASE north SET default_transaction_read_only = on;
ALTER DATABASE north SET default_transaction_isolation = 'serializable';
ALTER DATABASE north SET statement_timeout = '1ms';
ALTER DATABASE north SET lock_timeout = '1ms';
ALTER DATABASE north SET idle_in_transaction_session_timeout = '1ms';
ALTER DATABASE north SET idle_session_timeout = '1ms';
ALTER DATABASE north SET session_replication_role = 'replica';
ALTER DATABASE north SET TimeZone = 'Pacific/Chatham';
ALTER DATABASE north SET DateStyle = 'SQL, DMY';
ALTER DATABASE north SET exit_on_error = on;
ALTER DATABASE north SET synchronous_commit = 'remote_apply';
SQL
$old = pid_of('north');
in_database('postgres', "SELECT pg_terminate_backend($old, 5000)");
ok(wait_for($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs projector' AND datname = 'north' AND pid <> $old AND usename = 'postgres' AND state = 'idle'",
		'the worker in hostile settings'), 'ALTER DATABASE SET does not keep the worker from starting');
# The client's own session shall work; the worker keeps what it started with.
in_database('postgres', "ALTER DATABASE north RESET ALL");
in_database('north', "SELECT telemetry.ingest_telemetry('d', now(), 9, 50)");
wait_answer('north', $counted, qr/^8$/, 'nor from working');
wait_running('north', 'and its state can be seen');

# The whole server is read-only: a state with a reason, one line in the server log, and the worker goes on when that is over.
my $offset = -s $node->logfile;
$node->append_conf('postgresql.conf', "default_transaction_read_only = on\n");
$node->reload;
wait_answer($_, $worker_state, qr/^failing the server is read-only/, "$_: a read-only server is a state with a reason") foreach qw(postgres north south);
$node->append_conf('postgresql.conf', "default_transaction_read_only = off\n");
$node->reload;
wait_answer($_, $worker_state, qr/^running/, "$_: and the worker goes on by itself") foreach qw(postgres north south);
my $lines = () = slurp_file($node->logfile, $offset) =~ /projector waits: the server is read-only/g;
is($lines, 3, 'one line a worker in the log');

# A projection that fails: the same, and the other one goes on.
$offset = -s $node->logfile;
in_database('north', 'ALTER TABLE telemetry.state_region RENAME TO elsewhere');
in_database('north', "SELECT telemetry.ingest_telemetry('d', now(), 12, 50)");
wait_answer('north', $worker_state, qr/^failing region: .*state_region/, 'a projection that fails is a state with a reason');
wait_answer('north', $counted, qr/^9$/, 'the other one goes on');
in_database('north', 'ALTER TABLE telemetry.elsewhere RENAME TO state_region');
wait_answer('north', $worker_state, qr/^running/, 'and the worker goes on by itself');
is(in_database('north', 'SELECT sum(sample_count) FROM telemetry.region_stats'), '9', 'with nothing missing');
$lines = () = slurp_file($node->logfile, $offset) =~ /projector waits/g;
is($lines, 1, 'one line in the log');

# A projection fails, and another session catches up before the worker tries again: no failure is left.
in_database('north', <<'SQL');
CREATE TABLE public.allowed (n bigint);
INSERT INTO public.allowed VALUES (9);
CREATE FUNCTION public.refuse(n bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	IF refuse.n > (SELECT a.n FROM public.allowed a) THEN RAISE 'no more, please'; END IF;
	RETURN n;
END $$;
CREATE INDEX refusing ON telemetry.state_region (public.refuse(sample_count));
SQL
in_database('north', "SELECT telemetry.ingest_telemetry('d', now(), 13, 50)");
wait_answer('north', "SELECT failures >= 2 FROM telemetry.projection_failure WHERE projection = 'region'", qr/^t$/, 'a projection fails twice: the next try is seconds away');
in_database('north', "UPDATE public.allowed SET n = 1000;\nCALL telemetry.project_once();");
is(in_database('north', 'SELECT sum(sample_count) FROM telemetry.region_stats'), '10', 'project_once() does what the worker could not');
wait_answer('north', $worker_state, qr/^running/, 'and the worker finds that nothing is left, without a further reading');
in_database('north', 'DROP INDEX telemetry.refusing');

# Cancelled, at rest and at work: it goes on.
$old = pid_of('north');
my $since = in_database('north', 'SELECT since FROM telemetry.worker_status()');
for my $n (1 .. 20)
{
	in_database('postgres', "SELECT pg_cancel_backend($old)");
	in_database('north', "SELECT telemetry.ingest_telemetry('e', now(), $n, 50)") if $n % 3 == 0;
	Time::HiRes::usleep(30_000);
}
wait_answer('north', "SELECT sum(sample_count) FROM telemetry.device_stats WHERE device_id = 'e'", qr/^6$/, 'readings between cancels are applied');
wait_running('north', 'a cancelled worker is running');
is(pid_of('north'), $old, 'the same process');
is(in_database('north', 'SELECT since FROM telemetry.worker_status()'), $since, 'and never was failing');
in_database('north', "SELECT telemetry.ingest_telemetry('e', now(), 7, 50)");
wait_answer('north', "SELECT sum(sample_count) FROM telemetry.device_stats WHERE device_id = 'e'", qr/^7$/, 'and at work');

# Library and extension that do not belong together.
in_database('south', "UPDATE pg_extension SET extversion = '0.9' WHERE extname = 'telemetry_cqrs'");
wait_answer('south', $worker_state, qr/^failing extension version 0\.9 does not belong to library version \d+\.\d+/, 'another version is a state with a reason');
in_database('south', "UPDATE pg_extension SET extversion = telemetry.library_version() WHERE extname = 'telemetry_cqrs'");
wait_running('south', 'and over when the versions fit again');

# --- crashes -------------------------------------------------------------------------------------------------------------

my $stop = time;
$node->stop('fast');
cmp_ok(time - $stop, '<', 10, 'fast shutdown does not wait for the workers');
$node->start;
wait_workers('after a restart all are back', qw(postgres north south));

$node->stop('immediate');
$node->start;
wait_workers('after an immediate shutdown too', qw(postgres north south));
in_database('north', "SELECT telemetry.ingest_telemetry('d', now(), 10, 50)");
wait_answer('north', $counted, qr/^11$/, 'and go on where they were');

$node->append_conf('postgresql.conf', "restart_after_crash = on\n");
$node->reload;
wait_running('north', 'the worker to be killed runs');
$old = pid_of('north');
my $all = in_database('postgres', "SELECT string_agg(pid::text, ',') FROM pg_stat_activity WHERE backend_type LIKE 'telemetry_cqrs%'");
kill 'KILL', $old;
ok(wait_for($node, "SELECT count(*) = 4 FROM pg_stat_activity WHERE backend_type LIKE 'telemetry_cqrs%' AND pid NOT IN ($all)", 'the server to recover'),
	'kill -9 of a worker: the server recovers and everything of ours comes back');
wait_workers('one each', qw(postgres north south));
in_database('north', "SELECT telemetry.ingest_telemetry('d', now(), 11, 50)");
wait_answer('north', $counted, qr/^12$/, 'and at work');

# --- worker slots --------------------------------------------------------------------------------------------------------

$node->append_conf('postgresql.conf', "max_worker_processes = 4\n");  # launcher, logical replication, and two more
$offset = -s $node->logfile;
$node->restart;
ok(wait_for($node, "SELECT count(*) = 2 FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs projector'", 'two workers'), 'as many workers as the server has slots');
my $without;
for my $database (qw(postgres north south)) { $without = $database if pid_of($database) eq ''; }
wait_answer($without, $worker_state, qr/^failing All background worker slots of the server are in use\.$/, 'the third says why it has none');
my ($victim) = grep { $_ ne $without && $_ ne 'postgres' } qw(north south);
in_database($victim // 'postgres', 'DROP EXTENSION telemetry_cqrs');
wait_running($without, 'and has one when a slot is free');
$lines = () = slurp_file($node->logfile, $offset) =~ /cannot start a worker for database/g;
is($lines, 1, 'one line in the log');
like(slurp_file($node->logfile, $offset), qr/HINT:  Increase max_worker_processes\./, 'with a hint');

# --- the server log as a whole --------------------------------------------------------------------------------------------------

my @fatal = grep { /FATAL/ && !/the database system is (?:starting up|shutting down|in recovery)|terminating (?:connection|autovacuum)|not yet accepting/ } split /\n/, slurp_file($node->logfile);
is(scalar @fatal, 0, 'nothing fatal in the log') or diag join "\n", @fatal;
$node->stop;

# --- without any worker --------------------------------------------------------------------------------------------------

my $plain = PostgreSQL::Test::Cluster->new('plain');
$plain->init;
$plain->append_conf('postgresql.conf', "lc_messages = 'C'\ntelemetry_cqrs.start_worker = off\n");
$plain->start;
$plain->safe_psql('postgres', 'CREATE EXTENSION telemetry_cqrs');
is($plain->safe_psql('postgres', 'SELECT preloaded, pid IS NULL, state FROM telemetry.worker_status()'), 'f|t|none', 'not preloaded: worker_status says so');
is($plain->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'telemetry_cqrs%'"), '0', 'and there is no process of ours');
is($plain->safe_psql('postgres', 'SELECT telemetry.announce_installation() IS NOT NULL; SHOW telemetry_cqrs.coalesce'), "t\n2ms", 'functions and settings work');
is($plain->safe_psql('postgres', "SELECT telemetry.announce_installation(); SELECT count(*) FROM pg_settings WHERE name LIKE 'telemetry_cqrs.%' AND context = 'postmaster'"), "\n0",
	'no setting needs a restart');
$plain->safe_psql('postgres', "SELECT telemetry.ingest_telemetry('d', now(), 1, 50)");
$plain->safe_psql('postgres', 'CALL telemetry.project_once()');
is($plain->safe_psql('postgres', $counted), '1', 'commands store and project_once() applies');
$plain->stop;

done_testing();
