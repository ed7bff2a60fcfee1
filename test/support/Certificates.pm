# Certificates of a test, made by openssl: an authority, and servers' certificates of it.
#
#   my $made = Certificates->new;
#   $made->authority;                                   # the file of its certificate
#   my ($certificate, $key) = $made->server('good', names => 'IP:127.0.0.1,DNS:localhost');
package Certificates;

use strict;
use warnings;

use PostgreSQL::Test::Utils;

sub new
{
	my ($class) = @_;
	my $self = bless { folder => PostgreSQL::Test::Utils::tempdir() }, $class;
	$self->_openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', $self->_file('ca.key'), '-out', $self->authority, '-subj', '/CN=test authority', '-days', '2');
	return $self;
}

sub authority { return $_[0]->_file('ca.crt') }
sub _file { return "$_[0]{folder}/$_[1]" }

sub _openssl
{
	my ($self, @arguments) = @_;
	PostgreSQL::Test::Utils::run_log([ 'openssl', @arguments ]) or die "openssl @arguments failed";
	return;
}

# names: as subjectAltName takes them. days: how long it is valid; negative: it has expired.
sub server
{
	my ($self, $name, %options) = @_;
	my ($certificate, $key, $request, $extensions) = map { $self->_file("$name.$_") } qw(crt key csr ext);
	open my $file, '>', $extensions or die "$extensions: $!";
	print $file "subjectAltName=$options{names}\n";
	close $file;
	$self->_openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', $key, '-out', $request, '-subj', "/CN=$name");
	$self->_openssl('x509', '-req', '-in', $request, '-CA', $self->authority, '-CAkey', $self->_file('ca.key'), '-CAcreateserial', '-out', $certificate, '-extfile', $extensions, '-days', $options{days} // 2);
	return ($certificate, $key);
}

1;
