package CitationCheck;

# Checks that the repository stands alone: what a text points to is in the repository.
#
# violations($root, @files) returns one sentence for each thing that is wrong in the given files of the folder $root:
#   - a text names a document, a section or an issue that only people outside the repository have;
#   - a text names an acceptance check by a number that the table in test/README.md does not have;
#   - a link in Markdown leads to no file, or to no heading;
#   - a path in a README or in a comment names no file. A path has a slash and ends in .md, .cpp, .hpp, .pl, .pm, .sql, .sh, .spec,
#     .out, .py or .js. Wildcards and {a,b} are expanded. It may begin at the root, in src, test or sql/extension, or in the folder of
#     the text or the folder above. A path with a placeholder in capitals (NN_subject.sql, once/V/*.sql) is for people and not checked.

use strict;
use warnings;
use File::Basename qw(dirname);
use Exporter 'import';

our @EXPORT_OK = qw(violations text_files);

my $EXTENSION = qr/md|cpp|hpp|pl|pm|sql|sh|spec|out|py|js/;
my $PATH = qr{(?<![\w./*@-])((?:[\w.*-]|\{[\w,.*-]+\})+(?:/(?:[\w.*-]|\{[\w,.*-]+\})+)+\.$EXTENSION)(?![\w/*-])};
my $PLACEHOLDER = qr{(?:^|[/_.-])(?:NN|V|R|X\.Y|KIND|FILE)(?:$|[/_.-])};

# Spelled so that this file does not name them.
my @OUTSIDE = (
    [ qr/\b(?:design|lessons|house-rules|measurements|versions|peers)[.]md\b/, 'a document outside the repository' ],
    [ qr/\bhouse[ ]rules\b/i,                                                  'a document outside the repository' ],
    [ qr/\bdesign,? section \d|section \d+ of the design\b/i,                  'a document outside the repository' ],
    [ qr/\bissues? #?\d/i,                                                     'an issue by its number' ],
    [ qr{(?:^|[\s`'"(])(?:/work|/tmp/h\d|\.\./shared)/}m,                      'a folder of one machine' ],
);

# The text files of a folder, by their names; binary files, seeds of the fuzzers and what others wrote are left out.
sub text_files {
    my ($root) = @_;
    my @names = split /\0/, qx{git -c safe.directory='*' -C '$root' ls-files -z 2>/dev/null};
    if (!@names) {
        my $pruned = q{\( -name .git -o -name build -o -name node_modules \) -prune};
        @names = map { s{^\./}{}r } grep { !/\.(?:o|so|bc|d)$/ } split /\0/, qx{cd '$root' && find . $pruned -o -type f -print0};
    }
    return grep { -f "$root/$_" && !-l "$root/$_" && -T _ } grep { !m{^test/fuzz/seeds/|package-lock\.json$} } @names;
}

sub violations {
    my ($root, @files) = @_;
    my %check_in_table = map { $_ => 1 } _content("$root/test/README.md") =~ /^\|\s*(\d+)\. /gm;
    my @found;
    for my $file (@files) {
        my $text = _content("$root/$file");
        push @found, map { "$file: $_" } _outside($text), _unknown_checks($text, \%check_in_table);
        push @found, map { "$file: $_" } _dead_links($root, $file, $text) if $file =~ /\.md$/;
        my $prose = $file =~ /\.md$|README/ ? $text : _comments($file, $text);
        push @found, map { "$file: names $_, which does not exist" } grep { !_exists($root, $file, $_) } _paths($prose);
    }
    return @found;
}

sub _content {
    my ($path) = @_;
    open my $in, '<:raw', $path or return '';
    local $/;
    return scalar(<$in>) // '';
}

sub _outside {
    my ($text) = @_;
    my @found;
    for (@OUTSIDE) {
        my ($pattern, $what) = @$_;
        push @found, "cites $what (" . $1 =~ s/^\s+|\s+$//gr . ')' while $text =~ /($pattern)/g;
    }
    return @found;
}

# "Acceptance check 8", "Acceptance checks 10, 13 and 14", "Acceptance checks 2 (...), 5 (...) and 14".
sub _unknown_checks {
    my ($text, $in_table) = @_;
    my @found;
    while ($text =~ /acceptance checks?((?:,? and the \w+ (?:half|part) of |,? and |[ ,]|\([^()]*\)|\s+(?:#|\/\/|--)\s|\d+\b)+)/gi) {
        my $list = $1 =~ s/\([^()]*\)//gr;
        push @found, map { "acceptance check $_ is not in test/README.md" } grep { !$in_table->{$_} } $list =~ /(\d+)/g;
    }
    return @found;
}

sub _dead_links {
    my ($root, $file, $text) = @_;
    my @found;
    my $prose = $text =~ s/^```.*?^```//gmsr;
    while ($prose =~ /\]\(([^()\s]+)\)/g) {
        my $link = $1;
        next if $link =~ /^[a-z]+:/;
        my ($path, $heading) = $link =~ /^([^#]*)(?:#(.*))?$/;
        my $target = $path eq '' ? "$root/$file" : "$root/" . dirname($file) . "/$path";
        if (!-e $target) { push @found, "links to $link, which does not exist" }
        elsif (defined $heading) {
            my %headings = map { lc(s/[^\w -]//gr) =~ tr/ /-/r => 1 } _content($target) =~ /^#+ (.+)$/gm;
            push @found, "links to $link, which has no such heading" if !$headings{$heading};
        }
    }
    return @found;
}

# Returns the text of the comments, a line each.
sub _comments {
    my ($file, $text) = @_;
    my $mark =
          $file =~ /\.(?:cpp|hpp|js)$/            ? qr{//}
        : $file =~ /\.sql$/                       ? qr{--(?=\s)}
        : $file =~ /\.(?:pl|pm|sh|py|spec)$|^dev\/|Makefile$|\/run$|\/assemble$/ ? qr{(?:^|(?<=\s))#(?=\s)}
        :                                           return '';
    return join "\n", map { /$mark(.*)/ ? $1 : () } split /\n/, $text;
}

sub _paths {
    my ($prose) = @_;
    my %seen;
    return grep { !/$PLACEHOLDER/ && !/^\.+$/ && !$seen{$_}++ } $prose =~ /$PATH/g;
}

sub _exists {
    my ($root, $file, $path) = @_;
    my $folder = dirname($file);
    for my $from ('.', 'src', 'test', 'sql/extension', $folder, dirname($folder)) {
        my $whole = "$root/$from/$path";
        return 1 if $path =~ /[*{]/ ? grep { -e } glob $whole =~ s/ /\\ /gr : -e $whole;
    }
    return 0;
}

1;
