# The sources keep to the layers of src/README.md. The check sees each kind of violation that the test plants in a copy.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../support";
use File::Find;
use LayerCheck qw(violations);
use PlantedTree qw(planted_tree);
use Test::More;

my @found = violations("$FindBin::Bin/../../src");
is(scalar @found, 0, 'src keeps to its layers') or diag map { "  $_\n" } @found;

# The test extensions include the header that tells the server's versions apart; they do not do it themselves.
my @curious;
find(sub { push @curious, $File::Find::name if /\.[ch](pp)?$/ && !/^\._/ && content($_) =~ /\bPG_VERSION_NUM\b/ }, map { "$FindBin::Bin/../../$_" } qw(test examples));
is("@curious", '', 'only src/postgres/server_versions.hpp asks for the version of the server');

sub content {
    my ($file) = @_;
    open my $in, '<', $file or die "$file: $!";
    local $/;
    return scalar <$in>;
}

my $table = <<'TABLE';
<!-- layers -->
| folder | may include | what it is |
|---|---|---|
| postgres | | gates |
| model | | pure C++ |
| event_log | model, postgres | append |
| ingest | event_log | commands |
| (top) | ingest, postgres | the library's entry |
<!-- /layers -->
TABLE

my %good = (
    'README.md' => "# The source tree\n\n$table",
    'error_codes.hpp' => "#pragma once\n",
    'entry.cpp' => qq{#include "ingest/command.hpp"\n#include "postgres/pg.hpp"\nPG_MODULE_MAGIC;\n},
    'postgres/pg.hpp' => qq{extern "C" {\n#include "postgres.h"\n#include "access/xact.h"\n}\n},
    'postgres/server_versions.hpp' => qq{#include "postgres/pg.hpp"\nextern "C" {\n#if PG_VERSION_NUM >= 160000\n#include "utils/memutils_internal.h"\n#endif\n}\n},
    'postgres/error.hpp' => qq{#include <string>\n\n#include "postgres/pg.hpp"\n// PG_TRY is not used here.\nint f() { return ERRCODE_INTERNAL_ERROR; }\n},
    'postgres/types.hpp' => "using Oid = unsigned int;\n",
    'postgres/index_scan.cpp' => qq{#include "postgres/pg.hpp"\nauto scan = index_beginscan();\n},
    'model/reading.hpp' => qq{#include <string>\n#include "error_codes.hpp"\n},
    'event_log/append.cpp' => qq{#include "model/reading.hpp"\n#include "postgres/error.hpp"\n#include "postgres/pg.hpp"\nstruct A { Size size; };\n},
    'event_log/batch.hpp' => qq{#include "model/reading.hpp"\n#include "postgres/types.hpp"\nOid f();\nmodel::Snapshot text();\n},
    'ingest/command.hpp' => qq{#include "event_log/append.hpp"\n},
    'event_log/append.hpp' => qq{#include "model/reading.hpp"\n},
);

# Returns the violations of a tree of the good files, of which some are changed; undef removes a file.
sub violations_with {
    my %files = (%good, @_);
    my $tree = planted_tree(%files);
    return violations("$tree");
}

is_deeply([ violations_with() ], [], 'the example is good');

my @planted = (
    [ 'an include upwards', qr/append\.hpp: includes ingest\/command\.hpp, but event_log may not include ingest/,
        'event_log/append.hpp' => qq{#include "ingest/command.hpp"\n} ],
    [ 'a file of (top) from below', qr/may not include \(top\)/,
        'settings.hpp' => '', 'ingest/command.hpp' => qq{#include "settings.hpp"\n} ],
    [ 'an include that is not from the root of src', qr/includes command\.hpp, which is not a file of src/,
        'ingest/command.cpp' => qq{#include "command.hpp"\n} ],
    [ 'a server header in quotes', qr/includes the server header utils\/array\.h/,
        'ingest/command.cpp' => qq{#include "utils/array.h"\n} ],
    [ 'a server header in angle brackets', qr/includes the server header postgres\.h/,
        'model/reading.cpp' => qq{#include <postgres.h>\n} ],
    [ 'pg.hpp before another include', qr/pg\.hpp is not its last include/,
        'event_log/append.cpp' => qq{#include "postgres/pg.hpp"\n#include <string>\n} ],
    [ 'model including postgres', qr/model must not know the server/,
        'model/reading.cpp' => qq{#include "postgres/error.hpp"\n} ],
    [ 'model including postgres although the table allows it', qr/model must not know the server/,
        'README.md' => $table =~ s/\| model \| \|/| model | postgres |/r,
        'model/reading.cpp' => qq{#include "postgres/error.hpp"\n} ],
    [ 'a question for the version of the server', qr/asks for the server's version/,
        'ingest/command.cpp' => "#if PG_VERSION_NUM >= 170000\n#endif\n" ],
    [ 'PG_TRY', qr/uses PG_TRY/, 'ingest/command.cpp' => "void f() { PG_TRY(); }\n" ],
    [ 'a folder without a row', qr/the folder relay has no row/, 'relay/step.hpp' => '' ],
    [ 'a row without a folder', qr/the table names relay, which does not exist/,
        'README.md' => $table =~ s/\| \(top\)/| relay | | |\n| (top)/r ],
    [ 'a row that allows an unknown folder', qr/allows utils, which has no row/,
        'README.md' => $table =~ s/\| model, postgres/| model, postgres, utils/r ],
    [ 'a circle', qr/circle/, 'README.md' => $table =~ s/\| postgres \| \|/| postgres | ingest |/r ],
    [ 'a permission that nobody uses', qr/the row of ingest allows postgres, which none of its files includes/,
        'README.md' => $table =~ s/\| event_log \|(?= commands)/| event_log, postgres |/r ],
    [ 'a permission that only a comment uses', qr/the row of ingest allows event_log, which none of its files includes/,
        'ingest/command.hpp' => qq{// #include "event_log/append.hpp"\n} ],
    [ 'two headers that include each other', qr{circle: ingest/command -> ingest/door -> ingest/command$},
        'ingest/command.hpp' => qq{#include "event_log/append.hpp"\n#include "ingest/door.hpp"\n},
        'ingest/door.hpp' => qq{#include "ingest/command.hpp"\n} ],
    [ 'a source that includes a header above its own', qr{circle: event_log/append -> event_log/segment_appender -> event_log/append$},
        'event_log/append.cpp' => qq{#include "event_log/append.hpp"\n#include "event_log/segment_appender.hpp"\n},
        'event_log/segment_appender.hpp' => qq{#include "event_log/append.hpp"\n} ],
    [ 'a circle of three', qr{circle: model/reading -> model/metric -> model/event -> model/reading$},
        'model/event.hpp' => qq{#include "model/reading.hpp"\n},
        'model/reading.cpp' => qq{#include "model/metric.hpp"\n},
        'model/metric.hpp' => qq{#include "model/event.hpp"\n} ],
    [ 'pg.hpp for nothing', qr/command\.cpp: includes postgres\/pg\.hpp, but uses nothing of the server/,
        'ingest/command.cpp' => qq{#include "postgres/pg.hpp"\n// A Relation.\nconst char* kText = "Relation";\n} ],
    [ 'pg.hpp for a type that is only passed on', qr/uses only what postgres\/types\.hpp declares/,
        'ingest/command.cpp' => qq{#include "postgres/pg.hpp"\nOid f(Relation, text* name);\n} ],
    [ 'types.hpp for nothing', qr/includes postgres\/types\.hpp, but uses nothing that it declares/,
        'event_log/batch.hpp' => qq{#include "postgres/types.hpp"\nmodel::Snapshot f(std::string text);\n} ],
    [ 'a name of the server without pg.hpp', qr/uses palloc of the server, but does not include postgres\/pg\.hpp/,
        'event_log/batch.hpp' => qq{#include "postgres/error.hpp"\nvoid* f() { return palloc(1); }\n} ],
    [ 'a type of the server without types.hpp', qr/uses Snapshot of the server, but includes neither/,
        'event_log/batch.hpp' => qq{#include "postgres/error.hpp"\nvoid f(::Snapshot);\n} ],
    [ 'what differs between versions', qr/append\.cpp: uses lxid, which differs between versions/,
        'event_log/append.cpp' => qq{#include "postgres/pg.hpp"\nauto f() { return MyProc->lxid; }\n} ],
    [ 'what src/postgres wraps', qr/uses SPI_connect, which src\/postgres wraps/,
        'event_log/append.cpp' => qq{#include "postgres/pg.hpp"\nvoid f() { SPI_connect(); }\n} ],
    [ 'no table', qr/has no table of layers/, 'README.md' => "# The source tree\n" ],
    [ 'no README', qr/is missing/, 'README.md' => undef ],
);

for (@planted) {
    my ($what, $expected, %changes) = @$_;
    my @seen = violations_with(%changes);
    ok(scalar(grep { $_ =~ $expected } @seen), "seen: $what") or diag map { "  $_\n" } @seen;
}

done_testing();
