# A server that behaves as a test says. Each connection is a process of its own.
#
#   my $peer = HostilePeer->new(sub { my ($socket) = @_; print $socket "garbage\r\n"; HostilePeer::stay($socket) });
#   $peer->port; $peer->connections; $peer->stop;
package HostilePeer;

use strict;
use warnings;

use IO::Socket::INET;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

my %running;    # pid of the group -> 1

sub new
{
	my ($class, $behaviour, %options) = @_;
	my $port = $options{port} // PostgreSQL::Test::Cluster::get_free_port();
	my $count = PostgreSQL::Test::Utils::tempdir() . '/connections';
	my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Proto => 'tcp', Listen => 50, ReuseAddr => 1) or die "port $port: $@";
	my $pid = fork() // die "fork: $!";
	if ($pid == 0)
	{
		POSIX::setpgid(0, 0);
		# A session of the test would not end while this process holds its pipe.
		foreach my $file (3 .. 255) { POSIX::close($file) if $file != fileno $listener }
		$SIG{CHLD} = 'IGNORE';
		$SIG{PIPE} = 'IGNORE';
		while (my $socket = $listener->accept)
		{
			open my $file, '>>', $count;
			print $file '.';
			close $file;
			if (fork()) { close $socket; next }
			close $listener;
			$socket->autoflush(1);
			eval { $behaviour->($socket) };
			close $socket;
			POSIX::_exit(0);
		}
		POSIX::_exit(0);
	}
	POSIX::setpgid($pid, $pid);
	close $listener;
	$running{$pid} = 1;
	return bless { pid => $pid, port => $port, count => $count }, $class;
}

sub port { return $_[0]{port} }
sub connections { return -s $_[0]{count} // 0 }

sub stop
{
	my ($self) = @_;
	my $pid = delete $self->{pid} or return;
	kill 'KILL', -$pid;
	waitpid $pid, 0;
	delete $running{$pid};
	return;
}

# Says nothing until the other side closes. What it sends is read and forgotten.
sub stay
{
	my ($socket) = @_;
	1 while sysread $socket, my $bytes, 1 << 16;
	return;
}

# Says nothing and reads nothing.
sub sleep_for_ever { sleep 3600; return }

# Reads a line without its end; undef at the end.
sub line
{
	my ($socket) = @_;
	my $line = <$socket>;
	return undef if !defined $line;
	return $line =~ s/\r?\n\z//r;
}

our $info = 'INFO {"server_id":"HOSTILE","server_name":"hostile","version":"2.9.10","proto":1,"headers":true,"jetstream":true,"max_payload":1048576}' . "\r\n";

# Speaks NATS as far as the login, and then hands each command to the function: (operation, words, payload). It returns when the
# other side closes.
sub speak_nats
{
	my ($socket, $on_publish) = @_;
	print $socket $info;
	while (defined(my $line = line($socket)))
	{
		my ($operation, @words) = split / /, $line;
		if ($operation eq 'PING') { print $socket "PONG\r\n" }
		elsif ($operation =~ /^H?PUB$/)
		{
			read $socket, my $body, $words[-1] + 2;
			my $reply = $operation eq 'PUB' ? (@words == 3 ? $words[1] : undef) : (@words == 4 ? $words[1] : undef);
			$on_publish->($words[0], $reply, $body);
		}
	}
	return;
}

sub nats_message
{
	my ($subject, $payload) = @_;
	return "MSG $subject 1 " . length($payload) . "\r\n$payload\r\n";
}

our $stream_info = '{"type":"io.nats.jetstream.api.v1.stream_info_response","config":{"name":"TELEMETRY","subjects":["telemetry.>"],"storage":"file","num_replicas":1,"max_age":0,"duplicate_window":120000000000},"state":{"messages":0,"bytes":0,"first_seq":0,"last_seq":0}}';

# Speaks Redis: hands the words of each command to the function, which returns the bytes of the reply.
sub speak_redis
{
	my ($socket, $on_command) = @_;
	while (defined(my $line = line($socket)))
	{
		my ($count) = $line =~ /^\*(\d+)/ or return;
		my @words;
		for (1 .. $count)
		{
			my ($length) = (line($socket) // return) =~ /^\$(\d+)/ or return;
			read $socket, my $word, $length + 2;
			push @words, substr $word, 0, $length;
		}
		my $reply = $on_command->(@words);
		print $socket $reply if defined $reply;
	}
	return;
}

END
{
	my $status = $?;
	foreach my $pid (keys %running) { kill 'KILL', -$pid; waitpid $pid, 0 }
	$? = $status;
}

1;
