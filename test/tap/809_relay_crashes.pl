# The relay publishes nothing that a crash takes back, also where sessions commit without waiting for the disk. The server crashes again
# and again while such sessions store readings, and every event in the stream must be in the log afterwards, as the stream has it.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../support";

use IPC::Run ();
use NatsServer;
use PostgreSQL::Test::Utils;
use RelayNode;
use TelemetryNode;
use Test::More;

NatsServer::require_program();
my $nats = NatsServer->new->start;
# The WAL writer is slow, so that a commit stays off the disk unless somebody flushes the log.
my $node = relay_node('crashing', nats_url => $nats->url, conf => "synchronous_commit = off\nwal_writer_delay = 10s\nwal_writer_flush_after = 1GB\n");
send_readings($node, 10);
everything_sent($node, 'the first readings');

my $folder = PostgreSQL::Test::Utils::tempdir;
my $published = $nats->client->stream_size('TELEMETRY');
foreach my $crash (1 .. $ENV{TELEMETRY_CRASHES} // 8)
{
	# One reading in a call, and the crash comes as soon as the stream has some more, which are of the open batch.
	my $wanted = $published + 3 + int rand 40;
	my $file = "$folder/calls.$crash.sql";
	append_to_file($file, join '', map { "SELECT telemetry.ingest_telemetry('dev " . $_ % 7 . "', now(), $_ % 40, NULL, 'c$crash.$_');\n" } 1 .. 20_000);
	my $writer = IPC::Run::start([ 'psql', '-XqAt', '-d', $node->connstr('postgres'), '-f', $file ], '<', '/dev/null', '>', '/dev/null', '2>', '/dev/null');
	my $client = $nats->client;
	my $until = time + 30;
	1 while $client->stream_size('TELEMETRY') < $wanted && time < $until;
	$node->stop('immediate');
	eval { $writer->finish };
	$node->start;
	my $in_stream = $nats->client->stream_size('TELEMETRY');
	cmp_ok($in_stream, '>=', $wanted, "crash $crash: events were published");
	everything_sent($node, "crash $crash");
	stream_is_log($node, $nats, "crash $crash", ordered => 1);
	$published = $nats->client->stream_size('TELEMETRY');
}
$node->stop;
done_testing();
