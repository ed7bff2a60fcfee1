# Clusters with a relay, and what the tests of the relay ask of them.
#
#   my $node = relay_node('name', nats_url => $nats->url, redis_url => $redis->url);
#   relay_becomes($node, 'nats', 'connected', 'the relay to connect');
#   relay_settings($node, nats_url => '');                     # by a reload
#   everything_sent($node, 'what was sent');                   # every closed batch has arrived at every sink that is on
#   stream_is_log($node, $nats, 'after the crash');            # each event once, as telemetry.events has it, in order of each device
#   cache_is_stats($node, $redis, 'after the crash');          # Redis = telemetry.device_stats and device_metric_stats
package RelayNode;

use strict;
use warnings;

use Exporter 'import';
use JSON::PP ();
use LastingSession ();
use PostgreSQL::Test::Utils;
use TelemetryNode;
use Test::More;
use Time::HiRes qw(time usleep);

our @EXPORT = qw(relay_node relay_settings relay_becomes relay_pid everything_sent stream_is_log cache_is_stats send_readings send_real_readings relay_quiet within);

sub _lines { my (%settings) = @_; return join '', map { "telemetry_cqrs.$_ = '$settings{$_}'\n" } sort keys %settings }

# conf: further lines; the others are settings of the relay.
sub relay_node
{
	my ($name, %settings) = @_;
	my ($conf, $init) = (delete $settings{conf} // '', delete $settings{init});
	return telemetry_node($name, preload => 1, $init ? (init => $init) : (),
		conf => "telemetry_cqrs.launcher_interval = 200ms\ntelemetry_cqrs.poll_interval = 500ms\nrestart_after_crash = on\n$conf" . _lines(%settings));
}

sub relay_settings
{
	my ($node, %settings) = @_;
	$node->append_conf('postgresql.conf', _lines(%settings));
	$node->reload;
	return;
}

# The condition is a state, or SQL over the columns of relay_status.
sub relay_becomes
{
	my ($node, $sink, $condition, $what, $seconds) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$condition = "state = '$condition'" if $condition =~ /^[a-z ]+$/;
	my $is_so = wait_for($node, "SELECT $condition FROM telemetry.relay_status WHERE sink = '$sink'", "$sink: $what", $seconds);
	diag $node->safe_psql($TelemetryNode::database, "SELECT to_jsonb(r) FROM telemetry.relay_status r WHERE sink = '$sink'") if !$is_so;
	return ok($is_so, "$sink: $what");
}

sub relay_pid
{
	my ($node) = @_;
	return $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs relay' AND datname = '$TelemetryNode::database'");
}

my $key = 0;
# Stores so many made-up readings of so many devices, in calls of 500.
sub send_readings
{
	my ($node, $count, $devices) = @_;
	$devices //= 50;
	while ($count > 0)
	{
		my $now = $count < 500 ? $count : 500;
		my ($from, $to) = ($key + 1, $key + $now);
		$node->safe_psql($TelemetryNode::database, "SELECT accepted FROM telemetry.ingest_telemetry_batch(
			ARRAY(SELECT 'dev ' || i % $devices FROM generate_series($from, $to) AS i), ARRAY(SELECT '2024-05-01'::timestamptz + i * interval '1 s' FROM generate_series($from, $to) AS i),
			ARRAY(SELECT i % 50 / 3.0::float8 FROM generate_series($from, $to) AS i), ARRAY(SELECT CASE WHEN i % 7 > 0 THEN i % 90 END::float8 FROM generate_series($from, $to) AS i),
			ARRAY(SELECT 'k' || i FROM generate_series($from, $to) AS i), ARRAY(SELECT CASE WHEN i % 3 = 0 THEN jsonb_build_object('light', i % 11, 'co2', 400 + i % 100) END FROM generate_series($from, $to) AS i),
			ARRAY(SELECT CASE WHEN i % $devices % 5 > 0 THEN 'hall.' || i % $devices % 5 END FROM generate_series($from, $to) AS i))");
		$key += $now;
		$count -= $now;
	}
	return;
}

# Stores the first readings of a real file, 1,000 in a call, and returns how many were accepted.
sub send_real_readings
{
	my ($node, $count, $file) = @_;
	my $path = real_data_folder() . '/room_climate_' . ($file // 'a') . '.csv.gz';
	my $lines = $count + 1;
	$node->safe_psql($TelemetryNode::database, <<"SQL");
CREATE TABLE IF NOT EXISTS raw (n bigserial, device_id text, region text, measured_at timestamptz, temperature float8, humidity float8, light1 float8, light2 float8, idempotency_key text);
TRUNCATE raw RESTART IDENTITY;
COPY raw (device_id, region, measured_at, temperature, humidity, light1, light2, idempotency_key) FROM PROGRAM 'gzip -dc $path | head -n $lines' WITH (FORMAT csv, HEADER)
SQL
	return $node->safe_psql($TelemetryNode::database, <<'SQL');
SELECT sum((telemetry.ingest_telemetry_batch(d, m, t, h, k, x, r)).accepted) FROM (
	SELECT array_agg(device_id ORDER BY n) AS d, array_agg(measured_at ORDER BY n) AS m, array_agg(temperature ORDER BY n) AS t, array_agg(humidity ORDER BY n) AS h,
	       array_agg(idempotency_key ORDER BY n) AS k, array_agg(jsonb_strip_nulls(jsonb_build_object('light1', light1, 'light2', light2)) ORDER BY n) AS x, array_agg(region ORDER BY n) AS r
	FROM raw GROUP BY (n - 1) / 1000 ORDER BY (n - 1) / 1000) AS calls
SQL
}

sub everything_sent
{
	my ($node, $what, $seconds) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $is_so = wait_for($node, "SELECT (SELECT count(*) FROM telemetry.event) = (SELECT coalesce(sum(events), 0) FROM telemetry.batch)
		AND (SELECT bool_and(lag_events = 0 AND state IN ('connected', 'off') AND refresh_requested_at IS NULL) FROM telemetry.relay_status)
		AND (SELECT count(*) FROM telemetry.relay) > 0", "$what: everything to be sent", $seconds);
	diag $node->safe_psql($TelemetryNode::database, 'SELECT to_jsonb(r) FROM telemetry.relay_status r') if !$is_so;
	return ok($is_so, "$what: everything is sent");
}

# Does the stream hold each event once, as telemetry.events has it, and those of a device in the order of the log? Events up to the
# given id were accepted before the relay first started.
sub stream_is_log
{
	my ($node, $nats, $name, %options) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $json = JSON::PP->new->utf8->canonical->allow_nonref;
	my %events = map { my ($id, $rest) = split /\t/, $_, 2; $id => $rest }
	  split /\n/, $node->safe_psql($TelemetryNode::database, "SELECT e.id || E'\\t' || e.type || E'\\t' || e.aggregateid || E'\\t' || e.payload FROM telemetry.events e WHERE e.id > " . ($options{after} // 0));
	my ($messages, %seen, %last, @wrong, %ids) = (0);
	$nats->client->each_message($options{stream} // 'TELEMETRY', sub {
		my ($message) = @_;
		++$messages;
		my $told = eval { $json->decode($message->{payload}) } or return push @wrong, "no JSON: $message->{payload}";
		my $id = $told->{event_id} // $told->{id};
		push @wrong, "event $id twice" if $seen{$id}++;
		push @wrong, "id $message->{id} twice" if $ids{ $message->{id} }++;
		push @wrong, "id $message->{id} of event $id" if $message->{id} !~ /^\Q$id\E-[0-9a-f]{16}$/;
		my ($type, $device, $payload) = split /\t/, $events{$id} // (return push @wrong, "event $id is not in the log"), 3;
		my $expected = $json->decode($payload);
		my %told_payload = %{ $told->{payload} // $told };
		foreach my $member (sort keys %$expected)
		{
			my ($want, $got) = map { defined $_ ? $json->encode($_) : 'null' } $expected->{$member}, $told_payload{$member};
			push @wrong, "event $id: $member is $got, not $want" if !_same($want, $got);
		}
		my $region = defined $expected->{region} ? _token($expected->{region}) : '_';
		my $subject = "telemetry.ingested.$region." . _token($device);
		push @wrong, "event $id: subject $message->{subject}, not $subject" if $type eq 'telemetry.ingested' && $message->{subject} ne $subject;
		push @wrong, "device $device: event $id after $last{$device}" if $options{ordered} && ($last{$device} // 0) > $id;
		$last{$device} = $id;
	});
	is($messages, scalar keys %events, "$name: as many messages as events");
	push @wrong, map { "event $_ is missing" } (grep { !$seen{$_} } sort { $a <=> $b } keys %events)[ 0 .. 0 ] if keys %seen < keys %events;
	my $ok = is(scalar @wrong, 0, "$name: each is an event of the log, as telemetry.events has it");
	diag join "\n", @wrong[ 0 .. ($#wrong < 9 ? $#wrong : 9) ] if !$ok;
	return $ok;
}

# Numbers may be written in another way, and so may times.
sub _same
{
	my ($want, $got) = @_;
	return 1 if $want eq $got;
	my ($x, $y) = map { s/^"|"$//gr } $want, $got;
	return 1 if $x =~ /^-?[0-9.eE+-]+$/ && $y =~ /^-?[0-9.eE+-]+$/ && $x == $y;
	my @times = map { s/[ T]/ /r =~ s/(?:Z|\+00:?0?0?)$//r =~ s/(\.\d*?)0+$/$1/r =~ s/\.$//r } $x, $y;
	return 1 if $times[0] =~ /^\d{4}-/ && $times[0] eq $times[1];
	return 0 if $want !~ /^[{]/;
	my ($a, $b) = map { JSON::PP->new->canonical->decode($_) } $want, $got;
	return join(',', map { "$_=" . $a->{$_} * 1 } sort keys %$a) eq join(',', map { "$_=" . $b->{$_} * 1 } sort keys %$b);
}

# A token of a subject (doc/manual/relay.md): what NATS has a meaning for is written as %XX.
sub _token
{
	my ($text) = @_;
	my $bytes = $text;
	utf8::encode($bytes) if utf8::is_utf8($bytes);
	return $bytes eq '_' ? '%5F' : $bytes eq '' ? '_' : $bytes =~ s/([^!-~]|[.*>%])/sprintf '%%%02X', ord $1/ger;
}

# Is the value of each device in Redis what the views say, and are there no others?
sub cache_is_stats
{
	my ($node, $redis, $name, %options) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $client = $redis->client;
	$client->command('SELECT', $options{database}) if $options{database};
	my $json = JSON::PP->new->utf8->canonical;
	my @keys = sort @{ $client->command('KEYS', 'device:stats:*') };
	my %found = map { $json->decode($_ // '{}')->{device_id} // '?' => $_ } @keys ? $client->pipeline(map { [ 'GET', $_ ] } @keys) : ();
	my @wrong;
	foreach my $row (split /\n/, $node->safe_psql($TelemetryNode::database, <<'SQL'))
SELECT to_jsonb(d) - 'as_of' || jsonb_build_object('metrics', coalesce((SELECT jsonb_object_agg(m.metric, jsonb_build_object('sample_count', m.sample_count, 'avg', m.avg, 'min', m.min, 'max', m.max, 'stddev', m.stddev, 'last', m.last_value))
	FROM telemetry.device_metric_stats m WHERE m.device_id = d.device_id AND m.metric NOT IN ('temperature', 'humidity')), '{}'))
FROM telemetry.device_stats d
SQL
	{
		my $want = $json->decode($row);
		my $got = delete $found{ $want->{device_id} };
		$got = defined $got ? $json->decode($got) : (push(@wrong, "$want->{device_id} is missing"), next);
		push @wrong, "$want->{device_id} has no version" if !delete $got->{version};
		my @differences = _differences($want, $got, $want->{device_id});
		push @wrong, @differences;
	}
	push @wrong, map { "$_ is not in device_stats" } sort keys %found;
	my $ok = is(scalar @wrong, 0, "$name: Redis = device_stats and device_metric_stats, " . @keys . ' devices');
	diag join "\n", @wrong[ 0 .. ($#wrong < 9 ? $#wrong : 9) ] if !$ok;
	return $ok;
}

sub _differences
{
	my ($want, $got, $path) = @_;
	return map { _differences($want->{$_}, $got->{$_}, "$path.$_") } sort keys %{ { %$want, %$got } } if ref $want && ref $got;
	my ($x, $y) = map { defined $_ ? ref $_ ? 'an object' : $_ : 'null' } $want, $got;
	return _same($x, $y) ? () : "$path is $y, not $x";
}

# Does the relay wait without a transaction?
sub relay_quiet
{
	my ($node, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok(wait_for($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs relay' AND state = 'idle' AND backend_xmin IS NULL AND backend_xid IS NULL", $name), "$name: the relay holds no transaction");
}

# Runs the code, and tests that it took less than so many seconds.
sub within
{
	my ($seconds, $name, $code) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $start = time;
	$code->();
	my $took = time - $start;
	note(sprintf '%.2f s: %s', $took, $name);
	return cmp_ok($took, '<', $seconds, "$name, in time");
}

1;
