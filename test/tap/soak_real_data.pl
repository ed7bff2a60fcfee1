# The long form of 106_real_data.pl: every reading of the files.
use strict;
use warnings;
use FindBin;
use PostgreSQL::Test::Cluster;    # has work to do before the program runs

$ENV{TELEMETRY_EVERY} //= 1;
my $done = do "$FindBin::Bin/106_real_data.pl";
die $@ || $! if !defined $done;
