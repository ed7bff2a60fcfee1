# A peer between the relay and a server. It passes everything on, or misbehaves in the way a test says.
#
#   my $peer = FlappingPeer->new($nats->port);       # passes
#   $peer->become('cut'); $peer->become('pass');     # returns when it does so
#   $peer->port; $peer->connections; $peer->stop;
#
# pass      Everything goes on, in both directions.
# refuse    Nobody listens, and open connections are closed.
# silence   The peer accepts connections, and passes nothing on until it is well again.
# cut       A connection is closed in the middle of an answer of the server.
# garbage   Garbage comes in place of the rest of an answer. Then nothing goes on.
# reset     A connection ends by a reset, in the middle of an answer.
#
# The last three strike after a random count of bytes of the server, often at once. Each connection has its own count.
package FlappingPeer;

use strict;
use warnings;

use IO::Socket::INET;
use IO::Socket::UNIX;
use POSIX ();
use PostgreSQL::Test::Cluster;
use Socket qw(AF_UNIX PF_UNSPEC SOCK_STREAM SOL_SOCKET SO_LINGER);
use Time::HiRes qw(usleep);

my $longest_answer = 2000;    # bytes
my %running;    # pid -> 1

sub new
{
	my ($class, $server_port) = @_;
	my $port = PostgreSQL::Test::Cluster::get_free_port();
	my $listener = _listener($port) or die "port $port: $@";
	my ($ours, $its) = IO::Socket::UNIX->socketpair(AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die "socketpair: $!";
	my $seed = int rand 2**31;
	my $pid = fork() // die "fork: $!";
	if ($pid == 0)
	{
		# A session of the test would not end while this process holds its pipe.
		foreach my $file (3 .. 255) { POSIX::close($file) if $file != fileno $listener && $file != fileno $its }
		$SIG{PIPE} = 'IGNORE';
		srand $seed;
		eval { _serve({ control => $its, port => $port, server_port => $server_port, listener => $listener, mode => 'pass', connections => 0, pairs => {} }); 1 } or print STDERR "the peer of port $server_port: $@";
		POSIX::_exit(0);
	}
	close $listener;
	close $its;
	$running{$pid} = 1;
	return bless { pid => $pid, port => $port, control => $ours, count => 0 }, $class;
}

sub port { return $_[0]{port} }

sub become
{
	my ($self, $mode) = @_;
	print { $self->{control} } "$mode\n" or die "the peer is gone: $!";
	$self->{control}->flush;
	my $control = $self->{control};
	$self->{count} = (<$control> // die "the peer is gone\n") + 0;
	return;
}

# How many connections there were up to the last call of become().
sub connections { return $_[0]{count} }

sub stop
{
	my ($self) = @_;
	my $pid = delete $self->{pid} or return;
	kill 'KILL', $pid;
	waitpid $pid, 0;
	delete $running{$pid};
	return;
}

END
{
	my $status = $?;
	foreach my $pid (keys %running) { kill 'KILL', $pid; waitpid $pid, 0 }
	$? = $status;
}

# --- the process of the peer -------------------------------------------------------------------------------------------

sub _listener { return IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $_[0], Proto => 'tcp', Listen => 50, ReuseAddr => 1) }

sub _serve
{
	my ($self) = @_;
	while (1)
	{
		my $readable = '';
		vec($readable, fileno $_, 1) = 1 foreach $self->{control}, $self->{listener} // ();
		foreach my $pair ($self->{mode} eq 'silence' ? () : values %{ $self->{pairs} })
		{
			vec($readable, fileno $_, 1) = 1 foreach $pair->{client}, $pair->{server} // ();
		}
		select $readable, undef, undef, undef;
		if (vec $readable, fileno $self->{control}, 1)
		{
			sysread $self->{control}, my $mode, 100 or return;
			chomp $mode;
			_become($self, $mode);
			syswrite $self->{control}, "$self->{connections}\n";
			next;    # the files are others now
		}
		_accept($self) if $self->{listener} && vec $readable, fileno $self->{listener}, 1;
		foreach my $pair (values %{ $self->{pairs} })
		{
			_to_client($self, $pair) if $pair->{server} && vec $readable, fileno $pair->{server}, 1;
			_to_server($self, $pair) if $pair->{client} && vec $readable, fileno $pair->{client}, 1;
		}
	}
	return;
}

sub _become
{
	my ($self, $mode) = @_;
	$self->{mode} = $mode;
	my @pairs = values %{ $self->{pairs} };
	if ($mode eq 'refuse')
	{
		close delete $self->{listener};
		_end($self, $_) foreach @pairs;
		return;
	}
	until ($self->{listener} //= _listener($self->{port})) { usleep(10_000) }
	foreach my $pair (@pairs)
	{
		if ($pair->{is_spoilt}) { _end($self, $pair) }
		else { _prepare($self, $pair) }
	}
	return;
}

sub _accept
{
	my ($self) = @_;
	my $client = $self->{listener}->accept or return;
	++$self->{connections};
	my $pair = $self->{pairs}{$self->{connections}} = { number => $self->{connections}, client => $client };
	_prepare($self, $pair);
	return;
}

# A connection comes under the rule of the mode.
sub _prepare
{
	my ($self, $pair) = @_;
	my $mode = $self->{mode};
	return if $mode eq 'silence';
	if (!$pair->{server})
	{
		$pair->{server} = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{server_port}, Proto => 'tcp') or return _end($self, $pair);
	}
	# Small counts are as likely as large ones: the first answers are short.
	$pair->{left} = $mode eq 'pass' ? undef : int(exp(rand log $longest_answer)) - 1;
	_strike($self, $pair) if defined $pair->{left} && $pair->{left} == 0;
	return;
}

sub _to_client
{
	my ($self, $pair) = @_;
	sysread $pair->{server}, my $bytes, 1 << 16 or return _end($self, $pair);
	return if $pair->{is_spoilt};
	my $strikes = defined $pair->{left} && $pair->{left} <= length $bytes;
	$bytes = substr $bytes, 0, $pair->{left} if $strikes;
	_write($pair->{client}, $bytes) or return _end($self, $pair);
	$pair->{left} -= length $bytes if defined $pair->{left};
	_strike($self, $pair) if $strikes;
	return;
}

sub _to_server
{
	my ($self, $pair) = @_;
	sysread $pair->{client}, my $bytes, 1 << 16 or return _end($self, $pair);
	return if $pair->{is_spoilt};
	_write($pair->{server}, $bytes) or _end($self, $pair);
	return;
}

sub _strike
{
	my ($self, $pair) = @_;
	if ($self->{mode} eq 'garbage')
	{
		$pair->{is_spoilt} = 1;
		# None of them begins as an answer does, so none can be taken for the promise that something is stored.
		my @garbage = ("HTTP/1.1 502 Bad Gateway\r\n\r\n<html>", "\0" x 5000, "\xff" . join('', map { chr int rand 256 } 1 .. 1 + rand 3000));
		_write($pair->{client}, $garbage[ rand @garbage ]) or _end($self, $pair);
		return;
	}
	setsockopt $pair->{client}, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0) if $self->{mode} eq 'reset';
	_end($self, $pair);
	return;
}

sub _end
{
	my ($self, $pair) = @_;
	delete $self->{pairs}{ $pair->{number} };
	foreach my $side (qw(client server)) { close delete $pair->{$side} if $pair->{$side} }
	return;
}

sub _write
{
	my ($socket, $bytes) = @_;
	while (length $bytes)
	{
		my $count = syswrite $socket, $bytes or return 0;
		substr $bytes, 0, $count, '';
	}
	return 1;
}

1;
