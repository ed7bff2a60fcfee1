# Large batches enter their rows into the two btree indexes leaf by leaf. Clients send batches whose keys cross those of others
# in no order, in transactions and savepoints that partly roll back. No client gets an error or waits for ever, each key that was
# answered is in the log once, and the indexes are whole: here, on a standby that compares each page that it replays, and after
# a crash.
#
# TELEMETRY_SECONDS: for how long the load runs.
use strict;
use warnings;

use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

my $seconds = $ENV{TELEMETRY_SECONDS} // 6;
my $node = telemetry_node('primary', init => { allows_streaming => 1 }, conf => "autovacuum = off\n");
plan skip_all => 'amcheck is not installed' if $node->safe_psql('postgres', "SELECT count(*) FROM pg_available_extensions WHERE name = 'amcheck'") eq '0';
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION amcheck;
SELECT telemetry.register_device('d' || i) FROM generate_series(0, 9) AS i;
CREATE TABLE sent (key text, answered boolean);
CREATE SEQUENCE fresh_key CACHE 1;
SELECT nextval('fresh_key') FROM generate_series(1, 2000);

-- Sends a reading for each key, in no order. A reading follows from its key.
CREATE FUNCTION send(keys text[], OUT accepted bigint, OUT duplicates bigint, OUT conflicts bigint) LANGUAGE sql AS $$
    SELECT r.accepted, r.duplicates, r.conflicts
    FROM (SELECT array_agg('d' || abs(hashtext(k)) % 10 ORDER BY random_order) AS d, array_agg(k ORDER BY random_order) AS k,
                 array_agg((abs(hashtext(k)) % 100)::float8 ORDER BY random_order) AS t
          FROM unnest(keys) WITH ORDINALITY AS u (k, n), LATERAL (SELECT hashint8(hashtext(k) + n) AS random_order) AS o) AS b,
         LATERAL telemetry.ingest_telemetry_batch(d, array_fill('2024-05-01 00:00:00+00'::timestamptz, ARRAY[array_length(d, 1)]), t, NULL, k) AS r
$$;

-- New keys, of which so many in a thousand repeat one of the last 2,000, which another client may be sending just now. Keys that
-- end in a number go to few leaves, others to any leaf.
CREATE FUNCTION some_keys(count int, repeats int, is_opaque boolean) RETURNS text[] LANGUAGE sql VOLATILE AS $$
    SELECT array_agg(CASE WHEN is_opaque THEN md5(n::text) || 'x' ELSE 'k' || n END)
    FROM (SELECT CASE WHEN random() * 1000 < repeats THEN fresh - 1 - floor(random() * 1999)::bigint ELSE fresh END AS n
          FROM (SELECT nextval('fresh_key') AS fresh FROM generate_series(1, count)) AS f) AS k
$$;

CREATE FUNCTION send_some(count int, repeats int, is_opaque boolean) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    keys text[] := some_keys(count, repeats, is_opaque);
    r record;
BEGIN
    INSERT INTO sent SELECT k FROM unnest(keys) AS k;
    SELECT * INTO r FROM send(keys);
    IF r.accepted + r.duplicates <> count THEN RAISE '% accepted and % duplicates of %', r.accepted, r.duplicates, count; END IF;
END $$;
SQL

# A standby compares each page that it replays with the image of it that the record holds. Nothing is rolled back here, because
# scans mark dead entries on the primary only.
$node->backup('backup');
my $standby = standby_of($node, 'standby', 'backup');
$node->safe_psql('postgres', "SET wal_consistency_checking = 'generic'; SELECT send_some(n * 50, 50, is_opaque) FROM generate_series(1, 20) AS n, (VALUES (false), (true)) AS o (is_opaque)");
$node->wait_for_catchup($standby);
each_key_once($standby, 'on the standby');
indexes_are_whole($standby, 'on the standby');
unlike(slurp_file($standby->logfile), qr/inconsistent page found/, 'each page that the standby replayed is as on the primary');

# What one session sees.
is(ask('SELECT * FROM send((SELECT array_agg(\'first\' || i) FROM generate_series(1, 1000) AS i))'), '1000|0|0', 'a batch of new readings');
is(ask('SELECT * FROM send((SELECT array_agg(\'first\' || i) FROM generate_series(1, 1000) AS i))'), '0|1000|0', '... and again');
is(ask('SELECT * FROM send((SELECT array_agg(\'first\' || i) FROM generate_series(901, 1900) AS i))'), '900|100|0', '... with a part that is new');
is(ask('SELECT * FROM send((SELECT array_agg(\'first\' || i) FROM generate_series(1, 3800, 2) AS i))'), '950|950|0', '... and with a repeat in each other place');
is(ask(<<'SQL'), "500|0|0\n0|500|0\n500|0|0", 'a savepoint that is rolled back leaves no repeat');
BEGIN;
SAVEPOINT s;
SELECT * FROM send((SELECT array_agg('saved' || i) FROM generate_series(1, 500) AS i));
SELECT * FROM send((SELECT array_agg('saved' || i) FROM generate_series(1, 500) AS i));
ROLLBACK TO s;
SELECT * FROM send((SELECT array_agg('saved' || i) FROM generate_series(1, 500) AS i));
COMMIT;
SQL
is(ask(<<'SQL'), "300|0|0\n300|200|0", 'a batch after one whose rows were in their places when a conflict ended it');
BEGIN;
SELECT * FROM send((SELECT array_agg('wrong' || i) FROM generate_series(1, 300) AS i));
SAVEPOINT s;
\set ON_ERROR_STOP 0
SELECT r.accepted FROM (SELECT array_agg('d' || abs(hashtext('wrong' || i)) % 10) AS d, array_agg('wrong' || i) AS k FROM generate_series(300, 600) AS i) AS b,
     telemetry.ingest_telemetry_batch(d, array_fill('2024-05-01 00:00:00+00'::timestamptz, ARRAY[301]), array_fill(-7::float8, ARRAY[301]), NULL, k, on_error => 'abort') AS r;
\set ON_ERROR_STOP 1
ROLLBACK TO s;
SELECT * FROM send((SELECT array_agg('wrong' || i) FROM generate_series(101, 600) AS i));
COMMIT;
SQL
is(ask(<<'SQL'), "300|0|0\n100|0|200", 'another request under a key is a conflict');
SELECT * FROM send((SELECT array_agg('other' || i) FROM generate_series(1, 300) AS i));
SELECT accepted, duplicates, conflicts FROM (SELECT array_agg('d' || abs(hashtext('other' || i)) % 10) AS d, array_agg('other' || i) AS k FROM generate_series(101, 400) AS i) AS b,
     telemetry.ingest_telemetry_batch(d, array_fill('2024-05-01 00:00:00+00'::timestamptz, ARRAY[300]), array_fill(-7::float8, ARRAY[300]), NULL, k);
SQL
indexes_are_whole($node, 'one session');

# A rival in flight.
for my $end ('COMMIT', 'ROLLBACK')
{
	my $rival = session($node);
	$rival->query_safe("BEGIN; SELECT * FROM send((SELECT array_agg('rival $end ' || i) FROM generate_series(300, 700) AS i))");
	my $waiting = psql_start($node, "SELECT * FROM send((SELECT array_agg('rival $end ' || i) FROM generate_series(1, 1000) AS i))");
	wait_for($node, "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted)", 'a batch to meet its rival');
	$rival->query_safe($end);
	$rival->quit;
	my ($out, $err) = psql_finish($waiting);
	is("$out$err", $end eq 'COMMIT' ? "599|401|0\n" : "1000|0|0\n", "a rival that ends with $end");
}
indexes_are_whole($node, 'rivals');
is(ask("SELECT count(*) - count(DISTINCT (device_id, idempotency_key)) FROM telemetry.measurements"), '0', 'each key is in the log once');

# The load.
my %script = (
	sequence => "SELECT send_some(400, 50, false);\n",
	opaque => "SELECT send_some(200, 50, true);\n",
	retries => "SELECT send_some(100, 900, false);\n",
	small => "SELECT send_some(9, 200, false);\n",
	long => "BEGIN;\nSELECT send_some(300, 0, false);\nSAVEPOINT s;\nSELECT send_some(100, 0, false);\nROLLBACK TO s;\nSELECT send_some(100, 0, true);\nCOMMIT;\n",
	back => "BEGIN;\nSELECT send_some(300, 50, false);\nROLLBACK;\n");
my $folder = PostgreSQL::Test::Utils::tempdir;
for my $name (keys %script)
{
	append_to_file("$folder/$name.sql", $script{$name});
}
my ($out, $err) = ('', '');
{
	local %ENV = $node->_get_env();
	IPC::Run::run([ 'pgbench', '-n', '-c', 4, '-T', $seconds, (map { ('-f', "$folder/$_.sql") } sort keys %script), $node->connstr('postgres') ], '<', '/dev/null', '>', \$out, '2>', \$err);
}
is($err, '', 'no client of the load is told of an error') or diag($out);
each_key_once($node, 'after the load');
indexes_are_whole($node, 'after the load');

$node->wait_for_catchup($standby);
each_key_once($standby, 'on the standby after the load');
indexes_are_whole($standby, 'on the standby after the load');
$standby->stop;

$node->safe_psql('postgres', 'SELECT send_some(1000, 100, false) FROM generate_series(1, 20)');
$node->stop('immediate');
$node->start;
each_key_once($node, 'after a crash');
indexes_are_whole($node, 'after a crash');
is(ask("SELECT * FROM send((SELECT array_agg('crash' || i) FROM generate_series(1, 1000) AS i))"), '1000|0|0', '... and the log takes new readings');
$node->stop;
done_testing();

sub ask
{
	my ($sql) = @_;
	my (undef, $answer, $problem) = $node->psql('postgres', $sql);
	return $answer ne '' ? $answer : $problem;
}

sub each_key_once
{
	my ($server, $when) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($server->safe_psql('postgres', <<'SQL'), '0|0|0', "each key is in the log once, $when");
SELECT (SELECT count(*) FROM (SELECT FROM telemetry.measurements GROUP BY device_id, idempotency_key HAVING count(*) > 1) AS doubled),
       (SELECT count(*) FROM (SELECT key FROM sent EXCEPT SELECT idempotency_key FROM telemetry.measurements) AS lost),
       (SELECT count(*) FROM (SELECT idempotency_key FROM telemetry.measurements WHERE idempotency_key ~ '^k[0-9]+$|x$' EXCEPT SELECT key FROM sent) AS unknown)
SQL
	return;
}

sub indexes_are_whole
{
	my ($server, $when) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my (undef, $answer, $problem) = $server->psql('postgres', <<'SQL');
SELECT count(bt_index_check(indexrelid, true)::text) FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid JOIN pg_am ON pg_am.oid = relam
WHERE indrelid = 'telemetry.event_1'::regclass AND amname = 'btree'
SQL
	is("$answer$problem", '2', "both indexes are whole ($when)");
	return;
}
