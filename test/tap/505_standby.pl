# Acceptance check 15. A streaming standby follows a primary under load. No worker runs there, and nothing is logged. Every query
# works and says how fresh its answer is; every command gives 25006. The standby is promoted in the middle of the load and goes on
# from the replicated position: no gap, and nothing twice. A rebuild, a pause and a projection of a user go on there, too. Standbys that replicate from it follow.
# Begins early.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);
use TelemetryNode;

my $primary = telemetry_primary('primary', conf => "hot_standby_feedback = on\n");
$primary->safe_psql('postgres', "SELECT status FROM telemetry.ingest_telemetry('d', '2024-05-01 10:00:00+00', 1, 2, 'before', '{\"volt\": 3}', 'hall')");
$primary->safe_psql('postgres', "SELECT telemetry.create_projection('own', 'device', '1 hour', regions => ARRAY['r1'])");
$primary->safe_psql('postgres', "SELECT telemetry.create_subscription('one', '-infinity')");
wait_applied($primary);
wait_for($primary, "SELECT count(*) = (SELECT count(*) FROM telemetry.projection) FROM telemetry.cursor", 'each projection to begin');
$primary->backup('backup');

my $standby = standby_of($primary, 'standby', 'backup');
my $cascade = standby_of($primary, 'cascade', 'backup', from => $standby);

# Starts a client that sends readings one after the other, each in a transaction, and writes down each acknowledged key. It goes
# on until the server goes, or until load_end.
sub load_start
{
	my ($node, $name) = @_;
	my $file = $node->basedir . "/$name.sql";
	append_to_file($file, "SELECT idempotency_key FROM (SELECT '$name-' || i AS idempotency_key, telemetry.ingest_telemetry('load' || i % 5, NULL, i % 40, i % 100, '$name-' || i, '{\"volt\": 3}', 'r' || i % 3) FROM (VALUES ($_)) AS n (i)) AS sent;\n")
		foreach 1 .. 20_000;
	local %ENV = $node->_get_env();
	my $run = IPC::Run::start([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', $file ], '<', '/dev/null', '>', "$file.out", '2>', "$file.err");
	wait_for($node, "SELECT count(*) > 50 FROM telemetry.measurements WHERE idempotency_key LIKE '$name-%'", 'the load to run');
	return { run => $run, out => "$file.out" };
}

# Ends the load and returns the acknowledged keys.
sub load_end
{
	my ($load) = @_;
	$load->{run}->signal('TERM');
	eval { $load->{run}->finish };
	my @keys = split /\n/, slurp_file($load->{out});
	pop @keys;    # perhaps half written
	return @keys;
}

# Every function of the surface that is not internal, called in a way that would do something on a primary. Those of summaries are
# called by the views, and wait_for() in 212_wait_for.pl.
my @commands = (
	"SELECT telemetry.ingest_telemetry('d', NULL, 1)",
	"SELECT telemetry.ingest_telemetry('d', '2024-05-01 10:00:00+00', 1, 2, 'before', '{\"volt\": 3}', 'hall')",
	"SELECT telemetry.ingest_telemetry_batch(ARRAY['d'], NULL, ARRAY[1], NULL)",
	q(SELECT telemetry.ingest_telemetry_batch('[{"device_id": "d"}]')),
	"INSERT INTO telemetry.inbox (device_id) VALUES ('d')", "INSERT INTO telemetry.inbox_text (device_id) VALUES ('d')",
	"SELECT telemetry.register_device('e')", "SELECT telemetry.set_expected_interval('e', '1 h')",
	"SELECT telemetry.relocate_device('d', 'yard')", "SELECT telemetry.set_device_policy('d', max_metrics => 1)", "SELECT telemetry.ingest_telemetry('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid)",
	"SELECT telemetry.grant_reader('reader')", "SELECT telemetry.grant_writer('reader')", "SELECT telemetry.grant_admin('reader')",
	'CALL telemetry.project_once()', "SELECT telemetry.settle_readings('telemetry.event_1_readings')", "SELECT telemetry.pause_projection('device')", "SELECT telemetry.resume_projection('device')",
	"SELECT telemetry.set_cadence('device_1m', '2 s')", "SELECT telemetry.set_retention('device_1m', '1 day')", "SELECT telemetry.set_metric('volt', 'counter')", "SELECT telemetry.create_projection('one', 'all')", "SELECT telemetry.create_handler_projection('two', 'now()')",
	"SELECT telemetry.drop_projection('one')", "SELECT telemetry.rebuild_projection('device')", "SELECT telemetry.cancel_rebuild('device')", "SELECT telemetry.set_failure_policy('device', 'park')", "SELECT telemetry.replay_parked('device')",
	"SELECT telemetry.create_subscription('two')", "SELECT telemetry.restart_subscription('one')", "SELECT telemetry.drop_subscription('one')", "SELECT * FROM telemetry.next_batch('one')", "SELECT telemetry.ack('one', 1)", "SELECT telemetry.nack('one', 1)",
	"SELECT telemetry.redrive_rejected()", "SELECT telemetry.extend_lease('one', 1, '1 s')", "SELECT telemetry.replay_dead_letters('one')",
	'SELECT telemetry.pause_relay()', 'SELECT telemetry.resume_relay()', 'SELECT telemetry.adopt_relay()', 'SELECT telemetry.refresh_cache()',
	"SELECT telemetry.create_http_token('reader')", "SELECT telemetry.revoke_http_token('nothing')");
$primary->safe_psql('postgres', 'CREATE ROLE reader LOGIN');
my @views = split /\n/, $primary->safe_psql('postgres', "SELECT oid::regclass FROM pg_class WHERE relnamespace = 'telemetry'::regnamespace AND relkind = 'v' ORDER BY 1");
my @functions = ("as_of('device')", "as_of('region')", "projection_tail('device')", "projection_tail('region')", 'follow_from(1)', "reading_index_status('telemetry.event_1_readings')", 'worker_status()', 'library_version()', 'read_events(1)', "check_reading('d')", "batch_verdicts('1:3:0-0')",
	"folded_tail('device')", "series('d', 'temperature', now() - interval '1 day', now())", "region_series('hall', 'temperature', now() - interval '1 day', now())", "verify_projection('device_1h')",
	'inbox_receipt()', 'quota_status()', 'http_status()', 'open_metrics()',
	map { "$_()" } qw(health setup table_obstacles log_status batch_tail ingest_statistics stat_ingest_reset));
my @others = split /\n/, $primary->safe_psql('postgres', <<'SQL');
SELECT DISTINCT proname FROM pg_proc
WHERE pronamespace = 'telemetry'::regnamespace AND obj_description(oid, 'pg_proc') NOT LIKE '%Internal.'
  AND 'telemetry.summary'::regtype <> ALL (proargtypes::oid[] || prorettype) AND proname <> 'wait_for'
SQL
is(join(' ', grep { my $name = $_; !grep { /\b$name\(/ } @commands, @functions } @others), '', 'each is called');

# --- on the standby ------------------------------------------------------------------------------------------------------

my $load = load_start($primary, 'first');
# A rebuild that cannot begin, because its projection is paused, and a projection that falls behind: so each is under way when the
# standby is promoted.
$primary->safe_psql('postgres', "SELECT telemetry.pause_projection(projection), telemetry.rebuild_projection(projection) FROM telemetry.projection WHERE projection IN ('device_1h', 'own')");
$primary->safe_psql('postgres', "BEGIN; SELECT telemetry.ingest_telemetry('prepared', NULL, 1, 2, 'prepared'); PREPARE TRANSACTION 'prepared'");
$primary->wait_for_catchup($standby);
$standby->wait_for_catchup($cascade, 'replay', $standby->lsn('replay'));
for my $node ($standby, $cascade)
{
	my $name = $node->name;
	local $LastingSession::wanted = $node == $cascade;    # each is the first of its session on one standby, and a later one on the other
	for my $query (map { "SELECT * FROM $_" } @views, map { "telemetry.$_" } @functions)
	{
		my ($out, $err);
		my $status = $node->psql('postgres', "SET statement_timeout = '60s'; $query", stdout => \$out, stderr => \$err);
		ok($status == 0 && $err eq '', "$name: $query") or diag $err;
	}
	for my $command (@commands)
	{
		my ($out, $err);
		$node->psql('postgres', "\\set VERBOSITY sqlstate\nSET statement_timeout = '60s';\n$command", stdout => \$out, stderr => \$err);
		is($err =~ /ERROR:\s+(\w{5})$/ ? $1 : "$out$err", '25006', "$name: $command");
	}
	is($node->safe_psql('postgres', "SELECT m, d + e, r + f FROM (SELECT (SELECT count(*) FROM telemetry.measurements) AS m,
		(SELECT sum(sample_count) FROM telemetry.device_stats) AS d, (SELECT events FROM telemetry.projection_tail('device')) AS e,
		(SELECT sum(sample_count) FROM telemetry.region_stats) AS r, (SELECT events FROM telemetry.projection_tail('region')) AS f) AS s
		WHERE m <> d + e OR m <> r + f"), '', "$name: under one snapshot state and tail make the log");
	is($node->safe_psql('postgres', "SELECT projection FROM telemetry.projection, telemetry.verify_projection(projection) WHERE projection IN ('device', 'region_1m', 'device_1h', 'own')"), '', "$name: and proves it");
	is($node->safe_psql('postgres', "SELECT m, l, h FROM (SELECT (SELECT count(*) FROM telemetry.measurements) AS m, (SELECT sum(sample_count) FROM telemetry.device_stats_live) AS l,
		(SELECT sum(sample_count) FROM telemetry.device_stats_1h_live WHERE metric = 'temperature') AS h) AS s WHERE m <> l OR m <> h"), '', "$name: live views have every reading of the snapshot");
	is($node->safe_psql('postgres', "SELECT string_agg(backend_type, ', ') FROM pg_stat_activity WHERE backend_type LIKE 'telemetry%'"), 'telemetry_cqrs launcher', "$name: of ours only the launcher runs");
	is(join("\n", grep { /telemetry_cqrs|WARNING|ERROR|FATAL|PANIC/ && !/read-only transaction|during recovery|STATEMENT/ } split /\n/, slurp_file($node->logfile)), '', "$name: not a line in its log");
}

# --- promoted under load -------------------------------------------------------------------------------------------------

my $start = time;
$standby->promote;
ok(wait_for($standby, "SELECT state = 'running' FROM telemetry.worker_status()", 'the worker of the promoted server', 30), 'promoted: the worker runs');
note(sprintf 'worker after %.1f s', time - $start);
my @acknowledged = load_end($load);
is($standby->safe_psql('postgres', "SELECT string_agg(projection || ' ' || state, ', ' ORDER BY projection) FROM telemetry.projection_status WHERE state = 'paused'"), 'device_1h paused, own paused', 'promoted: what was paused is paused');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM telemetry.projection_status WHERE rebuilt_events IS NOT NULL'), '2', 'promoted: and the rebuilds wait');
$standby->safe_psql('postgres', 'SELECT telemetry.resume_projection(projection) FROM telemetry.pause');
wait_for($standby, 'SELECT bool_and(rebuilt_events IS NULL) FROM telemetry.projection_status', 'the rebuilds on the promoted server');
my $epochs = 'SELECT count(DISTINCT epoch), count(DISTINCT timeline), count(DISTINCT log_oid) FROM telemetry.epoch';
wait_applied($standby, 'what was replicated to be applied');
read_models_follow($standby, 'telemetry.measurements', 'promoted, before the first command');
is($standby->safe_psql('postgres', $epochs), '2|2|1', 'promoted: the worker opened an epoch of its timeline');
# Each epoch numbers its batches in a range of 2^40.
my $batches = 'SELECT count(*) = count(DISTINCT e.id) AND count(*) = (SELECT count(*) FROM telemetry.event),
	(SELECT bool_and(last % (1::bigint << 40) = numbers) FROM (SELECT max(batch_id) AS last, count(*) AS numbers FROM telemetry.batch GROUP BY batch_id >> 40) AS r)
	FROM telemetry.batch b, telemetry.read_events(b.batch_id) AS e';
is($standby->safe_psql('postgres', $batches), 't|t', 'promoted: the batches hold every event once');
is($standby->safe_psql('postgres', "SELECT status FROM telemetry.ingest_telemetry('d', '2024-05-01 10:00:00+00', 1, 2, 'before', '{\"volt\": 3}', 'hall')"), 'duplicate', 'promoted: a duplicate of before');

# The clients of the old primary send again what they are not sure of, and go on.
my $second = load_start($standby, 'second');
my $again = 0;
$again += $standby->safe_psql('postgres', "SELECT accepted FROM (SELECT array_agg('load' || i % 5) AS d, array_agg(i % 40 + 0::float8) AS t, array_agg(i % 100 + 0::float8) AS h,
	array_agg('first-' || i) AS k, array_agg('{\"volt\": 3}'::jsonb) AS j, array_agg('r' || i % 3) AS r FROM generate_series(1, " . (@acknowledged + 2) . ") AS i) AS s,
	telemetry.ingest_telemetry_batch(d, NULL, t, h, k, j, r)");
note(@acknowledged . " acknowledged by the old primary, $again of them were not replicated");
my @more = load_end($second);
wait_for($standby, "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'psql' AND state <> 'idle' AND pid <> pg_backend_pid()", 'the load to end');
wait_applied($standby, 'everything to be applied');
is($standby->safe_psql('postgres', "SELECT count(*), count(DISTINCT idempotency_key) FROM telemetry.measurements WHERE idempotency_key LIKE 'first-%'"),
	join('|', (@acknowledged + 2) x 2), 'promoted: what was sent again is there once');
cmp_ok($standby->safe_psql('postgres', "SELECT count(*) FROM telemetry.measurements WHERE idempotency_key LIKE 'second-%'"), '>=', scalar @more, 'promoted: what it acknowledged is there');
read_models_follow($standby, 'telemetry.measurements', 'promoted, and written to');
is($standby->safe_psql('postgres', $epochs), '2|2|1', 'promoted: the first command opened no other epoch');
wait_for($standby, 'SELECT sum(events) = (SELECT count(*) FROM telemetry.event) FROM telemetry.batch', 'the batches to follow');
is($standby->safe_psql('postgres', $batches), 't|t', 'promoted, and written to: the batches hold every event once');

$standby->safe_psql('postgres', "COMMIT PREPARED 'prepared'");
wait_applied($standby, 'what was prepared on the old primary to be applied');
is($standby->safe_psql('postgres', "SELECT sample_count FROM telemetry.device_stats WHERE device_id = 'prepared'"), '1', 'promoted: what was prepared on the old primary is applied');

is($standby->safe_psql('postgres', 'SELECT p.projection FROM telemetry.projection p, telemetry.verify_projection(p.projection)'), '', 'promoted: every projection is proved');

# The old primary is on its own now, and as right as before.
$primary->safe_psql('postgres', 'SELECT telemetry.resume_projection(projection) FROM telemetry.pause');
wait_applied($primary);
read_models_follow($primary, 'telemetry.measurements', 'the old primary');

# --- a standby further down ----------------------------------------------------------------------------------------------

$standby->wait_for_catchup($cascade);
$second = load_start($standby, 'third');
$standby->stop('immediate');
$cascade->promote;
ok(wait_for($cascade, "SELECT state = 'running' FROM telemetry.worker_status()", 'the worker of the second promoted server', 30), 'promoted again: the worker runs');
eval { $second->{run}->finish };
is($cascade->safe_psql('postgres', "SELECT status FROM telemetry.ingest_telemetry('d', '2024-05-01 10:00:00+00', 7, 2, 'last')"), 'accepted', 'promoted again: it takes readings');
wait_applied($cascade, 'everything to be applied');
read_models_follow($cascade, 'telemetry.measurements', 'promoted again');
is($cascade->safe_psql('postgres', $epochs), '3|3|1', 'promoted again: an epoch more');
wait_for($cascade, 'SELECT sum(events) = (SELECT count(*) FROM telemetry.event) FROM telemetry.batch', 'the batches to follow');
is($cascade->safe_psql('postgres', $batches), 't|t', 'promoted again: the batches hold every event once');

$_->stop foreach $cascade, $primary;
done_testing();
