# The long form of 103_same_key.pl.
use strict;
use warnings;
use FindBin;
use PostgreSQL::Test::Cluster;    # has work to do before the program runs

$ENV{TELEMETRY_ROUNDS} //= 500;
my $done = do "$FindBin::Bin/103_same_key.pl";
die $@ || $! if !defined $done;
