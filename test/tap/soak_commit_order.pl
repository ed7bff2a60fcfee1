# The long form of 200_commit_order.pl.
use strict;
use warnings;
use FindBin;
use PostgreSQL::Test::Cluster;    # has work to do before the program runs

$ENV{TELEMETRY_ROUNDS} //= 5000;
my $done = do "$FindBin::Bin/200_commit_order.pl";
die $@ || $! if !defined $done;
