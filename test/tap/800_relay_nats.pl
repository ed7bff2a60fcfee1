# The relay and NATS. Each accepted reading is one message of the stream, with the subject, the id and the payload of its event, and the
# messages of a device stand in the order of its events. relay_status counts them. pause_relay(), resume_relay() and the settings
# let the relay stop and go on without loss.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../support";

use NatsServer;
use PostgreSQL::Test::Utils;
use RelayNode;
use TelemetryNode;
use Test::More;

NatsServer::require_program();
my $nats = NatsServer->new->start;
my $node = relay_node('relay', nats_url => $nats->url('somebody:hush-hush'));
sub sql { return $node->safe_psql('postgres', $_[0]) }
sub error_of
{
	my ($statement) = @_;
	$node->psql('postgres', "\\set VERBOSITY verbose\n$statement", stdout => \my $out, stderr => \my $err);
	return $err =~ /ERROR:\s+(\w{5}: .*)/ ? $1 : "no error: $out";
}

# --- the way of an event -------------------------------------------------------------------------------------------------------

relay_becomes($node, 'nats', "state = 'waiting' AND pid IS NOT NULL", 'before the first reading the relay waits');
is($nats->client->stream_size('TELEMETRY'), -1, 'and makes no stream');
send_readings($node, 1);
relay_becomes($node, 'nats', 'connected', 'the relay connects');
everything_sent($node, 'the first reading');
like(sql('SELECT note FROM telemetry.relay_status WHERE sink = \'nats\''), qr/^stream TELEMETRY: duplicate window 120 s, 1 replica$/, 'the stream is made, and the note says what it is');
is($nats->client->stream_size('TELEMETRY'), 1, 'and the first reading is in it');
is(sql("SELECT state, pid IS NOT NULL FROM telemetry.relay_status WHERE sink = 'redis'"), 'off|t', 'Redis is off');

# Names with every kind of character that has a meaning in a subject.
my @names = ('plain', 'a.b', 'a b', '*', '>', '_', '%', "tab\tin", 'ünï', 'x' x 255);
foreach my $device (@names)
{
	my $quoted = "'" . $device =~ s/\t/\\t/r . "'";
	$node->psql('postgres', "SELECT status FROM telemetry.ingest_telemetry(E$quoted, '2024-05-01', 20.5, 40, 'k', '{\"a\": 1e-7, \"b\": 12345678901}', E$quoted)");
}
my $stored = sql('SELECT count(*) FROM telemetry.measurements');
cmp_ok($stored, '>=', 9, "$stored readings of odd names are stored");
everything_sent($node, 'odd names');
stream_is_log($node, $nats, 'odd names');

send_readings($node, 2000);
sql("BEGIN; SELECT telemetry.ingest_telemetry('rolled back', NULL, 1); ROLLBACK");
is(sql("SELECT status FROM telemetry.ingest_telemetry('plain', '2024-05-01', 20.5, 40, 'k', '{\"a\": 1e-7, \"b\": 12345678901}', 'plain')"), 'duplicate', 'a repeat');
everything_sent($node, 'made-up readings');
stream_is_log($node, $nats, 'made-up readings', ordered => 1);
wait_for($node, "SELECT acknowledged = (SELECT count(*) FROM telemetry.measurements) FROM telemetry.relay_status WHERE sink = 'nats'", 'the figures');
is(sql("SELECT sent = acknowledged, duplicates, pending, failures, late_repeats, lag_events, last_error IS NULL, acknowledged_batch = (SELECT max(batch_id) FROM telemetry.batch), server FROM telemetry.relay_status WHERE sink = 'nats'"),
	't|0|0|0|0|0|t|t|nats://127.0.0.1:' . $nats->port, 'the figures of relay_status, and the server without secrets');

SKIP:
{
	skip 'TELEMETRY_TEST_DATA is not set, so the real readings are NOT sent', 3 if !real_data_folder();
	is(send_real_readings($node, 4000), 4000, 'readings of the real file are accepted');
	everything_sent($node, 'the real readings');
	stream_is_log($node, $nats, 'the real readings', ordered => 1);
}

# --- pause and resume ------------------------------------------------------------------------------------------------------------

like(error_of("SELECT telemetry.pause_relay('kafka')"), qr/^22023: the relay has no sink "kafka"/, 'an unknown sink');
like(error_of("SELECT telemetry.resume_relay('redis')"), qr/^22023: the relay has no sink "redis"/, 'a sink to which nothing was sent');
like(error_of("SELECT telemetry.adopt_relay('x')"), qr/^22023:/, 'adopt_relay() of an unknown sink');
is(sql('SELECT telemetry.refresh_cache()'), '0', 'no cache is to be refreshed');
is(sql("SELECT telemetry.adopt_relay()"), '0', 'nothing is to be adopted');
is(sql("SELECT telemetry.pause_relay('nats')"), '1', 'pause_relay()');
is(sql('SELECT telemetry.pause_relay()'), '0', 'once more');
relay_becomes($node, 'nats', "state = 'paused' AND paused_by = 'postgres' AND paused_at IS NOT NULL", 'paused');
send_readings($node, 700);
wait_for($node, "SELECT lag_events = 700 FROM telemetry.relay_status WHERE sink = 'nats'", 'the lag of a paused relay');
my $before = $nats->client->stream_size('TELEMETRY');
$node->restart;
relay_becomes($node, 'nats', "state = 'paused' AND pid IS NOT NULL", 'paused after a restart');
is($nats->client->stream_size('TELEMETRY'), $before, 'nothing was sent meanwhile');
is(sql('SELECT telemetry.resume_relay()'), '1', 'resume_relay()');
is(sql('SELECT telemetry.resume_relay()'), '0', 'once more');
everything_sent($node, 'after the pause');
stream_is_log($node, $nats, 'after the pause', ordered => 1);

# The relay is paused while it has messages that the server does not acknowledge, and the server dies with them. They must come after
# the pause.
$nats->freeze;
send_readings($node, 3000);
relay_becomes($node, 'nats', 'pending > 0', 'messages are on their way to a frozen server');
sql('SELECT telemetry.pause_relay()');
relay_becomes($node, 'nats', "state = 'paused' AND pending = 0", 'paused with messages on the way');
$nats->stop('KILL');
$nats->start;
sql('SELECT telemetry.resume_relay()');
everything_sent($node, 'paused with messages on the way');
stream_is_log($node, $nats, 'paused with messages on the way', ordered => 1);

# --- settings by reload ------------------------------------------------------------------------------------------------------------

my $old = relay_pid($node);
relay_settings($node, nats_url => '');
ok(wait_for($node, "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs relay'", 'the relay to leave'), 'without a URL there is no relay');
is(sql("SELECT state, pid FROM telemetry.relay_status WHERE sink = 'nats'"), 'off|', 'and the state is off');
send_readings($node, 100);
my $second = NatsServer->new->start;
relay_settings($node, nats_url => $second->url, nats_stream => 'OTHER');
everything_sent($node, 'another server');
is($second->client->stream_size('OTHER'), 100, 'another server and another stream have what came since');
relay_settings($node, nats_url => $nats->url, nats_stream => 'TELEMETRY');
send_readings($node, 50);
everything_sent($node, 'back again');
is($nats->client->stream_size('TELEMETRY'), sql('SELECT count(*) - 100 FROM telemetry.measurements'), 'the first server has what came later');

foreach my $wrong ([ nats_url => 'nats://:secret word@' ], [ nats_stream => 'a.b' ], [ nats_url => 'http://127.0.0.1' ])
{
	my ($name, $value) = @$wrong;
	relay_settings($node, @$wrong);
	relay_becomes($node, 'nats', "state = 'stopped' AND last_failure_phase = 'settings' AND last_error LIKE 'telemetry_cqrs.$name: %' AND last_error NOT LIKE '%secret%'", "$name = $value: relay_status says what is wrong");
	relay_settings($node, nats_url => $nats->url, nats_stream => 'TELEMETRY');
	relay_becomes($node, 'nats', 'connected', 'and it goes on');
}
is(sql("SELECT setting FROM pg_settings WHERE name = 'telemetry_cqrs.start_worker'"), 'on', 'workers are wanted');
relay_settings($node, start_worker => 'off');
ok(wait_for($node, "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs relay'", 'the relay to leave'), 'start_worker = off: there is no relay');
is(sql("SELECT state FROM telemetry.relay_status WHERE sink = 'nats'"), 'stopped', 'and the state says so');
relay_settings($node, start_worker => 'on');
relay_becomes($node, 'nats', 'connected', 'it comes back');

# --- a crash, a termination ----------------------------------------------------------------------------------------------------------

$old = relay_pid($node);
within(3, 'pg_terminate_backend(relay)', sub { sql("SELECT pg_terminate_backend($old, 10000)") });
ok(wait_for($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs relay' AND pid <> $old", 'a new relay'), 'it comes back');

# --- secrets -------------------------------------------------------------------------------------------------------------------------

relay_settings($node, nats_url => $nats->url('somebody:hush-hush'));
relay_becomes($node, 'nats', 'connected', 'with a password');
sql('CREATE ROLE plain LOGIN; SELECT telemetry.grant_admin(\'plain\')');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_settings WHERE setting LIKE '%hush%'", extra_params => [ '-U', 'plain' ]), '0', 'pg_settings does not show the password to a role');
my ($status, undef, $err) = $node->psql('postgres', 'SHOW telemetry_cqrs.nats_url', extra_params => [ '-U', 'plain' ]);
like($err, qr/must be superuser|permission denied/, 'nor does SHOW');
is(sql("SELECT count(*) FROM telemetry.relay_status r WHERE r::text LIKE '%hush%'"), '0', 'nor does relay_status');
my @lines = grep { /hush/ && !/parameter "telemetry_cqrs\.nats_url" changed to/ } split /\n/, slurp_file($node->logfile);
is(scalar @lines, 0, 'nor does the log, but for the line with which the server itself reports a reload') or diag join "\n", @lines;
like($node->safe_psql('postgres', "SELECT detail FROM telemetry.health() WHERE item = 'relay'", extra_params => [ '-U', 'plain' ]), qr/^nats: connected, 0 events wait/, 'health() has a row');

$node->stop;
done_testing();
