# telemetry.setup(). The test runs each command that setup() gives, word for word, and the command mends its item. The server
# does not preload the library; telemetry.health(), telemetry.pipeline_status and telemetry.stat_ingest answer there too.
# Acceptance check 14: all worker slots are taken.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;
use Time::HiRes qw(time usleep);

# Another library is preloaded already.
my $node = telemetry_node('setup', conf => "autovacuum = off\nshared_preload_libraries = 'auto_explain'\n");
sub sql { return $node->safe_psql('postgres', $_[0]); }
sub setup_of { my ($item, $columns, $role) = @_; return sql(($role ? "SET ROLE $role; " : '') . "SELECT " . ($columns // 'state') . " FROM telemetry.setup() WHERE item = '$item'"); }
sub items { return sql("SELECT coalesce(string_agg(item, ', '), '') FROM telemetry.setup() WHERE state = '$_[0]'"); }

# Runs an item's command; psql sends the statements one by one.
sub obey
{
	my ($item, $expected) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $command = setup_of($item, 'command');
	like($command, $expected, "$item: the command");
	sql($command);
	return;
}
sub becomes_ok
{
	my ($item) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok(wait_for($node, "SELECT state = 'ok' FROM telemetry.setup() WHERE item = '$item'", "$item to be ok"), "$item: ok");
}
sub health_of { return sql("SELECT state || '|' || detail FROM telemetry.health() WHERE item = '$_[0]'"); }

# --- without preloading --------------------------------------------------------------------------------------------------------

like(health_of('worker'), qr/^warning\|none/, 'health: no worker');
is(sql("SELECT count(*) FROM telemetry.health() WHERE state <> 'ok'"), '1', 'health: nothing else');
sql("SELECT telemetry.ingest_telemetry('d', NULL, 1, NULL, 'k1')");
is(sql('SELECT received IS NULL AND accepted IS NULL AND stats_since IS NULL FROM telemetry.stat_ingest'), 't', 'stat_ingest: all NULL');
sql('SELECT telemetry.stat_ingest_reset()');
is(sql("SELECT string_agg(concat_ws(' ', stage, state, events, waiting), ', ') FROM telemetry.pipeline_status WHERE stage !~ '_'"),
	'ingest not counted, event log open 1 0, projection device stopped 0 1, projection region stopped 0 1, notification stopped 0 1', 'pipeline_status');
is(items('missing'), 'preload, worker, autovacuum', 'missing, with no worker on demand');

obey('worker', qr/^CALL telemetry\.project_once\(\)$/);
is(sql("SELECT string_agg(concat_ws(' ', stage, state, events, waiting), ', ') FROM telemetry.pipeline_status WHERE stage !~ '_'"),
	'ingest not counted, event log open 1 0, projection device current 1 0, projection region current 1 0, notification current 1 0', 'pipeline_status: applied by hand');

# --- rights --------------------------------------------------------------------------------------------------------------------

is(items('advice'), 'start_worker, readers, writers, fsync', 'advice');
obey('readers', qr/^CREATE ROLE telemetry_reader; SELECT telemetry\.grant_reader\('telemetry_reader'\)$/);
obey('writers', qr/^CREATE ROLE telemetry_writer; SELECT telemetry\.grant_writer\('telemetry_writer'\)$/);
is(setup_of('readers', 'detail'), 'telemetry_reader', 'readers: named');
is(setup_of('writers', 'detail'), 'telemetry_writer', 'writers: named');
sql('CREATE ROLE "Bare One"; GRANT USAGE ON SCHEMA telemetry TO "Bare One"; GRANT EXECUTE ON FUNCTION telemetry.setup() TO "Bare One"');
is(setup_of('your rights', 'detail', '"Bare One"'), 'Bare One: none', 'a bare role');
sql(setup_of('your rights', 'command', '"Bare One"'));
is(setup_of('your rights', 'state, detail', '"Bare One"'), 'ok|Bare One: read, send', 'your rights: ok');

# --- settings ------------------------------------------------------------------------------------------------------------------

obey('fsync', qr/^ALTER SYSTEM SET fsync = on; SELECT pg_reload_conf\(\)$/);
becomes_ok('fsync');
sql('ALTER SYSTEM SET fsync = off');    # the test goes on faster
obey('autovacuum', qr/^ALTER SYSTEM SET autovacuum = on; SELECT pg_reload_conf\(\)$/);
becomes_ok('autovacuum');
sql('ALTER SYSTEM SET track_counts = off');
sql('SELECT pg_reload_conf()');
ok(wait_for($node, "SELECT command LIKE 'ALTER SYSTEM SET track_counts = on; %' FROM telemetry.setup() WHERE item = 'autovacuum'", 'the setting'), 'autovacuum needs track_counts');
obey('autovacuum', qr/track_counts/);
becomes_ok('autovacuum');
sql('ALTER DATABASE postgres SET track_activities = off');
is(setup_of('track_activities'), 'advice', 'track_activities: off for the database');
sql('ALTER DATABASE postgres RESET track_activities');
sql('ALTER SYSTEM SET track_activities = off');
sql('SELECT pg_reload_conf()');
ok(wait_for($node, "SELECT state = 'advice' FROM telemetry.setup() WHERE item = 'track_activities'", 'the setting'), 'track_activities: off');
obey('track_activities', qr/^ALTER SYSTEM SET track_activities = on; SELECT pg_reload_conf\(\)$/);
becomes_ok('track_activities');
for my $where ('SYSTEM', 'DATABASE postgres', 'ROLE CURRENT_USER', 'ROLE CURRENT_USER IN DATABASE postgres')
{
	sql("ALTER $where SET synchronous_commit = off");
	sql('SELECT pg_reload_conf()');
	ok(wait_for($node, "SELECT state = 'advice' FROM telemetry.setup() WHERE item = 'synchronous_commit'", 'the setting'), "synchronous_commit: off by $where");
	obey('synchronous_commit', qr/^ALTER (?:DATABASE|ROLE) .* SET synchronous_commit = on$/);
	becomes_ok('synchronous_commit');
}

obey('start_worker', qr/^ALTER SYSTEM SET telemetry_cqrs\.start_worker = on; SELECT pg_reload_conf\(\)$/);
becomes_ok('start_worker');
is(setup_of('worker', 'state, detail'), 'ok|none: the next command starts it', 'worker: on demand');
is(health_of('worker'), 'ok|none: the next command starts it', 'health: the same');
sql("SELECT telemetry.ingest_telemetry('d', NULL, 1, NULL, 'k on demand')");
ok(wait_for($node, "SELECT state = 'ok' AND detail LIKE 'running, pid %' FROM telemetry.setup() WHERE item = 'worker'", 'the worker to run'), 'worker: it runs');
wait_applied($node);

# --- preloading: the command, a restart -------------------------------------------------------------------------------------------

sql(q{ALTER SYSTEM SET shared_preload_libraries = '$libdir/auto_explain', 'auto_explain'});
obey('preload', qr/^ALTER SYSTEM SET shared_preload_libraries = '\$libdir\/auto_explain', 'auto_explain', 'telemetry_cqrs'$/);
my $restart = setup_of('preload', 'command');
like($restart, qr/^'[^']*\/pg_ctl' restart -D '\Q${\ $node->data_dir}\E'$/, 'preload: what is left is a restart');
{
	# As in a shell on Debian, which has no pg_ctl in its PATH.
	local $ENV{PATH} = '/usr/bin:/bin';
	is(PostgreSQL::Test::Utils::system_log('sh', '-c', "$restart >>'${\ $node->logfile}' 2>&1"), 0, 'preload: the command restarts the server');
}
$node->_update_pid(1);
is(setup_of('preload', 'state, detail'), 'ok|"$libdir/auto_explain", auto_explain, telemetry_cqrs', 'preload: ok, and what was there is there');
becomes_ok('worker');
is(sql("SELECT coalesce(string_agg(item, ', '), '') FROM telemetry.setup() WHERE state <> 'ok' AND item <> 'fsync'"), '', 'nothing is missing');
is(sql("SELECT count(*) FROM telemetry.health() WHERE state <> 'ok'"), '0', 'health: all is ok');

# One that was asked for a moment ago is not missing; with the postmaster stopped it stays asked for. If a probe of the launcher is
# in the young database at that moment, the stopped postmaster never tells of its end, and the launcher asks for no other. Then
# the test tries again.
my $worker = '';
for (1 .. 5)
{
	sql('CREATE DATABASE young');
	my $young = $node->background_psql('young');
	$young->set_query_timer_restart();
	kill 'STOP', $node->{_pid};
	$young->query_safe('CREATE EXTENSION telemetry_cqrs');
	my $end = time + 20;
	do { usleep(10_000); $worker = $young->query_safe(q{SELECT state, detail FROM telemetry.setup() WHERE item = 'worker'}) } until $worker =~ /starting/ || time > $end;
	kill 'CONT', $node->{_pid};
	$young->quit;
	sql('DROP DATABASE young');
	last if $worker =~ /starting/;
}
like($worker, qr/^ok\|starting(?: since |$)/, 'worker: it is starting');

# --- another version ---------------------------------------------------------------------------------------------------------------

my $library = sql('SELECT telemetry.library_version()');
is(setup_of('library version', 'state, detail'), "ok|extension $library, library $library", 'library version');
# As 1.0 had it: without what a later version makes once, and what depends on that.
sql('DROP TRIGGER announce_replicated_change ON telemetry.device');
sql("INSERT INTO telemetry.checkpoint SELECT c, epoch, snapshot, partial_xid, partial_event_id, events, last_batch_id, drained, as_of FROM telemetry.batcher, unnest('{batch,device,region}'::text[]) AS c");
my $views = sql(q{SELECT string_agg(relname, ' ' ORDER BY relname ~ '_live$' DESC, relname) FROM pg_class WHERE relnamespace = 'telemetry'::regnamespace AND relkind = 'v' AND relname ~ '^(device|region)_'});
sql('DROP INDEX telemetry.event_1_readings');
for my $made ((map { my $name = $_; map { "OPERATOR $_ telemetry.$name USING telemetry_readings" } qw(CLASS FAMILY) } qw(device_ops time_ops)),
	'ACCESS METHOD telemetry_readings', 'FUNCTION telemetry.handle_reading_index(internal)', (map { "VIEW telemetry.$_" } qw(pipeline_status projection_status), split / /, $views),
	(map { "VIEW telemetry.$_" } qw(inbox inbox_text)), (map { "FUNCTION telemetry.$_()" } qw(begin_intake take_inbox_row take_inbox_text_row end_intake)),
	'VIEW telemetry.http_tokens', 'TABLE telemetry.http_token', 'VIEW telemetry.relay_status', 'TABLE telemetry.relay', 'VIEW telemetry.dead_letters', 'VIEW telemetry.subscription_status',
	(map { "FUNCTION telemetry.$_" } 'fail_redelivery', 'fail_share', 'put_aside', 'bury_dead', 'end_lease', 'require_lease', 'require_subscription', 'start_share'), 'SEQUENCE telemetry.lease_seq',
	(map { "TABLE telemetry.$_" } qw(batch_verdict subscription_share subscription_consumer redelivery dead_letter subscription projection projection_setting parked_event audit metric device_policy offline_device pause batcher cursor), map { my $grain = $_; map { "state_$grain$_" } '', qw(_1m _1h _1d) } qw(device region)))
{
	sql("ALTER EXTENSION telemetry_cqrs DROP $made; DROP $made");
}
sql('ALTER TABLE telemetry.epoch DROP COLUMN first_xid');
sql('ALTER TABLE telemetry.rejected_readings ' . join ', ', map { "DROP COLUMN $_" } qw(last_received_at device_id idempotency_key source token item_index deliveries delivery redrives));
sql("UPDATE pg_extension SET extversion = '1.0' WHERE extname = 'telemetry_cqrs'");
obey('library version', qr/^ALTER EXTENSION telemetry_cqrs UPDATE TO '\Q$library\E'$/);
becomes_ok('library version');
sql("UPDATE pg_extension SET extversion = '99' WHERE extname = 'telemetry_cqrs'");
like(setup_of('library version', 'state, command'), qr/^missing\|'[^']*\/pg_ctl' restart/, 'library version: an old library');
sql("UPDATE pg_extension SET extversion = '$library' WHERE extname = 'telemetry_cqrs'");

# --- all worker slots taken ------------------------------------------------------------------------------------------------------------

sql('ALTER SYSTEM SET max_worker_processes = 2');
$node->restart;
ok(wait_for($node, "SELECT state = 'failing' FROM telemetry.worker_status()", 'the worker to fail'), 'no slot is left for the worker');
like(health_of('worker'), qr/^error\|failing since [^:]*:\d\d:[^:]*: All background worker slots of the server are in use\./, 'health: why there is no worker');
like(health_of('worker slots'), qr/^error\|2 of 2 in use: .*telemetry_cqrs launcher/, 'health: the processes that have the slots');
is(sql("SELECT status FROM telemetry.ingest_telemetry('d', NULL, 2, NULL, 'k2')"), 'accepted', 'readings are accepted');
is(items('missing'), 'worker slots, worker', 'setup: missing');
obey('worker slots', qr/^ALTER SYSTEM SET max_worker_processes = \d+$/);
$node->restart;
becomes_ok('worker');
becomes_ok('worker slots');
wait_applied($node);

$node->stop;
done_testing();
