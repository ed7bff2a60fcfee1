# The long form of 804_relay_kills.pl.
use strict;
use warnings;
use FindBin;
use PostgreSQL::Test::Cluster;    # has work to do before the program runs

$ENV{TELEMETRY_ROUNDS} //= 20;
my $done = do "$FindBin::Bin/804_relay_kills.pl";
die $@ || $! if !defined $done;
