# The extension is dropped and made anew in one transaction that also stores a reading, while NATS acknowledges nothing. The relay has read the first batches of the old
# log, and the new log has batches of the same numbers.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../support";

use HostilePeer;
use NatsServer;
use RelayNode;
use TelemetryNode;
use Test::More;

NatsServer::require_program();

my $peer = HostilePeer->new(sub {
	my ($socket) = @_;
	HostilePeer::speak_nats($socket, sub {
		my ($subject, $reply) = @_;
		print $socket HostilePeer::nats_message($reply, $HostilePeer::stream_info) if $subject =~ /^\$JS\.API\.STREAM\.INFO/;
	});
});
my $node = relay_node('reinstalled', nats_url => 'nats://127.0.0.1:' . $peer->port);
# Each reading gets a batch of its own.
foreach my $batches (1 .. 5)
{
	send_readings($node, 1);
	wait_for($node, "SELECT count(*) >= $batches FROM telemetry.batch", "batch $batches");
}
relay_becomes($node, 'nats', 'pending >= 5', 'the old log is read');
$node->safe_psql('postgres', 'BEGIN; DROP EXTENSION telemetry_cqrs; CREATE EXTENSION telemetry_cqrs; SELECT status FROM telemetry.ingest_telemetry(\'new\', \'2024-05-01\', 1); COMMIT');
wait_for($node, 'SELECT count(*) > 0 FROM telemetry.batch', 'a batch of the new log');
$peer->stop;
my $nats = NatsServer->new(port => $peer->port)->start;
relay_becomes($node, 'nats', 'connected', 'NATS is there');
wait_for($node, "SELECT sent > 0 AND pending = 0 FROM telemetry.relay_status WHERE sink = 'nats'", 'everything to arrive');
$node->safe_psql('postgres', "SELECT status FROM telemetry.ingest_telemetry('new', '2024-05-02', 2)");
everything_sent($node, 'the new log', 30);
is(scalar(grep { $_->{subject} =~ /\.new$/ } $nats->client->stream_messages('TELEMETRY')), 2, 'the events of the new log are there');
$node->stop;
done_testing();
