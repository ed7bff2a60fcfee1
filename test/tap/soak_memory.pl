# Acceptance check 20. Under an hour of load the launcher, the projector and a session that sends do not grow after the first
# tenth of the time. The session sends some thousand readings a second, so the log stays below ten gigabytes.
#
# TELEMETRY_SECONDS: for how long.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

my $seconds = $ENV{TELEMETRY_SECONDS} // 3600;
my $node = telemetry_node('memory_soak', preload => 1);
my $sender = session($node, 2 * $seconds + 300);
my $send = sub {
	my ($part, $for) = @_;
	$sender->query_safe("DO \$\$ DECLARE n bigint := 0; start timestamptz := clock_timestamp(); BEGIN
		WHILE clock_timestamp() < start + $for * interval '1 second' LOOP
			n := n + 1;
			PERFORM telemetry.ingest_telemetry_batch(d, NULL, v, v, k, x) FROM (SELECT array_agg('d' || i % 500) AS d, array_agg((i + n)::float8) AS v,
				array_agg('$part-' || n || '-' || i) AS k, array_agg('{\"light\": 1}'::jsonb) AS x FROM generate_series(1, 50) AS i) AS a;
			COMMIT;
			PERFORM pg_sleep(0.01);
		END LOOP; END \$\$");
	wait_applied($node);
	my %pids = split /[|\n]/, $node->safe_psql('postgres', "SELECT replace(backend_type, 'telemetry_cqrs ', ''), pid FROM pg_stat_activity WHERE backend_type LIKE 'telemetry_cqrs %'");
	$pids{session} = $sender->query_safe('SELECT pg_backend_pid()');
	return map { $_ => slurp_file("/proc/$pids{$_}/status") =~ /^RssAnon:\s*(\d+)/m } keys %pids;
};
my %before = $send->('warm', $seconds / 10);
my %after = $send->('on', $seconds);
is_deeply([ sort keys %after ], [ qw(launcher projector session) ], 'all three are there');
# The C library's heap grows in steps of some hundred kilobytes and gives them back: one more is no leak, and a leak of four
# bytes a batch is more than that in an hour.
foreach my $name (sort keys %after)
{
	cmp_ok($after{$name}, '<=', 1.05 * $before{$name} + 1024, "$name: $before{$name} -> $after{$name} kB");
}
$sender->quit;
$node->stop;
done_testing();
