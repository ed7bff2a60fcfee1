# The version stands in the control file, and META.json repeats it. No part of a released script is edited.
use strict;
use warnings;
use FindBin;
use JSON::PP ();
use Test::More;

my $root = "$FindBin::Bin/../..";

sub content
{
	my ($file) = @_;
	open my $handle, '<', "$root/$file" or die "$file: $!";
	local $/;
	return scalar <$handle>;
}

my ($version) = content('telemetry_cqrs.control') =~ /^default_version *= *'(.+)'/m;
like($version, qr/^\d+\.\d+$/, 'the control file names the version');

# PGXN wants three numbers.
my $meta = JSON::PP->new->decode(content('META.json'));
is($meta->{version}, "$version.0", 'META.json: version');
is($meta->{provides}{telemetry_cqrs}{version}, "$version.0", 'META.json: version of the extension');
is($meta->{provides}{telemetry_cqrs}{file}, "telemetry_cqrs--$version.sql", 'META.json: its script');

# Every run-once part of a released version stands word for word in the released script.
my @released = map { m{--(.+)\.sql$} ? $1 : () } glob "$root/sql/released/*.sql";
ok(@released > 0, 'there is a released script');
ok(!(grep { $_ eq $version } @released), 'the version in the control file is not released yet');
for my $release (@released)
{
	my $script = content("sql/released/telemetry_cqrs--$release.sql");
	my @parts = glob "$root/sql/extension/once/$release/*.sql";
	for my $part (map { s{^\Q$root/\E}{}r } @parts)
	{
		my @lines = grep { length } split /\n/, content($part);
		my @foreign = grep { index("\n$script", "\n$_\n") < 0 } @lines;
		is("@foreign", '', "$part: as released");
	}
}

# Every statement that an upgrade repeats can be repeated.
for my $part (map { s{^\Q$root/\E}{}r } glob "$root/sql/extension/[0-9]*.sql")
{
	my @wrong = grep { !/^CREATE (FUNCTION|PROCEDURE|AGGREGATE|VIEW) telemetry\./ } grep { /^\s*(CREATE|ALTER|DROP|GRANT|REVOKE)\b/ } split /\n/, content($part);
	is(join("\n", @wrong), '', "$part: repeatable");
}
done_testing();
