# A cluster that answers HTTP on a free loopback port, and a client of it.
#
#   my $http = HttpNode->new('name', http_timeout => '2s');    # settings of the extension; conf, init: as telemetry_node() takes them
#   my $answer = $http->get('/devices/a/stats');                # as role reader; {status, headers, content, json}
#   $http->post('/telemetry', [ { device_id => 'a' } ]);        # as role writer
#   $http->request('GET', '/status', { token => $http->token('admin'), headers => {...}, content => '...' });
#   my $socket = $http->raw_socket; print $socket "GET / HTTP/1.1\r\nHost: x\r\n\r\n"; my $bytes = $http->read_all($socket, 5);
#
# The roles reader, writer, admin and both (reader and writer) exist, and each has a token. $http->{node} is the cluster; each of its
# methods is one of $http too: $http->safe_psql('postgres', 'SELECT 1').
package HttpNode;

use strict;
use warnings;

use HTTP::Tiny ();
use IO::Select ();
use IO::Socket::INET ();
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use TelemetryNode;
use Test::More;
use Time::HiRes qw(time usleep);

my $json = JSON::PP->new->utf8->allow_nonref;

sub new
{
	my ($class, $name, %settings) = @_;
	my ($conf, $init) = (delete $settings{conf} // '', delete $settings{init});
	my $port = PostgreSQL::Test::Cluster::get_free_port();
	%settings = (http_listen => $port, launcher_interval => '200ms', poll_interval => '500ms', %settings);
	my $node = telemetry_node($name, preload => 1, $init ? (init => $init) : (), conf => $conf . _lines(%settings));
	my $self = bless { node => $node, port => $port, tokens => {} }, $class;
	$node->safe_psql('postgres', <<'SQL');
CREATE ROLE reader LOGIN; SELECT telemetry.grant_reader('reader');
CREATE ROLE writer LOGIN; SELECT telemetry.grant_writer('writer');
CREATE ROLE admin LOGIN; SELECT telemetry.grant_admin('admin');
CREATE ROLE "both" LOGIN; SELECT telemetry.grant_reader('both'), telemetry.grant_writer('both');
SQL
	$self->wait_for_http;
	return $self;
}

# A client of another server, port or database. The tokens of a standby are those of its primary; each database has its own.
sub client_of
{
	my ($self, $node, $port, $database) = @_;
	return bless { node => $node, port => $port, database => $database, tokens => defined $database ? {} : $self->{tokens} }, ref $self;
}

sub _lines { my (%settings) = @_; return join '', map { "telemetry_cqrs.$_ = '$settings{$_}'\n" } sort keys %settings }

our $AUTOLOAD;
sub AUTOLOAD
{
	my ($self, @arguments) = @_;
	my $name = $AUTOLOAD =~ s/.*:://r;
	return if $name eq 'DESTROY';
	return $self->{node}->$name(@arguments);
}

sub base_url { return "http://127.0.0.1:$_[0]{port}" }
sub sql { my ($self, $sql, $database) = @_; return $self->{node}->safe_psql($database // $self->{database} // 'postgres', $sql) }

# Changes settings of the extension by a reload.
sub settings
{
	my ($self, %settings) = @_;
	$self->{node}->append_conf('postgresql.conf', _lines(%settings));
	$self->{node}->reload;
	return;
}

# The token of a role, which is made at the first call.
sub token
{
	my ($self, $role) = @_;
	return $self->{tokens}{$role} //= $self->sql("SELECT telemetry.create_http_token('$role', 'a test')");
}

# token: undef for none. content that is a reference is sent as JSON. HTTP::Tiny's own errors have status 599.
sub request
{
	my ($self, $method, $path, $options) = @_;
	my %headers = %{ $options->{headers} // {} };
	my $token = exists $options->{token} ? $options->{token} : $self->token($method eq 'POST' ? 'writer' : 'reader');
	$headers{Authorization} = "Bearer $token" if defined $token;
	my $content = $options->{content};
	if (ref $content)
	{
		$content = $json->encode($content);
		$headers{'Content-Type'} //= 'application/json';
	}
	$self->{client} //= HTTP::Tiny->new(timeout => 60, max_redirect => 0, proxy => undef, http_proxy => undef);
	my $answer = $self->{client}->request($method, $self->base_url . $path, { headers => \%headers, defined $content ? (content => $content) : () });
	$answer->{json} = eval { $json->decode($answer->{content}) } if ($answer->{headers}{'content-type'} // '') =~ /json/;
	return $answer;
}

sub get { my ($self, $path, %options) = @_; return $self->request('GET', $path, \%options) }
sub post { my ($self, $path, $content, %options) = @_; return $self->request('POST', $path, { %options, content => $content }) }

sub raw_socket
{
	my ($self) = @_;
	my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{port}, Proto => 'tcp', Timeout => 30) or return undef;
	binmode $socket;
	$socket->autoflush(1);
	return $socket;
}

# What comes until the server closes, until so many seconds are over, or until the text matches. In list context: the text, and
# whether the server has closed.
sub read_all
{
	my ($self, $socket, $seconds, $until) = @_;
	my $deadline = time + ($seconds // 30);
	my ($text, $has_closed) = ('', 0);
	my $select = IO::Select->new($socket);
	while (!$has_closed && time < $deadline)
	{
		last if defined $until && $text =~ $until;
		next if !$select->can_read($deadline - time);
		my $count = sysread $socket, $text, 1 << 20, length $text;
		$has_closed = 1 if !$count;
	}
	return wantarray ? ($text, $has_closed) : $text;
}

# Reads until so many answers have begun and the last line is complete. Returns the text, and whether the server has closed.
sub read_answers
{
	my ($self, $socket, $count, $seconds) = @_;
	my $deadline = time + ($seconds // 30);
	my ($text, $has_closed) = ('', 0);
	while (!$has_closed && time < $deadline)
	{
		my $begun = () = $text =~ /^HTTP\/1\.1 \d/mg;
		last if $begun >= $count && $text =~ /\n\z/ && $text !~ /\r\n\z/;
		(my $more, $has_closed) = $self->read_all($socket, $deadline - time, qr/./s);
		$text .= $more;
	}
	return ($text, $has_closed);
}

# Waits until a worker answers /openapi.json.
sub wait_for_http
{
	my ($self, $seconds) = @_;
	my $deadline = time + ($seconds // $PostgreSQL::Test::Utils::timeout_default);
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	until ($self->get('/openapi.json', token => undef)->{status} == 200)
	{
		if (time > $deadline)
		{
			fail('waited in vain for HTTP at port ' . $self->{port});
			return 0;
		}
		usleep(20_000);
	}
	return 1;
}

# The processes that answer HTTP for a database.
sub pids
{
	my ($self, $database) = @_;
	$database //= $self->{database} // 'postgres';
	return split /\n/, $self->sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs http' AND datname = '$database' ORDER BY pid");
}

# Resident memory of a process in kilobytes.
sub memory_of
{
	my ($self, $pid) = @_;
	return slurp_file("/proc/$pid/status") =~ /^VmRSS:\s*(\d+)/m ? $1 : 0;
}

1;
