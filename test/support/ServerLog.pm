# Reading the server's log: a test node whose lines carry process type and SQLSTATE, and what must not be found in them.
#
#   $node->append_conf('postgresql.conf', $ServerLog::conf);
#   my $from = log_end($node);
#   ...
#   nothing_repeats($node, $from, 'after DROP DATABASE');            # most => 3: what may come three times
package ServerLog;

use strict;
use warnings;

use Exporter 'import';
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(log_end lines_of_ours nothing_repeats);

# The server itself says "could not open relation" and the like to whoever parses a command while what it names is dropped. The
# stack tells that from our doing.
our $conf = <<'CONF';
log_line_prefix = '%m [%p] [%b] %e '
log_statement = none
lc_messages = 'C'
backtrace_functions = 'relation_open,lookup_type_cache,fmgr_info_cxt_security'
CONF

# The internal errors since then in which we had a hand, or of which that is not known.
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

# Where the log ends now.
sub log_end
{
	my ($node) = @_;
	return -s $node->logfile;
}

# What our processes have written since then, and what the postmaster says of them; each as "LEVEL SQLSTATE: text".
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

# A test: since then nothing of ours was written more than `most` times (1), and nobody wrote what never may be: a crash, an
# internal error, somebody waiting for a process that does not answer.
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
