# A server that answers HTTP on a free port of 127.0.0.1, with roles that have tokens, and a client of it.
#
#   my $node = HttpNode->new('name', conf => "telemetry_cqrs.http_workers = 2\n");
#   my $answer = $node->request(GET => '/devices', { token => $node->token('reader') });     # {status, headers, content, json}
#   my $answer = $node->request(POST => '/telemetry', { token => ..., headers => {...}, content => '...' });
#   my $socket = $node->raw_socket;
#
# The tokens are those of reader, writer, admin and both (a reader who may write). All else is as for any PostgreSQL::Test::Cluster.
package HttpNode;

use strict;
use warnings;

use parent -norequire, 'PostgreSQL::Test::Cluster';
use HTTP::Tiny;
use IO::Socket::INET;
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use TelemetryNode;
use Test::More;
use Time::HiRes qw(time usleep);

# Options of telemetry_node. port: it listens there, and not at a port that is free.
sub new
{
	my ($class, $name, %options) = @_;
	my $port = delete $options{port} // free_port();
	my $conf = "telemetry_cqrs.http_listen = '$port'\ntelemetry_cqrs.launcher_interval = 200ms\n" . (delete $options{conf} // '');
	my $self = bless telemetry_node($name, preload => 1, conf => $conf, %options), $class;
	$self->{http_port} = $port;
	$self->make_tokens;
	$self->wait_for_http;
	return $self;
}

sub free_port
{
	my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die "no port: $!";
	return $socket->sockport;
}

# The roles http_reader, http_writer, http_admin and http_both, with a token each.
sub make_tokens
{
	my ($self, $database) = @_;
	my %grants = (reader => [ 'reader' ], writer => [ 'writer' ], admin => [ 'admin' ], both => [ 'reader', 'writer' ]);
	for my $name (sort keys %grants)
	{
		$self->safe_psql($database // 'postgres', join ';', "DO \$\$ BEGIN IF to_regrole('http_$name') IS NULL THEN CREATE ROLE http_$name; END IF; END \$\$",
			map { "SELECT telemetry.grant_$_('http_$name')" } @{ $grants{$name} });
		$self->{tokens}{$name} = $self->safe_psql($database // 'postgres', "SELECT telemetry.create_http_token('http_$name', '$name')");
	}
	return;
}

sub token { my ($self, $name) = @_; return $self->{tokens}{$name} // die "no token $name" }
sub http_port { my ($self) = @_; return $self->{http_port} }
sub base_url { my ($self) = @_; return "http://127.0.0.1:$self->{http_port}" }

sub request
{
	my ($self, $method, $path, $options) = @_;
	my %headers = %{ $options->{headers} // {} };
	$headers{Authorization} = "Bearer $options->{token}" if defined $options->{token};
	$self->{client} //= HTTP::Tiny->new(timeout => 60, keep_alive => 1, max_redirect => 0);
	my $answer = $self->{client}->request($method, $self->base_url . $path, { headers => \%headers, (defined $options->{content} ? (content => $options->{content}) : ()) });
	$answer->{json} = eval { JSON::PP::decode_json($answer->{content}) } if ($answer->{headers}{'content-type'} // '') =~ /json/ && length $answer->{content};
	return $answer;
}

# A connection as it is. Reads and writes are of bytes.
sub raw_socket
{
	my ($self) = @_;
	my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{http_port}, Timeout => 10) or die "cannot connect: $!";
	$socket->autoflush(1);
	binmode $socket;
	return $socket;
}

# Returns whether the server answers within so many seconds.
sub wait_for_http
{
	my ($self, $seconds) = @_;
	my $end = time + ($seconds // 60);
	while (time < $end)
	{
		return 1 if $self->request(GET => '/openapi.json')->{status} == 200;
		usleep(50_000);
	}
	diag 'nobody answers at ' . $self->base_url;
	return 0;
}

1;
