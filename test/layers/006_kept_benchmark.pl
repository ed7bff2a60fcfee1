# The figures in test/bench/README.md are those of the benchmark run that is kept in test/bench/results/. Needs no build.
use strict;
use warnings;
use FindBin;
use Test::More;

my $bench = "$FindBin::Bin/../bench";

sub content_of {
    open my $file, '<', "$bench/$_[0]" or die "$_[0]: $!";
    local $/;
    return scalar <$file>;
}

my $printed = content_of('results/last_run.txt');
my @rows = map { [split /\t/, $_, -1] } split /\n/, content_of('results/last_run.tsv');
my ($section) = content_of('README.md') =~ /^<!-- last run -->\n(.*?)^<!-- \/last run -->$/ms;
ok(defined $section, 'the README has the section');

# The head names run, commit, machine and server.
my ($head) = $printed =~ /\A(.*?)\n\n/s;
like($head, qr/^$_ +\S/m, "the kept run names its $_") for qw(run commit machine storage server load);
like($head, qr/^run +(?:full|quick: small sizes, so these figures mean nothing); \d{4}-\d\d-\d\d$/m, 'and its size and date');
unlike($head, qr/^commit .*-dirty/m, 'the commit is one that exists');
is(($section =~ /\A```\n(.*?)\n```\n/s)[0], $head, 'the README shows this head');

# The table of the README, cell by cell.
my @shown = map { [split / \| /, s/^\| | \|$//gr, -1] } grep { /^\|/ && !/^\|---/ } split /\n/, $section;
is(scalar @shown, scalar @rows, 'the README has a row for each of the kept table');
is_deeply($shown[$_], $rows[$_], "row $_ of the README: " . join ' ', @{ $rows[$_] }[0, 1]) for 0 .. $#rows;

# The kept table has the figures that were printed below the name of the benchmark.
my (%printed, $name);
for my $line (split /\n/, $printed) {
    $name = $1 if $line =~ /^(\S+): /;
    push @{ $printed{$name} }, $line if defined $name;
}
for my $row (@rows[1 .. $#rows]) {
    my ($benchmark, $label, undef, $median, $lowest, $highest, $ratio) = @$row;
    my $line = join ' +', map { quotemeta } grep { length } $label, $median, $lowest, $highest, $ratio;
    ok((grep { /^ +$line(?: |$)/ } @{ $printed{$benchmark} // [] }), "$benchmark: $label was printed so");
}

done_testing();
