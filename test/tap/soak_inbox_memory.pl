# Ten million rows go into each inbox by one COPY, at flat memory: the session needs no more at the end than after the first hundredth of
# the rows. A row in a hundred is refused, and one in fifty comes twice.
#
# TELEMETRY_ROWS: how many rows.
use strict;
use warnings;

use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

plan skip_all => 'no /proc' if !-r '/proc/self/status';

my $rows = $ENV{TELEMETRY_ROWS} // 10_000_000;
my $first = int($rows / 100) < 200_000 ? 200_000 : int($rows / 100);
my $node = telemetry_node('inbox_memory', conf => "max_wal_size = '4GB'\nsynchronous_commit = off\nautovacuum = off\n");
my $copy = sub {
	my ($inbox, $name, $count) = @_;
	my $script = 'for my $i (1 .. $ARGV[1]) { my $n = $i % 50 ? $i : $i - 1; printf qq(%s-%d\t%s\tk%d\t%s\t{"light": %d.5, "pressure": 1013.25}\n), $ARGV[0], $n % 100, "2024-05-01 10:00:00+00", $n, $i % 100 ? $n % 40 + 0.5 : "NaN", $n }';
	my $file = PostgreSQL::Test::Utils::tempdir . '/feed.pl';
	open my $feed, '>', $file or die "$file: $!";
	print $feed $script;
	close $feed;
	return "COPY telemetry.$inbox (device_id, measured_at, idempotency_key, temperature, metrics) FROM PROGRAM 'perl $file $name $count'";
};
foreach my $inbox (qw(inbox inbox_text))
{
	my $session = session($node, 6 * 3600);
	my $pid = $session->query_safe('SELECT pg_backend_pid()');
	my $peak = sub { my ($kb) = slurp_file("/proc/$pid/status") =~ /^RssAnon:\s+(\d+)/m; return $kb; };
	# The peak of the private memory is looked at from beside, while the COPY runs.
	my $watched = sub {
		my ($name, $count) = @_;
		my $done = "$PostgreSQL::Test::Utils::tmp_check/$inbox-$name-$$";
		my $watcher = fork;
		if (!$watcher)
		{
			my $highest = 0;
			while (!-e $done) { my $kb = eval { $peak->() } // 0; $highest = $kb if $kb > $highest; select undef, undef, undef, 0.05; }
			open my $answer, '>', "$done.answer" or POSIX::_exit(1);
			print $answer $highest;
			close $answer;
			POSIX::_exit(0);
		}
		$session->query_safe($copy->($inbox, $name, $count));
		append_to_file($done, '');
		waitpid $watcher, 0;
		# i % 100 = 0 is refused. i % 50 = 0 and not i % 100 = 0 repeats the row before.
		my ($refused, $repeated) = (int($count / 100), int(($count + 50) / 100));
		is($session->query_safe("SELECT concat_ws(' ', r.received, r.accepted, r.duplicates, r.conflicts, r.rejected) FROM telemetry.inbox_receipt() AS r"),
			join(' ', $count, $count - $refused - $repeated, $repeated, 0, $refused), "$inbox: $count rows");
		return slurp_file("$done.answer");
	};
	my $before = $watched->("${inbox}_a", $first);
	my $after = $watched->("${inbox}_b", $rows);
	cmp_ok($after, '<=', $before + 16 * 1024, "$inbox: the highest memory of the session, $before kB with $first rows, $after kB with $rows");
	is($session->query_safe("SELECT count(*) FROM pg_backend_memory_contexts WHERE name = 'telemetry_cqrs inbox'"), '0', "$inbox: the memory is gone");
	$session->quit;
}
$node->stop;
done_testing();
