# Acceptance check 23. Settings of a database, of a role, of all roles or of the owner do not disturb the worker: its read
# models stay right. Commands from such sessions store readings, recognise duplicates, and refuse with the same SQLSTATEs. A
# setting that makes work impossible (a read-only server) leads to a state with a reason and one line in the server log.
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

my $node = telemetry_node('hostile', preload => 1, conf => $ServerLog::conf);
sub sql { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }

my $forced_parallelism = $node->pg_version < 16 ? 'force_parallel_mode' : 'debug_parallel_query';

# None of these settings may change what a command stores, counts and answers.
my @harmless = (
	"search_path = 'evil, pg_catalog'", "default_transaction_isolation = 'serializable'", "default_transaction_deferrable = on", "session_replication_role = 'replica'",
	"row_security = off", "TimeZone = 'Pacific/Chatham'", "DateStyle = 'SQL, DMY'", "IntervalStyle = 'iso_8601'", "extra_float_digits = -15", "bytea_output = 'escape'",
	"backslash_quote = off", "standard_conforming_strings = off", "escape_string_warning = on", "array_nulls = off", "transform_null_equals = on", "quote_all_identifiers = on",
	"client_min_messages = 'debug1'", "default_tablespace = 'hostile_space'", "temp_tablespaces = 'hostile_space'", "default_toast_compression = 'pglz'",
	"check_function_bodies = off", "plan_cache_mode = 'force_generic_plan'", "$forced_parallelism = on", "max_parallel_workers_per_gather = 8", "jit = on", "jit_above_cost = 0",
	"parallel_setup_cost = 0", "parallel_tuple_cost = 0", "min_parallel_table_scan_size = 0", "work_mem = '64kB'", "xmloption = 'document'", "from_collapse_limit = 1",
	"join_collapse_limit = 1", "commit_delay = 10", "synchronous_commit = off", "track_activities = off", "track_counts = off",
	"ignore_checksum_failure = on", "zero_damaged_pages = on", "lo_compat_privileges = on", "log_min_messages = 'fatal'",
	(map { "enable_$_ = off" } qw(seqscan indexscan indexonlyscan bitmapscan tidscan sort hashagg hashjoin mergejoin nestloop material memoize incremental_sort)),
);
# These settings end a session's statement. The worker must not obey them.
my @for_the_worker = ("statement_timeout = '1ms'", "lock_timeout = '1ms'", "idle_session_timeout = '1ms'", "idle_in_transaction_session_timeout = '1ms'", "default_transaction_read_only = on", "exit_on_error = on");
push @for_the_worker, "transaction_timeout = '1ms'" if $node->pg_version >= 17;

# The server log gets other words, where the machine has another locale.
my ($locale) = grep { !/^(?:C|POSIX|en)/i && /utf-?8/i } split /\n/, qx(locale -a 2>/dev/null);
my @words = $locale ? ("lc_messages = '$locale'") : ();
note($locale ? "messages in $locale" : 'LOUD: this machine has no other locale, lc_messages is not tried');

mkdir $node->basedir . '/hostile_space' or die $!;
sql("CREATE TABLESPACE hostile_space LOCATION '" . $node->basedir . "/hostile_space'");
sql(<<'SQL');
CREATE SCHEMA evil;
CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE sql AS $$ SELECT '1999-01-01'::timestamptz $$;
CREATE FUNCTION evil.count(bigint) RETURNS bigint LANGUAGE sql AS $$ SELECT 1 / 0::bigint $$;
CREATE TABLE evil.event (x int);
CREATE TABLE evil.device (x int);
CREATE FUNCTION evil.refuse(bigint, int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'evil operator'; END $$;
CREATE OPERATOR evil.= (LEFTARG = bigint, RIGHTARG = int, FUNCTION = evil.refuse);
CREATE FUNCTION evil.refuse(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'evil operator'; END $$;
CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.refuse);
GRANT USAGE ON SCHEMA evil TO PUBLIC;
CREATE ROLE writer LOGIN;
CREATE ROLE owner SUPERUSER;
DROP EXTENSION telemetry_cqrs;
SET ROLE owner;
CREATE EXTENSION telemetry_cqrs;
SELECT telemetry.grant_writer('writer');
SQL

# Returns the answer of a session that needs no parallel worker. A parallel worker begins with the timeouts of ALTER ROLE ALL, before
# it takes over those of its session.
sub observe { my ($sql) = @_; return $node->safe_psql('template1', "SET $forced_parallelism = off;\n$sql"); }
# Starts the worker anew, so that it begins under the settings of the moment.
sub new_worker
{
	my ($what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $old = observe("SELECT coalesce(max(pid), 0) FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs projector'");
	observe("SELECT pg_terminate_backend($old, 60000)") if $old;
	my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
	my $count = 0;
	while (time < $deadline && !$count)
	{
		usleep(20_000);
		$count = observe("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs projector' AND pid <> $old");
	}
	return is($count, 1, "$what: the worker starts");
}

# The same commands in each surroundings, with keys of their own, and the same answers expected: by rules of the surface, not by
# what another run gave.
my $round = 0;
sub commands_are_right
{
	my ($what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$round++;
	my $call = "SELECT 'says ' || status FROM telemetry.ingest_telemetry";
	my $script = <<"SQL";
$call('h1', '2024-05-06 07:08:09.123456+00', 20.123456789012345, 55.5, '$round-a', '{"co2": 400.25}', 'north');
$call('h1', '2024-05-06 07:08:09.123456+00', 20.123456789012345, 55.5, '$round-a', '{"co2": 400.25}', 'north');
$call('h1', '2024-05-06 07:08:09.123456+00', 20.5, 55.5, '$round-a', '{"co2": 400.25}', 'north');
$call('h2', '2024-05-06 00:00:00+00'::timestamptz + $round * interval '1 second', 1e-100, 1e100);
$call('h2', '2024-05-06 00:00:00+00'::timestamptz + $round * interval '1 second', 1e-100, 1e100);
$call('h3', '2024-05-06 00:00:00+00', 'NaN');
$call('', '2024-05-06 00:00:00+00', 1);
$call('h4', NULL, 1, 2, '$round-b');
$call('h4', NULL, 1, 2, '$round-b');
SELECT 'says ' || received || ' ' || accepted || ' ' || duplicates || ' ' || conflicts || ' ' || rejected FROM (
    SELECT array_agg('h' || i % 7) AS d, array_agg('2024-05-07 00:00:00+00'::timestamptz + i * interval '1 minute') AS m, array_agg(i / 3.0::float8) AS t,
           array_agg(CASE i WHEN 33 THEN 'infinity'::float8 ELSE i END) AS h, array_agg('$round-' || i % 90) AS k, array_agg('r' || i % 3) AS g
    FROM generate_series(1, 50) AS i) AS a, LATERAL telemetry.ingest_telemetry_batch(d, m, t, h, k, NULL, g) AS r;
BEGIN;
$call('h5', '2024-05-06 00:00:00+00', 1, 2, '$round-c');
SAVEPOINT s;
$call('h5', '2024-05-06 00:00:00+00', 9, 2, '$round-c');
ROLLBACK TO s;
$call('h5', '2024-05-06 00:00:00+00', 1, 2, '$round-c');
COMMIT;
SQL
	my ($status, $out, $err) =
	  $node->psql('postgres', $script, on_error_stop => 0, extra_params => [ '-U', 'writer', '-v', 'VERBOSITY=sqlstate' ]);
	my $answers = join ', ', $out =~ /^says (.*)$/mg;
	my $refusals = join ', ', $err =~ /ERROR:\s+(\w{5})/g;
	is($answers, 'accepted, duplicate, accepted, duplicate, accepted, duplicate, 50 49 0 0 1, accepted, duplicate', "$what: receipts") or diag $err;
	is($refusals, 'TC009, TC003, TC001, TC009', "$what: refusals");
	return;
}
# Tests what a plain session sees of the log and the read models.
sub read_side_is_right
{
	my ($what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	wait_applied($node, "$what: everything to be applied");
	read_models_follow($node, 'telemetry.measurements', $what);
	is(sql('SELECT count(*) FROM telemetry.measurements') , 53 * $round, "$what: nothing was stored twice");
	is(sql("SELECT count(DISTINCT (temperature, humidity, measured_at)) || ' ' || min(measured_at AT TIME ZONE 'UTC') || ' ' || min(temperature) FROM telemetry.measurements WHERE device_id = 'h1' AND region = 'north'"),
		"1 2024-05-06 07:08:09.123456 20.123456789012344", "$what: the values are those that were sent");
	return;
}
sub all_reset { sql(join "\n", 'ALTER DATABASE postgres RESET ALL;', 'ALTER ROLE ALL RESET ALL;', map { "ALTER ROLE $_ RESET ALL;" } qw(writer owner)); return; }

my $from = log_end($node);
new_worker('as it comes');
commands_are_right('as it comes');
read_side_is_right('as it comes');

# All settings are set at once, because one by one they would take too many sessions. Each session of this test overrides the
# settings that end or forbid its statements; the worker must do so, too.
my $ours = '-c statement_timeout=0 -c lock_timeout=0 -c idle_session_timeout=0 -c idle_in_transaction_session_timeout=0 -c default_transaction_read_only=off -c exit_on_error=off';
$ours .= ' -c transaction_timeout=0' if $node->pg_version >= 17;
foreach my $whose ('DATABASE postgres', 'ROLE ALL', 'ROLE owner')
{
	local $ENV{PGOPTIONS} = $ours;
	sql(join "\n", map { "ALTER $whose SET $_;" } @harmless, @for_the_worker, @words);
	new_worker("ALTER $whose SET");
	my $has = observe("SELECT pid FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs projector'");
	commands_are_right("ALTER $whose SET");
	all_reset();
	read_side_is_right("ALTER $whose SET");
	is(sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs projector'"), $has, 'by the worker that started in it');
}
sql(join "\n", map { "ALTER ROLE writer SET $_;" } @harmless, @words);
commands_are_right('ALTER ROLE writer SET');
all_reset();
read_side_is_right('ALTER ROLE writer SET');
nothing_repeats($node, $from, 'hostile surroundings', most => 8);    # the ends of workers, a line each

# Returns the SQLSTATEs that a command gets under a setting by which the session forbids itself something. They are the server's.
sub refused
{
	my ($setting, $script) = @_;
	my ($status, $out, $err) = $node->psql('postgres', "SET $setting;\n$script", extra_params => [ '-U', 'writer', '-v', 'VERBOSITY=sqlstate' ]);
	return join ' ', $err =~ /ERROR:\s+(\w{5})/g;
}
my $one = "SELECT telemetry.ingest_telemetry('h6', '2024-05-06 00:00:00+00', 1, 2, 'x');";
is(refused('default_transaction_read_only = on', $one), '25006', 'a read-only session is refused');
is(refused('default_transaction_isolation = serializable', "$one\n$one"), '', 'a serializable one is not');

# --- the server's own settings ----------------------------------------------------------------------------------------------

# The same in postgresql.conf, where the worker sees it as the server's default.
$from = log_end($node);
my @reloadable = grep { !/^(?:search_path|log_min_messages|client_min_messages|track_counts|track_activities|lc_messages)/ } @harmless;
$node->append_conf('postgresql.conf', join("\n", @reloadable, "statement_timeout = '1min'", "search_path = 'evil, pg_catalog'") . "\n");
$node->restart;
{
	local $ENV{PGOPTIONS} = '-c search_path=pg_catalog';
	ok(wait_for($node, "SELECT state = 'running' FROM telemetry.worker_status()", 'the worker to run'), 'all of it in postgresql.conf: the worker runs');
}
commands_are_right('postgresql.conf');
$node->append_conf('postgresql.conf', join("\n", "search_path = 'public'", "default_transaction_isolation = 'read committed'", "DateStyle = 'ISO, MDY'", "TimeZone = 'UTC'", "extra_float_digits = 1",
	"$forced_parallelism = off", "jit = off", "transform_null_equals = off", "session_replication_role = 'origin'", (map { "enable_$_ = on" } qw(seqscan hashjoin hashagg sort mergejoin nestloop)), "work_mem = '4MB'") . "\n");
$node->reload;
wait_for($node, "SELECT current_setting('DateStyle') = 'ISO, MDY'", 'the settings to be reloaded');
wait_applied($node, 'postgresql.conf: everything to be applied');
read_models_follow($node, 'telemetry.measurements', 'postgresql.conf');

# The whole server is read-only, as an operator sets it when the disk is nearly full.
$from = log_end($node);
$node->append_conf('postgresql.conf', "default_transaction_read_only = on\n");
$node->reload;
ok(wait_for($node, "SELECT state = 'failing' AND last_error LIKE 'the server is read-only%' FROM telemetry.worker_status()", 'the state'), 'a read-only server is a state with a reason');
is(refused('work_mem = 1000', $one), '25006', 'commands are refused');
my $watched_until = time + 4;
# A session that overrides the setting can write. The worker stays idle all the same.
my $stored = 0;
while (time < $watched_until) { sql("SET default_transaction_read_only = off;\nSELECT telemetry.ingest_telemetry('ro', '2024-05-06 00:00:00+00', 1, 2, 'ro-" . $stored++ . "')") }
my @complaints = grep { /read-only/ } lines_of_ours($node, $from);
is(scalar @complaints, 1, 'one line in the log') or diag join "\n", @complaints;
$node->append_conf('postgresql.conf', "default_transaction_read_only = off\n");
$node->reload;
ok(wait_for($node, "SELECT state = 'running' FROM telemetry.worker_status()", 'the worker to go on'), 'it goes on by itself');
wait_applied($node, 'everything to be applied');
is(sql("SELECT sample_count FROM telemetry.device_stats WHERE device_id = 'ro'"), $stored, 'and what was stored meanwhile is applied');
nothing_repeats($node, $from, 'a read-only server');
$node->stop;

done_testing();
