# The repository stands alone: no file cites a document outside, and links and paths name files that exist. The check sees each kind
# of violation, planted in a small tree. Needs no build.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../support";
use CitationCheck qw(text_files violations);
use PlantedTree qw(planted_tree);
use Test::More;

my $project = "$FindBin::Bin/../..";
my @files = text_files($project);
cmp_ok(scalar @files, '>', 300, @files . ' files');
my @found = violations($project, @files);
is(scalar @found, 0, 'nothing is cited that is not here') or diag map { "  $_\n" } @found;

my %good = (
    'README.md' => "# It\n\nSee [the map](src/README.md) and [the limits](#hard-limits), `src/a/b.cpp`, `src/*/b.cpp` and `src/{a,c}/b.cpp`.\n\n## Hard limits\n",
    'src/README.md' => "`a/b.cpp`; a new part is `once/V/NN_subject.sql`.\n",
    'src/a/b.cpp' => "// Acceptance check 2 and a/b.cpp.\nint x; // ../README.md\nconst char* y = \"no/comment.sql\";\n",
    'test/README.md' => "| check | test |\n|---|---|\n| 2. No stall | here |\n| 12. Stop | there |\n",
    'test/a.pl' => "# Acceptance checks 2 (the half of 7), 12 and the last part of 2.\n",
);

# The violations of a tree of the good files with some changed.
sub violations_with {
    my %files = (%good, @_);
    my $tree = planted_tree(%files);
    return violations("$tree", sort keys %files);
}

is_deeply([ violations_with() ], [], 'the example is good');

# Put together here, so that this file cites nothing.
my $planted_document = 'design' . '.md';
my $planted_issue = 'issue' . ' 7';
my @planted = (
    [ 'a document outside', qr/cites a document outside/, 'src/a/b.cpp' => "// See $planted_document.\n" ],
    [ 'a section of one', qr/cites a document outside/, 'src/a/b.cpp' => '// Design' . " section 3 says why.\n" ],
    [ 'an issue', qr/cites an issue/, 'test/a.pl' => "# Part of $planted_issue.\n" ],
    [ 'a folder of one machine', qr/a folder of one machine/, 'test/a.pl' => '# See ../' . "shared/notes.\n" ],
    [ 'a check without a row', qr/acceptance check 13 is not in/, 'test/a.pl' => '# Acceptance' . " checks 2, 12 and 13.\n" ],
    [ 'a dead link', qr/links to gone\.md/, 'README.md' => "[x](gone.md)\n" ],
    [ 'a dead heading', qr/no such heading/, 'README.md' => "# It\n[x](#gone)\n" ],
    [ 'a dead path in a README', qr/names a\/gone\.cpp/, 'src/README.md' => "`a/gone.cpp`\n" ],
    [ 'a dead wildcard', qr/names a\/\*_gone\.cpp/, 'src/README.md' => "`a/*_gone.cpp`\n" ],
    [ 'a dead path in a comment of C++', qr/names a\/gone\.hpp/, 'src/a/b.cpp' => "// a/gone.hpp has it.\n" ],
    [ 'a dead path in a comment of Perl', qr/names tap\/9_gone\.pl/, 'test/a.pl' => "# As tap/9_gone.pl does.\n" ],
    [ 'a dead path in a comment of SQL', qr/names b\/gone\.sql/, 'src/c.sql' => "-- b/gone.sql\n" ],
);
for (@planted) {
    my ($what, $expected, %changes) = @$_;
    my @seen = violations_with(%changes);
    ok(scalar(grep { $_ =~ $expected } @seen), "seen: $what") or diag map { "  $_\n" } @seen;
}

done_testing();
