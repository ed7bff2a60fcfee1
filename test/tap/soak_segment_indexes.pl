# The long form of 604_segment_indexes.pl.
use strict;
use warnings;
use FindBin;
use PostgreSQL::Test::Cluster;    # has work to do before the program runs

$ENV{TELEMETRY_SECONDS} //= 60;
my $done = do "$FindBin::Bin/604_segment_indexes.pl";
die $@ || $! if !defined $done;
