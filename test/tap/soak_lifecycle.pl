# The long form of 504_extension_lifecycle.pl: a hundred rounds and more under load.
use strict;
use warnings;
use FindBin;
use PostgreSQL::Test::Cluster;    # has work to do before the program runs

$ENV{TELEMETRY_ROUNDS} //= 20;
my $done = do "$FindBin::Bin/504_extension_lifecycle.pl";
die $@ || $! if !defined $done;
