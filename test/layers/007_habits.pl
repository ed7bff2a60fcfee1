# The numbers of the tap tests are distinct, and the subject of a commit has at most 72 characters. Needs no build.
use strict;
use warnings;
use Cwd qw(getcwd);
use FindBin;
use Test::More;

chdir "$FindBin::Bin/../.." or die $!;

my %files_of;
push @{ $files_of{ (m{/(\d+)_})[0] + 0 } }, $_ foreach glob 'test/tap/[0-9]*.pl';
cmp_ok(scalar keys %files_of, '>', 50, 'the tap tests have numbers');
is_deeply([ map { join ' ', @$_ } grep { @$_ > 1 } values %files_of ], [], 'no two tap tests have the same number');

SKIP:
{
    # Subjects up to this moment may be longer: history is not rewritten.
    my $since = '2026-11-26 02:31:00 +0000';
    chomp(my $top = qx{git rev-parse --show-toplevel 2>&1});
    my $is_repository = $? == 0 && $top eq getcwd();
    my $log = qx{git log --no-merges --since='$since' --format='%h %s' 2>&1};
    if (!$is_repository || $? != 0) {
        diag('SKIPPED: no git history, so the subjects of commits are not checked');
        skip 'no git history', 1;
    }
    my @long = grep { length((split / /, $_, 2)[1]) > 72 } split /\n/, $log;
    is(scalar @long, 0, "the subjects of the commits since $since have at most 72 characters") or diag map { "  $_\n" } @long;
}

done_testing();
