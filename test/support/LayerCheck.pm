package LayerCheck;

# Checks that the sources keep to the layers that src/README.md promises.
#
# violations($src) returns one sentence for each thing that is wrong in the source folder $src; none when all is well:
#   - the table between <!-- layers --> and <!-- /layers --> names exactly the folders that exist, and no circle;
#   - each permission of the table is used by an include;
#   - no includes go round in a circle, where x.hpp and x.cpp are one unit;
#   - an #include of ours names a file from the root of src, in its own folder or one its row allows;
#     files of the row "(top)" are for (top) only, but error_codes.hpp is for everybody;
#   - server headers are included in postgres/pg.hpp only, and pg.hpp is the last include of its file;
#   - only postgres/server_versions.hpp asks for the server's version, and it may include what only some versions have;
#   - model knows neither postgres nor the server;
#   - a file includes what declares the names of the server that it uses, and only then (ServerNames.pm);
#   - what differs between versions of the server, or is wrapped in postgres, is called in postgres only (ServerNames.pm);
#   - no PG_TRY.

use strict;
use warnings;
use File::Find;
use Exporter 'import';
use ServerNames qw(name_violations);

our @EXPORT_OK = qw(violations);

my $DOOR = 'postgres/pg.hpp';
my $VERSIONS = 'postgres/server_versions.hpp';
my $FOR_EVERYBODY = 'error_codes.hpp';

# Headers of the server and of its client library, as far as a source may be tempted to include them directly.
my $SERVER_HEADER = qr{
    ^(?: (?:access|bootstrap|catalog|commands|common|datatype|executor|foreign|lib|libpq|mb|nodes|optimizer|parser|partitioning
           |port|postmaster|replication|rewrite|storage|tcop|tsearch|utils)/\w+\.h
       | (?:postgres\w*|fmgr|funcapi|miscadmin|pgstat|pg_config\w*|pgtime|getaddrinfo|windowapi|libpq-fe|c)\.h
       | postgresql/.*
    )$
}x;

sub violations {
    my ($src) = @_;
    my ($allowed, @found) = _read_table("$src/README.md");
    return @found unless $allowed;

    push @found, _check_folders($src, $allowed), _check_circles($allowed);
    push @found, _check_permissions_are_used($src, $allowed), _check_include_loops($src);
    for my $file (_sources($src)) {
        push @found, map { "$file: $_" } _check_file($src, $file, $allowed);
    }
    return @found;
}

# Folder -> { allowed folder => 1 }, or undef and what is wrong with the table.
sub _read_table {
    my ($path) = @_;
    open my $in, '<', $path or return (undef, "$path is missing");
    my ($inside, $seen, %allowed, @found);
    while (my $line = <$in>) {
        $inside = $seen = 1, next if $line =~ /<!-- layers -->/;
        $inside = 0 if $line =~ m{<!-- /layers -->};
        next unless $inside && $line =~ /^\|/;
        my (undef, $folder, $list) = map { s/`//gr =~ s/^\s+|\s+$//gr } split /\|/, $line;
        next if $folder eq 'folder' || $folder =~ /^[-: ]*$/;
        push @found, "the table names $folder twice" if $allowed{$folder};
        $allowed{$folder} = { map { $_ => 1 } split /\s*,\s*/, $list };
    }
    close $in;
    return (undef, "$path has no table of layers") unless $seen && %allowed;
    for my $folder (sort keys %allowed) {
        for my $other (sort keys %{ $allowed{$folder} }) {
            push @found, "the row of $folder allows $other, which has no row" unless $allowed{$other};
        }
    }
    return (\%allowed, @found);
}

sub _check_folders {
    my ($src, $allowed) = @_;
    my %exists = map { m{([^/]+)/$} ? ($1 => 1) : () } glob "$src/*/";
    return (
        (map { "the table names $_, which does not exist" } grep { $_ ne '(top)' && !$exists{$_} } sort keys %$allowed),
        (map { "the folder $_ has no row in the table" } grep { !$allowed->{$_} } sort keys %exists),
    );
}

sub _check_circles {
    my ($allowed) = @_;
    my (%state, @found);
    my $visit;
    $visit = sub {
        my ($folder) = @_;
        return if ($state{$folder} // '') eq 'done';
        if ($state{$folder}) {
            push @found, "the table goes round in a circle through $folder";
            return;
        }
        $state{$folder} = 'open';
        $visit->($_) for sort keys %{ $allowed->{$folder} // {} };
        $state{$folder} = 'done';
    };
    $visit->($_) for sort keys %$allowed;
    return @found;
}

sub _sources {
    my ($src) = @_;
    my @files;
    find({ no_chdir => 1, wanted => sub { push @files, substr($_, length($src) + 1) if -f && /\.(?:hpp|cpp|h|cc|c)$/ } }, $src);
    return sort @files;
}

sub _folder_of {
    my ($file) = @_;
    return $file =~ m{^([^/]+)/} ? $1 : '(top)';
}

# Returns the text of a source without its comments; undef if it cannot be read.
sub _code_of {
    my ($path) = @_;
    open my $in, '<', $path or return undef;
    my $text = do { local $/; <$in> };
    close $in;
    return $text =~ s{/\*.*?\*/}{}gsr =~ s{//[^\n]*}{}gr;
}

# Returns the files of src that a source includes.
sub _own_includes {
    my ($src, $file) = @_;
    return grep { -f "$src/$_" } (_code_of("$src/$file") // '') =~ /^\s*#\s*include\s*"([^"]+)"/gm;
}

sub _check_permissions_are_used {
    my ($src, $allowed) = @_;
    my %used;
    for my $file (_sources($src)) {
        $used{ _folder_of($file) }{ _folder_of($_) } = 1 for _own_includes($src, $file);
    }
    my @found;
    for my $folder (sort keys %$allowed) {
        push @found, map { "the row of $folder allows $_, which none of its files includes" }
            grep { !$used{$folder}{$_} } sort keys %{ $allowed->{$folder} };
    }
    return @found;
}

# A header and the source of the same name are one unit: the circle a.cpp -> b.hpp -> a.hpp compiles, but neither unit can be
# understood without the other.
sub _check_include_loops {
    my ($src) = @_;
    my %includes;
    for my $file (_sources($src)) {
        my $unit = _unit_of($file);
        $includes{$unit}{$_} = 1 for grep { $_ ne $unit } map { _unit_of($_) } _own_includes($src, $file);
    }
    my (%state, @path, @found);
    my $visit;
    $visit = sub {
        my ($unit) = @_;
        return if ($state{$unit} // '') eq 'done';
        push @path, $unit;
        if ($state{$unit}) {
            my ($start) = grep { $path[$_] eq $unit } 0 .. $#path;
            push @found, 'includes go round in a circle: ' . join(' -> ', @path[$start .. $#path]);
        } else {
            $state{$unit} = 'open';
            $visit->($_) for sort keys %{ $includes{$unit} // {} };
            $state{$unit} = 'done';
        }
        pop @path;
    };
    $visit->($_) for sort keys %includes;
    return @found;
}

sub _unit_of {
    my ($file) = @_;
    return $file =~ s/\.\w+$//r;
}

sub _check_file {
    my ($src, $file, $allowed) = @_;
    my $text = _code_of("$src/$file") // return ('cannot be read');

    my @found;
    push @found, "uses $1, which an exception would leave behind dangling" if $text =~ /\b(PG_(?:TRY|CATCH|FINALLY))\b/;
    push @found, "asks for the server's version; that is for $VERSIONS" if $file ne $VERSIONS && $text =~ /\bPG_VERSION_NUM\b/;
    return @found if $file eq $DOOR;

    my $folder = _folder_of($file);
    my @includes = $text =~ /^\s*#\s*include\s*([<"][^>"]+)[>"]/gm;
    for my $include (@includes) {
        my ($kind, $name) = $include =~ /^(.)(.*)$/;
        if ($name =~ $SERVER_HEADER) {
            next if $file eq $VERSIONS;
            push @found, "includes the server header $name; that is for $DOOR";
        } elsif ($kind eq '"') {
            push @found, _check_include($src, $folder, $name, $allowed);
        }
    }
    push @found, "$DOOR is not its last include"
        if $file ne $VERSIONS && grep({ $_ eq "\"$DOOR" } @includes) && $includes[-1] ne "\"$DOOR";
    return (@found, name_violations($file, $text));
}

sub _check_include {
    my ($src, $folder, $name, $allowed) = @_;
    return "includes $name, which is not a file of src" unless -f "$src/$name";
    return () if $name eq $FOR_EVERYBODY;
    my $other = _folder_of($name);
    return () if $other eq $folder;
    return "includes $name, but model must not know the server" if $folder eq 'model' && $other eq 'postgres';
    return "includes $name, but $folder may not include $other" unless $allowed->{$folder} && $allowed->{$folder}{$other};
    return ();
}

1;
