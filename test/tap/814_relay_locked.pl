# Somebody restarts the relay's subscription in a transaction that stays open. The relay does not wait for its end, and stores afterwards how
# far it has come.
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
my $node = relay_node('locked', nats_url => $nats->url);
send_readings($node, 10);
relay_becomes($node, 'nats', 'connected', 'the relay connects');
everything_sent($node, 'a few readings');

my $administrator = session($node);
$administrator->query_safe('BEGIN');
$administrator->query_safe(q(SELECT telemetry.restart_subscription('relay.nats', 'infinity')));
foreach my $count (1 .. 3)
{
	send_readings($node, 10);
	relay_becomes($node, 'nats', "acknowledged = 10 + 10 * $count AND pending = 0", "readings arrive meanwhile, $count", 20);
}
is($node->safe_psql('postgres', q(SELECT batch_id FROM telemetry.subscription_share WHERE subscription = 'relay.nats')), 1, 'the place waits');
$administrator->query_safe('ROLLBACK');
everything_sent($node, 'the transaction is over', 20);
stream_is_log($node, $nats, 'the transaction is over', ordered => 1);

# A restart that commits holds.
$administrator->query_safe('BEGIN');
$administrator->query_safe(q(SELECT telemetry.restart_subscription('relay.nats', '-infinity')));
send_readings($node, 10);
relay_becomes($node, 'nats', 'acknowledged = 50', 'readings arrive');
$administrator->query_safe('COMMIT');
$administrator->quit;
relay_becomes($node, 'nats', 'duplicates = 50', 'after the restart all come again');
everything_sent($node, 'the restart', 20);
stream_is_log($node, $nats, 'the restart', ordered => 1);
$node->stop;
done_testing();
