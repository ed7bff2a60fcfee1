# An event as JSON says the same in the view telemetry.events, in read_events() and in a notification, whatever its values.
use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

my $node = telemetry_node('event_json');

# Every combination of these becomes a reading of a device of its own, whose registration has no region.
my @choices = (
	[ 'measured_at', 'NULL', "'1970-01-01 00:00:00+00'", "'2024-02-29 23:59:59.999999+00'" ],
	[ 'temperature', 'NULL', "'1.7976931348623157e308'", "'-5e-324'", "'-0'", '0.1::float8 + 0.2::float8' ],
	[ 'humidity', 'NULL', '40' ],
	[ 'metrics', 'NULL', q('{"co2": 412.50, "light \"1\"\\\\": -1e308, "Höhe": 5e-324, "🌡": 0, "absent": null}'::jsonb) ],
	[ 'idempotency_key', 'NULL', q('key "of" \ 鍵 /') ],
	[ 'region', 'NULL', q('Zürich "north" \ 日本 🌡') ]);
my $events = 1;
$events *= $#$_ for @choices;

my $script = "LISTEN telemetry_ingested;\nSELECT format('SELECT telemetry.ingest_telemetry(device_id => %L" .
  join('', map { ", $_->[0] => %L" } @choices) . ")',\n    'device \"' || row_number() OVER () || '\" \\ ü'" .
  join('', map { ", $_->[0]" } @choices) . "), 'CALL telemetry.project_once()'\nFROM " .
  join(",\n    ", map { my ($name, @values) = @$_; "(VALUES " . join(', ', map { "($_)" } @values) . ") AS v_$name ($name)" } @choices) .
  "\n\\gexec\n";

sub counted
{
	my ($sql, $expected, $what) = @_;
	is($node->safe_psql('postgres', $sql), $expected, $what);
}

my ($out, $err) = psql_finish(psql_start($node, $script));
is($err, '', 'readings of every combination are stored and told');
my @payloads = $out =~ /with payload "(.*)" received from/g;
is(scalar @payloads, $events, 'each in a notification of its own');
is(scalar(grep { /[^ -~]/ } @payloads), 0, 'in printable ASCII');
counted('SELECT count(*) FROM telemetry.events', $events, 'all are events');

# The server's parser reads what was told.
$node->safe_psql('postgres', 'CREATE TABLE told (payload jsonb)');
$node->safe_psql('postgres', 'INSERT INTO told VALUES ' . join(', ', map { "(\$told\$$_\$told\$)" } @payloads));
counted(<<'SQL', $events, 'a notification says what the view says, in UTC and without the key');
SELECT count(*) FROM told, jsonb_array_elements(told.payload -> 'events') AS t (event)
JOIN telemetry.events e ON e.id = (t.event ->> 'id')::bigint AND e.type = t.event ->> 'type' AND e.aggregateid = t.event ->> 'device_id'
WHERE (told.payload ->> 'count')::int = 1 AND (told.payload ->> 'epoch')::int = e.epoch
  AND t.event - '{id,type,measured_at,received_at}'::text[] = e.payload - '{idempotency_key,measured_at,received_at}'::text[]
  AND t.event ->> 'measured_at' = to_char((e.payload ->> 'measured_at')::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
  AND t.event ->> 'received_at' = to_char((e.payload ->> 'received_at')::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
SQL

for my $settings ([ 'UTC', 1, 'ISO' ], [ 'Asia/Kathmandu', 0, 'SQL, DMY' ], [ 'America/St_Johns', -15, 'German' ])
{
	my ($zone, $digits, $style) = @$settings;
	counted(<<"SQL", $events, "read_events() gives the rows of the view: $zone, extra_float_digits $digits, $style");
SET timezone = '$zone'; SET extra_float_digits = $digits; SET datestyle = '$style';
SELECT count(*) FROM telemetry.batch b, telemetry.read_events(b.batch_id) AS r JOIN telemetry.events e ON e.id = r.id
WHERE e = r AND e.payload::text = r.payload::text
SQL
}

# The view agrees with the rows of the log: absent values have no member.
counted(<<'SQL', $events, 'the view says what the log holds');
SELECT count(*) FROM telemetry.events e JOIN telemetry.event raw ON raw.event_id = e.id
WHERE (e.payload ->> 'temperature')::float8 IS NOT DISTINCT FROM raw.temperature AND e.payload ? 'temperature' = (raw.temperature IS NOT NULL)
  AND (e.payload ->> 'humidity')::float8 IS NOT DISTINCT FROM raw.humidity AND e.payload ? 'humidity' = (raw.humidity IS NOT NULL)
  AND e.payload -> 'metrics' IS NOT DISTINCT FROM raw.metrics AND e.payload ? 'metrics' = (raw.metrics IS NOT NULL)
  AND e.payload ->> 'region' IS NOT DISTINCT FROM raw.region AND e.payload ? 'region' = (raw.region IS NOT NULL)
  AND e.payload ->> 'idempotency_key' IS NOT DISTINCT FROM raw.idempotency_key AND e.payload ? 'idempotency_key' = (raw.idempotency_key IS NOT NULL)
  AND (e.payload ->> 'measured_at')::timestamptz = raw.measured_at AND (e.payload ->> 'received_at')::timestamptz = raw.received_at
  AND e.payload ->> 'device_id' = raw.device_id
SQL
my ($huge, $tiny) = ('1' . '0' x 308, '0.' . '0' x 323 . '5');
is($node->safe_psql('postgres', <<'SQL'), <<"JSON" =~ s/\n//gr, 'one of them, written out');
SELECT payload - '{device_id,received_at}'::text[] FROM telemetry.events
WHERE payload ?& '{region,idempotency_key,metrics,humidity}' AND (payload ->> 'temperature')::float8 = 0.1::float8 + 0.2::float8
  AND (payload ->> 'measured_at')::timestamptz = '1970-01-01 00:00:00+00'
SQL
{"region": "Zürich \\"north\\" \\\\ 日本 🌡", "metrics": {"co2": 412.50, "🌡": 0, "Höhe": $tiny, "light \\"1\\"\\\\": -$huge}, 
"humidity": 40, "measured_at": "1970-01-01T00:00:00+00:00", "temperature": 0.30000000000000004, 
"idempotency_key": "key \\"of\\" \\\\ 鍵 /"}
JSON

# Events of other types have no values, and what their type adds stands beside the members that every event has. The extension stores only
# events of devices (315_liveness.pl); a superuser stores odd ones. A notification tells details in ASCII only, as they are.
my @odd = (
	q({"state": "offline", "last_received_at": "2026-01-02T03:04:05.200000Z", "expected_interval": 0.5}), q({"a": {"b": [1, null, {"c": "\\"d\\""}]}, "n": null, "region": "of the details", "idempotency_key": "not this one"}), q({}), 'NULL', q({"Höhe": "🌡"}));
my $odd_events = "INSERT INTO telemetry.event_1 (event_id, xid, measured_at, received_at, fingerprint, epoch, version, type, device_id, region, idempotency_key, metrics)
SELECT nextval('telemetry.event_id_seq'), pg_current_xact_id(), '2024-02-29 23:59:59.999999+00', '2024-03-01 00:00:00+00', gen_random_uuid(), (SELECT max(epoch) FROM telemetry.epoch), 1, 'device.odd', 'ü \"%s\"', %s, 'key %s', %s;\nCALL telemetry.project_once();\n";
my $odd_script = "LISTEN telemetry_ingested;\n";
for my $i (0 .. $#odd)
{
	my $details = $odd[$i] eq 'NULL' ? 'NULL' : "'$odd[$i]'";
	$odd_script .= sprintf $odd_events, $i, $i % 2 ? 'NULL' : q('Zürich'), $i, $details;
}
($out, $err) = psql_finish(psql_start($node, $odd_script));
is($err, '', 'odd events are stored and told');
my @odd_payloads = $out =~ /with payload "(.*)" received from/g;
is(scalar @odd_payloads, scalar @odd, 'each in a notification of its own');
is(scalar(grep { /[^ -~]/ } @odd_payloads), 0, 'in printable ASCII');
$node->safe_psql('postgres', 'CREATE TABLE odd_told (payload jsonb)');
$node->safe_psql('postgres', 'INSERT INTO odd_told VALUES ' . join(', ', map { "(\$told\$$_\$told\$)" } @odd_payloads));
is($node->safe_psql('postgres', "SELECT count(*) FROM odd_told WHERE NOT payload ? 'events'"), '1', 'one has details that cannot be told');
counted(<<'SQL', @odd - 1, 'a notification says what the view says of them');
SELECT count(*) FROM odd_told AS told, jsonb_array_elements(told.payload -> 'events') AS t (event)
JOIN telemetry.events e ON e.id = (t.event ->> 'id')::bigint AND e.type = t.event ->> 'type' AND e.aggregateid = t.event ->> 'device_id'
WHERE t.event - '{id,type,since,received_at,idempotency_key}'::text[] = e.payload - '{idempotency_key,since,received_at}'::text[]
  AND t.event ->> 'since' = '2024-02-29T23:59:59.999999Z' AND (e.payload ->> 'since')::timestamptz = '2024-02-29 23:59:59.999999+00'
SQL
for my $settings ([ 'UTC', 'ISO' ], [ 'Asia/Kathmandu', 'German' ])
{
	my ($zone, $style) = @$settings;
	counted(<<"SQL", scalar @odd, "read_events() gives the rows of the view: $zone, $style");
SET timezone = '$zone'; SET datestyle = '$style';
SELECT count(*) FROM telemetry.batch b, telemetry.read_events(b.batch_id) AS r JOIN telemetry.events e ON e.id = r.id
WHERE e = r AND e.payload::text = r.payload::text AND e.type = 'device.odd'
SQL
}
is($node->safe_psql('postgres', "SELECT string_agg(payload::text, E'\n' ORDER BY id) FROM telemetry.events WHERE type = 'device.odd'"), <<'JSON' =~ s/\n\z//r, 'written out');
{"since": "2024-02-29T23:59:59.999999+00:00", "state": "offline", "region": "Zürich", "device_id": "ü \"0\"", "received_at": "2024-03-01T00:00:00+00:00", "idempotency_key": "key 0", "last_received_at": "2026-01-02T03:04:05.200000Z", "expected_interval": 0.5}
{"a": {"b": [1, null, {"c": "\"d\""}]}, "since": "2024-02-29T23:59:59.999999+00:00", "region": "of the details", "device_id": "ü \"1\"", "received_at": "2024-03-01T00:00:00+00:00", "idempotency_key": "key 1"}
{"since": "2024-02-29T23:59:59.999999+00:00", "region": "Zürich", "device_id": "ü \"2\"", "received_at": "2024-03-01T00:00:00+00:00", "idempotency_key": "key 2"}
{"since": "2024-02-29T23:59:59.999999+00:00", "device_id": "ü \"3\"", "received_at": "2024-03-01T00:00:00+00:00", "idempotency_key": "key 3"}
{"Höhe": "🌡", "since": "2024-02-29T23:59:59.999999+00:00", "region": "Zürich", "device_id": "ü \"4\"", "received_at": "2024-03-01T00:00:00+00:00", "idempotency_key": "key 4"}
JSON
is($node->safe_psql('postgres', "SELECT (SELECT count(*) FROM telemetry.measurements), (SELECT sum(sample_count) FROM telemetry.device_stats), (SELECT count(*) FROM telemetry.verify_projection('device'))"), "$events|$events|0", 'none of them is a reading');

# No event holds an infinite time, a number that is none, or a control character.
for my $refused (
	[ 'TC004', q('d', 'infinity') ],
	[ 'TC004', q('d', '-infinity') ],
	[ 'TC003', q('d', temperature => 'NaN') ],
	[ 'TC003', q('d', humidity => '-Infinity') ],
	[ 'TC001', q(E'd\t1') ],
	[ 'TC005', q('d', idempotency_key => E'k\x01') ],
	[ 'TC006', q('d', metrics => '{"a\u0001": 1}') ],
	[ 'TC007', q('d', region => E'r\n') ])
{
	my ($sqlstate, $arguments) = @$refused;
	my ($status, undef, $stderr) = $node->psql('postgres', "\\set VERBOSITY sqlstate\nSELECT telemetry.ingest_telemetry($arguments)");
	like($stderr, qr/ERROR:  $sqlstate/, "refused: $arguments");
}

$node->stop;
done_testing();
