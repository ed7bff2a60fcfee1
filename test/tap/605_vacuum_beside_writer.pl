# A batch that waits for the transaction of a rival holds no page of the log, so VACUUM ends meanwhile. The rival stores the
# first reading of the batch between its probe and its insert (an injection point of a debug build). The other readings are
# repeats, which the batch finds after that one.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

plan skip_all => 'needs a debug build in TELEMETRY_DEBUG_INSTALLATION' if !$ENV{TELEMETRY_DEBUG_INSTALLATION};

my $node = telemetry_node('vacuum_beside_writer', installation => $ENV{TELEMETRY_DEBUG_INSTALLATION}, conf => "autovacuum = off\n");
my $pause_file = $node->data_dir . '/telemetry_cqrs.pause';

# 60 readings that are sent again, and dead rows for vacuum to clear away.
$node->safe_psql('postgres', "SELECT telemetry.register_device('between'); " . batch(1, 60));
$node->safe_psql('postgres', 'BEGIN; ' . batch(1, 400, 'dead') . '; ROLLBACK');

open my $file, '>', $pause_file or die "$pause_file: $!";
close $file;
my $offset = -s $node->logfile;
my $waiting = psql_start($node, "SET telemetry_cqrs.inject = 'probed=pause';\n" . batch(0, 60) . ";\n");
my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
select(undef, undef, undef, 0.02) while slurp_file($node->logfile, $offset) !~ /injects at "probed"/ && time < $deadline;
my $rival = session($node);
$rival->query_safe("BEGIN; SELECT telemetry.ingest_telemetry('between', '2024-05-01 10:00:00+00', 1, NULL, 'key 0')");
unlink $pause_file;
wait_for($node, "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted)", 'the batch to meet its rival');

my (undef, undef, $err) = $node->psql('postgres', "SET statement_timeout = '30s';\nVACUUM (INDEX_CLEANUP ON, FREEZE) telemetry.event_1;\n");
is($err, '', 'VACUUM ends while the batch waits');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted"), '1', '... which it still does');
$rival->query_safe('COMMIT');
$rival->quit;
my ($out, $batch_err) = psql_finish($waiting);
is("$out$batch_err", "0|61\n", 'the batch ends with duplicates');
$node->stop;
done_testing();

# Returns a query that sends the keys "$name $from" to "$name $to" in one call.
sub batch
{
	my ($from, $to, $name) = @_;
	$name //= 'key';
	my $count = $to - $from + 1;
	return "SELECT accepted, duplicates FROM (SELECT array_agg('$name ' || i) AS k FROM generate_series($from, $to) AS i) AS b, telemetry.ingest_telemetry_batch(array_fill('between'::text, ARRAY[$count]), array_fill('2024-05-01 10:00:00+00'::timestamptz, ARRAY[$count]), array_fill(1::float8, ARRAY[$count]), NULL, k)";
}
