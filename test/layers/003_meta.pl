# META.json keeps to the PGXN Meta Spec 1.0.0 and says what the control file says. Needs no build.
use strict;
use warnings;
use FindBin;
use JSON::PP;
use Test::More;

my $project = "$FindBin::Bin/../..";

sub content_of {
    open my $file, '<:raw', "$project/$_[0]" or die "$_[0]: $!";
    local $/;
    return scalar <$file>;
}

# The specification in our words: each field has a flag whether it must be there, and a check that returns what is wrong with a value.

my $term = qr/^[^\s\/\\[:cntrl:]]{2,}$/;
# A version as of semver 1.0.0-beta has three numbers without leading zeros, and perhaps a word at the end.
my $number  = qr/(?:0|[1-9][0-9]*)/;
my $version = qr/^$number\.$number\.$number(?:[A-Za-z][0-9A-Za-z-]*)?$/;
my $range   = qr/^\s*(?:(?:[<>]=?|[!=]=)\s*)?(?:0|$number\.$number\.$number\S*)(?:\s*,\s*(?:[<>]=?|[!=]=)?\s*$number\.$number\.$number\S*)*\s*$/;
my $url     = qr{^[a-z][a-z0-9+.-]*://\S+$}i;
my %known_licence = map { $_ => 1 } qw(
    agpl_3 apache_1_1 apache_2_0 artistic_1 artistic_2 bsd freebsd gfdl_1_2 gfdl_1_3 gpl_1 gpl_2 gpl_3 lgpl_2_1 lgpl_3_0 mit
    mozilla_1_0 mozilla_1_1 openssl perl_5 postgresql qpl_1_0 ssleay sun zlib open_source restricted unrestricted unknown);

sub pattern { my ($re, $what) = @_; return sub { !ref $_[0] && defined $_[0] && $_[0] =~ $re ? () : "is no $what" } }
sub one_of  { my %ok = map { $_ => 1 } @_; return sub { !ref $_[0] && $ok{ $_[0] // '' } ? () : 'is none of ' . join ' ', sort keys %ok } }
sub text    { return sub { !ref $_[0] && length($_[0] // '') ? () : 'is no text' } }

sub list_of {
    my ($check, %options) = @_;
    return sub {
        my ($value) = @_;
        $value = [$value] if $options{or_one} && !ref $value;
        return 'is no list' if ref $value ne 'ARRAY';
        return 'is empty' if !@$value;
        return map { $check->($_) } @$value;
    };
}

sub licence {
    my ($value) = @_;
    return map { pattern($url, 'URL')->($_) } values %$value if ref $value eq 'HASH' && %$value;
    return list_of(sub { $known_licence{ $_[0] } ? () : "$_[0] is no licence of the specification" }, or_one => 1)->($value);
}

# Checks a map with these fields: name => [required, check]. Other names must begin with x_.
sub map_of {
    my ($fields) = @_;
    return sub {
        my ($value) = @_;
        return 'is no map' if ref $value ne 'HASH';
        my @wrong;
        for my $name (sort keys %$fields) {
            my ($required, $check) = @{ $fields->{$name} };
            if (exists $value->{$name}) { push @wrong, map { "$name: $_" } $check->($value->{$name}) }
            elsif ($required)           { push @wrong, "$name is missing" }
        }
        push @wrong, map { "$_ is not in the specification" } grep { !$fields->{$_} && !/^x_/i } sort keys %$value;
        return @wrong;
    };
}

# Checks a map whose names the specification leaves open.
sub map_by {
    my ($name, $check) = @_;
    return sub {
        my ($value) = @_;
        return 'is no map' if ref $value ne 'HASH';
        return map { my $key = $_; ($key =~ $name ? () : "$key is no name", map { "$key: $_" } $check->($value->{$key})) } sort keys %$value;
    };
}

my $relations = map_of({ map { $_ => [ 0, map_by($term, pattern($range, 'version range')) ] } qw(requires recommends suggests conflicts) });
my $spec = map_of({
    name           => [ 1, pattern($term, 'name') ],
    version        => [ 1, pattern($version, 'semantic version') ],
    abstract       => [ 1, text() ],
    maintainer     => [ 1, list_of(text(), or_one => 1) ],
    license        => [ 1, \&licence ],
    provides       => [ 1, map_by($term, map_of({
        file     => [ 1, text() ],
        version  => [ 1, pattern($version, 'semantic version') ],
        abstract => [ 0, text() ],
        docfile  => [ 0, text() ],
    })) ],
    'meta-spec'    => [ 1, map_of({ version => [ 1, one_of('1.0.0') ], url => [ 0, pattern($url, 'URL') ] }) ],
    description    => [ 0, text() ],
    generated_by   => [ 0, text() ],
    tags           => [ 0, list_of(pattern(qr/^[^\/\\[:cntrl:]]{1,255}$/, 'tag')) ],
    no_index       => [ 0, map_of({ map { $_ => [ 0, list_of(text(), or_one => 1) ] } qw(file directory) }) ],
    prereqs        => [ 0, map_of({ map { $_ => [ 0, $relations ] } qw(configure build test runtime develop) }) ],
    release_status => [ 0, one_of(qw(stable testing unstable)) ],
    resources      => [ 0, map_of({
        homepage   => [ 0, pattern($url, 'URL') ],
        bugtracker => [ 0, map_of({ web => [ 0, pattern($url, 'URL') ], mailto => [ 0, pattern(qr/^\S+@\S+$/, 'address') ] }) ],
        repository => [ 0, map_of({
            url  => [ 0, pattern($url, 'URL') ],
            web  => [ 0, pattern($url, 'URL') ],
            type => [ 0, pattern(qr/^[a-z]+$/, 'lower-case word') ],
        }) ],
    }) ],
});

my $meta = eval { JSON::PP->new->utf8->decode(content_of('META.json')) };
ok($meta, 'META.json is JSON') or BAIL_OUT("META.json: $@");
is_deeply([ $spec->($meta) ], [], 'it keeps to the specification');

# The check must find something to be trusted: each of these changes makes it complain.
my %breaks = (
    'a required field'     => sub { delete $_[0]{abstract} },
    'two numbers'          => sub { $_[0]{version} = '1.1' },
    'a leading zero'       => sub { $_[0]{version} = '1.01.0' },
    'an unknown licence'   => sub { $_[0]{license} = 'our own' },
    'a foreign field'      => sub { $_[0]{licence} = 'postgresql' },
    'a file'               => sub { delete $_[0]{provides}{telemetry_cqrs}{file} },
    'a prerequisite phase' => sub { $_[0]{prereqs}{installing} = {} },
    'a version range'      => sub { $_[0]{prereqs}{runtime}{requires}{PostgreSQL} = '15' },
    'the specification'    => sub { $_[0]{'meta-spec'}{version} = '2.0.0' },
    'a repository'         => sub { $_[0]{resources} = { repository => 'here' } },
);
for my $what (sort keys %breaks) {
    my $copy = JSON::PP->new->utf8->decode(content_of('META.json'));
    $breaks{$what}->($copy);
    isnt(scalar(() = $spec->($copy)), 0, "the check finds $what");
}

# The values agree with the repository.
my ($installed) = content_of('telemetry_cqrs.control') =~ /^default_version *= *'([0-9]+\.[0-9]+)'/m;
ok($installed, 'the control file has a version of two numbers');
is($meta->{version}, "$installed.0", 'the version is the control file\'s');
is_deeply([ keys %{ $meta->{provides} } ], [ $meta->{name} ], 'it provides the extension and nothing else');
my $provides = $meta->{provides}{ $meta->{name} };
ok(-f "$project/$meta->{name}.control", 'and it is named as its control file');
is($provides->{version}, $meta->{version}, 'the extension\'s version too');
is($provides->{file}, "$meta->{name}--$installed.sql", 'and its file is what make assembles');
ok(-f "$project/$provides->{docfile}", 'its document is there');
like(content_of('LICENSE'), qr/^PostgreSQL License/, 'the licence is the one in LICENSE');
is($meta->{license}, 'postgresql', 'as the specification calls it');

done_testing();
