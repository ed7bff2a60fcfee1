# The long form of 307_faults.pl: every request fails once, and the worker gets a hundred faults of each kind.
use strict;
use warnings;
use FindBin;
use PostgreSQL::Test::Cluster;    # has work to do before the program runs

$ENV{TELEMETRY_STRIDE} //= 1;
$ENV{TELEMETRY_ERRORS} //= 100_000;
$ENV{TELEMETRY_WORKER_FAULTS} //= 100;
my $done = do "$FindBin::Bin/307_faults.pl";
die $@ || $! if !defined $done;
