# A client of Redis, as small as the tests need it.
#
#   my $client = RedisClient->new(port => 6379);
#   $client->command('SET', 'a', 1);             # dies with the error of the server
#   my @answers = $client->pipeline([ 'GET', 'a' ], [ 'GET', 'b' ]);
package RedisClient;

use strict;
use warnings;

use IO::Socket::INET;
use Time::HiRes qw(time);

sub new
{
	my ($class, %options) = @_;
	my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $options{port}, Proto => 'tcp', Timeout => 10) or die "no connection to Redis: $@";
	return bless { socket => $socket, bytes => '' }, $class;
}

sub command
{
	my ($self, @words) = @_;
	return ($self->pipeline([@words]))[0];
}

sub pipeline
{
	my ($self, @commands) = @_;
	$self->send(@$_) foreach @commands;
	return map { $self->reply } @commands;
}

sub send
{
	my ($self, @words) = @_;
	$self->{socket}->print('*' . @words . "\r\n", map { '$' . length($_) . "\r\n$_\r\n" } @words) or die "write to Redis: $!";
	return;
}

# Returns the next reply: a text, a number, undef or a reference to an array.
sub reply
{
	my ($self, $seconds) = @_;
	my $deadline = time + ($seconds // 30);
	my $end;
	$self->_fill($deadline) while ($end = index $self->{bytes}, "\r\n") < 0;
	my $line = substr $self->{bytes}, 0, $end, '';
	substr $self->{bytes}, 0, 2, '';
	my $kind = substr $line, 0, 1, '';
	die "Redis: $line\n" if $kind eq '-';
	return $line if $kind eq '+' || $kind eq ':';
	return undef if $line < 0;
	return [ map { $self->reply($deadline - time) } 1 .. $line ] if $kind eq '*';
	$self->_fill($deadline) while length $self->{bytes} < $line + 2;
	my $text = substr $self->{bytes}, 0, $line, '';
	substr $self->{bytes}, 0, 2, '';
	return $text;
}

sub _fill
{
	my ($self, $deadline) = @_;
	my $left = $deadline - time;
	vec(my $readable = '', fileno $self->{socket}, 1) = 1;
	die "Redis does not answer\n" if $left <= 0 || !select $readable, undef, undef, $left;
	my $count = sysread $self->{socket}, $self->{bytes}, 1 << 16, length $self->{bytes};
	die "Redis has closed the connection\n" if !$count;
	return;
}

1;
