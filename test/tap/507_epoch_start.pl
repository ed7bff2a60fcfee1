# A new epoch begins at the moment of its opening. Neither its first pass nor a view reads the copied log again, although the
# transaction numbers there are lower. Transactions that were open or prepared at that moment are not missed.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

my $node = telemetry_node('epoch_start');
my $rows = 20000;
my $few = 1000;    # of the index by transaction, which a look may read

# In 40 transactions, all of them applied.
for my $i (0 .. 39)
{
	$node->safe_psql('postgres', "SELECT telemetry.ingest_telemetry_batch(array_agg('d' || i % 10), array_agg(timestamptz '2024-05-01 10:00+00' + i * interval '1 s'), array_agg(i % 40 + 0.25::float8), NULL)
		FROM generate_series($i * 500 + 1, $i * 500 + 500) AS i");
}
$node->safe_psql('postgres', 'CALL telemetry.project_once()');
is($node->safe_psql('postgres', 'SELECT count(*) FROM telemetry.event'), $rows, 'a log');

# Returns how many entries of the index by transaction the statements read, in a session of their own.
sub entries_read
{
	my ($database, @statements) = @_;
	local $LastingSession::wanted = 0;
	my $count = "SELECT idx_tup_read FROM pg_stat_all_indexes WHERE indexrelid = 'telemetry.event_1_xid_event_id'::regclass";
	my $before = $node->safe_psql($database, $count);
	$node->safe_psql($database, join ";\n", @statements, 'SELECT pg_stat_force_next_flush()');
	return $node->safe_psql($database, $count) - $before;
}
cmp_ok(entries_read('postgres', 'SET enable_seqscan = off', "SELECT count(device_id) FROM telemetry.event_1 WHERE xid >= '3'"), '>=', $rows, 'entries are counted');

# Tests a copy that has taken no reading yet.
sub begins_where_it_was_opened
{
	my ($database) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	local $TelemetryNode::database = $database;
	my $ask = sub { $node->safe_psql($database, $_[0]) };

	# A number lower than that of the transaction that opens the epoch, in an open transaction and in one that will be prepared.
	my ($open, $prepared, $opener) = map { $node->background_psql($database) } 1 .. 3;
	my ($first) = map { $_->query_safe('BEGIN; SELECT pg_current_xact_id()') } $open, $prepared;
	$opener->query_safe("BEGIN; SELECT telemetry.ingest_telemetry('opener', NULL, 1)");
	my $copied = $ask->("SELECT token FROM telemetry.ingest_telemetry('rival', NULL, 2)");
	$open->query_safe("SELECT telemetry.ingest_telemetry('open', NULL, 3)");
	$prepared->query_safe("SELECT telemetry.ingest_telemetry('prepared', NULL, 4); PREPARE TRANSACTION '$database'");
	$opener->query_safe('ROLLBACK');
	my $epoch = $ask->('SELECT max(epoch) FROM telemetry.epoch');
	is($ask->("SELECT count(*), bool_and(first_xid <= '$first') FROM telemetry.epoch WHERE epoch = $epoch"), '1|t', "$database: a rival's row, with the first number of the one that was rolled back");
	is($ask->("SELECT opened_xid > '$first' FROM telemetry.epoch WHERE epoch = $epoch"), 't', "$database: it was opened by a later one");

	cmp_ok(entries_read($database, "SELECT telemetry.as_of('device')"), '<', $few, "$database: as_of() does not read the old log");
	cmp_ok(entries_read($database, 'SELECT * FROM telemetry.pipeline_status'), '<', $few, "$database: nor does the status");
	cmp_ok(entries_read($database, "SELECT telemetry.wait_for('$copied', '0')"), '<', $few, "$database: nor does wait_for()");
	cmp_ok(entries_read($database, 'CALL telemetry.project_once()'), '<', $few, "$database: nor the first pass");
	is($ask->("SELECT telemetry.wait_for('$copied', '0'), telemetry.wait_for('$copied', '0', 'region')"), 'applied|applied', "$database: applied");
	my $batch = $ask->("SELECT min(batch_id) FROM telemetry.batch WHERE epoch = $epoch");
	is($ask->("SELECT string_agg(aggregateid, ',') FROM telemetry.read_events($batch)"), 'rival', "$database: the first batch");
	cmp_ok(entries_read($database, "SELECT * FROM telemetry.read_events($batch)"), '<', $few, "$database: which is read again without the old log");

	$open->query_safe('COMMIT');
	$ask->("COMMIT PREPARED '$database'");
	cmp_ok(entries_read($database, 'CALL telemetry.project_once()'), '<', $few, "$database: later passes as well");
	is($ask->("SELECT string_agg(device_id, ',' ORDER BY device_id) FROM telemetry.device_stats WHERE device_id !~ '^d'"), 'open,prepared,rival', "$database: what was open or prepared is applied");
	read_models_follow($node, 'telemetry.measurements', $database);
	$_->quit for $open, $prepared, $opener;
	return;
}

$node->safe_psql('postgres', 'CREATE DATABASE by_template TEMPLATE postgres');
begins_where_it_was_opened('by_template');

my $dump = $node->basedir . '/log.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, '-d', $node->connstr('postgres') ], 'dumped');
for my $database (qw(by_restore of_old))
{
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-f', $dump, '-d', $node->connstr($database) ], "$database: restored");
}
begins_where_it_was_opened('by_restore');

# A copy of a copy: the epoch of the middle is another place's by now.
$node->safe_psql('by_restore', "SELECT telemetry.ingest_telemetry('late', NULL, 5)");
$node->safe_psql('postgres', 'CREATE DATABASE by_copy TEMPLATE by_restore');
$node->safe_psql('by_copy', "SELECT telemetry.ingest_telemetry('here', NULL, 6)");
cmp_ok(entries_read('by_copy', 'CALL telemetry.project_once()'), '<', $few, 'a copy of a copy: the first pass reads what is new');
{
	local $TelemetryNode::database = 'by_copy';
	read_models_follow($node, 'telemetry.measurements', 'a copy of a copy');
}

# Rows of version 1.0 do not say where their epoch began: from the lowest number there is.
$node->safe_psql('of_old', 'UPDATE telemetry.epoch SET first_xid = NULL; DELETE FROM telemetry.batcher; DELETE FROM telemetry.cursor; DELETE FROM telemetry.batch; DELETE FROM telemetry.state_device; DELETE FROM telemetry.state_region');
$node->safe_psql('of_old', "SELECT telemetry.ingest_telemetry('here', NULL, 1)");
$node->safe_psql('of_old', 'CALL telemetry.project_once()');
is($node->safe_psql('of_old', 'SELECT sum(sample_count) FROM telemetry.device_stats'), $rows + 1, 'an epoch of version 1.0 is read whole');

$node->stop;
done_testing();
