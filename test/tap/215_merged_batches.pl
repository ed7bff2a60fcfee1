# Old batches are merged, so the list stays short however long a projection is paused. It still covers the whole log, and the
# paused projection catches up from it.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

my $node = telemetry_node('merged', preload => 1, conf => "telemetry_cqrs.start_worker = off\n");
sub sql { my ($statement) = @_; return $node->safe_psql('postgres', $statement); }
sub sqlstate_of { my ($statement) = @_; $node->psql('postgres', "\\set VERBOSITY sqlstate\n$statement", stderr => \my $err); return $err =~ /ERROR:\s+(\w+)/ ? $1 : ''; }

# Makes a batch of each of these numbers of readings.
my $sent = 0;
sub make_batches
{
	my $script = '';
	foreach my $readings (@_)
	{
		++$sent;
		$script .= "SELECT telemetry.ingest_telemetry_batch(array_agg('d' || i % 20), NULL, array_agg(i + $sent * 0.5::float8), NULL, array_agg('k' || $sent || ' ' || i)) FROM generate_series(1, $readings) AS i \\g /dev/null\nCALL telemetry.project_once();\n";
	}
	psql_finish(psql_start($node, "SET synchronous_commit = off;\n$script"));
	return;
}

# All of them follow, but for one that is paused from the beginning on, and one that is paused at some place in between.
sql("SELECT telemetry.set_cadence(projection, '0') FROM telemetry.projection WHERE cadence > '0'");
sql("SELECT telemetry.pause_projection('region')");
make_batches((1) x 1200);
sql("SELECT telemetry.pause_projection('device')");
make_batches((2) x 1300, (30000) x 7, 1);
my $events = 1200 + 2600 + 210000 + 1;
is(sql('SELECT count(*), sum(events), max(batch_id) FROM telemetry.batch'), "2508|$events|2508", 'single batches, for two projections that are behind');
is(sql('SELECT projection, batch_id, events FROM telemetry.cursor WHERE batch_id IS NOT NULL ORDER BY 1'), "device|1200|1200", 'their places');
is(sql('SELECT projection, applied, lag_events FROM telemetry.projection_status WHERE projection !~ $$_$$ ORDER BY 1'), "device|1200|" . ($events - 1200) . "\nregion|0|$events", 'what waits for each');

$node->append_conf('postgresql.conf', "telemetry_cqrs.start_worker = on\ntelemetry_cqrs.batch_retention = '1s'\n");
$node->reload;
ok(wait_for($node, 'SELECT count(*) <= 4 FROM telemetry.batch', 'old batches to be merged', 60), 'old batches are merged');
# Each is as large as it may be, and one ends at the place of a projection.
is(sql('SELECT batch_id, events FROM telemetry.batch ORDER BY 1'), "1200|1200\n2503|92600\n2506|90000\n2508|30001", 'as large as they may be, and not past the place of a projection');
is(sql('SELECT count(*) = count(DISTINCT e.id) AND count(*) = (SELECT count(*) FROM telemetry.events) FROM telemetry.batch b, telemetry.read_events(b.batch_id) AS e'), 't', 'they hold every event once');
is(sql('SELECT count(*) FROM telemetry.batch b WHERE events <> (SELECT count(*) FROM telemetry.read_events(b.batch_id))'), '0', 'and say how many');
is(sqlstate_of("SELECT telemetry.follow_from($_)"), '', "$_ begins one") foreach 1, 1201, 2504, 2507, 2509;
is(sqlstate_of("SELECT telemetry.follow_from($_)"), 'TC203', "$_ is inside one") foreach 2, 1200, 1202, 2505, 2508;
is(sqlstate_of('SELECT * FROM telemetry.read_events(1199)'), 'TC203', 'a number that was merged');

is(sql('SELECT projection, applied, lag_events FROM telemetry.projection_status WHERE projection !~ $$_$$ ORDER BY 1'), "device|1200|" . ($events - 1200) . "\nregion|0|$events", 'the same waits');
sql("SELECT telemetry.resume_projection('device'), telemetry.resume_projection('region')");
wait_applied($node, 'both to catch up');
is(sql('SELECT count(*) FROM telemetry.cursor WHERE batch_id IS NULL'), '8', 'both keep up again');
read_models_follow($node, 'telemetry.measurements', 'caught up');

# Rows that somebody deleted are made anew from the log, with numbers that lie between those of their neighbours.
sub apply_three
{
	sql("SELECT telemetry.ingest_telemetry('d', NULL, $_)"), wait_for($node, "SELECT lag_events = 0 FROM telemetry.projection_status WHERE projection = 'region'", 'a reading to be applied') foreach 1 .. 3;
	ok(wait_for($node, 'SELECT sum(events) = (SELECT count(*) FROM telemetry.event) FROM telemetry.batch', 'the batches'), 'all is in batches');
	return;
}
$node->append_conf('postgresql.conf', "telemetry_cqrs.batch_retention = '1d'\n");
$node->reload;
sql("SELECT telemetry.pause_projection('device')");
apply_three();
sql("DELETE FROM telemetry.batch WHERE batch_id > (SELECT batch_id FROM telemetry.cursor WHERE projection = 'device') AND batch_id < (SELECT max(batch_id) FROM telemetry.batch)");
sql("SELECT telemetry.resume_projection('device')");
wait_applied($node, 'the projection to catch up through the gap');
read_models_follow($node, 'telemetry.measurements', 'over a gap');
is(sql('SELECT count(*) = count(DISTINCT e.id) AND count(*) = (SELECT count(*) FROM telemetry.events) FROM telemetry.batch b, telemetry.read_events(b.batch_id) AS e'), 't', 'the list is whole again');

# Only the batch at which a projection stands cannot be made anew. Its absence is an error for that projection, and for no other.
sql("SELECT telemetry.pause_projection('device')");
apply_three();
sql('CREATE TABLE saved AS SELECT * FROM telemetry.batch');
sql("DELETE FROM telemetry.batch WHERE batch_id = (SELECT batch_id FROM telemetry.cursor WHERE projection = 'device')");
sql("SELECT telemetry.resume_projection('device')");
ok(wait_for($node, "SELECT state = 'failing' AND last_error_sqlstate = 'TC202' AND last_error = 'telemetry.batch has a gap' FROM telemetry.projection_status WHERE projection = 'device'", 'the gap to be told'), 'a missing row is told');
sql("SELECT telemetry.ingest_telemetry('d', NULL, 4)");
ok(wait_for($node, "SELECT lag_events = 0 FROM telemetry.projection_status WHERE projection = 'region'", 'the other to go on'), 'the other goes on');
sql('INSERT INTO telemetry.batch SELECT s.* FROM saved s WHERE s.batch_id = (SELECT batch_id FROM telemetry.cursor WHERE batch_id IS NOT NULL)');
wait_applied($node, 'with the row back, it to go on');
read_models_follow($node, 'telemetry.measurements', 'at the end');
$node->stop;
done_testing();
