package DockerfileSteps;

# Reads a Dockerfile and its context, as far as docker/Dockerfile uses them.
#
# stages($path) returns the stages in their order. Each is { name, from, steps => [[INSTRUCTION, flags, rest], ...] }. Lines that end
# in a backslash are joined, and comments are left out. `flags` maps the names of --name=value to their values.
# context($root) returns the paths of the files that .dockerignore lets through. A pattern is about a path or a folder above it, `**` is
# any number of folders, and the last pattern that matches decides; with ! it lets the path through.

use strict;
use warnings;
use Exporter 'import';
use File::Find;

our @EXPORT_OK = qw(stages context);

sub stages {
    my ($path) = @_;
    my @stages;
    for (_instructions($path)) {
        my ($instruction, $rest) = /^(\w+)\s+(.*)$/s or die "$path: no instruction: $_";
        my %flags;
        $flags{$1} = $2 while $rest =~ s/^--([\w-]+)=(\S+)\s+//;
        if ($instruction eq 'FROM') {
            my ($from, $name) = $rest =~ /^(\S+)(?:\s+AS\s+(\S+))?$/i or die "$path: FROM $rest";
            push @stages, { from => $from, name => $name // scalar @stages, steps => [] };
        }
        else { push @{ $stages[-1]{steps} }, [ $instruction, \%flags, $rest ] }
    }
    return @stages;
}

sub _instructions {
    my ($path) = @_;
    open my $in, '<', $path or die "$path: $!";
    my @lines = grep { !/^\s*#/ && /\S/ } <$in>;
    chomp @lines;
    my @instructions = ('');
    for my $line (@lines) {
        my $goes_on = $line =~ s/\\$//;
        $instructions[-1] .= $line;
        push @instructions, '' if !$goes_on;
    }
    return grep { $_ ne '' } @instructions;
}

sub context {
    my ($root) = @_;
    open my $in, '<', "$root/.dockerignore" or die "$root/.dockerignore: $!";
    my @patterns;
    while (my $line = <$in>) {
        next if $line =~ /^\s*(?:#|$)/;
        my ($is_let_through, $pattern) = $line =~ /^(!?)(\S+)\s*$/ or die "$root/.dockerignore: $line";
        my $regexp = join '', map { $_ eq '**/' ? '(?:.*/)?' : $_ eq '**' ? '.*' : $_ eq '*' ? '[^/]*' : quotemeta } split m{(\*\*/|\*\*|\*)}, $pattern;
        push @patterns, [ qr{^$regexp(?:/|$)}, $is_let_through ne '' ];
    }
    my @files;
    find(
        {
            no_chdir => 1,
            wanted   => sub {
                my $path = $File::Find::name =~ s{^\Q$root\E/?}{}r;
                if (-d) { $File::Find::prune = 1 if $path =~ m{^(?:\.git|build)$}; return }
                my $is_in = 1;
                for (@patterns) { $is_in = $_->[1] if $path =~ $_->[0] }
                push @files, $path if $is_in;
            }
        },
        $root
    );
    return sort @files;
}

1;
