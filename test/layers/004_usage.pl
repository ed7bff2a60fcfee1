# --help of each command prints the whole comment at its head. Needs no build.
use strict;
use warnings;
use FindBin;
use Test::More;

my $project = "$FindBin::Bin/../..";

for my $command (qw(dev/demo dev/setup dev/test dev/package dev/matrix dev/cassert test/bench/run test/bench/sizes test/bench/decisions)) {
    open my $file, '<', "$project/$command" or die "$command: $!";
    my ($shebang, @lines) = <$file>;
    my $head = '';
    for my $line (@lines) {
        last if $line !~ s/^# ?//;
        $head .= $line;
    }
    is(scalar qx{'$project/$command' --help 2>&1}, $head, $command);
}

done_testing();
