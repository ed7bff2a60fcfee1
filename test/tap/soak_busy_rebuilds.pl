# The long form of 220_busy_rebuilds.pl: ten minutes.
use strict;
use warnings;
use FindBin;
BEGIN { $ENV{PG_TEST_TIMEOUT_DEFAULT} //= 900 }    # the comparison at the end reads all readings
use PostgreSQL::Test::Cluster;    # has work to do before the program runs

$ENV{TELEMETRY_SECONDS} //= 600;
my $done = do "$FindBin::Bin/220_busy_rebuilds.pl";
die $@ || $! if !defined $done;
