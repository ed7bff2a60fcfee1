# The projector tells in the log which devices go offline and come back: device.offline and device.online, once for each silence, whatever
# ends the projector or the server, beside sessions that apply readings, after a rebuild, and in a restored dump. Nobody is called offline
# because the server was down or a projection is behind. These events are in batches and notifications, and in no statistics.
# Begins early.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

my $node = telemetry_node('liveness', preload => 1,
	conf => "restart_after_crash = on\ntelemetry_cqrs.launcher_interval = 100\ntelemetry_cqrs.poll_interval = 50\ntelemetry_cqrs.liveness_interval = 1\n");
sub sql { my ($statement) = @_; return $node->safe_psql($TelemetryNode::database, $statement); }
sub set { my ($setting) = @_; $node->append_conf('postgresql.conf', "telemetry_cqrs.$setting\n"); $node->reload; return; }
sub send_reading { my ($device) = @_; return sql("SELECT received_at FROM telemetry.ingest_telemetry('$device', NULL, 1)"); }

# The events of devices, in their order.
sub told
{
	my (@devices) = @_;
	my $list = join ', ', map { "'$_'" } @devices;
	return sql("SELECT coalesce(string_agg(aggregateid || ' ' || (payload ->> 'state'), ', ' ORDER BY id), '') FROM telemetry.events WHERE type LIKE 'device.%' AND aggregateid IN ($list)");
}
sub wait_told
{
	my ($device, $state, $count, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok(wait_for($node, "SELECT count(*) >= $count FROM telemetry.events WHERE type = 'device.$state' AND aggregateid = '$device'", $what), $what);
}
# Lets the projector look for as long as a device needs to go offline. Another device shows that it did.
my $sentinels = 0;
sub looks_pass
{
	my ($what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $sentinel = 'sentinel' . ++$sentinels;
	sql("SELECT telemetry.register_device('$sentinel', NULL, '500 ms')");
	send_reading($sentinel);
	return wait_told($sentinel, 'offline', 1, "$what: the projector has looked");
}
my $projector = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs projector' AND datname = 'postgres'";

# Of each device the events alternate, and begin with offline. Each offline begins three intervals after the last reading, each online at a
# later reading, and no key is there twice. The test falsifies the state of devices called after-...
my $wrong = <<'SQL';
SELECT count(*) FROM (
	SELECT v.*, lag(v.type) OVER one AS before, lag(v.last) OVER one AS last_before
	FROM (SELECT event_id, device_id, type, measured_at AS since, received_at, (metrics ->> 'last_received_at')::timestamptz AS last, (metrics ->> 'silent_since')::timestamptz AS silent,
	             make_interval(secs => (metrics ->> 'expected_interval')::float8) AS interval FROM telemetry.event WHERE type LIKE 'device.%') AS v
	WINDOW one AS (PARTITION BY device_id ORDER BY event_id)) AS e
WHERE NOT coalesce(type = CASE before WHEN 'device.offline' THEN 'device.online' ELSE 'device.offline' END
	AND received_at >= since AND since = CASE type WHEN 'device.offline' THEN last + 3 * interval ELSE last END
	AND (type = 'device.offline' OR silent = last_before AND last > silent)
	AND (device_id LIKE 'after-%' OR EXISTS (SELECT FROM telemetry.measurements m WHERE m.device_id = e.device_id AND m.received_at = e.last)), false)
SQL
my $twice = "SELECT count(*) - count(DISTINCT (device_id, idempotency_key)) FROM telemetry.event WHERE type LIKE 'device.%'";
sub is_right
{
	my ($what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is(sql($wrong) . ' ' . sql($twice), '0 0', "$what: each silence is told once, with its times");
}

# --- changes -------------------------------------------------------------------------------------------------------------

sql(<<'SQL');
SELECT telemetry.register_device(d, 'hall', '500 ms') FROM unnest(ARRAY['a', 'b', 'never', 'retired']) AS d;
SELECT telemetry.register_device('hourly', 'hall', '1 h'), telemetry.register_device('none');
SELECT telemetry.ingest_telemetry(d, NULL, 1) FROM unnest(ARRAY['a', 'b', 'hourly', 'none', 'retired']) AS d;
UPDATE telemetry.device SET status = 'retired' WHERE device_id = 'retired';
SQL
wait_told('a', 'offline', 1, 'a device falls silent');
wait_told('b', 'offline', 1, 'and another one');
is(sql("SELECT string_agg(device_id || ' ' || state, ', ' ORDER BY device_id) FROM telemetry.device_liveness"), 'a offline, b offline, hourly online, never never_seen, none unknown', 'the view says so');
is(sql("SELECT string_agg(device_id, ' ' ORDER BY device_id) FROM telemetry.offline_device"), 'a b', 'they are noted');
is(sql(<<'SQL'), '1 t t {expected_interval,last_received_at,state}', 'what an event says');
SELECT concat_ws(' ', e.version, e.payload ->> 'region' = 'hall' AND e.payload ->> 'state' = 'offline', (e.payload ->> 'since')::timestamptz = m.received_at + interval '1.5 s' AND (e.payload ->> 'last_received_at')::timestamptz = m.received_at,
	(SELECT array_agg(k ORDER BY k) FROM jsonb_object_keys(e.payload - '{device_id,region,since,received_at,idempotency_key}'::text[]) AS k))
FROM telemetry.events e JOIN telemetry.measurements m ON m.device_id = e.aggregateid WHERE e.type = 'device.offline' AND e.aggregateid = 'a'
SQL
send_reading('b');
wait_told('b', 'online', 1, 'it comes back');
wait_told('b', 'offline', 2, 'and falls silent again');
is(told('b'), 'b offline, b online, b offline', 'each change is told once');
looks_pass('later');
is(told('a', 'hourly', 'never', 'none', 'retired'), 'a offline', 'and no other one');
is_right('changes');

# A client may use the key of such an event for a reading of its own, also before the event is there.
my $open = session($node);
my $last = send_reading('b');
$open->query_safe("BEGIN; SELECT telemetry.ingest_telemetry('b', NULL, 1, idempotency_key => 'device.offline ' || to_char('$last'::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'))");
wait_told('b', 'offline', 3, 'an open transaction with the key of an event does not hold it up');
is(sql("SELECT idempotency_key = 'device.offline ' || to_char('$last'::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') FROM telemetry.event WHERE type = 'device.offline' AND device_id = 'b' ORDER BY event_id DESC LIMIT 1"), 't', 'it has that key');
$open->query_safe('ROLLBACK');
$open->quit;
my $key = sql("SELECT idempotency_key FROM telemetry.event WHERE type = 'device.offline' AND device_id = 'a'");
is(sql("SELECT status FROM telemetry.ingest_telemetry('none', NULL, 1, idempotency_key => '$key')"), 'accepted', 'the key of another device is free');
is(sql("SELECT status FROM telemetry.ingest_telemetry('a', NULL, 1, idempotency_key => '$key')"), 'accepted', 'and so is that of the device');
is(sql("SELECT status FROM telemetry.ingest_telemetry('a', NULL, 1, idempotency_key => '$key')"), 'duplicate', 'its repeat is a duplicate');
my (undef, undef, $err) = $node->psql('postgres', "\\set VERBOSITY sqlstate\nSELECT telemetry.ingest_telemetry('a', NULL, 2, idempotency_key => '$key')");
like($err, qr/TC009/, 'and another reading a conflict');
wait_told('a', 'offline', 2, 'which the device has sent');
is_right('the key of an event');

# A reading that is repeated or refused is no sign of life.
looks_pass('after that');
sql("SELECT telemetry.ingest_telemetry('a', NULL, 1, idempotency_key => '$key')");
sql("SELECT telemetry.ingest_telemetry_batch(ARRAY['a'], NULL, ARRAY['NaN'::float8], NULL)");
looks_pass('after a repeat');
is(told('a'), 'a offline, a online, a offline', 'no sign of life');

# Nobody can expect readings of a device without an interval, unless there is one for all.
set("expected_interval = '1s'");
ok(wait_for($node, "SELECT state = 'offline' AND expected_interval = '1 s' FROM telemetry.device_liveness WHERE device_id = 'none'", 'the default'), 'an interval for all');
wait_told('none', 'offline', 1, 'counts for a device without one');
set("expected_interval = 0");

# --- nobody is offline because nobody listened -------------------------------------------------------------------------------------

sub listening_begins
{
	my ($device, $begin, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	set('liveness_interval = 0');
	sql("SELECT telemetry.register_device('$device', NULL, '500 ms')");
	send_reading($device);
	wait_applied($node);
	sql("UPDATE telemetry.state_device SET last_received_at = last_received_at - interval '1 h' WHERE key = '$device'");
	my $began = $begin->();
	wait_told($device, 'offline', 1, $what);
	is(sql("SELECT received_at >= '$began'::timestamptz + interval '1.5 s' AND measured_at < received_at - interval '50 min' FROM telemetry.event WHERE type = 'device.offline' AND device_id = '$device'"),
		't', "$what: nobody is offline before his time has passed");
	sql("SELECT telemetry.ingest_telemetry('$device', NULL, 1)");    # its state is right again
	wait_told($device, 'online', 1, "$what: it comes back");
}
listening_begins('after-restart', sub {
	$node->append_conf('postgresql.conf', "telemetry_cqrs.liveness_interval = 1\n");
	$node->restart;
	return sql('SELECT pg_postmaster_start_time()');
}, 'after a restart');
listening_begins('after-end', sub {
	my $old = sql($projector);
	sql("SELECT pg_terminate_backend($old)");
	set('liveness_interval = 1');
	wait_for($node, "SELECT count(*) = 1 FROM ($projector) AS p WHERE pid <> $old", 'another projector');
	return sql("SELECT backend_start FROM pg_stat_activity WHERE pid = ($projector)");
}, 'after the end of a projector');

# A projection that is behind lacks readings. p has sent two, and only the first one was applied.
sql("SELECT telemetry.register_device('p', NULL, '1 h')");
send_reading('p');
wait_applied($node);
sql("SELECT telemetry.pause_projection('device')");
my $second = send_reading('p');
sql("SELECT telemetry.set_expected_interval('p', '500 ms')");
wait_for($node, "SELECT clock_timestamp() > '$second'::timestamptz + interval '4 s'", 'looks of the projector');
is(told('p') . sql("SELECT state <> 'offline' AND as_of < '$second' FROM telemetry.device_liveness WHERE device_id = 'p'"), 't', 'a projection that is behind makes nobody offline');
sql("SELECT telemetry.resume_projection('device')");
wait_told('p', 'offline', 1, 'when it has caught up, he is');
is(sql("SELECT (metrics ->> 'last_received_at')::timestamptz = '$second' FROM telemetry.event WHERE type = 'device.offline' AND device_id = 'p'"), 't', 'since his last reading');

# What a user puts on the table can be in the way. The passes go on, and nothing is told twice afterwards.
my $log_begin = -s $node->logfile;
sql(<<'SQL');
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE CONSTRAINT TRIGGER mine AFTER INSERT ON telemetry.offline_device DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION nothing();
SELECT telemetry.register_device('blocked', NULL, '500 ms');
SQL
$node->wait_for_log(qr/telemetry_cqrs projector does not tell which devices are offline: /, $log_begin);
like(sql("SELECT detail FROM telemetry.health() WHERE item = 'tables' AND state = 'error'"), qr/trigger "mine" on telemetry\.offline_device/, 'an object that is in the way is named');
send_reading('blocked');
ok(wait_for($node, "SELECT state = 'offline' FROM telemetry.device_liveness WHERE device_id = 'blocked'", 'the view'), 'the view does without the table');
sql('DROP TRIGGER mine ON telemetry.offline_device');
wait_told('blocked', 'offline', 1, 'when it is gone, the device is told');
$node->wait_for_log(qr/telemetry_cqrs projector tells again which devices are offline/, $log_begin);
is(scalar(() = slurp_file($node->logfile, $log_begin) =~ /does not tell which devices/g), 1, 'the log has one line of it');

# --- once, whatever happens ----------------------------------------------------------------------------------------------

my $devices = 200;
sql("SELECT telemetry.register_device('many-' || i, 'yard', '500 ms') FROM generate_series(1, $devices) AS i");
my %blows = (
	'the projector is terminated' => sub { sql("SELECT pg_terminate_backend(($projector))") },
	'the projector is killed' => sub { kill 'KILL', sql($projector) },
	'the server stops at once' => sub { $node->stop('immediate'); $node->start },
	'the server is restarted' => sub { $node->restart },
	'the projection is rebuilt' => sub { sql("SELECT telemetry.rebuild_projection('device')") });
my $round = 0;
for my $what (sort keys %blows)
{
	++$round;
	# Sessions apply readings as the worker does.
	my @beside = map { psql_start($node, "CALL telemetry.project_once();\n" x 300) } 1 .. 2;
	sql("SELECT telemetry.ingest_telemetry_batch(array_agg('many-' || i), NULL, array_agg(i::float8), NULL) FROM generate_series(1, $devices) AS i");
	wait_for($node, "SELECT count(*) >= $devices * $round FROM telemetry.events WHERE type = 'device.offline' AND aggregateid LIKE 'many-%'", "round $round") if $round % 2;
	$blows{$what}->();
	psql_finish($_) for @beside;
	wait_for($node, "SELECT count(*) >= $devices * $round FROM telemetry.events WHERE type = 'device.offline' AND aggregateid LIKE 'many-%'", "all devices in round $round");
	is_right($what);
}
looks_pass('at the end');
is(sql("SELECT string_agg(DISTINCT n::text, ' ') FROM (SELECT count(*) AS n FROM telemetry.events WHERE type LIKE 'device.%' AND aggregateid LIKE 'many-%' GROUP BY aggregateid) AS c"), 2 * $round - 1, 'every change of each device is told');
is(told('a', 'b'), 'a offline, b offline, b online, b offline, b online, b offline, a online, a offline', 'an old silence is not told again');
wait_for($node, "SELECT bool_and(lag_events = 0 AND rebuilt_events IS NULL) FROM telemetry.projection_status", 'the end of the rebuild');

# --- no statistics ---------------------------------------------------------------------------------------------------------------

ok(wait_applied($node), 'batches have all events, and statistics the readings');
read_models_follow($node, 'telemetry.measurements', 'with events of devices');
is(sql('SELECT count(*) FROM telemetry.projection, telemetry.verify_projection(projection)'), '0', 'the projections are proved right');
is(sql("SELECT (SELECT sum(sample_count) FROM telemetry.device_stats_live) = count(*) AND (SELECT sum(sample_count) FROM telemetry.region_stats_live) = count(*) FROM telemetry.event WHERE type = 'telemetry.ingested'"), 't', 'so are the live views');
is(sql("SELECT (SELECT count(*) FROM telemetry.series('a', 'temperature', now() - interval '1 h', now() + interval '1 min')) = count(*) FROM telemetry.event WHERE type = 'telemetry.ingested' AND device_id = 'a'"), 't', 'a chart has the readings');
is(sql("SELECT (SELECT count(*) FROM telemetry.batch b, telemetry.read_events(b.batch_id) AS r JOIN telemetry.events e ON e = r) - (SELECT count(*) FROM telemetry.event)"), '0', 'read_events() gives every event, as the view does');
is(sql("SET enable_seqscan = off; SELECT count(*) FROM telemetry.measurements WHERE device_id = 'b'"), sql("SET enable_indexscan = off; SET enable_bitmapscan = off; SELECT count(*) FROM telemetry.measurements WHERE device_id = 'b'"), 'the index by device and time finds the readings');
sql('SELECT telemetry.stat_ingest_reset()');
looks_pass('with new counters');
is(sql('SELECT received, accepted, commands FROM telemetry.stat_ingest'), '1|1|1', 'no command has sent the events');

# --- a restored dump -------------------------------------------------------------------------------------------------------------

sql("SELECT telemetry.register_device('c', NULL, '1 h'), telemetry.register_device('d', NULL, '1 h')");
send_reading($_) for qw(c d);
wait_applied($node);
my $dump = $node->basedir . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, '-d', $node->connstr('postgres') ], 'a dump');
$node->safe_psql('postgres', 'CREATE DATABASE copy');
$node->command_ok([ 'psql', '-Xqv', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $node->connstr('copy') ], 'restored');
{
	local $TelemetryNode::database = 'copy';
	my $before = sql('SELECT count(*) FROM telemetry.event');
	sql("SELECT telemetry.set_expected_interval('c', '500 ms')");
	wait_for($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs projector' AND datname = 'copy' AND clock_timestamp() > backend_start + interval '4 s'", 'looks in the copy');
	is(sql('SELECT count(*) FROM telemetry.event'), $before, 'the copy tells nothing before its first command');
	$sentinels += 1000;
	looks_pass('in the copy');
	wait_told('c', 'offline', 1, 'in the copy: silent since the dump');
	is(sql("SELECT received_at >= (SELECT max(opened_at) FROM telemetry.epoch) + interval '1.5 s' FROM telemetry.event WHERE type = 'device.offline' AND device_id = 'c'"), 't', 'in the copy: not before its time has passed here');
	is(told('a', 'b', 'c', 'd'), 'a offline, b offline, b online, b offline, b online, b offline, a online, a offline, c offline', 'in the copy: nothing is told again');
	is_right('in the copy');
	sql("SELECT telemetry.ingest_telemetry('a', NULL, 1)");
	wait_told('a', 'online', 2, 'in the copy: it comes back');
}
$node->stop;
done_testing();
