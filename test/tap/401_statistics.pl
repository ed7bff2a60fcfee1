# Every reading is accounted for. telemetry.stat_ingest counts the readings that many sessions send, roll back, repeat and are
# killed with. telemetry.pipeline_status adds up to the log at any moment. The clients count the expected values.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

my $node = telemetry_node('statistics', preload => 1);
sub sql { return $node->safe_psql('postgres', $_[0]); }
my $statistics = 'SELECT received, accepted, duplicates, conflicts, rejected, rolled_back, raised, commands, batches FROM telemetry.stat_ingest';

# --- many sessions -----------------------------------------------------------------------------------------------------------

# Each of them, in 240 transactions: 5 readings that stay; every second one repeats the first (a duplicate); every third rolls 2 of a
# savepoint back; every fourth sends a batch of 3 of which one is refused; every fifth ends with ROLLBACK; every eighth ends with a
# single reading that is refused, and so with an error.
my $sessions = 6;
my $script = <<'SQL';
CREATE FUNCTION pg_temp.send(key text) RETURNS void LANGUAGE sql AS $$ SELECT telemetry.ingest_telemetry(current_setting('my.device'), '2024-05-01 10:00', 1, NULL, key) $$;
SQL
# received, accepted, duplicates, conflicts, rejected, rolled_back, raised, commands, batches of one session
my @one = (0) x 9;
foreach my $turn (1 .. 240)
{
	$script .= "BEGIN;\n" . join('', map { "SELECT pg_temp.send('$turn-$_');\n" } 1 .. 5);
	my @turn = (5, 5, 0, 0, 0, 0, 0, 5, 0);
	if ($turn % 2 == 0)
	{
		$script .= "SELECT pg_temp.send('1-1');\n";
		$turn[$_]++ for 0, 2, 7;
	}
	if ($turn % 3 == 0)
	{
		$script .= "SAVEPOINT s; SELECT pg_temp.send('$turn-s1'); SELECT pg_temp.send('$turn-s2'); ROLLBACK TO s;\n";
		$turn[$_] += 2 for 0, 5, 7;
	}
	if ($turn % 4 == 0)
	{
		$script .= "SELECT telemetry.ingest_telemetry_batch(ARRAY[current_setting('my.device'), '', current_setting('my.device')], NULL, ARRAY[1, 1, 1], NULL, ARRAY['$turn-b1', 'x', '$turn-b2']);\n";
		$turn[0] += 3; $turn[1] += 2; $turn[4] += 1; $turn[7] += 1; $turn[8] += 1;
	}
	my $back = $turn % 5 == 0;
	if ($turn % 8 == 0)
	{
		$script .= "SELECT telemetry.ingest_telemetry('', NULL, 1);\n";
		$back = 1;
	}
	if ($back)
	{
		# whatever was sent, with any verdict
		@turn = ($turn[0], 0, 0, 0, 0, $turn[0], 0, $turn[7], $turn[8]);
		if ($turn % 8 == 0) { $turn[$_]++ for 0, 4, 6, 7; }
	}
	$script .= $turn % 5 == 0 ? "ROLLBACK;\n" : "COMMIT;\n";
	$one[$_] += $turn[$_] for 0 .. 8;
}
my @expected = map { $_ * $sessions } @one;

# Looks at the pipeline all the while: in one statement, so under one snapshot.
my $adds_up = "SELECT count(DISTINCT events + waiting) = 1 AND min(events + waiting) = (SELECT count(*) FROM telemetry.events) FROM telemetry.pipeline_status WHERE stage <> 'ingest'";
sql('SELECT telemetry.stat_ingest_reset()');
my @started = map { psql_start($node, "\\set VERBOSITY sqlstate\nSET my.device = 'd$_';\n$script") } 1 .. $sessions;
my ($looks, $good) = (0, 0);
do
{
	++$looks;
	++$good if sql($adds_up) eq 't';
} while (grep { $_->{run}->pumpable } @started);
my @errors = map { my ($out, $err) = psql_finish($_); $err =~ /ERROR:  (?!TC001|25P02)/ ? $err : () } @started;
is("@errors", '', 'no session met another error');
is($good, $looks, "the stages add up to the log, at each of $looks looks");
is(sql($statistics), join('|', @expected), 'what was sent is what was counted');
is(sql("SELECT received = accepted + duplicates + conflicts + rejected + rolled_back FROM telemetry.stat_ingest"), 't', 'each reading once');
is(sql('SELECT accepted = (SELECT count(*) FROM telemetry.events) FROM telemetry.stat_ingest'), 't', 'accepted = rows of the log');
# Refused single calls are counted as rejected and not kept.
is(sql('SELECT rejected - raised = (SELECT sum(deliveries) FROM telemetry.rejected_readings) FROM telemetry.stat_ingest'), 't', 'rejected by batches = deliveries that are kept');
wait_applied($node);
is(sql("SELECT string_agg(DISTINCT concat_ws(' ', events, waiting), ', ') FROM telemetry.pipeline_status WHERE stage <> 'ingest'"), "$expected[1] 0", 'all is applied');

# --- a transaction ends with its session ---------------------------------------------------------------------------------------------

sql('SELECT telemetry.stat_ingest_reset()');
my $victim = session($node);
my $pid = $victim->query_safe('SELECT pg_backend_pid()');
$victim->query_safe("BEGIN; SELECT telemetry.ingest_telemetry('v', NULL, 1); SAVEPOINT s; SELECT telemetry.ingest_telemetry('v', NULL, 2)");
is(sql($statistics), '0|0|0|0|0|0|0|0|0', 'not over, not counted');
sql("SELECT pg_terminate_backend($pid)");
ok(wait_for($node, "SELECT rolled_back = 2 FROM telemetry.stat_ingest", 'the killed session'), 'a session that is terminated');
is(sql($statistics), '2|0|0|0|0|2|0|2|0', 'rolled back, once');
eval { $victim->quit };

# --- each database for itself ------------------------------------------------------------------------------------------------------

sql('CREATE DATABASE other');
$node->safe_psql('other', 'CREATE EXTENSION telemetry_cqrs');
$node->safe_psql('other', "SELECT telemetry.ingest_telemetry('o', NULL, 1)");
is($node->safe_psql('other', $statistics), '1|1|0|0|0|0|0|1|0', 'another database');
is(sql($statistics), '2|0|0|0|0|2|0|2|0', 'this one');
# made anew in the same place
$node->safe_psql('other', 'DROP EXTENSION telemetry_cqrs; CREATE EXTENSION telemetry_cqrs');
$node->safe_psql('other', "SELECT telemetry.stat_ingest_reset(); SELECT telemetry.ingest_telemetry('o', NULL, 1)");
is($node->safe_psql('other', $statistics), '1|1|0|0|0|0|0|1|0', 'the extension made anew');

# --- a restart begins anew, the pipeline does not --------------------------------------------------------------------------------------

my $since = sql('SELECT stats_since FROM telemetry.stat_ingest');
$node->restart;
is(sql($statistics), '0|0|0|0|0|0|0|0|0', 'a restart: nothing');
is(sql("SELECT stats_since > '$since' FROM telemetry.stat_ingest"), 't', 'and says since when');
is(sql("SELECT string_agg(DISTINCT (events + waiting)::text, ', ') FROM telemetry.pipeline_status WHERE stage <> 'ingest'"), $expected[1], 'the pipeline is durable');

$node->stop;
done_testing();
