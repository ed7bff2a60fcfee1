# The long form of 306_kills.pl.
use strict;
use warnings;
use FindBin;
use PostgreSQL::Test::Cluster;    # has work to do before the program runs

# Needs TELEMETRY_DEBUG_INSTALLATION as well.
$ENV{TELEMETRY_ROUNDS} //= 1000;
my $done = do "$FindBin::Bin/306_kills.pl";
die $@ || $! if !defined $done;
