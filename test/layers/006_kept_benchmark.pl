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

my ($section) = content_of('README.md') =~ /^<!-- last run -->\n(.*?)^<!-- \/last run -->$/ms;
ok(defined $section, 'the README has the section');
if (!-e "$bench/results/last_run.txt") {
    is($section, '', 'no run is kept, and the README shows none');
    done_testing();
    exit;
}
my $printed = content_of('results/last_run.txt');
my @rows = map { [split /\t/, $_, -1] } split /\n/, content_of('results/last_run.tsv');

# The head names run, commit, machine and server.
my ($head) = $printed =~ /\A(.*?)\n\n/s;
like($head, qr/^$_ +\S/m, "the kept run names its $_") for qw(run commit machine storage server load);
like($head, qr/^run +(?:full|quick: small sizes, so these figures mean nothing); [1-9]\d* rounds; \d{4}-\d\d-\d\d$/m, 'and its size and date');
unlike($head, qr/^commit .*-dirty/m, 'the commit is one that exists');
is(($section =~ /\A```\n(.*?)\n```\n/s)[0], $head, 'the README shows this head');

# The tables of the README, cell by cell: each line of the kept table below the benchmark's name, title and unit.
my (@shown, @table);
for my $line (split /\n/, $section) {
    if    ($line =~ /^\*\*(\S+)\*\*: (.*)$/)                               { @table = ($1, $2) }
    elsif ($line =~ /^\| \| (\S.*?) \| lowest \| highest \| ratio \| further \|$/) { $table[2] = $1 }
    elsif ($line =~ /^\| (.*) \|$/) {
        my ($label, @figures) = split / \| /, $1, -1;
        push @shown, [@table[0, 1], $label, $table[2], @figures];
    }
}
my ($names, @kept) = @rows;
is_deeply($names, [qw(benchmark title line unit median lowest highest ratio further)], 'the kept table names its columns');
is(scalar @shown, scalar @kept, 'the README has a row for each of the kept table');
is_deeply($shown[$_], $kept[$_], 'the README shows ' . join ', ', @{ $kept[$_] }[0 .. 2]) for 0 .. $#kept;

# The kept table has the figures that were printed below the heading of the benchmark.
my (%printed, $heading);
for my $line (split /\n/, $printed) {
    $heading = $line if $line =~ /^\S+: /;
    push @{ $printed{$heading} }, $line if defined $heading;
}
for my $row (@kept) {
    my ($benchmark, $title, $label, undef, @figures) = @$row;
    my $line = join ' +', map { quotemeta } grep { length } $label, @figures[0 .. 3];
    ok((grep { /^ +$line(?: |$)/ } @{ $printed{"$benchmark: $title"} // [] }), "$benchmark, $title: $label was printed so");
}

done_testing();
