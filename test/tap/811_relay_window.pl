# The narrowest window that the setting allows: one message at a time.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../support";

use NatsServer;
use RelayNode;
use TelemetryNode;
use Test::More;

NatsServer::require_program();

my $nats = NatsServer->new->start;
my $node = relay_node('narrow', nats_url => $nats->url, nats_window => 1);
send_readings($node, 1);
relay_becomes($node, 'nats', 'connected', 'the relay connects');
send_readings($node, 1500);
everything_sent($node, 'one message at a time', 30);
stream_is_log($node, $nats, 'one message at a time', ordered => 1);
$node->stop;
done_testing();
