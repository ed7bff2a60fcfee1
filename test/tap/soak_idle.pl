# The long form of 303_idle.pl: ten minutes. Here the processor time counts.
# Runs alone: the processor time of idle processes is bounded.
use strict;
use warnings;
use FindBin;
use PostgreSQL::Test::Cluster;    # has work to do before the program runs

$ENV{TELEMETRY_SECONDS} //= 600;
my $done = do "$FindBin::Bin/303_idle.pl";
die $@ || $! if !defined $done;
