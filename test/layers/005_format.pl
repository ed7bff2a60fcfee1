# The C++ sources are as clang-format would write them. Needs no build.
use strict;
use warnings;
use FindBin;
use Test::More;

chdir "$FindBin::Bin/../.." or die $!;
my ($version) = (qx{clang-format --version 2>&1} // '') =~ /version (\d+)/;
if (($version // 0) != 14) {
    diag('SKIPPED: no clang-format 14 (dev/setup --test); others break lines elsewhere');
    plan skip_all => 'no clang-format 14';
}
my @sources = grep { !m{/build/} } split /\n/, qx{find src test dev -name '*.cpp' -o -name '*.hpp'};
cmp_ok(scalar @sources, '>', 100, @sources . ' sources');
my $complaints = qx{clang-format --dry-run -Werror @sources 2>&1};
is($?, 0, 'formatted') or diag(join "\n", (split /\n/, $complaints)[0 .. 20], 'clang-format -i mends it');
done_testing();
