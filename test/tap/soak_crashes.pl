# 40_crashes.pl for long.
use strict;
use warnings;
use FindBin;
use PostgreSQL::Test::Cluster;    # has work to do before the program runs

$ENV{TELEMETRY_ROUNDS} //= 20;
my $done = do "$FindBin::Bin/40_crashes.pl";
die $@ || $! if !defined $done;
