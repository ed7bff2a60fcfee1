# Acceptance checks 9 and 24. Eight clients store readings, each array in an order of its own and with keys that others send too.
# Meanwhile projections are rebuilt again and again, old buckets are deleted, and workers end. Nothing deadlocks. No client and no reader
# waits a tenth of a second for a table. No reader sees half a rebuild, and no batch is told twice.
#
# TELEMETRY_SECONDS: how long.
# Begins early.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;
use Time::HiRes qw(time usleep);

my $seconds = $ENV{TELEMETRY_SECONDS} // 10;
# The server logs each wait for a lock that lasts as long as deadlock_timeout.
my $node = telemetry_node('busy_rebuilds', preload => 1, conf => <<'CONF');
log_lock_waits = on
deadlock_timeout = 100ms
log_line_prefix = '%m [%p] [%a] %e '
telemetry_cqrs.notify_payload = 'pointer'
telemetry_cqrs.launcher_interval = 200
telemetry_cqrs.poll_interval = 100
CONF
sub sql { my ($statement) = @_; return $node->safe_psql('postgres', $statement); }
sql(<<"SQL");
CREATE TABLE look (kind text);
CREATE PROCEDURE store(client int) LANGUAGE plpgsql AS \$\$
DECLARE
	until CONSTANT timestamptz := clock_timestamp() + interval '$seconds s';
	round int := 0;
BEGIN
	WHILE clock_timestamp() < until LOOP
		round := round + 1;
		-- One reading in ten has a key from a pool that all clients share. It is the same whoever sends it.
		PERFORM telemetry.ingest_telemetry_batch(array_agg('d' || n % 50 ORDER BY place), array_agg('2024-05-01'::timestamptz + n % 9000 * interval '1 s' ORDER BY place),
			array_agg(n % 100 ORDER BY place), NULL, array_agg(key ORDER BY place), NULL, array_agg('r' || n % 7 ORDER BY place))
		FROM (SELECT CASE WHEN is_shared THEN shared ELSE own END AS n, CASE WHEN is_shared THEN 'shared ' || shared ELSE format('%s %s', client, own) END AS key, random() AS place
		      FROM (SELECT 1000 * round + i AS own, (random() * 5000)::int AS shared, random() < 0.1 AS is_shared FROM generate_series(1, 1 + (random() * 60)::int) AS i) AS drawn) AS r;
		COMMIT;
		PERFORM pg_sleep(random() * 0.3);
	END LOOP;
END \$\$;
CREATE FUNCTION counted() RETURNS bigint[] LANGUAGE sql AS 'SELECT ARRAY[(SELECT coalesce(sum(sample_count), 0) FROM telemetry.device_stats), (SELECT coalesce(sum(sample_count), 0) FROM telemetry.region_stats),
	(SELECT coalesce(sum(sample_count), 0) FROM telemetry.device_stats_1m), (SELECT coalesce(sum(sample_count), 0) FROM telemetry.device_stats_1h), (SELECT coalesce(sum(sample_count), 0) FROM telemetry.region_stats_1d)]';
-- Counts never fall, and inside a transaction of one snapshot they stay.
CREATE PROCEDURE look() LANGUAGE plpgsql AS \$\$
DECLARE
	keeps_snapshot CONSTANT boolean := current_setting('transaction_isolation') = 'repeatable read';
	until CONSTANT timestamptz := clock_timestamp() + interval '$seconds s';
	before bigint[] := counted();
	now bigint[];
BEGIN
	WHILE clock_timestamp() < until LOOP
		COMMIT;
		IF keeps_snapshot THEN
			before := counted();
			PERFORM pg_sleep(0.5);
		END IF;
		now := counted();
		IF keeps_snapshot AND now <> before OR EXISTS (SELECT FROM unnest(before, now) AS c (before, now) WHERE c.now < c.before) THEN
			RAISE EXCEPTION 'counts were % and are %', before, now;
		END IF;
		before := now;
		INSERT INTO look VALUES (CASE WHEN keeps_snapshot THEN 'of one snapshot' ELSE 'at any time' END);
	END LOOP;
END \$\$;
CALL store(0);
SELECT telemetry.set_retention('region_1m', '1 hour');
SQL
wait_applied($node);

my $listener = session($node);
$listener->query_safe('LISTEN telemetry_ingested');
my @clients = map { psql_start($node, "SET application_name = 'client'; CALL store($_)") } 1 .. 8;
my @readers = map { psql_start($node, "SET application_name = 'reader'; SET default_transaction_isolation = '$_'; CALL look()") } 'repeatable read', 'read committed';
my $told = '';
my @projections = split /\n/, sql('SELECT projection FROM telemetry.projection ORDER BY 1');
my $asked = 0;
for (my ($end, $restart) = (time + $seconds, time + 3); time < $end;)
{
	my $projection = $projections[ rand @projections ];
	my ($status, undef, $err) = $node->psql('postgres', "SELECT telemetry.rebuild_projection('$projection')");
	$asked++ if $status == 0;
	fail("rebuild of $projection: $err") if $status != 0 && $err !~ /is being rebuilt/;
	$told .= $listener->query_safe('SELECT 1') . "\n";
	if (time > $restart)
	{
		# The next worker begins by deleting old buckets and generations.
		$restart += 4;
		sql("SELECT pg_terminate_backend(pid) FROM telemetry.worker_status() WHERE pid IS NOT NULL");
	}
	usleep(rand 300_000);
}
is((psql_finish($_))[1], '', 'a client is content') foreach @clients;
is((psql_finish($_))[1], '', 'a reader sees no count fall') foreach @readers;
wait_applied($node, 'all to be applied');
ok(wait_for($node, 'SELECT bool_and(rebuilt_events IS NULL) FROM telemetry.projection_status', 'the rebuilds to end'), "$asked rebuilds end");
is(sql("SELECT count(*) FROM telemetry.verify_projection('region_1m')"), '0', 'the projection with a retention is right');
sql('SELECT pg_terminate_backend(pid) FROM telemetry.worker_status() WHERE pid IS NOT NULL');
ok(wait_for($node, 'SELECT count(*) = 0 FROM telemetry.region_stats_1m', 'old buckets to go', 120), 'and its old buckets go');

# A rebuild without the retention brings the old buckets back.
sql("SELECT telemetry.set_retention('region_1m', NULL); SELECT telemetry.rebuild_projection('region_1m')");
wait_for($node, 'SELECT bool_and(rebuilt_events IS NULL) FROM telemetry.projection_status', 'the last rebuild to end');
read_models_follow($node, 'telemetry.measurements', 'after the rebuilds');

$told .= $listener->query_safe('SELECT 1');
$listener->quit;
my %times;
$times{$_}++ foreach $told =~ /"batch":(\d+)/g;
cmp_ok(scalar(keys %times), '>', 0, 'batches are told');
is(join(' ', grep { $times{$_} > 1 } sort keys %times), '', 'and none is told twice');
is(sql("SELECT deadlocks FROM pg_stat_database WHERE datname = 'postgres'"), '0', 'the server counts no deadlock');
my $log = slurp_file($node->logfile);
is(join("\n", grep { / (?:40P01|40001|21000) / } split /\n/, $log), '', 'and no session got 40P01, 40001 or 21000');
is(join("\n", grep { /\[(?:client|reader)\].*still waiting for \w+ on (?:relation|extension|object|tuple)/ } split /\n/, $log), '', 'no client and no reader waits 100 ms for a table');
note sql("SELECT string_agg(n || ' looks ' || kind, ', ') FROM (SELECT kind, count(*) AS n FROM look GROUP BY 1) AS l") . ', ' . sql('SELECT count(*) FROM telemetry.event') . ' events, ' . keys(%times) . ' batches told';
note join("\n", 'waits of others:', grep { /still waiting/ && !/on transaction/ } split /\n/, $log);
$node->stop;
done_testing();
