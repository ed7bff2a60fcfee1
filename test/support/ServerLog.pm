# Reads the server log. The lines carry process type and SQLSTATE; a test fails if the log has lines that must never be there.
#
#   $node->append_conf('postgresql.conf', $ServerLog::conf);
#   my $from = log_end($node);
#   ...
#   nothing_repeats($node, $from, 'after DROP DATABASE');            # most => 3: a line may come three times
package ServerLog;

use strict;
use warnings;

use Exporter 'import';
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(log_end lines_of_ours nothing_repeats);

# A session that parses a command while its table is dropped gets "could not open relation" from the server itself. The stack tells
# such an error from one of the extension.
our $conf = <<'CONF';
log_line_prefix = '%m [%p] [%b] %e '
log_statement = none
lc_messages = 'C'
backtrace_functions = 'relation_open,lookup_type_cache,fmgr_info_cxt_security'
CONF

# Returns the internal errors since then that the extension caused, or whose cause is not known.
sub internal_errors
{
	my ($node, $from) = @_;
	my @entries = split /^(?=\d{4}-\d\d-\d\d )/m, slurp_file($node->logfile, $from);
	my (@found, %open);
	foreach (@entries)
	{
		my ($pid, $kind) = /^\S+ \S+ \S+ \[(\d+)\] \[[^]]*\] XX\w{3} (\w+):/ or next;
		if ($kind eq 'ERROR' || $kind eq 'FATAL') { push @found, $open{$pid} if $open{$pid}; $open{$pid} = $_ }
		elsif ($kind eq 'BACKTRACE' && !/telemetry_cqrs/) { delete $open{$pid} }
	}
	return (@found, values %open);
}

# Returns where the server log ends now.
sub log_end
{
	my ($node) = @_;
	return -s $node->logfile;
}

# Returns the lines that processes of the extension have written since then, and the postmaster's lines about them: "LEVEL SQLSTATE:
# text".
sub lines_of_ours
{
	my ($node, $from) = @_;
	my @lines;
	foreach my $line (split /\n/, slurp_file($node->logfile, $from))
	{
		my ($type, $sqlstate, $level, $text) = $line =~ /^\S+ \S+ \S+ \[\d+\] \[([^]]*)\] (\S{5}) (LOG|WARNING|ERROR|FATAL|PANIC):  (.*)/ or next;
		push @lines, "$level $sqlstate: $text" if $type =~ /^telemetry_cqrs/ || ($type eq 'postmaster' && $text =~ /telemetry_cqrs/);
	}
	return @lines;
}

# Tests that since then the extension wrote no line more than `most` times (1), and that the server log shows no crash, no internal
# error and no wait for a process that does not answer.
sub nothing_repeats
{
	my ($node, $from, $name, %options) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $most = $options{most} // 1;
	my $never = qr/PANIC:|TRAP:|terminated by signal|ProcSignalBarrier|deadlock detected/;
	my %count;
	# Numbers of processes, databases and files differ from line to line.
	$count{ s/\d+/N/gr }++ foreach lines_of_ours($node, $from);
	my @found = map { "$count{$_} times: $_" } grep { $count{$_} > $most } sort keys %count;
	push @found, internal_errors($node, $from), grep { $_ =~ $never } split /\n/, slurp_file($node->logfile, $from);
	return is(scalar @found, 0, "$name: nothing of ours repeats in the log, and nothing is there that never may be")
	  || diag join "\n", @found;
}

1;
