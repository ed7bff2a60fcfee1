# Large calls with JSON: 10 MB, random numbers bit by bit, other encodings, a cancel in the middle, and memory.
use strict;
use warnings;

use List::Util qw(min);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use RandomDoubles;
use Test::More;
use TelemetryNode;

my $node = telemetry_node('json', conf => "max_wal_size = '2GB'\n");

# --- numbers ----------------------------------------------------------------------------------------------------------

doubles_are_exact($node, 'doubles', 20_000, $ENV{TELEMETRY_SEED} // time);

# --- 10 MB, and a cancel ----------------------------------------------------------------------------------------------

# 70,000 items of some 160 bytes. Each timeout falls into another step: reading, judging, storing.
my $session = session($node);
$session->query_safe(<<'SQL');
CREATE TABLE large AS SELECT '[' || string_agg(format('{"device_id": "large %s", "measured_at": "2024-05-01T10:00:00.%sZ", "temperature": %s.25, "humidity": 40.5, "idempotency_key": "%s", "metrics": {"light": %s, "pressure": 1013.25}}',
	i % 50, to_char(i, 'FM000000'), i % 40, i, i), ', ') || ']' AS json FROM generate_series(1, 70000) AS i
SQL
cmp_ok($session->query_safe('SELECT length(json) FROM large'), '>', 10_000_000, 'the call has more than 10 MB');
my $call = "SELECT concat_ws(' ', r.received, r.accepted, r.duplicates, r.conflicts, r.rejected) FROM large, telemetry.ingest_telemetry_batch(json) AS r";
my $stored = "SELECT count(*) FROM telemetry.measurements WHERE device_id LIKE 'large %'";
my ($milliseconds, $cancelled, $answer) = (4, 0, '');
for (;; $milliseconds *= 1.6)
{
	$answer = $session->query("\\set VERBOSITY sqlstate\n\\set ON_ERROR_STOP off\nSET statement_timeout = " . int($milliseconds) . ";\n$call;\nRESET statement_timeout");
	last if $answer =~ /\d/ || $milliseconds > 180_000;
	$cancelled += $session->{stderr} =~ /57014/;
	$session->{stderr} = '';
	my $count = $session->query_safe($stored);
	next if $count eq '0';
	fail("after a timeout of $milliseconds ms $count readings are stored");
	last;
}
is($answer, '70000 70000 0 0 0', 'a call that has the time stores all');
cmp_ok($cancelled, '>=', 3, 'calls were cancelled, and stored nothing');
is($session->query_safe($stored), '70000', 'the log has each reading');
is($session->query_safe("SELECT count(*) FROM large, json_array_elements(json::json) AS e JOIN telemetry.measurements m ON m.device_id = e ->> 'device_id' AND m.idempotency_key = e ->> 'idempotency_key'
	WHERE (m.measured_at, m.temperature, m.humidity, m.metrics) = ((e ->> 'measured_at')::timestamptz, (e ->> 'temperature')::float8, (e ->> 'humidity')::float8, (e -> 'metrics')::jsonb)"),
	'70000', "as the server's own functions read it");

# --- memory -----------------------------------------------------------------------------------------------------------

SKIP:
{
	skip 'no /proc', 2 if !-r '/proc/self/status';
	my $pid = $session->query_safe('SELECT pg_backend_pid()');
	my $memory = sub { my ($kb) = slurp_file("/proc/$pid/status") =~ /^RssAnon:\s+(\d+)/m; return $kb; };
	my $repeat = sub {
		# calls that are refused, as a whole and each item
		$session->query_safe(q{DO $$ BEGIN PERFORM telemetry.ingest_telemetry_batch(left(json, -1)) FROM large; EXCEPTION WHEN SQLSTATE 'TC010' THEN NULL; END $$});
		$session->query_safe(q{SELECT telemetry.ingest_telemetry_batch('[' || repeat('{"device_id": "x", "metrics": {"a": "b"}},', 20000) || '0]')});
		is($session->query_safe($call), '70000 0 70000 0 0', 'a repeat brings duplicates');
		return $memory->();
	};
	# The C library's heap grows by steps in the first calls. It gives memory back when it likes, so the least of some looks counts.
	$repeat->() foreach 1 .. 6;
	my $before = min(map { $repeat->() } 1 .. 3);
	my $after = min(map { $repeat->() } 1 .. 6);
	cmp_ok($after, '<=', $before + 4 * 1024, "memory stays as it was: $before -> $after kB");
	is($session->query_safe("SELECT count(*) FROM pg_backend_memory_contexts WHERE name LIKE 'telemetry_cqrs rejected%'"), '0', 'no context stays');
}
$session->quit;

# --- encodings --------------------------------------------------------------------------------------------------------

# Answers, after an item through the JSON door and a row of inbox_text whose device and metric are these bytes: what was stored, as bytes, and
# why something was refused.
sub stored_as
{
	my ($encoding, $hex) = @_;
	my $database = lc $encoding;
	my $text = "convert_from('\\x$hex'::bytea, '$encoding')";
	local $ENV{PGCLIENTENCODING};
	delete $ENV{PGCLIENTENCODING};    # not every encoding can be converted
	my $before = 'SELECT coalesce(max(event_id), 0), (SELECT coalesce(max(rejected_id), 0) FROM telemetry.rejected_readings) FROM telemetry.measurements';
	my ($events, $refused) = split /\|/, $node->safe_psql($database, $before);
	$node->safe_psql($database, <<"SQL");
SELECT telemetry.ingest_telemetry_batch('[{"device_id": "good json $hex"}, {"device_id": "' || $text || '", "metrics": {"' || $text || '": 1}}, {"device_id": "good json $hex"}]');
INSERT INTO telemetry.inbox_text (device_id, metrics) VALUES ('good inbox $hex', NULL), ('from inbox', '{"' || $text || '": 1}'), ('good inbox $hex', NULL);
SQL
	return $node->safe_psql($database, <<"SQL");
SELECT (SELECT count(*) FROM telemetry.measurements WHERE event_id > $events AND device_id LIKE 'good %') || coalesce((SELECT string_agg(concat_ws('/', '', CASE WHEN device_id <> 'from inbox' THEN encode(convert_to(device_id, '$encoding'), 'hex') END,
	encode(convert_to((SELECT key FROM jsonb_object_keys(metrics) AS key), '$encoding'), 'hex')), '' ORDER BY event_id) FROM telemetry.measurements WHERE event_id > $events AND device_id NOT LIKE 'good %'), '')
	|| coalesce((SELECT string_agg(concat_ws(' ', '', source, sqlstate), '' ORDER BY rejected_id) FROM telemetry.rejected_readings WHERE rejected_id > $refused), '')
SQL
}
foreach my $encoding ('LATIN1', 'EUC_JP', 'SQL_ASCII', 'MULE_INTERNAL')
{
	$node->safe_psql('postgres', "CREATE DATABASE \L$encoding\E ENCODING '$encoding' LOCALE 'C' TEMPLATE template0");
	$node->safe_psql(lc $encoding, 'CREATE EXTENSION telemetry_cqrs');
}
my $escape = sub { return unpack 'H*', join '', map { "\\u$_" } @_ };
is(stored_as('LATIN1', 'e9'), '4/e9/e9/e9', 'LATIN1: a letter');
is(stored_as('LATIN1', $escape->('00e9')), '4/e9/e9/e9', 'LATIN1: the same letter as an escape');
is(stored_as('LATIN1', $escape->('3042')), '4 json TC012 inbox TC012', 'LATIN1: a letter that it lacks');
is(stored_as('LATIN1', '6180'), '4 json TC001 inbox TC006', 'LATIN1: a control character');
is(stored_as('EUC_JP', 'a4a2'), '4/a4a2/a4a2/a4a2', 'EUC_JP: a letter');
is(stored_as('EUC_JP', $escape->('3042')), '4/a4a2/a4a2/a4a2', 'EUC_JP: the same letter as an escape');
is(stored_as('EUC_JP', $escape->('00e4', '3042')), '4/8faba3a4a2/8faba3a4a2/8faba3a4a2', 'EUC_JP: a letter of three bytes');
is(stored_as('EUC_JP', $escape->('d83d', 'de00')), '4 json TC012 inbox TC012', 'EUC_JP: a character beyond the first plane');
is(stored_as('EUC_JP', 'a9a161'), '4 json TC012 inbox TC012', 'EUC_JP: a character that Unicode lacks');
is(stored_as('SQL_ASCII', 'c3a9'), '4/c3a9/c3a9/c3a9', 'SQL_ASCII: a letter in UTF-8');
is(stored_as('SQL_ASCII', $escape->('00e9')), '4/c3a9/c3a9/c3a9', 'SQL_ASCII: the same letter as an escape');
is(stored_as('SQL_ASCII', 'e9'), '4 json TC012 inbox TC012', 'SQL_ASCII: bytes that are not UTF-8');
is(stored_as('MULE_INTERNAL', '6162'), '4/6162/6162/6162', 'MULE_INTERNAL, which has no conversion: ASCII');
is(stored_as('MULE_INTERNAL', $escape->('00e9')), '4 json TC012 inbox TC012', 'MULE_INTERNAL: a letter that cannot be converted');
# A refused row is kept as it was sent.
is($node->safe_psql('latin1', q{INSERT INTO telemetry.inbox_text (device_id, temperature) VALUES (convert_from('\xe9', 'LATIN1'), 'warm'); SELECT (payload ->> 'item')::json ->> 'device_id' = convert_from('\xe9', 'LATIN1') FROM telemetry.rejected_readings ORDER BY rejected_id DESC LIMIT 1}),
	't', 'LATIN1: the quarantine keeps the letter');

$node->stop;
done_testing();
