# The figures in test/bench/README.md are those of the benchmark runs that are kept in test/bench/results/. Needs no build.
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

my ($section) = content_of('README.md') =~ /^<!-- last runs -->\n(.*?)^<!-- \/last runs -->$/ms;
ok(defined $section, 'the README has the section');
my ($names, @kept) = map { [split /\t/, $_, -1] } split /\n/, content_of('results/figures.tsv');
is_deeply($names, [qw(benchmark title line unit median lowest highest ratio further run)], 'the kept figures name their columns');

# The head of a run names the run, the commit, the machine and the server.
my (%heads, %printed);
my @runs = do { my %seen; grep { !$seen{$_}++ } map { $_->[9] } @kept };
is(join(' ', sort map { m{([^/]+)\.txt$} } glob "$bench/results/*.txt"), join(' ', sort @runs), 'each text belongs to a run that has figures');
for my $run (@runs) {
    my $text = content_of("results/$run.txt");
    ($heads{$run}) = $text =~ /\A(.*?)\n\n/s;
    like($heads{$run}, qr/^$_ +\S/m, "run $run names its $_") for qw(run commit machine storage server load);
    like($heads{$run}, qr/^run +(?:full|quick: small sizes, so these figures mean nothing); [1-9]\d* rounds; \d{4}-\d\d-\d\d$/m, 'and its size and date');
    unlike($heads{$run}, qr/^commit .*-dirty/m, 'the commit is one that exists');
    my $heading;
    for my $line (split /\n/, $text) {
        $heading = $line if $line =~ /^\S+: /;
        push @{ $printed{$run}{$heading} }, $line if defined $heading;
    }
}

# The tables of the README, cell by cell: each kept line below the head of its run and the benchmark's name, title and unit.
my (@shown, @table, $head);
for my $block (split /^```\n(.*?)\n```\n/ms, $section) {
    if ($block =~ /^run +/) { $head = $block; next }
    for my $line (split /\n/, $block) {
        if    ($line =~ /^\*\*(\S+)\*\*: (.*)$/)                               { @table = ($1, $2) }
        elsif ($line =~ /^\| \| (\S.*?) \| lowest \| highest \| ratio \| further \|$/) { $table[2] = $1 }
        elsif ($line =~ /^\| (.*) \|$/) {
            my ($label, @figures) = split / \| /, $1, -1;
            push @shown, [@table[0, 1], $label, $table[2], @figures, $head];
        }
    }
}
is(scalar @shown, scalar @kept, 'the README has a row for each kept line');
for my $i (0 .. $#kept) {
    my @expected = (@{ $kept[$i] }[0 .. 8], $heads{ $kept[$i][9] });
    is_deeply($shown[$i], \@expected, 'the README shows ' . join ', ', @expected[0 .. 2]);
}

# The kept figures were printed below the heading of the benchmark.
for my $row (@kept) {
    my ($benchmark, $title, $label, undef, @figures) = @$row;
    my $line = join ' +', map { quotemeta } grep { length } $label, @figures[0 .. 3];
    ok((grep { /^ +$line(?: |$)/ } @{ $printed{ $row->[9] }{"$benchmark: $title"} // [] }), "$benchmark, $title: $label was printed so");
}

done_testing();
