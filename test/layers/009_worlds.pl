# Files that are written wholly in P keep to it, and are called inside guards; and the check sees each kind of violation.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../support";
use PlantedTree qw(planted_tree);
use Test::More;
use WorldCheck qw(wholly_in_p world_violations);

my $src = "$FindBin::Bin/../../src";
my @found = world_violations($src);
is(scalar @found, 0, 'src keeps its two worlds apart') or diag map { "  $_\n" } @found;

my @files = wholly_in_p($src);
ok(scalar(grep { $_ eq 'event_log/segment_appender.cpp' } @files), 'the list of files in P has the segment');
is(scalar(grep { m{^model/} } @files), 0, 'and nothing of the model, which the server does not enter');

my $says = "This file is written wholly in P.";
my %good = (
    'event_log/scan.hpp' => "// Scans. $says\n#pragma once\nstruct Scan { int size() const; };\nvoid open_scan(Scan& scan);\n",
    'event_log/scan.cpp' => "// Scanning; a text that is long enough to be wrapped somewhere. This file is\n// written wholly in P.\n"
      . "#include \"event_log/scan.hpp\"\n\nvoid open_scan(Scan& scan) {\n    // Nobody may throw here.\n    elog(ERROR, \"try again\");\n}\n",
    'event_log/reader.cpp' => "// Reading.\n#include \"event_log/scan.hpp\"\n\nnamespace {\n\n// P. Opens twice.\nvoid open_both(Scan& scan) {\n"
      . "    open_scan(scan);\n}\n\n}  // namespace\n\nvoid read() {\n    std::string text;\n    postgres::guarded([&] { open_scan(scan); });\n}\n",
    'query/look.cpp' => "// Looking.\n#include \"event_log/scan.hpp\"\n\nvoid open_scan();\n\nvoid look() {\n    open_scan();\n"
      . "    postgres::guarded([size = f(1)] {\n        event_log::open_scan(scan);\n    });\n}\n",
    'query/look.hpp' => "// Looking at things.\n#pragma once\n",
);

# The violations of a tree of the good files with some changed.
sub violations_with {
    my %files = (%good, @_);
    my $tree = planted_tree(%files);
    return world_violations("$tree");
}

is_deeply([ violations_with() ], [], 'the example is good');

my $scan = $good{'event_log/scan.cpp'};
my $body = sub { ('event_log/scan.cpp' => $scan =~ s/\}\n\z/    $_[0]\n}\n/r) };
my @planted = (
    [ 'an exception', qr/scan\.cpp: uses throw/, $body->('throw 1;') ],
    [ 'a handler', qr/scan\.cpp: uses try/, $body->('try { } catch (...) { }') ],
    [ 'a string', qr/scan\.cpp: uses std::string/, $body->('std::string text = "x";') ],
    [ 'a container', qr/scan\.cpp: uses std::vector/, $body->('std::vector<int> numbers;') ],
    [ 'a pointer that owns', qr/scan\.cpp: uses std::unique_ptr/, $body->('std::unique_ptr<int> one;') ],
    [ 'memory of C++', qr/scan\.cpp: uses new/, $body->('auto* scan = new Scan;') ],
    [ 'a gate', qr/scan\.cpp: uses guarded/, $body->('postgres::guarded([] { f(); });') ],
    [ 'an error of ours', qr/scan\.cpp: uses postgres::Error/, $body->('postgres::Error error;') ],
    [ 'a source that does not say what its header says', qr/scan\.cpp: does not say '\Q$says\E', but event_log\/scan\.hpp does/,
        'event_log/scan.cpp' => $scan =~ s/ This file.*?in P\.//sr ],
    [ 'a header that does not say what its source says', qr/scan\.cpp: says '\Q$says\E', but event_log\/scan\.hpp does not/,
        'event_log/scan.hpp' => $good{'event_log/scan.hpp'} =~ s/ This file[^\n]*//r ],
    [ 'other words', qr/look\.cpp: says 'wholly in P'/, 'query/look.cpp' => "// Looking. Written wholly in P.\n" ],
    [ 'words that grep would not find', qr/scan\.cpp: breaks '\Q$says\E'/, 'event_log/scan.cpp' => $scan =~ s/written wholly in P/written wholly in\n\/\/ P/r ],
    [ 'fewer words', qr/look\.cpp: says 'Wholly P'/, 'query/look.cpp' => "// Looking. Wholly P.\n" ],
    [ 'the words at another place', qr/look\.cpp: says 'wholly in P'/, 'query/look.cpp' => "// Looking.\nint one;\n// $says\n" ],
    [ 'a call outside of a guard', qr/reader\.cpp: line 15 calls open_scan\(\) of event_log\/scan\.hpp neither in a guard/,
        'event_log/reader.cpp' => $good{'event_log/reader.cpp'} =~ s/postgres::guarded\(\[&\] \{ (.*?) \}\);/$1/r ],
    [ 'a call after a guard', qr/look\.cpp: line 9 calls open_scan\(\)/,
        'query/look.cpp' => "// Looking.\n#include \"event_log/scan.hpp\"\n\n\n\n\n\nvoid look() {\n    f(postgres::guarded([] { g(); }), event_log::open_scan(scan));\n}\n" ],
    [ 'a call in a function that is not marked', qr/reader\.cpp: line 8 calls open_scan\(\)/,
        'event_log/reader.cpp' => $good{'event_log/reader.cpp'} =~ s/ P\. Opens/ Opens/r ],
);

for (@planted) {
    my ($what, $expected, %changes) = @$_;
    my @seen = violations_with(%changes);
    ok(scalar(grep { $_ =~ $expected } @seen), "seen: $what") or diag map { "  $_\n" } @seen;
}
is_deeply(
    [ violations_with(
            'event_log/reader.cpp' => $good{'event_log/reader.cpp'} =~ s/ P\. Opens/ Opens/r,
            'event_log/reader.hpp' => "// Reading.\n\n// P. Opens.\nvoid open_both(Scan& scan);\n") ],
    [], 'a mark in the header counts as well');
is_deeply(
    [ violations_with(
            'event_log/scan.hpp' => $good{'event_log/scan.hpp'} . "int size_of(const Scan& scan) noexcept;\n",
            'query/look.hpp' => "#include \"event_log/scan.hpp\"\nint look(Scan scan) {\n    return event_log::size_of(scan);\n}\n") ],
    [], 'a function that is noexcept may be called everywhere');

done_testing();
