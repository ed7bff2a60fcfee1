# Each projection plus its tail is the log, in whatever order the following happens. Sessions store readings, alone and many at once, in
# order and late. Meanwhile projections are paused and resumed, triggers keep tables from being written, workers end, a session
# applies beside them, and batches are merged. Looks under one snapshot compare all figures; in the end every read model equals
# plain SQL over the log, and the batches hold each event once.
#
# TELEMETRY_SECONDS: how long. TELEMETRY_SEED: the seed of another run.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;
use Time::HiRes qw(time usleep);

my $seconds = $ENV{TELEMETRY_SECONDS} // 12;
my $seed = $ENV{TELEMETRY_SEED} // int(rand(1_000_000));
note "seed $seed";
srand($seed);

my $node = telemetry_node('storm', preload => 1,
	conf => "telemetry_cqrs.batch_retention = '1s'\ntelemetry_cqrs.launcher_interval = 200\ntelemetry_cqrs.poll_interval = 100\n");
sub sql { my ($statement) = @_; return $node->safe_psql('postgres', $statement); }
sql(<<"SQL");
SELECT setseed(0.@{[ $seed % 1000 ]});
CREATE FUNCTION in_the_way() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE PROCEDURE store(client int, most int) LANGUAGE plpgsql AS \$\$
DECLARE
	until CONSTANT timestamptz := clock_timestamp() + interval '$seconds s';
	round int := 0;
	readings int;
BEGIN
	WHILE clock_timestamp() < until LOOP
		round := round + 1;
		readings := CASE WHEN random() < 0.5 THEN 1 ELSE 1 + (random() * most)::int END;
		PERFORM telemetry.ingest_telemetry_batch(array_agg('d' || i % 40), array_agg(now() - (random() * 100)::int * interval '1 min'), array_agg(random() * 50), NULL,
			array_agg(format('%s-%s-%s', client, round, i)), array_agg(jsonb_build_object('light', i)), array_agg('r' || i % 3)) FROM generate_series(1, readings) AS i;
		IF random() < 0.1 THEN ROLLBACK; ELSE COMMIT; END IF;
		PERFORM pg_sleep(random() * 0.02);
	END LOOP;
END \$\$;
SQL
my @clients = map { psql_start($node, "CALL store($_->[0], $_->[1]);") } [ 1, 3 ], [ 2, 50 ], [ 3, 3000 ];

# One snapshot: each line of the answer is a figure that does not fit.
my $looks = 0;
sub look
{
	++$looks;
	return LastingSession::ask($node, 'postgres', <<'SQL');
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;
WITH log AS MATERIALIZED (SELECT count(*) AS events FROM telemetry.event)
SELECT 'device', s.n, t.events, log.events FROM log, (SELECT coalesce(sum(sample_count), 0) AS n FROM telemetry.device_stats) AS s, telemetry.projection_tail('device') AS t WHERE s.n + t.events <> log.events
UNION ALL
SELECT 'region', s.n, t.events, log.events FROM log, (SELECT coalesce(sum(sample_count), 0) AS n FROM telemetry.region_stats) AS s, telemetry.projection_tail('region') AS t WHERE s.n + t.events <> log.events
UNION ALL
SELECT 'applied', p.applied, p.lag_events, log.events FROM log, telemetry.projection_status AS p WHERE p.applied + p.lag_events <> log.events
UNION ALL
SELECT 'batches', s.n, t.events, log.events FROM log, (SELECT coalesce(sum(events), 0) AS n FROM telemetry.batch) AS s, telemetry.batch_tail() AS t WHERE s.n + t.events <> log.events
UNION ALL
SELECT 'batch ' || b.batch_id, b.events, e.n, 0 FROM (SELECT * FROM telemetry.batch ORDER BY random() LIMIT 3) AS b, LATERAL (SELECT count(*) AS n FROM telemetry.read_events(b.batch_id)) AS e WHERE b.events <> e.n
UNION ALL
SELECT 'cursor', c.batch_id, 0, 0 FROM telemetry.cursor c WHERE c.batch_id > 0 AND NOT EXISTS (SELECT FROM telemetry.batch b WHERE b.batch_id = c.batch_id);
SQL
}

my @tables = qw(batch batcher state_device state_region);
my %in_the_way;
my %acts = (
	pause => sub { sql("SELECT telemetry.pause_projection('" . (rand() < 0.5 ? 'device' : 'region') . "')") },
	resume => sub { sql("SELECT telemetry.resume_projection('" . (rand() < 0.5 ? 'device' : 'region') . "')") },
	'put in the way' => sub {
		my $table = $tables[ rand @tables ];
		return if $in_the_way{$table}++;
		sql("CREATE TRIGGER in_the_way AFTER INSERT OR UPDATE ON telemetry.$table FOR EACH ROW EXECUTE FUNCTION in_the_way()");
	},
	'clear the way' => \&clear_the_way,
	'project once' => sub { $node->psql('postgres', 'CALL telemetry.project_once()') },
	'end the worker' => sub { sql("SELECT pg_terminate_backend(pid) FROM telemetry.worker_status() WHERE pid IS NOT NULL") },
	wait => sub { usleep(rand 300_000) },
);
sub clear_the_way
{
	sql("DROP TRIGGER in_the_way ON telemetry.$_") foreach grep { delete $in_the_way{$_} } @tables;
	return;
}

my @misfits;
my @names = sort keys %acts;
my $done = '';
for (my $end = time + $seconds; time < $end;)
{
	my $act = $names[ rand @names ];
	$acts{$act}->();
	$done .= " $act,";
	my $misfit = look();
	push @misfits, "after$done: $misfit" if $misfit ne '';
	last if @misfits;
}
is("@misfits", '', 'every look finds the log: state and tail of each projection, the batches and what is in none');
note "$looks looks";
clear_the_way();
sql("SELECT telemetry.resume_projection('$_')") foreach qw(device region);
is((psql_finish($_))[1], '', 'a client is content') foreach @clients;
wait_applied($node, 'all to be applied');
read_models_follow($node, 'telemetry.measurements', 'in the end');
is(sql('SELECT count(*) = count(DISTINCT e.id) AND count(*) = (SELECT count(*) FROM telemetry.event) FROM telemetry.batch b, telemetry.read_events(b.batch_id) AS e'), 't', 'the batches hold each event once');
note sql('SELECT count(*) FROM telemetry.event') . ' events, ' . sql('SELECT max(batch_id) FROM telemetry.batch') . ' batches, ' . sql('SELECT count(*) FROM telemetry.batch') . ' when merged';
$node->stop;
done_testing();
