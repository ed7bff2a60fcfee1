# Acceptance checks 2 (health() names only sessions that block the extension), 5 (a listener blocks the queue) and 14 (health()
# says why no worker runs). A real cause drives each check of telemetry.health() out of order, and its end brings the check
# back.
# Begins early.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;
use Time::HiRes qw(time usleep);

my $node = telemetry_node('health', preload => 1, conf => <<'CONF');
wal_level = replica
max_wal_senders = 4
hot_standby = on
hot_standby_feedback = on
wal_receiver_status_interval = 1
autovacuum = off
telemetry_cqrs.launcher_interval = 200ms
CONF

sub sql { return $node->safe_psql('postgres', $_[0]); }
my $sent = 0;
# Sends one reading for each of so many devices, in one call.
sub send_readings
{
	my ($devices) = @_;
	++$sent;
	sql("SELECT telemetry.ingest_telemetry_batch(array_agg('d' || i), array_agg('2024-05-01 10:00'::timestamptz + $sent * interval '1 s'), array_agg(1.0), NULL)
	     FROM generate_series(1, $devices) AS i");
	return;
}

my %limit = (
	lag_warning => "interval '1 minute'", lag_error => "interval '10 minutes'", blocked_warning => "interval '5 seconds'", blocked_error => "interval '1 minute'",
	held_warning => "interval '5 minutes'", held_error => "interval '1 hour'", dead_rows => '1000::bigint', queue_warning => '0.1::float8', queue_error => '0.5::float8',
	rejected_warning => "interval '1 day'", starting => "interval '1 minute'", retention_margin => "interval '10 minutes'", unmerged => '100::bigint', consumer_warning => "interval '10 minutes'");
# Sets limits from which health() warns. A limit that is not named is as it was shipped.
sub limits
{
	my (%other) = @_;
	my %now = (%limit, %other);
	my @names = qw(lag_warning lag_error blocked_warning blocked_error held_warning held_error dead_rows queue_warning queue_error rejected_warning starting retention_margin unmerged consumer_warning);
	my $out = join ', ', map { "OUT $_ " . ($now{$_} =~ /^interval/ ? 'interval' : $now{$_} =~ /bigint/ ? 'bigint' : 'float8') } @names;
	my $values = join ', ', map { $now{$_} } @names;
	sql("CREATE OR REPLACE FUNCTION telemetry.health_limits($out) LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS \$\$SELECT $values\$\$");
	return;
}
is(sql('SELECT * FROM telemetry.health_limits()'), '00:01:00|00:10:00|00:00:05|00:01:00|00:05:00|01:00:00|1000|0.1|0.5|1 day|00:01:00|00:10:00|100|00:10:00', 'limits as shipped');

# Returns "state|detail|hint" of a check.
sub health_of { my ($name, $on, $database) = @_; return ($on // $node)->safe_psql($database // 'postgres', "SELECT state, detail, hint FROM telemetry.health() WHERE item = '$name'"); }
# Tests that a check soon has a state and words. $meanwhile runs before each look.
sub becomes
{
	my ($name, $state, $words, $what, $meanwhile) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
	my $row = '';
	while (time < $deadline)
	{
		$meanwhile->() if $meanwhile;
		$row = health_of($name);
		return pass("$name: $what") if $row =~ /^\Q$state\E\|/ && $row =~ $words;
		usleep(50_000);
	}
	return is($row, "$state|... $words", "$name: $what");
}
my $complaints = "SELECT coalesce(string_agg(concat_ws('|', item, state, detail), E'\\n'), '') FROM telemetry.health() WHERE state <> 'ok'";
sub all_ok
{
	my ($what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
	my $rows = '';
	while (time < $deadline)
	{
		$rows = sql($complaints);
		return pass("all is ok: $what") if $rows eq '';
		usleep(50_000);
	}
	return is($rows, '', "all is ok: $what");
}
sub reload { sql("ALTER SYSTEM SET $_[0]"); sql('SELECT pg_reload_conf()'); return; }

# --- nothing is wrong ------------------------------------------------------------------------------------------------------

all_ok('a fresh extension');
is(sql("SELECT string_agg(item, ', ') FROM telemetry.health()"),
	'worker, worker slots, library, event log, reading index, triggers, projection device, projection device_1d, projection device_1h, projection device_1m, projection region, projection region_1d, projection region_1h, projection region_1m, tables, locks, vacuum, notification queue, rejected readings, subscriptions, prepared transactions, batch retention, relay, http, back-pressure',
	'the checks');
send_readings(10);
wait_applied($node);
all_ok('readings applied');

# --- the worker --------------------------------------------------------------------------------------------------------------

reload('default_transaction_read_only = on');
# An idle worker finds out when there is something to do.
becomes('worker', 'error', qr/failing, pid \d+ .*the server is read-only/, 'a read-only server',
	sub { $node->psql('postgres', 'SET default_transaction_read_only = off; SELECT pg_current_xact_id()') });
is($node->safe_psql('postgres', 'SHOW transaction_read_only'), 'on', 'in a transaction that is read-only itself');
$node->psql('postgres', 'SET default_transaction_read_only = off; ALTER SYSTEM RESET default_transaction_read_only');
sql('SELECT pg_reload_conf()');
all_ok('writable again');

sql("UPDATE pg_extension SET extversion = '0.1' WHERE extname = 'telemetry_cqrs'");
becomes('library', 'error', qr/extension 0\.1, library .*ALTER EXTENSION/, 'another version');
becomes('worker', 'error', qr/extension version 0\.1/, 'which the worker will not serve');
sql("UPDATE pg_extension SET extversion = telemetry.library_version() WHERE extname = 'telemetry_cqrs'");
all_ok('its own version');

reload('telemetry_cqrs.start_worker = off');
becomes('worker', 'warning', qr/none.*setup\(\)/, 'none is wanted, and it is gone');
reload('telemetry_cqrs.start_worker = on');
all_ok('started again');

# --- locks -------------------------------------------------------------------------------------------------------------------

my @blockers = map { session($node) } 1 .. 2;
my @pids = map { $_->query_safe('SELECT pg_backend_pid()') } @blockers;
limits(blocked_warning => "interval '0'", lag_warning => "interval '0.001 s'");
$blockers[0]->query_safe('BEGIN; LOCK TABLE telemetry.state_device IN SHARE MODE');
send_readings(10);
becomes('locks', 'warning', qr/pid $pids[0] \(idle in transaction\).*holds ShareLock on telemetry\.state_device.*pg_terminate_backend\($pids[0]\)/, 'a lock on a table that the worker writes');
becomes('projection device', 'warning', qr/10 events wait/, 'which is behind');
limits(blocked_warning => "interval '0'", blocked_error => "interval '0'", lag_warning => "interval '0.001 s'", lag_error => "interval '0.002 s'");
becomes('locks', 'error', qr/pid $pids[0]/, 'too long');
becomes('projection device', 'error', qr/10 events wait/, 'too far');
limits(blocked_warning => "interval '1 day'");
like(health_of('locks'), qr/^ok\|nothing is blocked\|$/, 'locks: not yet long enough');
$blockers[0]->query_safe('ROLLBACK');
limits(blocked_warning => "interval '0'");
all_ok('the lock is gone');

sql("BEGIN; LOCK TABLE telemetry.batcher IN ACCESS EXCLUSIVE MODE; PREPARE TRANSACTION 'it''s locked'");
becomes('locks', 'warning', qr/prepared transaction 'it''s locked' holds AccessExclusiveLock on telemetry\.batcher.*ROLLBACK PREPARED 'it''s locked'/, 'a prepared transaction');
like(health_of('projection device'), qr/^error\|could not be checked: 55P03 .*\|.*see locks/, 'what cannot be looked at is a row, not an error');
sql("ROLLBACK PREPARED 'it''s locked'");
all_ok('rolled back');

# DROP EXTENSION locks everything: not everything is told.
$blockers[0]->query_safe('BEGIN; DROP EXTENSION telemetry_cqrs');
becomes('locks', 'warning', qr/pid $pids[0] \(idle in transaction\) (?:[^,|]+, ){4}holds AccessExclusiveLock on telemetry\.\w+ and \d+ more since [^,|]*\|/, 'the extension is about to be dropped');
$blockers[0]->query_safe('ROLLBACK');
all_ok('it was not');

# another session's reading with the same key
$blockers[0]->query_safe("BEGIN; SELECT telemetry.ingest_telemetry('d', NULL, 1, NULL, 'rival')");
my $waiting = psql_start($node, "SELECT status FROM telemetry.ingest_telemetry('d', NULL, 1, NULL, 'rival')");
becomes('locks', 'warning', qr/pid $pids[0] \(idle in transaction\) blocks pid \d+/, 'a client waits for another');
$blockers[0]->query_safe('COMMIT');
like((psql_finish($waiting))[0], qr/duplicate/, 'and goes on when that ends');
sql("BEGIN; SELECT telemetry.ingest_telemetry('d', NULL, 1, NULL, 'prepared rival'); PREPARE TRANSACTION 'rival'");
$waiting = psql_start($node, "SELECT status FROM telemetry.ingest_telemetry('d', NULL, 1, NULL, 'prepared rival')");
becomes('locks', 'warning', qr/prepared transaction 'rival' blocks pid \d+/, 'a client waits for a prepared transaction');
sql("COMMIT PREPARED 'rival'");
psql_finish($waiting);
all_ok('no client waits');

# --- a session that blocks nothing is not named ---------------------------------------------------------------------------------------------

limits(blocked_warning => "interval '0'", held_warning => "interval '0'");
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('other', 'CREATE TABLE t (a int)');
my $elsewhere = $node->background_psql('other');
$elsewhere->query_safe('BEGIN; INSERT INTO t VALUES (1)');
$blockers[0]->query_safe("BEGIN; SELECT telemetry.ingest_telemetry('open', NULL, 1)");
$blockers[1]->query_safe('BEGIN; CREATE TABLE plain (a int)');
sql("BEGIN; SELECT telemetry.ingest_telemetry('open', NULL, 2); PREPARE TRANSACTION 'open'");
send_readings(10);
wait_applied($node);
all_ok('open writers here, in another database and a prepared one, and nothing is blocked');
like(health_of('prepared transactions'), qr/^ok\|1 with readings: 'open' since /, 'prepared transactions: named for information');

# --- vacuum ------------------------------------------------------------------------------------------------------------------

# ... until they keep old rows. They have a transaction number and no snapshot; the reader has a snapshot and no number.
my $reader = session($node);
my $reader_pid = $reader->query_safe('SELECT pg_backend_pid()');
$reader->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM telemetry.device_stats');
for (1 .. 4) { send_readings(600); wait_applied($node); }
becomes('vacuum', 'warning', qr/\d{4,} dead rows .*pid $reader_pid \(idle in transaction\)/, 'a reader with an old snapshot');
my $row = health_of('vacuum');
like($row, qr/pid $pids[0] \(idle in transaction\).*prepared transaction 'open' since .*pg_terminate_backend\($pids[0]\).*ROLLBACK PREPARED 'open'/, 'vacuum: and open writers');
unlike($row, qr/'other'/, 'vacuum: no session of another database');
limits(held_warning => "interval '0'", held_error => "interval '0'");
like(health_of('vacuum'), qr/^error\|/, 'vacuum: too long');
limits();
like(health_of('vacuum'), qr/^ok\|\d{4,} dead rows in the read models\|$/, 'vacuum: not yet long enough');
limits(held_warning => "interval '0'");
$reader->query_safe('COMMIT');
$_->query_safe('COMMIT') for @blockers;
sql("COMMIT PREPARED 'open'");
$elsewhere->query_safe('COMMIT');
$elsewhere->quit;
becomes('vacuum', 'ok', qr/dead rows/, 'no session is left that holds them');

# A standby whose reader holds them back, by way of a slot that keeps the mark when the standby is gone.
sql("SELECT pg_create_physical_replication_slot('the_standby', true)");
$node->backup('standby');
my $standby = standby_of($node, 'health_standby', 'standby', conf => "primary_slot_name = 'the_standby'\nautovacuum = off");
$node->wait_for_catchup($standby, 'replay', $node->lsn('write'));
is($standby->safe_psql('postgres', $complaints), '', 'a standby: all is ok');
like(health_of('worker', $standby), qr/^ok\|none: a standby has no worker/, 'a standby: and no worker is missing');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM telemetry.setup()'), '15', 'a standby: setup');
is($standby->safe_psql('postgres', "SELECT string_agg(DISTINCT (events + waiting)::text, ',') FROM telemetry.pipeline_status WHERE stage <> 'ingest'"),
	sql('SELECT count(*) FROM telemetry.measurements'), 'a standby: the stages add up to the log');
is($standby->safe_psql('postgres', "SELECT state FROM telemetry.pipeline_status WHERE stage = 'ingest'"), 'standby', 'a standby: where nothing comes in');
ok(wait_for($node, "SELECT xmin IS NOT NULL FROM pg_replication_slots WHERE slot_name = 'the_standby'", 'feedback of the standby'), 'the standby tells what it needs');
$standby->stop('immediate');
for (1 .. 3) { send_readings(600); wait_applied($node); }
becomes('vacuum', 'warning', qr/replication slot 'the_standby'.*pg_drop_replication_slot\('the_standby'\)/, 'a slot');
sql("SELECT pg_drop_replication_slot('the_standby')");
# Vacuum leaves a page that another process looks at for the next time.
becomes('vacuum', 'ok', qr/\|\d{1,3} dead rows/, 'vacuumed', sub { sql('VACUUM ' . sql(q{SELECT string_agg(oid::regclass::text, ', ') FROM pg_class WHERE relnamespace = 'telemetry'::regnamespace AND relkind = 'r' AND (relname ~ '^state_' OR relname IN ('batch', 'batcher', 'cursor'))})) });
limits();
all_ok('nothing holds back vacuum');

# --- the queue ---------------------------------------------------------------------------------------------------------------

$reader->query_safe('LISTEN telemetry_ingested; BEGIN; SELECT 1');
sql("SELECT count(pg_notify('flood', repeat('x', 7000) || i)) FROM generate_series(1, 1000) AS i");
limits(queue_warning => '0.0005::float8');
becomes('notification queue', 'warning', qr/^warning\|0\.\d+ % in use, idle in transaction: pid $reader_pid since /, 'a listener that does not read');
limits(queue_warning => '0.0001::float8', queue_error => '0.0005::float8');
becomes('notification queue', 'error', qr/pid $reader_pid/, 'too full');
send_readings(10);
wait_applied($node, 'readings while a listener blocks the queue');
$reader->query_safe('COMMIT');
becomes('notification queue', 'ok', qr/0\.0\d % in use/, 'emptied');
limits();

# --- rejected readings -----------------------------------------------------------------------------------------------------------

sql("SELECT telemetry.ingest_telemetry_batch(ARRAY['', 'd'], NULL, ARRAY[1, 'NaN']::float8[], NULL)");
becomes('rejected readings', 'warning', qr/2 kept, the last of .*rejected_readings/, 'two refused');
limits(rejected_warning => "interval '0'");
like(health_of('rejected readings'), qr/^ok\|2 kept, the last of /, 'rejected readings: long ago');
limits();
sql('DELETE FROM telemetry.rejected_readings');
all_ok('none is kept');

# --- a projection that fails -----------------------------------------------------------------------------------------------------

sql(q{CREATE FUNCTION refuse(sample_count bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS
      $$ BEGIN IF sample_count > 1 THEN RAISE 'no more than one, please' USING ERRCODE = 'P0042'; END IF; RETURN sample_count; END $$});
$_->query_safe('DISCARD ALL') for @blockers;
sql("SELECT telemetry.ingest_telemetry('alone', '2024-05-01 10:00', 1, NULL, 'k', NULL, 'a region of its own')");
wait_applied($node);
sql("CREATE INDEX refusing ON telemetry.state_region (public.refuse(sample_count)) WHERE key = 'a region of its own'");
sql("SELECT telemetry.ingest_telemetry('alone', '2024-05-01 10:01', 1, NULL, 'k2', NULL, 'a region of its own')");
becomes('projection region', 'error', qr/failing, 1 events wait.*P0042: no more than one, please/, 'it fails');
like(health_of('projection device'), qr/^ok\|current, 0 events wait/, 'the other goes on');
sql('DROP INDEX telemetry.refusing');
becomes('projection region', 'ok', qr/current/, 'it works again');

# --- subscriptions ------------------------------------------------------------------------------------------------------------------

sql("SELECT telemetry.create_subscription('late', max_attempts => 1), telemetry.create_subscription('lost')");
like(health_of('subscriptions'), qr/^ok\|2/, 'subscriptions that lag by nothing');
send_readings(2);
wait_applied($node);
limits(consumer_warning => "interval '0'");
becomes('subscriptions', 'warning', qr/late lags by \d+ s/, 'one lags');
limits();
sql("UPDATE telemetry.subscription SET max_lag = '1 us' WHERE subscription = 'lost'; SELECT telemetry.mark_lost_subscriptions()");
becomes('subscriptions', 'error', qr/lost is lost.*restart_subscription\('lost'\)/, 'one is lost');
sql("SELECT telemetry.restart_subscription('lost')");
becomes('subscriptions', 'ok', qr/2/, 'it began anew');
sql("SELECT telemetry.nack('late', (array_agg(lease))[1], 'no', array_agg(id)) FROM telemetry.next_batch('late')");
becomes('subscriptions', 'warning', qr/late has \d+ dead letters.*replay_dead_letters/, 'there are dead letters');
sql("SELECT telemetry.drop_subscription(subscription) FROM telemetry.subscription_status");
like(health_of('subscriptions'), qr/^ok\|0/, 'no subscription');

# --- batches that are not merged --------------------------------------------------------------------------------------------------

sql(q{CREATE FUNCTION noticed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$});
sql('CREATE CONSTRAINT TRIGGER late AFTER DELETE ON telemetry.batch INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION noticed()');
foreach (1 .. 3)
{
	send_readings(10);
	wait_applied($node);
}
limits(retention_margin => "interval '0'", unmerged => '2::bigint');
reload('telemetry_cqrs.batch_retention = 1');
becomes('batch retention', 'warning', qr/\d+ old batches are not merged/, 'a trigger keeps them from being merged');
sql('DROP TRIGGER late ON telemetry.batch');
becomes('batch retention', 'ok', qr/oldest batch/, 'they are merged');
sql('ALTER SYSTEM RESET telemetry_cqrs.batch_retention');
sql('SELECT pg_reload_conf()');
limits();
all_ok('it works again');

sql("SELECT telemetry.pause_projection('region')");
becomes('projection region', 'warning', qr/paused, .* paused by postgres since .*resume_projection\('region'\)/, 'paused');
sql("SELECT telemetry.resume_projection('region')");
all_ok('resumed');

# --- a check that cannot be made ---------------------------------------------------------------------------------------------------

sql('ALTER TABLE telemetry.rejected_readings RENAME TO hidden');
like(health_of('rejected readings'), qr/^error\|could not be checked: 42P01 /, 'a table is missing: a row');
sql('ALTER TABLE telemetry.hidden RENAME TO rejected_readings');
all_ok('the table is back');

# --- restored ----------------------------------------------------------------------------------------------------------------------

# With a tail: a pass that is under way waits for the lock.
$blockers[0]->query_safe('BEGIN; LOCK TABLE telemetry.state_device IN SHARE MODE');
send_readings(10);
my $dump = PostgreSQL::Test::Utils::tempdir . '/dump.sql';
$node->command_ok([ 'pg_dump', '-d', $node->connstr('postgres'), '-f', $dump ], 'a dump');
$blockers[0]->query_safe('ROLLBACK');
sql('CREATE DATABASE copy');
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-d', $node->connstr('copy'), '-f', $dump ], 'restored');
like(health_of('event log', $node, 'copy'), qr/^warning\|restored, epoch 1 .*after the first one that is accepted here/, 'event log: restored');
my $elsewhere_limits = $node->safe_psql('copy', "SELECT pg_get_functiondef('telemetry.health_limits'::regproc)") =~ s/'10 minutes'::interval, '5 seconds'/'0'::interval, '5 seconds'/r;
$node->safe_psql('copy', $elsewhere_limits);
like(health_of('projection device', $node, 'copy'), qr/^warning\|restored, 10 events wait, .*see event log/, 'a projection in it waits, however long: no error');
is($node->safe_psql('copy', "SELECT string_agg(DISTINCT (events + waiting)::text, ',') FROM telemetry.pipeline_status WHERE stage <> 'ingest'"),
	$node->safe_psql('copy', 'SELECT count(*) FROM telemetry.measurements'), 'restored: the stages add up to the log');
$node->safe_psql('copy', "SELECT telemetry.ingest_telemetry('here', NULL, 1)");
like(health_of('event log', $node, 'copy'), qr/^ok\|open, epoch 2/, 'event log: opened');

# --- bare roles --------------------------------------------------------------------------------------------------------------------

sql('CREATE ROLE operator; CREATE ROLE dashboard');
sql("SELECT telemetry.grant_admin('operator'), telemetry.grant_reader('dashboard')");
is(sql('SET ROLE operator; SELECT count(*) FROM telemetry.health() WHERE state = \'ok\''), '25', 'an operator sees it all');
$blockers[0]->query_safe('BEGIN; LOCK TABLE telemetry.state_device IN SHARE MODE');
limits(blocked_warning => "interval '0'");
like(sql("SET ROLE operator; SELECT detail FROM telemetry.health() WHERE item = 'locks'"), qr/pid $pids[0] \(idle in transaction\)/, 'and the session that is in the way, of whatever role');
$blockers[0]->query_safe('ROLLBACK');
my ($status, $out, $err) = $node->psql('postgres', '\set VERBOSITY sqlstate
SET ROLE dashboard; SELECT * FROM telemetry.health()');
like($err, qr/42501/, 'a reader does not');

$_->quit for @blockers, $reader;
$node->stop;
done_testing();
