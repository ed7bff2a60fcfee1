# A redis-server of a test, without persistence.
#
#   my $redis = RedisServer->new(arguments => ['--requirepass', 'secret'])->start;
#   my $value = $redis->client->command('GET', 'key');
package RedisServer;

use strict;
use warnings;

use parent -norequire, 'PeerProcess';
use PeerProcess;
use RedisClient;

sub require_program
{
	PeerProcess::program('redis-server') or Test::More::plan(skip_all => 'redis-server is not installed (Debian: redis-server), so nothing about Redis is tested');
	return;
}

sub command
{
	my ($self) = @_;
	return (PeerProcess::program('redis-server'), '--port', $self->{port}, '--bind', '127.0.0.1', '--dir', $self->{folder}, '--save', '', '--appendonly', 'no',
		@{ $self->{arguments} // [] });
}

sub answers
{
	my ($self) = @_;
	my $socket = $self->connection or return 0;
	print $socket "PING\r\n";
	my $line = <$socket>;
	return defined $line && $line =~ /^(?:\+PONG|-NOAUTH|-NOPERM)/ ? 1 : 0;
}

sub url { my ($self, $login, $database) = @_; return 'redis://' . (defined $login ? "$login@" : '') . "127.0.0.1:$self->{port}" . (defined $database ? "/$database" : '') }
sub client { my ($self) = @_; return RedisClient->new(port => $self->{port}) }

1;
