# The long form of 219_one_fold.pl: 150 rounds.
use strict;
use warnings;
use FindBin;
use PostgreSQL::Test::Cluster;    # has work to do before the program runs

$ENV{TELEMETRY_ROUNDS} //= 150;
my $done = do "$FindBin::Bin/219_one_fold.pl";
die $@ || $! if !defined $done;
