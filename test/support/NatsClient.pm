# A client of NATS, as small as the tests need it: publish, subscribe, request, and the API of JetStream. It waits for each answer.
#
#   my $client = NatsClient->new(port => 4222, user => 'u', pass => 'p');
#   my $info = $client->api('STREAM.INFO.TELEMETRY');          # dies with the error of the server
#   my @messages = $client->stream_messages('TELEMETRY');      # { subject, id, payload, sequence }
package NatsClient;

use strict;
use warnings;

use IO::Socket::INET;
use JSON::PP ();
use Time::HiRes qw(time);

my $number = 0;

sub new
{
	my ($class, %options) = @_;
	my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $options{port}, Proto => 'tcp', Timeout => 10) or die "no connection to NATS: $@";
	my $self = bless { socket => $socket, bytes => '', waiting => [], sid => 0 }, $class;
	my $info = $self->_line;
	die "no INFO: $info" if $info !~ /^INFO /;
	my %connect = (verbose => JSON::PP::false, pedantic => JSON::PP::false, headers => JSON::PP::true, no_responders => JSON::PP::true, lang => 'perl', version => '1');
	$connect{user} = $options{user} if defined $options{user};
	$connect{pass} = $options{pass} if defined $options{pass};
	$connect{auth_token} = $options{token} if defined $options{token};
	$self->_send('CONNECT ' . JSON::PP->new->canonical->encode(\%connect) . "\r\nPING\r\n");
	$self->_frame until $self->{pongs};
	return $self;
}

sub _send { my ($self, $bytes) = @_; $self->{socket}->print($bytes) or die "write to NATS: $!"; return }

sub _fill
{
	my ($self, $deadline) = @_;
	my $left = $deadline - time;
	vec(my $readable = '', fileno $self->{socket}, 1) = 1;
	die "NATS does not answer\n" if $left <= 0 || !select $readable, undef, undef, $left;
	my $count = sysread $self->{socket}, $self->{bytes}, 1 << 16, length $self->{bytes};
	die "NATS has closed the connection\n" if !$count;
	return;
}

sub _line
{
	my ($self, $deadline) = @_;
	$deadline //= time + 30;
	my $end;
	$self->_fill($deadline) while ($end = index $self->{bytes}, "\r\n") < 0;
	my $line = substr $self->{bytes}, 0, $end, '';
	substr $self->{bytes}, 0, 2, '';
	return $line;
}

# Reads one frame. A message goes to the list of those that wait.
sub _frame
{
	my ($self, $deadline) = @_;
	my $line = $self->_line($deadline);
	if ($line =~ /^(H?)MSG (\S+) (\S+) (?:(\S+) )?(?:(\d+) )?(\d+)$/)
	{
		my ($has_headers, $subject, $sid, $reply, $head, $total) = ($1, $2, $3, $4, $5, $6);
		# HMSG subject sid [reply] head total; MSG subject sid [reply] total
		($reply, $head) = (undef, $reply) if $has_headers && !defined $head;
		$self->_fill($deadline // time + 30) while length $self->{bytes} < $total + 2;
		my $body = substr $self->{bytes}, 0, $total, '';
		substr $self->{bytes}, 0, 2, '';
		my $headers = $has_headers ? substr $body, 0, $head, '' : '';
		push @{ $self->{waiting} }, { subject => $subject, sid => $sid, reply => $reply, headers => $headers, payload => $body };
	}
	elsif ($line eq 'PING') { $self->_send("PONG\r\n") }
	elsif ($line eq 'PONG') { $self->{pongs}++ }
	elsif ($line =~ /^-ERR (.*)/) { die "NATS: $1\n" }
	return;
}

sub publish
{
	my ($self, $subject, $payload, $reply) = @_;
	$self->_send("PUB $subject " . (defined $reply ? "$reply " : '') . length($payload) . "\r\n$payload\r\n");
	return;
}

sub subscribe
{
	my ($self, $subject) = @_;
	my $sid = ++$self->{sid};
	$self->_send("SUB $subject $sid\r\n");
	return $sid;
}

# Returns the next message, or dies after so many seconds.
sub next_message
{
	my ($self, $seconds) = @_;
	my $deadline = time + ($seconds // 30);
	$self->_frame($deadline) until @{ $self->{waiting} };
	return shift @{ $self->{waiting} };
}

sub request
{
	my ($self, $subject, $payload) = @_;
	my $inbox = "_INBOX.test$$." . ++$number;
	my $sid = $self->subscribe($inbox);
	$self->publish($subject, $payload // '', $inbox);
	my $answer = $self->next_message;
	$self->_send("UNSUB $sid\r\n");
	die "NATS: nobody answers for $subject\n" if $answer->{headers} =~ m{^NATS/1\.0 503};
	return $answer->{payload};
}

# Calls the API of JetStream, and returns the answer.
sub api
{
	my ($self, $name, $arguments) = @_;
	my $answer = JSON::PP::decode_json($self->request("\$JS.API.$name", defined $arguments ? JSON::PP->new->canonical->encode($arguments) : ''));
	die "JetStream: $answer->{error}{description} ($answer->{error}{err_code})\n" if $answer->{error};
	return $answer;
}

# How many messages a stream has; -1: there is no such stream.
sub stream_size
{
	my ($self, $stream) = @_;
	my $info = eval { $self->api("STREAM.INFO.$stream") };
	return $info ? $info->{state}{messages} : -1;
}

# All messages of a stream in its order.
sub stream_messages
{
	my ($self, $stream) = @_;
	my @found;
	$self->each_message($stream, sub { push @found, $_[0] });
	return @found;
}

# Hands each message of a stream to the function, in the order of the stream. It asks for some at a time, because the server closes a
# connection that reads too slowly.
sub each_message
{
	my ($self, $stream, $on_message) = @_;
	my $left = $self->stream_size($stream);
	return if $left <= 0;
	my $consumer = $self->api("CONSUMER.CREATE.$stream", { stream_name => $stream,
		config => { ack_policy => 'none', deliver_policy => 'all', replay_policy => 'instant', inactive_threshold => 600_000_000_000 } })->{name};
	my $inbox = "_INBOX.test$$." . ++$number;
	my $sid = $self->subscribe($inbox);
	while ($left > 0)
	{
		my $some = $left < 1000 ? $left : 1000;
		$left -= $some;
		$self->publish("\$JS.API.CONSUMER.MSG.NEXT.$stream.$consumer", $some, $inbox);
		for (1 .. $some)
		{
			my $message = $self->next_message;
			die "JetStream: $message->{headers}\n" if $message->{headers} =~ m{^NATS/1\.0 \d};
			my ($id) = $message->{headers} =~ /^Nats-Msg-Id: (.*?)\r$/m;
			my ($sequence) = ($message->{reply} // '') =~ /^\$JS\.ACK\.[^.]+\.[^.]+\.\d+\.(\d+)\./;
			$on_message->({ subject => $message->{subject}, id => $id, payload => $message->{payload}, sequence => $sequence });
		}
	}
	$self->_send("UNSUB $sid\r\n");
	$self->api("CONSUMER.DELETE.$stream.$consumer");
	return;
}

1;
