# Streams of JetStream as the relay finds them: missing, made by somebody else, deleted, full, with a short duplicate window, in memory,
# and servers without JetStream.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../support";

use NatsServer;
use PostgreSQL::Test::Utils;
use RelayNode;
use TelemetryNode;
use Test::More;
use Time::HiRes qw(time usleep);

NatsServer::require_program();
my $node = relay_node('streams');
sub sql { return $node->safe_psql('postgres', $_[0]) }
# Makes another stream in place of the relay's, while the relay is paused. The relay asks for the stream when it connects.
sub replace_stream
{
	my ($nats, $name, %config) = @_;
	sql('SELECT telemetry.pause_relay()');
	relay_becomes($node, 'nats', 'paused', 'a pause');
	$nats->client->api('STREAM.DELETE.TELEMETRY');
	$nats->client->api("STREAM.CREATE.$name", { name => $name, subjects => ['telemetry.>'], %config });
	sql("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs relay'");
	sql('SELECT telemetry.resume_relay()');
	return;
}
sub stream { my ($nats) = @_; return $nats->client->api('STREAM.INFO.TELEMETRY')->{config} }
send_readings($node, 20);

# Without JetStream.
my $plain = NatsServer->new(no_jetstream => 1)->start;
relay_settings($node, nats_url => $plain->url);
relay_becomes($node, 'nats', "last_failure_phase = 'stream' AND last_error LIKE '%has no JetStream%'", 'a server without JetStream');
$plain->stop;

# Missing: the relay makes it.
my $nats = NatsServer->new->start;
relay_settings($node, nats_url => $nats->url);
send_readings($node, 10);
everything_sent($node, 'a stream that the relay makes');
my $config = stream($nats);
is("@{ $config->{subjects} } $config->{storage} $config->{retention} $config->{max_msgs} $config->{duplicate_window}", 'telemetry.> file limits -1 120000000000', 'what it is like');

# Deleted while the relay is connected.
my $had = $nats->client->stream_size('TELEMETRY');
$nats->client->api('STREAM.DELETE.TELEMETRY');
send_readings($node, 7);
everything_sent($node, 'a stream that was deleted');
cmp_ok($nats->client->stream_size('TELEMETRY'), '>=', 7, 'it is made again, and has what came since');

# Another stream has the subjects.
replace_stream($nats, 'SOMEBODY');
send_readings($node, 7);
relay_becomes($node, 'nats', "last_failure_phase = 'stream' AND last_error LIKE 'stream TELEMETRY: subjects overlap%'", 'another stream has the subjects');
$nats->client->api('STREAM.DELETE.SOMEBODY');
everything_sent($node, 'the subjects are free');

# Made by somebody else: in memory, with a window of 1 s.
replace_stream($nats, 'TELEMETRY', storage => 'memory', duplicate_window => 1_000_000_000);
send_readings($node, 3);
relay_becomes($node, 'nats', "note = 'stream TELEMETRY: duplicate window 1 s, 1 replica, in memory: a restart of NATS loses its messages'", 'the note on a stream of somebody else', 60);
everything_sent($node, 'a stream of somebody else');
is(stream($nats)->{storage}, 'memory', 'the relay leaves it as it is');

# An outage that is longer than the window: what was on the way goes out again, and is counted.
is(sql("SELECT late_repeats FROM telemetry.relay_status WHERE sink = 'nats'"), '0', 'no late repeats so far');
$nats->freeze;
send_readings($node, 40);
relay_becomes($node, 'nats', "last_failure_phase = 'acknowledge'", 'a frozen server', 60);
$nats->thaw;
everything_sent($node, 'an outage that is longer than the window');
my $late = sql("SELECT late_repeats FROM telemetry.relay_status WHERE sink = 'nats'");
cmp_ok($late, '>', 0, "late_repeats counts the messages that may be there twice ($late)");

# It does not take the subjects of ours.
replace_stream($nats, 'TELEMETRY', subjects => ['elsewhere.>']);
send_readings($node, 5);
relay_becomes($node, 'nats', "last_failure_phase = 'publish' AND last_error LIKE 'no stream takes the subject%'", 'a stream for other subjects');

# It is full, and refuses new messages.
replace_stream($nats, 'TELEMETRY', max_msgs => 3, discard => 'new');
relay_becomes($node, 'nats', "last_failure_phase = 'publish' AND last_error LIKE 'maximum messages exceeded%'", 'a full stream');
$nats->client->api('STREAM.UPDATE.TELEMETRY', { name => 'TELEMETRY', subjects => ['telemetry.>'], max_msgs => -1, discard => 'new' });
everything_sent($node, 'a stream with room');

# Messages larger than the server takes.
my $small = NatsServer->new(conf => "max_payload: 200\n")->start;
relay_settings($node, nats_url => $small->url);
send_readings($node, 5);
relay_becomes($node, 'nats', "last_failure_phase IN ('publish', 'read') AND last_error ~* 'payload|closed'", 'a server that takes small messages only');
$node->stop;
done_testing();
