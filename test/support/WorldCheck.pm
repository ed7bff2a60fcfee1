package WorldCheck;

# Checks the sources that are written wholly in P: code in which the server may raise an error by longjmp (src/README.md).
#
# Such a file says so in its first comment, in these words: "This file is written wholly in P." wholly_in_p($src) lists the
# files that do. world_violations($src) returns one sentence for each thing that is wrong in the source folder $src:
#   - a header and its source say it both, or neither, and none says it in other words or elsewhere; the words from
#     "written" on are in one line, where git grep finds them;
#   - such a file has no C++ exception, no gate, and nothing that owns memory of its own: a longjmp would pass by destructors;
#   - other files call its functions in a call of guarded(...), or in a function whose comment, here or in the header, says P.
# A call by way of a pointer, a macro or a template is not seen.

use strict;
use warnings;
use File::Find;
use Exporter 'import';

our @EXPORT_OK = qw(wholly_in_p world_violations);

my $SENTENCE = 'This file is written wholly in P.';
my $OTHER_WORDS = qr/\bwholly\s+(?:in\s+)?P\b/i;

# These words need a destructor, or enter the other world.
my $FORBIDDEN = qr{
    \b(?: throw | try | catch | new | delete | guarded | TELEMETRY_FUNCTION )\b
    | \bstd::(?: (?:basic_|w|u8|u16|u32)?string | [io]?stringstream | vector | deque | list | map | multimap | set | multiset | unordered_\w+
        | function | any | variant | (?:unique|shared|weak)_ptr | exception\w* | thread | mutex | lock_guard | pmr )\b
    | \b(?: postgres:: )?(?: PgError | Error | AsOwner | ScopedMemory | entry_point )\b
}x;

# Opening one of these begins a guarded block.
my $GUARD = qr/\b(?:guarded|guarded_store)\s*\(\z/;

sub wholly_in_p {
    my ($src) = @_;
    my %files = _read_sources($src);
    return grep { $files{$_}{in_p} } sort keys %files;
}

sub world_violations {
    my ($src) = @_;
    my %files = _read_sources($src);
    my @found;
    for my $path (sort keys %files) {
        my $file = $files{$path};
        push @found, map { "$path: $_" } _check_words($path, \%files);
        push @found, map { "$path: uses $_, which has no place in P" } _unique($file->{code} =~ /($FORBIDDEN)/g) if $file->{in_p};
        push @found, map { "$path: $_" } _check_calls($path, \%files) unless $file->{in_p};
    }
    return @found;
}

# Path -> { text, code, in_p }; code has blanks for comments and literals, at the same positions.
sub _read_sources {
    my ($src) = @_;
    my %files;
    my $read = sub {
        return unless -f && /\.[ch]pp$/;
        open my $in, '<', $_ or die "$_: $!";
        my $text = do { local $/; <$in> };
        close $in;
        $files{ substr($_, length($src) + 1) } =
            { text => $text, code => _code_of($text), in_p => index(_words(_first_comment($text)), $SENTENCE) >= 0 };
    };
    find({ no_chdir => 1, wanted => $read }, $src);
    return %files;
}

sub _code_of {
    my ($text) = @_;
    my $blank = sub { $_[0] =~ s/[^\n]/ /gr };
    $text =~ s{(//[^\n]*|/\*.*?\*/|(?<![\w'])'(?:\\.|[^'\\\n])+'|R"\(.*?\)"|"(?:\\.|[^"\\\n])*")}
              {my $piece = $1; $piece =~ m{^["'R]} ? $blank->($piece) =~ s/^ (.*) $/"$1"/sr : $blank->($piece)}gse;
    return $text;
}

sub _first_comment {
    my ($text) = @_;
    return $text =~ m{\A((?://[^\n]*\n)+)} ? $1 : '';
}

# Returns the words of comment lines, in one line.
sub _words {
    my ($comment) = @_;
    return join(' ', map { s{^\s*//}{}r } split /\n/, $comment) =~ s/\s+/ /gr;
}

sub _unique {
    my %seen;
    return grep { !$seen{$_}++ } @_;
}

sub _check_words {
    my ($path, $files) = @_;
    my $file = $files->{$path};
    my @found;
    my $others = _words(join "\n", $file->{text} =~ m{//([^\n]*)}g);
    $others =~ s/\Q$SENTENCE\E// if $file->{in_p};
    push @found, "breaks '$SENTENCE' where nobody would find it by the words"
        if $file->{in_p} && _first_comment($file->{text}) !~ /\bwritten wholly in P\./;
    push @found, "says '$1', but not '$SENTENCE' in its first comment" if $others =~ /($OTHER_WORDS)/;
    my $twin = $path =~ s/\.cpp$/.hpp/r;
    if ($twin ne $path && $files->{$twin} && !!$files->{$twin}{in_p} != !!$file->{in_p}) {
        push @found, $file->{in_p} ? "says '$SENTENCE', but $twin does not" : "does not say '$SENTENCE', but $twin does";
    }
    return @found;
}

# Returns the functions that a header declares, outside of classes. One that is noexcept raises nothing.
sub _functions_of {
    my ($header) = @_;
    return _unique(grep { !/^(?:if|for|while|switch|return|sizeof|static_assert|alignas|decltype)$/ }
            $header->{code} =~ /^(?:\[\[\w+\]\] )?(?:inline |constexpr |extern )*[A-Za-z_][\w:<>, ]*[ *&]+(\w+)\((?![^;{]*\bnoexcept\b)/gm);
}

sub _check_calls {
    my ($path, $files) = @_;
    my $file = $files->{$path};
    my @found;
    for my $header (grep { $files->{$_} && $files->{$_}{in_p} } $file->{text} =~ /^\s*#\s*include\s*"([^"]+)"/gm) {
        my ($space) = $header =~ m{^([^/]+)/};
        for my $function (_functions_of($files->{$header})) {
            while ($file->{code} =~ /(?<![\w.>])(?:(\w+)::)?\Q$function\E\s*\(/g) {
                my $at = $-[0];
                next if defined $1 ? $1 ne $space : $path !~ m{^\Q$space\E/};
                next if _is_guarded($file, $at) || _is_marked($path, $files, $at);
                my $line = 1 + (substr($file->{code}, 0, $at) =~ tr/\n//);
                push @found, "line $line calls $function() of $header neither in a guard nor in a function that is marked P";
            }
        }
    }
    return @found;
}

# Is the position between the parentheses of a guard?
sub _is_guarded {
    my ($file, $at) = @_;
    my $depth = 0;
    for (my $i = $at - 1; $i >= 0; --$i) {
        my $c = substr($file->{code}, $i, 1);
        ++$depth if $c eq ')';
        next if $c ne '(';
        if ($depth > 0) { --$depth; next }
        return 1 if substr($file->{code}, 0, $i + 1) =~ $GUARD;
    }
    return 0;
}

# Does a comment say that the function around the position is P? A function begins after the last line that is only "}".
sub _is_marked {
    my ($path, $files, $at) = @_;
    my $start = rindex(substr($files->{$path}{code}, 0, $at), "\n}");
    $start = $start < 0 ? 0 : index($files->{$path}{code}, "\n", $start + 1);
    my $before = substr($files->{$path}{text}, $start, $at - $start);
    return 1 if $before =~ m{^[ ]*//[^\n]*\bP\b}m;
    my $header = $files->{ $path =~ s/\.cpp$/.hpp/r } or return 0;
    my ($name) = _code_of($before) =~ /^[A-Za-z_][^\n;{}]*?\b(\w+)\(/m or return 0;
    return $header->{text} =~ m{((?:^[ ]*//[^\n]*\n)+)[^\n/]*\b\Q$name\E\(}m && $1 =~ /\bP\b/;
}

1;
