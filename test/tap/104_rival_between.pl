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

is(batch_meets('committed', 1, 'COMMIT'), '9 accepted, 1 duplicates, 0 conflicts', 'the rival commits: a duplicate');
is(batch_meets('other', 2, 'COMMIT'), '9 accepted, 0 duplicates, 1 conflicts', 'the rival commits another request: a conflict');
is(batch_meets('rolled back', 1, 'ROLLBACK'), '10 accepted, 0 duplicates, 0 conflicts', 'the rival rolls back: the batch wins');
is(batch_meets('impatient', 1, undef), 'TC101', 'lock_timeout passes: told to come again, as where the probe meets the rival');

is($node->safe_psql('postgres', "SELECT split_part(idempotency_key, ' ', 1), count(*), count(DISTINCT idempotency_key) FROM telemetry.measurements WHERE idempotency_key <> 'first' GROUP BY 1 ORDER BY 1"),
	"committed|10|10\nimpatient|1|1\nother|10|10\nrolled|10|10", 'the log: each key once');
$node->stop;
done_testing();

# Sends ten keys "$name 1" to 10 with the value 1. While the batch stands between probe and insert, a rival stores number 5 with
# $value. When the batch waits for the rival, $end ends the rival's transaction; with undef it ends when the batch has given up.
sub batch_meets
{
	my ($name, $value, $end) = @_;
	write_pause_file();
	my $offset = -s $node->logfile;
	my $batch = psql_start($node, join '', "\\set VERBOSITY sqlstate\nSET telemetry_cqrs.inject = 'probed=pause';\n", defined $end ? '' : "SET lock_timeout = '1s';\n", <<"SQL");
SELECT format('%s accepted, %s duplicates, %s conflicts', accepted, duplicates, conflicts)
FROM (SELECT array_agg('between'::text) AS d, array_fill('2024-05-01 10:00:00+00'::timestamptz, ARRAY[10]) AS at, array_agg(1.0::float8) AS t, array_agg('$name ' || i) AS k FROM generate_series(1, 10) AS i) AS b,
     LATERAL telemetry.ingest_telemetry_batch(d, at, t, NULL, k);
SQL
	my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
	select(undef, undef, undef, 0.02) while slurp_file($node->logfile, $offset) !~ /injects at "probed"/ && time < $deadline;
	my $rival = session($node);
	$rival->query_safe("BEGIN; SELECT telemetry.ingest_telemetry('between', '2024-05-01 10:00:00+00', $value, NULL, '$name 5')");
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
