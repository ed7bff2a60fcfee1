# The index by device and time gives what a sequential scan gives, in one snapshot: under the load of several writers with late
# readings and rollbacks, while the projector, VACUUM and settle_readings() settle; after a crash, REINDEX, VACUUM FULL, deleted and
# cut off blocks, a dump; and on a standby. The stops between the steps of a settler and of a writer need a debug build.
#
# TELEMETRY_SECONDS: for how long each load runs.
use strict;
use warnings;

use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

my $seconds = $ENV{TELEMETRY_SECONDS} // 3;
my $index = 'telemetry.event_1_readings';
my $helpers = <<'SQL';
-- Sends so many readings of 10 devices. One in four is late by up to ten days.
CREATE FUNCTION send(count int) RETURNS bigint LANGUAGE sql AS $$
    SELECT accepted FROM (
        SELECT array_agg('d' || floor(random() * 10)) AS d,
               array_agg(clock_timestamp() - random() * CASE WHEN random() < 0.25 THEN interval '10 days' ELSE interval '1 s' END) AS at,
               array_agg((random() * 40)::float8) AS t
        FROM generate_series(1, count)) AS b,
        LATERAL telemetry.ingest_telemetry_batch(d, at, t, NULL)
$$;
CREATE FUNCTION send_one() RETURNS text LANGUAGE sql AS $$
    SELECT status FROM telemetry.ingest_telemetry('d' || floor(random() * 10), clock_timestamp() - random() * interval '1 hour', random() * 40, NULL)
$$;
-- Compares each device's readings of each three days, by the index, with what a sequential scan finds. Run it in one snapshot.
CREATE FUNCTION compare(OUT plan_is_right boolean, OUT has_rows boolean, OUT wrong bigint) LANGUAGE plpgsql AS $$
DECLARE
    query CONSTANT text := 'SELECT count(*), coalesce(sum(event_id), 0) AS sum, coalesce(sum(event_id::numeric * event_id), 0) AS squares FROM telemetry.measurements WHERE device_id = $1 AND measured_at >= $2 AND measured_at < $3';
    expected jsonb;
    line text;
    each record;
    seen record;
BEGIN
    PERFORM set_config('enable_bitmapscan', 'off', true), set_config('enable_indexscan', 'off', true), set_config('enable_seqscan', 'on', true), set_config('max_parallel_workers_per_gather', '0', true), set_config('jit', 'off', true);
    EXECUTE $sum$ SELECT jsonb_agg(s) FROM (
        SELECT d.device, t.at, coalesce(s.count, 0) AS count, coalesce(s.sum, 0) AS sum, coalesce(s.squares, 0) AS squares
        FROM (SELECT 'd' || i FROM generate_series(0, 10) AS i) AS d (device)
        CROSS JOIN (SELECT date_bin('3 days', now(), 'epoch') - i * interval '3 days' FROM generate_series(-1, 4) AS i) AS t (at)
        LEFT JOIN (SELECT device_id, date_bin('3 days', measured_at, 'epoch') AS at, count(*), sum(event_id) AS sum, sum(event_id::numeric * event_id) AS squares FROM telemetry.measurements GROUP BY 1, 2) AS s
            ON s.device_id = d.device AND s.at = t.at) AS s $sum$ INTO expected;
    PERFORM set_config('enable_bitmapscan', 'on', true), set_config('enable_seqscan', 'off', true);
    plan_is_right := false;
    FOR line IN EXECUTE 'EXPLAIN ' || query USING 'd1', now() - interval '1 day', now() LOOP
        plan_is_right := plan_is_right OR line ~ 'Bitmap Index Scan on .*readings';
    END LOOP;
    wrong := 0;
    has_rows := false;
    FOR each IN SELECT * FROM jsonb_to_recordset(expected) AS e (device text, at timestamptz, count bigint, sum numeric, squares numeric) LOOP
        EXECUTE query INTO seen USING each.device, each.at, each.at + interval '3 days';
        IF (seen.count, seen.sum, seen.squares) IS DISTINCT FROM (each.count, each.sum, each.squares) THEN wrong := wrong + 1; END IF;
        has_rows := has_rows OR seen.count > 0;
    END LOOP;
END $$;
SQL
my $node = telemetry_primary('reading_index', conf => "autovacuum = off\nfsync = off\nwork_mem = '16MB'\n");
$node->safe_psql('postgres', $helpers);
$node->safe_psql('postgres', 'SELECT send(2000) FROM generate_series(1, 10)');
settles('the first readings');
is_same($node, 'the first readings');
$node->backup('backup');
my $standby = standby_of($node, 'reading_standby', 'backup');

under_load('the projector', sub { });
under_load('VACUUM', sub { $node->safe_psql('postgres', 'VACUUM telemetry.event_1') });
under_load('settle_readings()', sub { $node->safe_psql('postgres', "SELECT telemetry.settle_readings('$index')") });
under_load('REINDEX INDEX', sub { $node->safe_psql('postgres', "REINDEX INDEX $index") });
under_load('REINDEX INDEX CONCURRENTLY', sub { $node->safe_psql('postgres', "REINDEX INDEX CONCURRENTLY $index") });
under_load('VACUUM FULL', sub { $node->safe_psql('postgres', 'VACUUM FULL telemetry.event_1') });
under_load('CREATE INDEX CONCURRENTLY', sub {
	$node->safe_psql('postgres', 'CREATE INDEX CONCURRENTLY other_readings ON telemetry.event_1 USING telemetry_readings (device_id, measured_at)');
	$node->safe_psql('postgres', 'DROP INDEX CONCURRENTLY telemetry.other_readings');
});
settles('all readings');
is_same($node, 'at rest');
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
is_same($standby, 'on the standby, at rest');

# A crash in the middle of the load
my $load = load_start($node);
is_same($node, 'before the crash');
$node->stop('immediate');
load_finish($load);
$node->start;
is_same($node, 'after the crash');
settles('the readings after the crash');
is_same($node, 'settled after the crash');

# Rows go, and their room is used again; blocks are cut off. A serializable transaction reads every row that an index gives.
delete_rows($node, "event_id % 3 = 0 OR ctid >= format('(%s,0)', pg_relation_size('telemetry.event_1') / 8192 * 3 / 4)::tid");
is_same($node, 'beside deleted rows');
my $before = blocks();
$node->safe_psql('postgres', 'VACUUM telemetry.event_1');
cmp_ok(blocks(), '<', $before, 'blocks are cut off');
is_same($node, 'after blocks were cut off', 'SERIALIZABLE');
$node->safe_psql('postgres', 'ALTER SYSTEM SET telemetry_cqrs.start_worker = off');
$node->reload;
wait_for($node, 'SELECT pid IS NULL FROM telemetry.worker_status()', 'the worker to leave');
$node->safe_psql('postgres', "SELECT telemetry.settle_readings('$index')");
lengthen_tail($node, 300);
is($node->safe_psql('postgres', "SELECT tail_blocks > 300, noted_blocks FROM telemetry.reading_index_status('$index')"), 't|320', 'many late blocks begin the tail');
is_same($node, 'while no projector runs');
$node->safe_psql('postgres', "SELECT telemetry.settle_readings('$index')");
is_same($node, 'after settle_readings()');

# Blocks that take the place of cut off ones are in the tail, and no writer notes them.
is($node->safe_psql('postgres', <<'SQL') =~ s/\n//gr, 't|t', 'new blocks in the place of cut off ones are in the tail');
CREATE TABLE cut (device text, at timestamptz);
CREATE INDEX cut_readings ON cut USING telemetry_readings (device, at);
INSERT INTO cut SELECT 'd', now() FROM generate_series(1, 20000);
SELECT telemetry.settle_readings('cut_readings');
DELETE FROM cut WHERE ctid >= '(50,0)';
VACUUM cut;
SELECT telemetry.settle_readings('cut_readings');
INSERT INTO cut SELECT 'd', now() FROM generate_series(1, 10000);
SELECT table_blocks - tail_blocks BETWEEN 40 AND 50, noted_blocks <= 1 FROM telemetry.reading_index_status('cut_readings');
DROP TABLE cut;
SQL

# The projector settles also while it has events to apply: a rollup gets them when the others have them.
$node->safe_psql('postgres', "SELECT send(10000) FROM generate_series(1, 40)");
$node->safe_psql('postgres', "SELECT entries FROM telemetry.reading_index_status('$index')") =~ /^(\d+)$/ or die;
my $watcher = psql_start($node, <<"SQL");
SET statement_timeout = '180s';
CREATE TEMP TABLE seen (applied bigint);
DO \$\$
DECLARE
    applied bigint;
    entered bigint;
BEGIN
    LOOP
        SELECT sum(sample_count), (SELECT entries FROM telemetry.reading_index_status('$index')) INTO applied, entered FROM telemetry.device_stats_1d WHERE metric = 'temperature';
        EXIT WHEN entered > $1;
        PERFORM pg_sleep(0.01);
    END LOOP;
    INSERT INTO seen VALUES (applied);
END \$\$;
SELECT applied < (SELECT count(*) FROM telemetry.measurements) FROM seen;
SQL
$node->safe_psql('postgres', 'ALTER SYSTEM RESET telemetry_cqrs.start_worker');
$node->reload;
my ($settled_early) = psql_finish($watcher);
is($settled_early, "t\n", 'the projector settles while events wait');

# A dump
my $dump = PostgreSQL::Test::Utils::tempdir . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, $node->connstr('postgres') ], 'pg_dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('restored'), '-f', $dump ], '... and its restore');
is_same($node, 'in the restored database', undef, 'restored');
$node->safe_psql('restored', "SELECT telemetry.settle_readings('$index')");
is_same($node, '... which is settled', undef, 'restored');
is($node->safe_psql('restored', "SELECT tail_blocks FROM telemetry.reading_index_status('$index')"), '0', '... wholly');

# The room of the index stays in proportion: 14 bytes an entry, and room for a merge
is($node->safe_psql('postgres', "REINDEX INDEX $index; SELECT telemetry.settle_readings('$index'); SELECT pg_relation_size('$index') < 100000 + 3 * 14 * entries FROM telemetry.reading_index_status('$index')") =~ s/\n//gr, 't', 'the index is small');
$standby->stop;
$node->stop;

SKIP: {
	skip 'the stops need a debug build in TELEMETRY_DEBUG_INSTALLATION', 1 if !$ENV{TELEMETRY_DEBUG_INSTALLATION};
	my $debug = telemetry_node('reading_stops', installation => $ENV{TELEMETRY_DEBUG_INSTALLATION}, conf => "autovacuum = off\nfsync = off\nrestart_after_crash = on\ntelemetry_cqrs.start_worker = off\n");
	$debug->safe_psql('postgres', $helpers);
	$debug->safe_psql('postgres', "SELECT send(1000) FROM generate_series(1, 5); SELECT telemetry.settle_readings('$index')");
	my $pause = $debug->data_dir . '/telemetry_cqrs.pause';
	my $settle = "SELECT telemetry.settle_readings('$index')";
	for my $stop ([ 'a settler has claimed blocks', "SET telemetry_cqrs.inject = 'readings_claimed=pause'; SELECT send(300); $settle" ],
		[ 'a settler has written a run', "SET telemetry_cqrs.inject = 'readings_written=pause'; SELECT send(300); $settle" ],
		[ 'a writer has placed its rows', "SET telemetry_cqrs.inject = 'rows_placed=pause'; SELECT send(300)" ],
		[ 'a writer has placed one row', "SET telemetry_cqrs.inject = 'rows_placed=pause'; SELECT send_one()" ])
	{
		my ($what, $script) = @$stop;
		append_to_file($pause, '');
		my $stopped = psql_start($debug, $script);
		wait_for($debug, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'Extension' AND backend_type = 'client backend' AND query ~ 'inject|send|settle')", "the moment: $what");
		$debug->safe_psql('postgres', 'SELECT send(500); SELECT send_one()');
		is_same($debug, "$what, others write");
		# Another settler waits for the stopped one, and does not wait for a writer.
		$debug->safe_psql('postgres', $settle) if $what =~ /writer/;
		is_same($debug, "$what, another settles") if $what =~ /writer/;
		unlink $pause;
		my (undef, $err) = psql_finish($stopped);
		is($err, '', "$what, and goes on");
		is_same($debug, "... after it");
	}
	# While a settler reads, more blocks get late rows than can be noted.
	$debug->safe_psql('postgres', 'SELECT send(10000) FROM generate_series(1, 5)');
	delete_rows($debug, 'event_id % 3 = 0');
	$debug->safe_psql('postgres', "VACUUM telemetry.event_1; $settle");
	append_to_file($pause, '');
	my $reader = psql_start($debug, "SELECT send(300); SET telemetry_cqrs.inject = 'readings_claimed=pause'; $settle");
	wait_for($debug, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'Extension' AND query ~ 'settle')", 'a settler to have claimed blocks');
	lengthen_tail($debug, 100);
	is_same($debug, 'many late blocks while a settler reads');
	unlink $pause;
	psql_finish($reader);
	is_same($debug, '... after it');
	for my $point (qw(readings_claimed readings_written readings_merged))
	{
		for my $action (qw(error kill))
		{
			my $checkpointer = $debug->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'");
			$debug->psql('postgres', "SELECT send(700) FROM generate_series(1, 5); SET telemetry_cqrs.inject = '$point=$action'; SELECT telemetry.settle_readings('$index') FROM generate_series(1, 5) AS i WHERE send(200) > 0");
			# The postmaster may let a session in before it sees that another one was killed. Its restart brings another checkpointer.
			wait_for($debug, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'checkpointer' AND pid <> $checkpointer)", 'the server to be back') if $action eq 'kill';
			is_same($debug, "after $action at $point");
			$debug->safe_psql('postgres', 'SELECT send(500)');
			is_same($debug, '... others write');
			$debug->safe_psql('postgres', $settle);
			is_same($debug, '... and it is settled');
		}
	}
	$debug->stop;
}
done_testing();

sub is_same
{
	my ($at, $what, $isolation, $database) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$isolation //= 'REPEATABLE READ';
	return is($at->safe_psql($database // 'postgres', "BEGIN ISOLATION LEVEL $isolation; SELECT * FROM compare(); COMMIT"), 't|t|0', "index and sequential scan agree: $what");
}

sub settles
{
	my ($what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return wait_for($node, "SELECT tail_blocks + noted_blocks < 16 AND entries > 0 FROM telemetry.reading_index_status('$index')", "the projector to settle $what");
}

sub delete_rows
{
	my ($at, $which) = @_;
	$at->safe_psql('postgres', "ALTER TABLE telemetry.event_1 DISABLE TRIGGER ALL; DELETE FROM telemetry.event_1 WHERE $which; ALTER TABLE telemetry.event_1 ENABLE ALWAYS TRIGGER insert_only; ALTER TABLE telemetry.event_1 ENABLE ALWAYS TRIGGER insert_only_rows");
	return;
}

# Fills the room of deleted rows, until so many blocks have got late rows that the tail begins at one of them.
sub lengthen_tail
{
	my ($at, $blocks) = @_;
	$at->safe_psql('postgres', <<"SQL");
DO \$\$
BEGIN
    FOR i IN 1 .. 3000 LOOP
        PERFORM send(100);
        COMMIT;
        EXIT WHEN (SELECT tail_blocks > $blocks FROM telemetry.reading_index_status('$index'));
    END LOOP;
END \$\$;
SQL
	return;
}

sub blocks
{
	return $node->safe_psql('postgres', "SELECT pg_relation_size('telemetry.event_1') / 8192");
}

# Starts four clients with batches, single readings, a longer transaction with a savepoint, and one that is rolled back.
sub load_start
{
	my ($at) = @_;
	my $folder = PostgreSQL::Test::Utils::tempdir;
	my %script = (
		batches => "SELECT send(100);\n",
		single => "SELECT send_one();\nSELECT send(4);\n",
		long => "BEGIN;\nSELECT send(30);\nSAVEPOINT s;\nSELECT send(50);\nROLLBACK TO s;\nSELECT pg_sleep(0.05);\nSELECT send_one();\nCOMMIT;\n",
		back => "BEGIN;\nSELECT send(60);\nROLLBACK;\n");
	append_to_file("$folder/$_.sql", $script{$_}) foreach keys %script;
	my ($out, $err) = ('', '');
	local %ENV = $at->_get_env();
	my $run = IPC::Run::start([ 'pgbench', '-n', '-c', 4, '-T', $seconds, '-f', "$folder/batches.sql\@4", '-f', "$folder/single.sql\@4", '-f', "$folder/long.sql\@2", '-f', "$folder/back.sql\@2", $at->connstr('postgres') ],
		'<', '/dev/null', '>', \$out, '2>', \$err);
	return { run => $run, err => \$err };
}

sub load_finish
{
	my ($started) = @_;
	$started->{run}->finish;
	return ${ $started->{err} };
}

# Runs the body over and over while the writers write, and compares beside it.
sub under_load
{
	my ($what, $body) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $started = load_start($node);
	my $rounds = 0;
	while ($started->{run}->pumpable)
	{
		$body->();
		is_same($node, "$what, under load");
		is_same($standby, "$what, on the standby");
		++$rounds;
		$started->{run}->pump_nb;
	}
	is(load_finish($started), '', "$what: no writer gets an error, in $rounds rounds");
	return;
}
