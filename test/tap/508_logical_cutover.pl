# A move to another server by logical replication. The log, and optionally the read side, are replicated; then the subscription
# is dropped, and the new server goes on. Sequences are not replicated. The new server still gives out no number that is taken,
# not even from a session that holds numbers in store.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

my $conf = "wal_level = logical\nmax_wal_senders = 20\nmax_replication_slots = 20\nmax_worker_processes = 30\nmax_logical_replication_workers = 12\nmax_sync_workers_per_subscription = 4\ntelemetry_cqrs.launcher_interval = 100\n";
my ($old, $new) = map { telemetry_node("cutover_$_", preload => 1, conf => $conf) } qw(old new);

# Returns a query that sends readings $first to $last in one call. Every hundredth is refused.
sub batch_sql
{
	my ($first, $last) = @_;
	return "SELECT r.accepted, r.duplicates, r.rejected FROM (SELECT array_agg(CASE WHEN i % 100 <> 0 THEN 'd' || i % 7 ELSE '' END ORDER BY i) AS d, array_agg(timestamptz '2024-05-01 10:00+00' + i * interval '1 s' ORDER BY i) AS m,
		array_agg(i % 40 + 0.25::float8 ORDER BY i) AS t, array_agg('k' || i ORDER BY i) AS k FROM generate_series($first, $last) AS i) AS s, telemetry.ingest_telemetry_batch(d, m, t, NULL, k) AS r";
}

# Two ways: everything, so that the projections go on where they were; the log alone, so that they are made anew. Both servers have the
# definitions of the built-in projections already.
my @everything = split /\n/, $old->safe_psql('postgres', "SELECT c.oid::regclass FROM pg_extension e, unnest(e.extconfig) AS t JOIN pg_class c ON c.oid = t WHERE e.extname = 'telemetry_cqrs' AND c.relkind = 'r' AND c.relname <> 'projection' ORDER BY 1");
my %tables = (everything => \@everything, log_only => [ map { "telemetry.$_" } qw(installation epoch event_1 device rejected_readings) ]);

is($old->safe_psql('postgres', batch_sql(1, 1000)), '990|0|10', 'readings of before the subscription');
wait_applied($old);
my %holder;
for my $way (sort keys %tables)
{
	$new->safe_psql('postgres', "CREATE DATABASE $way");
	$new->safe_psql($way, 'CREATE EXTENSION telemetry_cqrs');
	# Sessions with numbers in store: what they sent was rolled back.
	$holder{$way} = [ map { $new->background_psql($way) } 1 .. 2 ];
	$_->query_safe('BEGIN; ' . batch_sql(1, 10) . '; ROLLBACK') for @{ $holder{$way} };
	$old->safe_psql('postgres', "CREATE PUBLICATION $way FOR TABLE " . join(', ', @{ $tables{$way} }));
	$new->safe_psql($way, "CREATE SUBSCRIPTION $way CONNECTION '" . $old->connstr . " dbname=postgres' PUBLICATION $way");
}
for my $way (sort keys %tables)
{
	local $TelemetryNode::database = $way;
	wait_for($new, "SELECT count(*) = count(*) FILTER (WHERE srsubstate IN ('r', 's')) AND count(*) > 0 FROM pg_subscription_rel", "$way: the first copy");
}
is($old->safe_psql('postgres', batch_sql(1001, 1500)), '495|0|5', 'readings of meanwhile');
$old->safe_psql('postgres', "SELECT telemetry.ingest_telemetry('single', '2024-05-01 10:00+00', 1, NULL, 'single')") for 1 .. 2;
wait_applied($old);
wait_for($old, 'SELECT sum(events) = (SELECT count(*) FROM telemetry.event) FROM telemetry.batch', 'the batches to follow');

for my $way (sort keys %tables)
{
	local $TelemetryNode::database = $way;
	my $ask = sub { $new->safe_psql($way, $_[0]) };
	# The projector commits asynchronously, so what it wrote last may not be in the WAL that is written.
	$old->wait_for_catchup($way, 'replay', $old->lsn('insert'));
	$ask->("DROP SUBSCRIPTION $way");

	is($ask->('SELECT count(*) FROM telemetry.event'), '1486', "$way: the log came along");
	is($ask->('SELECT state, epoch FROM telemetry.log_status()'), 'restored|1', "$way: it is of another place");
	is($ask->('SELECT DISTINCT state, lag_events FROM telemetry.projection_status'), $way eq 'everything' ? 'current|0' : 'restored|1486', "$way: nothing is written before the first command");
	is($ask->('SELECT last_value < 1000 FROM telemetry.event_id_seq'), 't', "$way: the sequence did not come along");

	is($ask->(batch_sql(1401, 1600)), '99|99|2', "$way: the first command here: duplicates are duplicates, refusals are kept");
	is($ask->('SELECT state, epoch FROM telemetry.log_status()'), 'open|2', "$way: it has opened an epoch");
	my @holders = @{ $holder{$way} };
	is($holders[0]->query_safe(batch_sql(1601, 1700)), '99|0|1', "$way: a session with numbers in store");
	is($holders[1]->query_safe(batch_sql(1701, 1800)), '99|0|1', "$way: and another");
	$_->quit for @holders;
	is($ask->("SELECT status FROM telemetry.ingest_telemetry('single', '2024-05-01 10:00+00', 1, NULL, 'single')"), 'duplicate', "$way: a duplicate");
	is($ask->('SELECT count(*), count(DISTINCT event_id) FROM telemetry.event'), '1783|1783', "$way: no event id is given out twice");
	is($ask->('SELECT sum(deliveries), count(*), count(DISTINCT rejected_id) FROM telemetry.rejected_readings'), '19|18|18', "$way: nor one of a refusal");
	wait_applied($new, "$way: everything is applied");
	read_models_follow($new, 'telemetry.measurements', $way);
	wait_for($new, 'SELECT sum(events) = (SELECT count(*) FROM telemetry.event) FROM telemetry.batch', "$way: the batches to follow");
	is($ask->('SELECT count(*) = count(DISTINCT e.id) AND count(*) = (SELECT count(*) FROM telemetry.event),
		(SELECT bool_and(last % (1::bigint << 40) = numbers) FROM (SELECT max(batch_id) AS last, count(*) AS numbers FROM telemetry.batch GROUP BY batch_id >> 40) AS r)
		FROM telemetry.batch b, telemetry.read_events(b.batch_id) AS e'), 't|t', "$way: the batches hold every event once");
}

# A sequence is never moved down, and on a mere copy it stays where it is.
$new->safe_psql('everything', "SELECT setval('telemetry.event_id_seq', 500000), setval('telemetry.rejected_id_seq', 700000)");
$new->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE everything');
is($new->safe_psql('copy', batch_sql(1801, 1900)), '99|0|1', 'a copy takes readings');
is($new->safe_psql('copy', "SELECT min(event_id), (SELECT max(rejected_id) FROM telemetry.rejected_readings) FROM telemetry.event WHERE idempotency_key = 'k1801'"), '500001|700001', 'its sequences go on where they were');

# pgcopydb copies by COPY the rows of each relation that the extension registers for dumps, and cannot copy a sequence. When the sequences are
# taken from that list before, it works: the first command moves them.
$old->safe_psql('postgres', "ALTER EXTENSION telemetry_cqrs DROP SEQUENCE telemetry.$_; ALTER EXTENSION telemetry_cqrs ADD SEQUENCE telemetry.$_") for qw(event_id_seq lease_seq rejected_id_seq);
$new->safe_psql('postgres', 'CREATE DATABASE copied');
$new->safe_psql('copied', 'CREATE EXTENSION telemetry_cqrs');
my $file = $old->basedir . '/rows';
for (split /\n/, $old->safe_psql('postgres', "SELECT unnest(extconfig)::regclass, unnest(extcondition) FROM pg_extension WHERE extname = 'telemetry_cqrs'"))
{
	my ($relation, $condition) = split /\|/;
	$old->safe_psql('postgres', "COPY (SELECT * FROM $relation $condition) TO '$file'");
	$new->safe_psql('copied', "COPY $relation FROM '$file'");
}
is($new->safe_psql('copied', 'SELECT state FROM telemetry.log_status()'), 'restored', 'copied table by table');
is($new->safe_psql('copied', batch_sql(1401, 1600)), '99|99|2', 'copied table by table: the first command');
is($new->safe_psql('copied', 'SELECT count(*) = count(DISTINCT event_id), count(*) = count(*) FILTER (WHERE event_id > 0) FROM telemetry.event'), 't|t', 'copied table by table: no event id is given out twice');
{
	local $TelemetryNode::database = 'copied';
	wait_applied($new);
	read_models_follow($new, 'telemetry.measurements', 'copied table by table');
}

$_->stop for $new, $old;
done_testing();
