# A nats-server of a test.
#
#   my $nats = NatsServer->new->start;                 # with JetStream; conf => further lines of its configuration
#   my $client = $nats->client;                        # NatsClient.pm
#   $nats->stop('KILL'); $nats->start;
package NatsServer;

use strict;
use warnings;

use parent -norequire, 'PeerProcess';
use NatsClient;
use PeerProcess;

# Skips every test of the file where the program is missing.
sub require_program
{
	PeerProcess::program('nats-server') or Test::More::plan(skip_all => 'nats-server is not installed (Debian: nats-server), so nothing about NATS is tested');
	return;
}

sub command
{
	my ($self) = @_;
	my $jetstream = $self->{no_jetstream} ? '' : "jetstream { store_dir: \"$self->{folder}/store\" }\n";
	open my $file, '>', "$self->{folder}/nats.conf" or die "nats.conf: $!";
	print $file "listen: \"127.0.0.1:$self->{port}\"\n", $jetstream, $self->{conf} // '';
	close $file;
	return (PeerProcess::program('nats-server'), '-c', "$self->{folder}/nats.conf");
}

# It says INFO to each connection, and answers for JetStream a moment later.
sub answers
{
	my ($self) = @_;
	my $socket = $self->connection or return 0;
	my $line = <$socket>;
	return 0 if !defined $line || $line !~ /^INFO /;
	return 1 if $self->{conf} && $self->{conf} =~ /tls|authorization|accounts/ || $self->{no_jetstream};
	my $client = NatsClient->new(port => $self->{port});
	return eval { $client->api('INFO'); 1 } // 0;
}

sub url { my ($self, $login) = @_; return 'nats://' . (defined $login ? "$login@" : '') . "127.0.0.1:$self->{port}" }
sub client { my ($self, %options) = @_; return NatsClient->new(port => $self->{port}, %options) }

1;
