# The settings that decide a policy: auto_register, max_ahead, and the content of a notification. The test also runs the
# extension without preloading.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes ();
use TelemetryNode;

my $node = telemetry_node('settings', preload => 1);

# Returns the SQLSTATE of a command, or 00000 if there is no error.
sub state_of
{
	my ($command) = @_;
	my ($out, $err);
	$node->psql('postgres', "\\set VERBOSITY sqlstate\n$command", stdout => \$out, stderr => \$err);
	return $err =~ /ERROR:\s+(\w{5})/ ? $1 : '00000';
}

sub set
{
	my ($name, $value) = @_;
	$node->safe_psql('postgres', "ALTER SYSTEM SET telemetry_cqrs.$name = '$value'");
	$node->safe_psql('postgres', 'SELECT pg_reload_conf()');
	wait_for($node, "SELECT setting = '$value' FROM pg_settings WHERE name = 'telemetry_cqrs.$name'", "$name = $value");
}

# auto_register
is(state_of("SELECT telemetry.ingest_telemetry('known', NULL, 1)"), '00000', 'auto_register on: an unknown device is registered');
set('auto_register', 'off');
is(state_of("SELECT telemetry.ingest_telemetry('unknown', NULL, 1)"), 'TC002', 'off: its reading is refused');
is(state_of("SELECT telemetry.ingest_telemetry('known', NULL, 1)"), '00000', 'off: a known device sends on');
is($node->safe_psql('postgres', "SELECT received, accepted, rejected FROM telemetry.ingest_telemetry_batch(ARRAY['known', 'unknown', 'known'], NULL, ARRAY[1, 2, 3], NULL)"),
	'3|2|1', 'off: a batch keeps the good ones');
is($node->safe_psql('postgres', "SELECT sqlstate, payload->>'device_id', (payload->>'temperature')::float8 FROM telemetry.rejected_readings"), 'TC002|unknown|2', 'off: and what is refused');
$node->safe_psql('postgres', "SELECT telemetry.register_device('unknown')");
is(state_of("SELECT telemetry.ingest_telemetry('unknown', NULL, 1)"), '00000', 'off: registered by hand it may send');
is($node->safe_psql('postgres', 'SELECT count(*) FROM telemetry.device'), '2', 'two devices in the registry');
set('auto_register', 'on');
is(state_of("SELECT telemetry.ingest_telemetry('third', NULL, 1)"), '00000', 'on again');

# max_ahead
is(state_of("SELECT telemetry.ingest_telemetry('known', clock_timestamp() + interval '10 minutes', 1)"), 'TC004', 'ten minutes ahead is too far');
set('max_ahead', 3600);
is(state_of("SELECT telemetry.ingest_telemetry('known', clock_timestamp() + interval '10 minutes', 1)"), '00000', 'unless an hour is allowed');
set('max_ahead', 0);
is(state_of("SELECT telemetry.ingest_telemetry('known', clock_timestamp() + interval '1 minute', 1)"), 'TC004', 'with 0 nothing is allowed');
is(state_of("SELECT telemetry.ingest_telemetry('known', clock_timestamp() - interval '1 second', 1)"), '00000', 'but the past');
set('max_ahead', 300);

# max_age and max_metrics; test/tap/130_accounting.pl has the actions.
sub verdict { return $node->safe_psql('postgres', "SELECT concat_ws(' ', verdict, sqlstate) FROM telemetry.check_reading('limits', $_[0])"); }
is(verdict("'1970-01-01 00:00:00+00'"), 'accepted', 'max_age = 0: any time since 1970');
set('max_age', 3600);
is(verdict("now() - interval '2 h'"), 'rejected TC004', 'max_age: an older reading');
is(verdict("now() - interval '30 min'"), 'accepted', 'max_age: a younger reading');
set('max_age', 0);
set('max_metrics', 2);
is(verdict("metrics => '{\"a\": 1, \"b\": 2}'"), 'accepted', 'max_metrics: as many');
is(verdict("metrics => '{\"a\": 1, \"b\": 2, \"c\": null}'"), 'rejected TC006', 'max_metrics: one more, though it is null');
set('max_metrics', 64);

# notify_payload: JSON of at most 7,999 bytes, events when they fit, always the pointer; read_events is the truth
wait_applied($node);
my $listener = session($node);
$listener->query_safe('LISTEN telemetry_ingested');

# Sends readings, and waits until they are applied and the worker has notified. Returns the number of the last batch, and the
# payloads of the batches made since, in the order of their arrival. (The payload of an earlier batch may come late.)
sub heard
{
	my ($send) = @_;
	my $before = $node->safe_psql('postgres', 'SELECT coalesce(max(batch_id), 0) FROM telemetry.batch');
	$node->safe_psql('postgres', $send);
	wait_applied($node);
	my $last = $node->safe_psql('postgres', 'SELECT max(batch_id) FROM telemetry.batch');
	my ($text, @payloads) = ('');
	for (1 .. 100)
	{
		$text .= $listener->query('SELECT 1') . "\n";
		@payloads = grep { /"batch":\s*(\d+)/ && $1 > $before } $text =~ /Asynchronous notification "telemetry_ingested" with payload "(.*)" received from server process/g;
		last if grep { /"batch":\s*$last\b/ } @payloads;
		Time::HiRes::usleep(20_000);
	}
	return ($last, @payloads);
}

my ($batch, @payloads) = heard("SELECT telemetry.ingest_telemetry('heard', '2024-05-01 10:00:00+00', 21.5, 40, 'k', '{\"light1\": 7}', 'hall')");
is(scalar @payloads, 1, 'one notification for a batch');
is($node->safe_psql('postgres', <<"SQL"), 't|t|1|1|heard|21.5', 'it carries version, batch, count and the events');
SELECT p->>'v' = '1', p->>'batch' = '$batch', p->>'count', jsonb_array_length(p->'events'), p #>> '{events,0,device_id}', p #>> '{events,0,temperature}' FROM (SELECT \$p\$$payloads[0]\$p\$::jsonb AS p) AS n
SQL
note($payloads[0]);
is($node->safe_psql('postgres', "SELECT aggregateid, payload->>'temperature', payload #>> '{metrics,light1}' FROM telemetry.read_events($batch)"), 'heard|21.5|7', 'read_events gives the same');

# These events exceed the limit in bytes, so the payload has only the pointer.
my $wide = '🌡' x 60;
($batch, @payloads) = heard("SELECT telemetry.ingest_telemetry_batch(array_agg('$wide' || i), NULL, array_agg(i), NULL, array_agg('k' || i)) FROM generate_series(1, 100) AS i");
my ($pointer) = grep { /"batch":\s*$batch\b/ } @payloads;
is($node->safe_psql('postgres', "SELECT p->>'count', p ? 'events', octet_length(p::text) < 8000 FROM (SELECT \$p\$$pointer\$p\$::jsonb AS p) AS n"), '100|f|t', 'too many events: the pointer alone');
is($node->safe_psql('postgres', "SELECT count(*) FROM telemetry.read_events($batch)"), '100', 'read_events has them all');

set('notify_payload', 'pointer');
($batch, @payloads) = heard("SELECT telemetry.ingest_telemetry('heard', '2024-05-01 10:01:00+00', 1, NULL, 'k2')");
is($node->safe_psql('postgres', "SELECT p->>'batch' = '$batch', p->>'count', p ? 'events' FROM (SELECT \$p\$$payloads[-1]\$p\$::jsonb AS p) AS n"), 't|1|f', 'notify_payload = pointer');
unlike($payloads[-1], qr/heard/, 'says nothing of the device');
set('notify_payload', 'off');
($batch, @payloads) = heard("SELECT telemetry.ingest_telemetry('heard', '2024-05-01 10:02:00+00', 1, NULL, 'k3')");
is("@payloads", '', 'notify_payload = off: no listener is told');
is($node->safe_psql('postgres', "SELECT count(*) FROM telemetry.read_events($batch)"), '1', 'but the batch is there');
is($node->safe_psql('postgres', "SELECT state FROM telemetry.pipeline_status WHERE stage = 'notification'"), 'off', 'and the status says so');
$listener->quit;

# Without any worker commands store, project_once() applies, and the status says what is the matter.
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''\ntelemetry_cqrs.start_worker = off");
$node->restart;
is($node->safe_psql('postgres', 'SELECT preloaded, pid IS NULL, state FROM telemetry.worker_status()'), 'f|t|none', 'not preloaded: no worker, and it is said');
is($node->safe_psql('postgres', "SELECT status FROM telemetry.ingest_telemetry('alone', '2024-05-01 10:00:00+00', 5, NULL, 'k')"), 'accepted', 'not preloaded: a reading is stored');
is($node->safe_psql('postgres', "SELECT count(*) FROM telemetry.device_stats WHERE device_id = 'alone'"), '0', 'not preloaded: it waits');
is($node->safe_psql('postgres', 'SELECT projection, state, lag_events, lag_seconds > 0 FROM telemetry.projection_status WHERE projection !~ $$_$$ ORDER BY 1'), "device|stopped|1|t\nregion|stopped|1|t", 'not preloaded: the status says so');
$node->safe_psql('postgres', 'CALL telemetry.project_once()');
is($node->safe_psql('postgres', "SELECT last_temperature FROM telemetry.device_stats WHERE device_id = 'alone'"), '5', 'project_once() applies it');
is($node->safe_psql('postgres', 'SELECT projection, state, lag_events, lag_seconds FROM telemetry.projection_status WHERE projection !~ $$_$$ ORDER BY 1'), "device|current|0|0\nregion|current|0|0", 'and nothing waits');
$node->safe_psql('postgres', 'CALL telemetry.project_once()');
is($node->safe_psql('postgres', "SELECT sample_count FROM telemetry.device_stats WHERE device_id = 'alone'"), '1', 'again: nothing happens');
read_models_follow($node, 'telemetry.measurements', 'at the end');

# Preloaded again: the worker goes on where project_once() stopped.
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'telemetry_cqrs'\ntelemetry_cqrs.start_worker = on");
$node->restart;
$node->safe_psql('postgres', "SELECT telemetry.ingest_telemetry('alone', '2024-05-01 10:01:00+00', 7, NULL, 'k2')");
wait_applied($node);
read_models_follow($node, 'telemetry.measurements', 'preloaded again');
$node->stop;
done_testing();
