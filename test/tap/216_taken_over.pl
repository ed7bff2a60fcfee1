# A database of version 1.0 has a position for each consumer, and statistics of another shape. The first pass turns the position of
# the list of batches into the batcher's rows, and all statistics are computed from the log again.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

my $node = telemetry_node('taken_over', preload => 1, conf => "telemetry_cqrs.start_worker = off\n");
sub sql { my ($statement) = @_; return $node->safe_psql('postgres', $statement); }

my $sent = 0;
sub send_readings
{
	++$sent;
	sql("SELECT telemetry.ingest_telemetry_batch(array_agg('d' || i % 7), NULL, array_agg(i * 0.5::float8), NULL, array_agg('k$sent ' || i), array_agg('{\"light\": 3}'::jsonb), array_agg('r' || i % 3)) FROM generate_series(1, 50) AS i");
	sql('CALL telemetry.project_once()');
	return;
}

# Writes positions as version 1.0 had them, and leaves the rows of this version out. A projection that stands elsewhere stands at
# the end of the first batch.
sub as_version_1_0
{
	my (@elsewhere) = @_;
	sql(q{INSERT INTO telemetry.checkpoint SELECT c, epoch, snapshot, partial_xid, partial_event_id, events, last_batch_id, drained, as_of FROM telemetry.batcher, unnest('{batch,device,region}'::text[]) AS c});
	sql("UPDATE telemetry.checkpoint c SET snapshot = b.to_snapshot, applied = 50, last_batch_id = 1 FROM telemetry.batch b WHERE c.consumer = '$_' AND b.batch_id = 1") foreach @elsewhere;
	sql('DELETE FROM telemetry.batcher; DELETE FROM telemetry.cursor');
	return;
}

# In the last case version 1.0 has deleted old batches.
for my $case ([ 'all together' ], [ 'one projection elsewhere', 'device' ], [ 'both elsewhere', 'device', 'region' ], [ 'without old batches', 'device' ])
{
	my ($what, @elsewhere) = @$case;
	send_readings() foreach 1 .. 3;
	my $batches = sql('SELECT max(batch_id) FROM telemetry.batch');
	as_version_1_0(@elsewhere);
	sql('DELETE FROM telemetry.batch WHERE batch_id < (SELECT max(batch_id) FROM telemetry.batch)') if $what =~ /^without/;
	sql('SELECT count(*) FROM telemetry.projection_status, telemetry.pipeline_status');
	sql("SELECT telemetry.ingest_telemetry('later', NULL, 1, NULL, 'later $sent')");
	sql('CALL telemetry.project_once()');
	is(sql('SELECT count(*) FROM telemetry.checkpoint'), '0', "$what: the old positions are taken over");
	is(sql('SELECT DISTINCT lag_events, applied = (SELECT count(*) FROM telemetry.event) FROM telemetry.projection_status'), '0|t', "$what: all is applied");
	read_models_follow($node, 'telemetry.measurements', $what);
	is(sql('SELECT max(batch_id), sum(events) = (SELECT count(*) FROM telemetry.event) FROM telemetry.batch'), ($batches + 1) . '|t', "$what: batches go on");
}
$node->stop;
done_testing();
