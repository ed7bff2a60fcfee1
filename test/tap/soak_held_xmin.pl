# The long form of 304_held_xmin.pl: ten minutes.
# Runs alone: it compares how long a pass takes at the beginning and at the end.
use strict;
use warnings;
use FindBin;
BEGIN { $ENV{PG_TEST_TIMEOUT_DEFAULT} //= 1800 }    # the comparison at the end reads millions of readings
use PostgreSQL::Test::Cluster;    # has work to do before the program runs

$ENV{TELEMETRY_SECONDS} //= 600;
my $done = do "$FindBin::Bin/304_held_xmin.pl";
die $@ || $! if !defined $done;
