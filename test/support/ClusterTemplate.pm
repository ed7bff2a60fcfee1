# Makes test clusters alike and cheap. init() gives each cluster the superuser postgres and the encoding UTF-8, whatever the user and the
# locale. It copies the folder that initdb has made once for the whole run.
#
# TELEMETRY_CLUSTER_TEMPLATE names that folder, which dev/test makes. A cluster whose test passes options to initdb, and one of another
# PostgreSQL version, is made by initdb as usual. Each copy gets a system identifier of its own, as initdb would have given it: the
# extension tells by that whether a log was restored into another server.
package ClusterTemplate;

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Time::HiRes ();

$ENV{PGUSER} = 'postgres';
my @alike = qw(-U postgres --encoding=UTF8 --locale=C.UTF-8 --lc-messages=C);    # as dev/test makes the template

{
	no warnings 'redefine';
	my $init = \&PostgreSQL::Test::Cluster::init;
	*PostgreSQL::Test::Cluster::init = sub {
		my ($node, %params) = @_;
		my $template = $ENV{TELEMETRY_CLUSTER_TEMPLATE};
		return $init->($node, %params, extra => [ @alike, @{ $params{extra} // [] } ])
		  if !defined $template || $params{extra} || $params{force_initdb} || !_is_version_of($template, $node);

		my $run = \&PostgreSQL::Test::Utils::system_or_bail;
		local $ENV{INITDB_TEMPLATE};    # later versions of the server's module copy by it, identifier and all
		delete $ENV{INITDB_TEMPLATE};
		local *PostgreSQL::Test::Utils::system_or_bail = sub {
			return $run->(@_) if $_[0] ne 'initdb';
			$run->('cp', '-a', '--reflink=auto', $template, $node->data_dir);
			_give_identifier($node->data_dir);
			return;
		};
		return $init->(@_);
	};
}

sub _is_version_of
{
	my ($template, $node) = @_;
	my $version = slurp_file("$template/PG_VERSION");
	chomp $version;
	return $node->pg_version->major eq $version;
}

# The identifier stands in the control file, whose checksum follows its last field, and in the first page of the WAL.
sub _give_identifier
{
	my ($data) = @_;
	my ($seconds, $microseconds) = Time::HiRes::gettimeofday();
	my $identifier = pack 'Q', $seconds << 32 | $microseconds << 12 | $$ & 0xFFF;
	my ($first_segment, @more) = glob "$data/pg_wal/0*";
	die "$data: not the write-ahead log of a new cluster" if !defined $first_segment || @more;

	my $control = "$data/global/pg_control";
	my $content = _read_start($control, 512);
	my $end = _checksum_offset($content);
	substr($content, 0, 8) = $identifier;
	_write_at($control, 0, $identifier);
	_write_at($control, $end, pack 'L', _crc32c(substr $content, 0, $end));
	_write_at($first_segment, 24, $identifier);
	return;
}

# Returns the offset of the checksum, which differs from version to version. It is the one offset that holds the checksum of
# everything before it.
sub _checksum_offset
{
	my ($content) = @_;
	for (my $end = 128; $end + 4 <= length $content; $end += 4)
	{
		return $end if unpack('L', substr $content, $end, 4) == _crc32c(substr $content, 0, $end);
	}
	die 'no checksum found in the control file';
}

my @crc_table = map { my $crc = $_; $crc = $crc & 1 ? $crc >> 1 ^ 0x82F63B78 : $crc >> 1 for 1 .. 8; $crc } 0 .. 255;

sub _crc32c
{
	my ($bytes) = @_;
	my $crc = 0xFFFFFFFF;
	$crc = $crc_table[ ($crc ^ $_) & 0xFF ] ^ $crc >> 8 for unpack 'C*', $bytes;
	return $crc ^ 0xFFFFFFFF;
}

sub _read_start
{
	my ($path, $length) = @_;
	open my $file, '<:raw', $path or die "$path: $!";
	read($file, my $content, $length) == $length or die "$path: too short";
	close $file;
	return $content;
}

sub _write_at
{
	my ($path, $offset, $bytes) = @_;
	open my $file, '+<:raw', $path or die "$path: $!";
	seek $file, $offset, 0 or die "$path: $!";
	print $file $bytes;
	close $file or die "$path: $!";
	return;
}

1;
