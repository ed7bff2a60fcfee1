# The long form of 218_storm.pl: five minutes.
use strict;
use warnings;
use FindBin;
use PostgreSQL::Test::Cluster;    # has work to do before the program runs

$ENV{TELEMETRY_SECONDS} //= 300;
my $done = do "$FindBin::Bin/218_storm.pl";
die $@ || $! if !defined $done;
