# A server program that a test starts on a free loopback port in a temporary folder, as the user of the test, and ends by its pid.
# NatsServer.pm and RedisServer.pm are such programs.
package PeerProcess;

use strict;
use warnings;

use IO::Socket::INET;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Time::HiRes qw(time usleep);

my %running;    # pid -> 1

# Returns the path of a program, or undef where it is not installed.
sub program
{
	my ($name) = @_;
	my ($path) = grep { -x } map { "$_/$name" } split(/:/, $ENV{PATH}), qw(/usr/sbin /usr/bin /usr/local/bin /sbin);
	return $path;
}

sub new
{
	my ($class, %options) = @_;
	my $self = bless { %options, port => $options{port} // PostgreSQL::Test::Cluster::get_free_port(), folder => PostgreSQL::Test::Utils::tempdir() }, $class;
	return $self;
}

sub port { return $_[0]{port} }
sub folder { return $_[0]{folder} }
sub pid { return $_[0]{pid} }

# Starts the program, and returns when it answers.
sub start
{
	my ($self) = @_;
	die 'it runs already' if $self->{pid};
	my $pid = fork() // die "fork: $!";
	if ($pid == 0)
	{
		# A session of the test would not end while this process holds its pipe.
		foreach my $file (3 .. 255) { POSIX::close($file) }
		open STDIN, '<', '/dev/null';
		open STDOUT, '>>', "$self->{folder}/output";
		open STDERR, '>&', \*STDOUT;
		exec $self->command or POSIX::_exit(127);
	}
	$self->{pid} = $pid;
	$running{$pid} = 1;
	my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
	until ($self->answers)
	{
		if (waitpid($pid, POSIX::WNOHANG()) == $pid || time > $deadline)
		{
			delete $running{$pid};
			die ref($self) . " did not start:\n" . slurp_file("$self->{folder}/output");
		}
		usleep(10_000);
	}
	return $self;
}

# Ends it: TERM, or KILL for a death at any moment.
sub stop
{
	my ($self, $signal) = @_;
	my $pid = delete $self->{pid} or return;
	kill $signal // 'TERM', $pid;
	my $deadline = time + 20;
	until (waitpid($pid, POSIX::WNOHANG()) != 0)
	{
		kill 'KILL', $pid if time > $deadline;
		usleep(5_000);
	}
	delete $running{$pid};
	return;
}

# While it is frozen it accepts connections and answers nothing.
sub freeze { kill 'STOP', $_[0]{pid}; return }
sub thaw { kill 'CONT', $_[0]{pid}; return }

sub connection
{
	my ($self) = @_;
	return IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{port}, Proto => 'tcp', Timeout => 5);
}

END
{
	my $status = $?;
	foreach my $pid (keys %running) { kill 'KILL', $pid; kill 'CONT', $pid; waitpid $pid, 0 }
	$? = $status;
}

1;
