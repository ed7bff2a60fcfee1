# The memory of large commands. A batch that is refused for its length is not unpacked. The largest allowed batch stays within
# the bound that the text of the setting promises.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

plan skip_all => 'no /proc' if !-r '/proc/self/status';

my $node = telemetry_node('limits', preload => 0, conf => "telemetry_cqrs.max_batch_readings = 1000\nautovacuum = off\n");
my $kilobytes_a_reading = 1;

# Returns by how much a statement raises the peak of a new session's memory, in kB, and the answer.
sub peak_of
{
	my ($prepare, $statement) = @_;
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	$session->set_query_timer_restart();
	$session->query_safe($prepare);
	my $pid = $session->query_safe('SELECT pg_backend_pid()');
	my $peak = sub { my ($kb) = slurp_file("/proc/$pid/status") =~ /^VmHWM:\s+(\d+)/m; return $kb; };
	my $before = $peak->();
	my $answer = $session->query($statement);
	my $after = $peak->();
	$session->quit;
	return ($after - $before, $answer);
}

# Returns the memory that a call takes beside its arrays, in kB, and the answer. The arrays need memory of their own, so the same
# ones also go to a statement that looks at their length only.
sub cost_of
{
	my ($readings) = @_;
	my $arguments = sprintf q{(SELECT array_agg('device ' || i %% 100) AS d, array_agg(now()) AS t, array_agg(1::float8) AS f, array_agg('key ' || i) AS k, array_agg('{"m": 1}'::jsonb) AS m, array_agg('north'::text) AS r FROM generate_series(1, %d) AS i) AS s}, $readings;
	my ($plain) = peak_of('SELECT 1', "SELECT cardinality(d) + cardinality(t) + cardinality(f) + cardinality(k) + cardinality(m) + cardinality(r) FROM $arguments");
	my ($ours, $answer) = peak_of("\\set VERBOSITY sqlstate\nSELECT telemetry.library_version()", "SELECT telemetry.ingest_telemetry_batch(d, t, f, f, k, m, r) FROM $arguments");
	note("$readings readings: arrays alone $plain kB, call $ours kB");
	return ($ours - $plain, $answer);
}

my ($refused) = cost_of(200_000);
cmp_ok($refused, '<', 30_000, 'a batch that is refused for its length needs next to nothing beside its arrays');
is($node->safe_psql('postgres', 'SELECT count(*) FROM telemetry.measurements'), '0', 'and nothing of it is stored');

# The setting takes effect with a reload.
$node->append_conf('postgresql.conf', 'telemetry_cqrs.max_batch_readings = 100000');
$node->reload;
ok(wait_for($node, "SELECT current_setting('telemetry_cqrs.max_batch_readings') = '100000'", 'the setting'), 'reloaded');
my ($largest, $answer) = cost_of(100_000);
like($answer, qr/^\(100000,100000,0,0,0,/, 'a batch of 100,000 readings is stored');
cmp_ok($largest, '<', 2 * 100_000 * $kilobytes_a_reading, 'and needs some 1 kB a reading');

$node->stop;
done_testing();
