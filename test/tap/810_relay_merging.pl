# NATS is away for longer than batches are kept one by one. The relay has read a part of a batch before, and the batch is merged
# meanwhile. A transaction that was open all the time ended in a later part of it.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../support";

use NatsServer;
use PostgreSQL::Test::Utils;
use RelayNode;
use TelemetryNode;
use Test::More;
use Time::HiRes qw(usleep);

NatsServer::require_program();

my $nats = NatsServer->new->start;
my $node = relay_node('merged', nats_url => $nats->url, nats_window => 2, batch_retention => '1h');
send_readings($node, 1);
relay_becomes($node, 'nats', 'connected', 'the relay connects');
everything_sent($node, 'a reading');
$node->safe_psql('postgres', q(SELECT telemetry.pause_relay('nats')));
relay_becomes($node, 'nats', 'paused', 'paused');

# Its number is lower than those of the transactions that follow.
my $straggler = session($node);
$straggler->query_safe(q(BEGIN));
$straggler->query_safe(q(SELECT accepted FROM telemetry.ingest_telemetry_batch(ARRAY['straggler'], NULL, ARRAY[1.0::float8], NULL::float8[])));
foreach (1 .. 40)
{
	$node->safe_psql('postgres', q(SELECT accepted FROM telemetry.ingest_telemetry_batch(ARRAY(SELECT 'dev ' || i % 40 FROM generate_series(1, 700) AS i), NULL,
		ARRAY(SELECT random() * 50 FROM generate_series(1, 700)), NULL::float8[])));
	usleep(25_000);
}
wait_for($node, 'SELECT count(*) > 30 FROM telemetry.batch', 'batches');
$node->safe_psql('postgres', q(SELECT telemetry.resume_relay('nats')));
my $client = $nats->client;
usleep(1000) until $client->stream_size('TELEMETRY') > 2000;
$nats->freeze;
relay_becomes($node, 'nats', 'backing off', 'NATS is away');
$straggler->query_safe('COMMIT');
$straggler->quit;
wait_for($node, 'SELECT (SELECT count(*) FROM telemetry.event) = (SELECT sum(events) FROM telemetry.batch)', 'every event to be in a batch');
relay_settings($node, batch_retention => '1s');
wait_for($node, "SELECT count(*) < 8 AND (SELECT events > 1 FROM telemetry.batch ORDER BY batch_id DESC LIMIT 1) FROM telemetry.batch", "batches to be merged");
$nats->thaw;
everything_sent($node, 'after the outage');
stream_is_log($node, $nats, 'after the outage', ordered => 1);
$node->stop;
done_testing();
