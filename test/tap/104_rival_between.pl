# A rival stores the same key between the probe of a batch and its insert (an injection point of a debug build). The batch waits
# for the rival and then decides anew. When lock_timeout ends the wait, the batch raises TC101. The test tries each end of the
# rival's transaction.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

plan skip_all => 'needs a debug build in TELEMETRY_DEBUG_INSTALLATION' if !$ENV{TELEMETRY_DEBUG_INSTALLATION};

my $node = telemetry_node('rival_between', installation => $ENV{TELEMETRY_DEBUG_INSTALLATION});
my $pause_file = $node->data_dir . '/telemetry_cqrs.pause';
$node->safe_psql('postgres', "SELECT telemetry.register_device('between'); SELECT telemetry.ingest_telemetry('between', '2024-05-01 10:00:00+00', 0, NULL, 'first')");

# Ten keys go into the index one by one. Of two hundred, those before the rival's go there together.
for my $count (10, 200)
{
	my $others = $count - 1;
	is(batch_meets($count, "committed $count", 1, 'COMMIT'), "$others accepted, 1 duplicates, 0 conflicts", "the rival commits: a duplicate (of $count)");
	is(batch_meets($count, "other $count", 2, 'COMMIT'), "$others accepted, 0 duplicates, 1 conflicts", "the rival commits another request: a conflict (of $count)");
	is(batch_meets($count, "rolled back $count", 1, 'ROLLBACK'), "$count accepted, 0 duplicates, 0 conflicts", "the rival rolls back: the batch wins (of $count)");
	is(batch_meets($count, "impatient $count", 1, undef), 'TC101', "lock_timeout passes: told to come again, as where the probe meets the rival (of $count)");
}

is($node->safe_psql('postgres', "SELECT split_part(idempotency_key, ' ', 1), count(*), count(DISTINCT idempotency_key) FROM telemetry.measurements WHERE idempotency_key <> 'first' GROUP BY 1 ORDER BY 1"),
	"committed|210|210\nimpatient|2|2\nother|210|210\nrolled|210|210", 'the log: each key once');
$node->stop;
done_testing();

# Sends $count keys "$name 1", ... with the value 1. While the batch stands between probe and insert, a rival stores the one in
# the middle with $value. When the batch waits for the rival, $end ends the rival's transaction; with undef it ends when the batch has given up.
sub batch_meets
{
	my ($count, $name, $value, $end) = @_;
	my $middle = $count / 2;
	write_pause_file();
	my $offset = -s $node->logfile;
	my $batch = psql_start($node, join '', "\\set VERBOSITY sqlstate\nSET telemetry_cqrs.inject = 'probed=pause';\n", defined $end ? '' : "SET lock_timeout = '1s';\n", <<"SQL");
SELECT format('%s accepted, %s duplicates, %s conflicts', accepted, duplicates, conflicts)
FROM (SELECT array_agg('between'::text) AS d, array_fill('2024-05-01 10:00:00+00'::timestamptz, ARRAY[$count]) AS at, array_agg(1.0::float8) AS t, array_agg('$name ' || i) AS k FROM generate_series(1, $count) AS i) AS b,
     LATERAL telemetry.ingest_telemetry_batch(d, at, t, NULL, k);
SQL
	my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
	select(undef, undef, undef, 0.02) while slurp_file($node->logfile, $offset) !~ /injects at "probed"/ && time < $deadline;
	my $rival = session($node);
	$rival->query_safe("BEGIN; SELECT telemetry.ingest_telemetry('between', '2024-05-01 10:00:00+00', $value, NULL, '$name $middle')");
	unlink $pause_file;
	if (defined $end)
	{
		wait_for($node, "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted)", "the batch to meet its rival ($name)");
		$rival->query_safe($end);
	}
	my ($out, $err) = psql_finish($batch);
	$rival->query_safe('COMMIT') if !defined $end;
	$rival->quit;
	chomp $out;
	return $out ne '' ? $out : $err =~ /ERROR:\s+(\S+)/ ? $1 : $err;
}

sub write_pause_file
{
	open my $file, '>', $pause_file or die "$pause_file: $!";
	close $file;
}
