# 503_old_library.pl with the real library of release 1.0. `dev/test --soak` builds it where the history has its sources; that
# takes minutes.
use strict;
use warnings;
use FindBin;
use PostgreSQL::Test::Cluster;    # has work to do before the program runs
use Test::More;

plan skip_all => 'no library of release 1.0' if !$ENV{TELEMETRY_LIBRARY_1_0};
my $done = do "$FindBin::Bin/503_old_library.pl";
die $@ || $! if !defined $done;
