# Acceptance check 20. The server has nothing to do, and pg_stat_statements is loaded. Launcher and projector take no
# transaction number, hold no xmin in any sample, do not grow, and use hardly any processor time.
#
# TELEMETRY_SECONDS: for how long.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;
use Time::HiRes qw(time sleep);

my $seconds = $ENV{TELEMETRY_SECONDS} // 15;
my $node = telemetry_node('idle', conf => "shared_preload_libraries = 'pg_stat_statements, telemetry_cqrs'\nautovacuum = off\ntelemetry_cqrs.start_worker = on\n");
$node->safe_psql('postgres', "SELECT telemetry.ingest_telemetry('d' || i, NULL, i) FROM generate_series(1, 1000) AS i");
wait_for($node, "SELECT bool_and(lag_events = 0) FROM telemetry.projection_status", 'the readings to be applied');

my %pids = split /[|\n]/, $node->safe_psql('postgres', "SELECT replace(backend_type, 'telemetry_cqrs ', ''), pid FROM pg_stat_activity WHERE backend_type LIKE 'telemetry_cqrs %'");
is_deeply([ sort keys %pids ], [ 'launcher', 'projector' ], 'launcher and projector');
# The work after the last pass is over when two looks at the next transaction number agree.
my $next = 'SELECT pg_snapshot_xmax(pg_current_snapshot())';
my $xmax = '';
my $deadline = time + 180;
until ($xmax eq $node->safe_psql('postgres', $next) || time > $deadline) { $xmax = $node->safe_psql('postgres', $next); sleep 3 }
my %before = map { $_ => { of($pids{$_}) } } keys %pids;

# The launcher lists the databases now and then, in a transaction of less than a millisecond: what a sample finds must be gone with the
# next look.
my ($samples, $holding) = (0, 0);
my $holders = "SELECT concat_ws(' ', pid, xact_start) FROM pg_stat_activity WHERE backend_type LIKE 'telemetry_cqrs %' AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL) ORDER BY pid";
my $end = time + $seconds;
while (time < $end)
{
	++$samples;
	my %found = map { $_ => 1 } split /\n/, $node->safe_psql('postgres', $holders);
	sleep 1;
	$holding += grep { $found{$_} } split /\n/, $node->safe_psql('postgres', $holders) if %found;
}
is($holding, 0, "no xmin and no transaction number held in any of $samples samples");
is($node->safe_psql('postgres', $next), $xmax, 'no transaction number was taken');
foreach my $name (sort keys %pids)
{
	my %now = of($pids{$name});
	is($now{comm}, $before{$name}{comm}, "$name: the same process");
	my $used = $now{cpu} - $before{$name}{cpu};
	note "$name: $used s of processor time, private memory $before{$name}{private} -> $now{private} kB";
	cmp_ok($now{private}, '<=', 1.05 * $before{$name}{private} + 256, "$name: its memory stays");
	cmp_ok($used, '<', 0.1, "$name: under 0.1 s") if $seconds >= 600;
}
$node->stop;
done_testing();

# Returns the name of a process, its processor time in seconds, and the memory that is its own, in kB.
sub of
{
	my ($pid) = @_;
	my ($comm, $rest) = slurp_file("/proc/$pid/stat") =~ /\((.*)\) (.*)/;
	my @fields = split / /, $rest;
	my ($private) = slurp_file("/proc/$pid/status") =~ /^RssAnon:\s*(\d+)/m;
	return (comm => $comm, cpu => ($fields[11] + $fields[12]) / 100, private => $private);
}
