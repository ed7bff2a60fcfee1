# Both ways to append maintain further indexes on a segment, of every kind, also while CREATE INDEX CONCURRENTLY and REINDEX
# CONCURRENTLY build them under load. No writer gets an error, each key is in the log once, and each index is complete.
#
# TELEMETRY_SECONDS: for how long each load runs.
use strict;
use warnings;

use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

my $seconds = $ENV{TELEMETRY_SECONDS} // 4;
my $node = telemetry_node('segment_indexes', conf => "autovacuum = off\nfsync = off\n");
my $has_amcheck = $node->safe_psql('postgres', "SELECT count(*) FROM pg_available_extensions WHERE name = 'amcheck'");
note('amcheck is not installed: indexes are compared by counting only') if !$has_amcheck;
$node->safe_psql('postgres', 'CREATE EXTENSION amcheck') if $has_amcheck;
$node->safe_psql('postgres', <<'SQL');
SELECT telemetry.register_device('d' || i) FROM generate_series(0, 9) AS i;
CREATE TABLE sent (key bigint);
CREATE SEQUENCE key CACHE 1;
SELECT nextval('key');
INSERT INTO sent VALUES (1);
SELECT telemetry.ingest_telemetry('d1', '2024-05-01 00:00:01+00', 1, NULL, '1');
-- A reading for each of `count` new keys, of which one in ten is replaced by a key that somebody sent already or is just sending.
-- All that a reading holds follows from its key. A negative count: new keys that nobody else sends, so that a longer transaction,
-- which others may wait for, does not wait itself.
CREATE FUNCTION send(count int, OUT answered bigint) LANGUAGE plpgsql AS $$
DECLARE
    keys bigint[] := ARRAY(SELECT CASE WHEN count < 0 THEN -fresh WHEN random() < 0.1 THEN 1 + floor(random() * (fresh - 1))::bigint ELSE fresh END
                           FROM (SELECT nextval('key') AS fresh FROM generate_series(1, abs(count))) AS f);
BEGIN
    INSERT INTO sent SELECT unnest(keys);
    IF count = 1 THEN
        SELECT 1 INTO answered FROM telemetry.ingest_telemetry('d' || abs(keys[1]) % 10, '2024-05-01 00:00:00+00'::timestamptz + keys[1] * interval '1 s', keys[1] % 100, NULL, keys[1]::text) AS r;
    ELSE
        SELECT r.accepted + r.duplicates INTO STRICT answered
        FROM (SELECT array_agg('d' || abs(k) % 10) AS d, array_agg('2024-05-01 00:00:00+00'::timestamptz + k * interval '1 s') AS at, array_agg((k % 100)::float8) AS t, array_agg(k::text) AS k FROM unnest(keys) AS k) AS b,
             LATERAL telemetry.ingest_telemetry_batch(d, at, t, NULL, k) AS r;
    END IF;
    IF answered IS DISTINCT FROM abs(count) THEN RAISE '% of % answered', answered, count; END IF;
END $$;
SQL

# All kinds of indexes, made in the ordinary way, and both ways of the append.
my @kinds = (
	'CREATE INDEX by_device ON telemetry.event_1 (device_id, measured_at)',
	'CREATE INDEX by_device_covering ON telemetry.event_1 (device_id, measured_at) INCLUDE (temperature)',
	'CREATE INDEX by_upper ON telemetry.event_1 (upper(device_id), (temperature + 1))',
	'CREATE INDEX warm ON telemetry.event_1 (measured_at DESC NULLS LAST) WHERE temperature > 50',
	'CREATE UNIQUE INDEX one_a_second ON telemetry.event_1 (device_id, measured_at)',
	"CREATE UNIQUE INDEX one_a_second_of_warm ON telemetry.event_1 ((device_id || ' at ' || temperature), measured_at) WHERE temperature > 50",
	'CREATE INDEX by_metrics ON telemetry.event_1 USING gin (metrics)',
	'CREATE INDEX by_hash ON telemetry.event_1 USING hash (device_id)',
	'CREATE INDEX by_block ON telemetry.event_1 USING brin (received_at)',
	'CREATE UNIQUE INDEX fingerprint_again ON telemetry.event_1 (fingerprint)',
	'CREATE UNIQUE INDEX fingerprint_covering ON telemetry.event_1 (fingerprint) INCLUDE (device_id)',
	'CREATE UNIQUE INDEX transaction_again ON telemetry.event_1 (xid, event_id)',
	'ALTER TABLE telemetry.event_1 ADD CONSTRAINT event_key PRIMARY KEY (event_id)',
	'ALTER TABLE telemetry.event_1 ADD CONSTRAINT no_two EXCLUDE USING btree (event_id WITH =)');
for my $kind (@kinds)
{
	is(run_sql("$kind; SELECT send(40) + send(3) + send(1)"), '44', $kind);
}
is($node->safe_psql('postgres', <<'SQL'), 't|t|t|t|t', 'indexes find what a sequential scan finds');
CREATE TEMP TABLE all_rows AS SELECT * FROM telemetry.event_1;
SET enable_seqscan = off;
SELECT (SELECT count(*) FROM telemetry.event_1 WHERE device_id = 'd3' AND measured_at > '2024-05-01') = (SELECT count(*) FROM all_rows WHERE device_id = 'd3'),
       (SELECT count(*) FROM telemetry.event_1 WHERE upper(device_id) = 'D4') = (SELECT count(*) FROM all_rows WHERE device_id = 'd4'),
       (SELECT count(*) FROM telemetry.event_1 WHERE temperature > 50 AND measured_at > '2024-05-01') = (SELECT count(*) FROM all_rows WHERE temperature > 50),
       (SELECT count(*) FROM telemetry.event_1 WHERE event_id > 0) = (SELECT count(*) FROM all_rows),
       (SELECT count(*) FROM telemetry.event_1 WHERE received_at > '2024-05-01') = (SELECT count(*) FROM all_rows);
SQL
indexes_are_whole('all kinds');

# A unique index of the user's: its violation is an ordinary one, and a repeat of a reading is still no violation.
my $reading = "'d1', '2020-01-01 00:00:00+00', 1, NULL";
is(run_sql("SELECT status FROM telemetry.ingest_telemetry($reading, 'a')"), 'accepted', 'the first of the second');
is(run_sql("SELECT status FROM telemetry.ingest_telemetry($reading, 'a')"), 'duplicate', 'its repeat');
is(run_sql("\\set VERBOSITY verbose\nSELECT status FROM telemetry.ingest_telemetry($reading, 'b')"), '23505 one_a_second', 'another one in that second: a violation');
is(run_sql(batch_of(2, 'b')), '23505 one_a_second', 'the same in a small batch');
is(run_sql(batch_of(20, 'b')), '23505 one_a_second', '... and in a large one');
is(run_sql("SELECT count(*) FROM telemetry.measurements WHERE idempotency_key LIKE 'b%'"), '0', '... which stores nothing');
for my $count (2, 20)
{
	for my $end ('COMMIT', 'ROLLBACK')
	{
		my $rival = session($node);
		$rival->query_safe('BEGIN; ' . batch_of($count, "rival $count $end"));
		my $waiting = psql_start($node, batch_of($count, "rival $count $end"));
		wait_for($node, "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted)", 'a batch to meet its rival');
		$rival->query_safe($end);
		$rival->quit;
		my ($out, $err) = psql_finish($waiting);
		is("$out$err", $end eq 'COMMIT' ? "0|$count\n" : "$count|0\n", "$count readings beside a rival that ends with $end");
	}
}

# An index that a failed REINDEX CONCURRENTLY leaves, ready and not valid, does no harm.
my $reader = session($node);
$reader->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM telemetry.event_1; ');
$node->psql('postgres', "SET statement_timeout = '2s';\nREINDEX INDEX CONCURRENTLY telemetry.event_1_fingerprint");
$reader->query_safe('COMMIT');
$reader->quit;
is($node->safe_psql('postgres', "SELECT relname, indisvalid, indislive FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE indrelid = 'telemetry.event_1'::regclass AND NOT indisvalid"),
	'event_1_fingerprint_ccnew|f|t', 'REINDEX CONCURRENTLY was cancelled');
is(run_sql('SELECT send(40) + send(3) + send(1)'), '44', 'readings beside the index that it left');
$node->safe_psql('postgres', 'DROP INDEX telemetry.event_1_fingerprint_ccnew');

# Load: four writers with batches of both ways, single readings and longer transactions, of which one reading in ten is a repeat.
for my $name (qw(by_upper warm one_a_second_of_warm by_metrics by_hash by_block fingerprint_again fingerprint_covering transaction_again))
{
	$node->safe_psql('postgres', "DROP INDEX telemetry.$name");
}
$node->safe_psql('postgres', 'ALTER TABLE telemetry.event_1 DROP CONSTRAINT no_two, DROP CONSTRAINT event_key');
under_load('REINDEX TABLE CONCURRENTLY', 'REINDEX TABLE CONCURRENTLY telemetry.event_1');
under_load('REINDEX INDEX CONCURRENTLY of the index on fingerprints', 'REINDEX INDEX CONCURRENTLY telemetry.event_1_fingerprint');
under_load('REINDEX INDEX CONCURRENTLY of the index on transactions', 'REINDEX INDEX CONCURRENTLY telemetry.event_1_xid_event_id');
under_load('CREATE and DROP INDEX CONCURRENTLY', 'CREATE INDEX CONCURRENTLY mine ON telemetry.event_1 (upper(device_id)) WHERE temperature > 50', 'DROP INDEX CONCURRENTLY telemetry.mine',
	'CREATE UNIQUE INDEX CONCURRENTLY prints ON telemetry.event_1 (fingerprint)', 'DROP INDEX CONCURRENTLY telemetry.event_1_fingerprint', 'ALTER INDEX telemetry.prints RENAME TO event_1_fingerprint');

$node->safe_psql('postgres', 'CALL telemetry.project_once()');
wait_applied($node);
read_models_follow($node, 'telemetry.measurements', 'at the end');
$node->stop;
done_testing();

# Returns the output of SQL, or SQLSTATE and constraint of its error.
sub run_sql
{
	my ($sql) = @_;
	my (undef, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$sql");
	return $err =~ /ERROR:\s+(\w+):.*CONSTRAINT NAME:\s+(\S+)/s ? "$1 $2" : $err ne '' ? $err : $out;
}

# Returns a query that sends so many readings with keys of their own. The times of those with the key "b..." are all the same.
sub batch_of
{
	my ($count, $name) = @_;
	return "SELECT accepted, duplicates FROM (SELECT array_agg('$name ' || i) AS k, array_agg('2020-01-01 00:00:00+00'::timestamptz + i * interval '1 s' * ('$name' <> 'b')::int + abs(hashtext('$name $count') % 100000) * interval '1 min' * ('$name' <> 'b')::int) AS at FROM generate_series(1, $count) AS i) AS b, telemetry.ingest_telemetry_batch(array_fill('d1'::text, ARRAY[$count]), at, array_fill(1::float8, ARRAY[$count]), NULL, k);\n";
}

# Runs the commands over and over while the writers write.
sub under_load
{
	my ($what, @commands) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $folder = PostgreSQL::Test::Utils::tempdir;
	my %script = (
		batches => "SELECT send(60);\n",
		small => "SELECT send(4);\nSELECT send(1);\n",
		long => "BEGIN;\nSELECT send(30);\nSELECT pg_sleep(0.02);\nSELECT send(-20);\nSELECT send(-2);\nCOMMIT;\n",
		back => "BEGIN;\nSELECT send(20);\nROLLBACK;\n");
	for my $name (keys %script)
	{
		open my $file, '>', "$folder/$name.sql" or die $!;
		print $file $script{$name};
		close $file;
	}
	my ($out, $err) = ('', '');
	local %ENV = $node->_get_env();
	my $load = IPC::Run::start([ 'pgbench', '-n', '-c', 4, '-T', $seconds, '-f', "$folder/batches.sql\@4", '-f', "$folder/small.sql\@6", '-f', "$folder/long.sql\@3", '-f', "$folder/back.sql\@1", $node->connstr('postgres') ],
		'<', '/dev/null', '>', \$out, '2>', \$err);
	my ($rounds, @errors) = (0);
	while ($load->pumpable)
	{
		for my $command (@commands)
		{
			my (undef, undef, $command_err) = $node->psql('postgres', $command);
			push @errors, $command_err if $command_err ne '';
		}
		++$rounds;
		last if @errors;
		$load->pump_nb;
	}
	$load->finish;
	is(join('', @errors), '', "$what succeeds");
	cmp_ok($rounds, '>', 0, "... $rounds times");
	is($err, '', '... and no writer is told of an error') or diag($out);
	is($node->safe_psql('postgres', <<'SQL'), '0|0|0', '... each key is in the log once');
WITH log AS (SELECT idempotency_key::bigint AS key FROM telemetry.event_1 WHERE idempotency_key ~ '^-?[0-9]+$')
SELECT (SELECT count(*) FROM (SELECT key FROM log GROUP BY key HAVING count(*) > 1) AS doubled),
       (SELECT count(*) FROM (SELECT key FROM sent EXCEPT SELECT key FROM log) AS lost),
       (SELECT count(*) FROM (SELECT key FROM log EXCEPT SELECT key FROM sent) AS unknown)
SQL
	is($node->safe_psql('postgres', "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE indrelid = 'telemetry.event_1'::regclass AND indisvalid"),
		'by_device by_device_covering event_1_fingerprint event_1_readings event_1_xid_event_id one_a_second', '... no index is left over');
	indexes_are_whole($what);
	return;
}

sub indexes_are_whole
{
	my ($what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return if !$has_amcheck;
	my ($status, undef, $err) = $node->psql('postgres', <<'SQL');
SELECT bt_index_check(indexrelid, true) FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid JOIN pg_am ON pg_am.oid = relam
WHERE indrelid = 'telemetry.event_1'::regclass AND amname = 'btree' AND indisvalid;
SQL
	is("$status$err", '0', "... each index is whole ($what)");
	return;
}
