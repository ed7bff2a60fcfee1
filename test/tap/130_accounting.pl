# What became of refused readings and of batches: policies that clamp and quarantine, the retention of the quarantine and of verdicts, and
# verdicts after a dump was restored, on a standby, and when the log no longer has the events.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

my $node = telemetry_primary('accounting');
sub sql { my ($statement) = @_; return $node->safe_psql('postgres', $statement); }
sub set
{
	my (%settings) = @_;
	$node->append_conf('postgresql.conf', "telemetry_cqrs.$_ = $settings{$_}\n") for sort keys %settings;
	$node->reload;
	for (sort keys %settings) { wait_for($node, "SELECT current_setting('telemetry_cqrs.$_') = '$settings{$_}'", "$_ = $settings{$_}"); }
	return;
}
sub error_of
{
	my ($statement, $on) = @_;
	my ($status, $out, $err) = ($on // $node)->psql('postgres', "\\set VERBOSITY verbose\n$statement");
	return $err;
}

# --- policies --------------------------------------------------------------------------------------------------------------------

my $at = sql("SELECT clock_timestamp() + interval '1 day'");
sub send_ahead { my ($rest) = @_; return sql("SELECT status FROM telemetry.ingest_telemetry('ahead', '$at', $rest)"); }
like(error_of("SELECT telemetry.ingest_telemetry('ahead', '$at', 1)"), qr/TC004/, 'rejected');
is(sql("SELECT verdict || ' ' || sqlstate FROM telemetry.check_reading('ahead', '$at', 1)"), 'rejected TC004', 'as check_reading says');

set(ahead_action => 'clamp');
is(sql("SELECT verdict FROM telemetry.check_reading('ahead', '$at', 1)"), 'clamped', 'check_reading says clamped');
is(send_ahead('1'), 'accepted', 'clamped without a key');
is(sql("SELECT measured_at = received_at FROM telemetry.measurements WHERE device_id = 'ahead'"), 't', 'it has the time of receipt');
is(send_ahead('1'), 'duplicate', 'the same again is a duplicate');
is(sql("SELECT verdict FROM telemetry.check_reading('ahead', '$at', 1)"), 'duplicate', 'as check_reading says');
like(error_of("SELECT telemetry.ingest_telemetry('ahead', '$at', 1, region => 'hall')"), qr/TC009.*region was not sent, now "hall"/s, 'with a region it is a conflict, as it is where nothing was clamped');
is(send_ahead("2, NULL, 'k'"), 'accepted', 'clamped with a key');
is(send_ahead("2, NULL, 'k'"), 'duplicate', 'the same again is a duplicate');
like(error_of("SELECT telemetry.ingest_telemetry('ahead', '$at', 3, NULL, 'k')"), qr/TC009.*measured_at is stored as the time of receipt, .*temperature was 2, now 3/s, 'another value is a conflict');
is(sql("SELECT string_agg(v.verdict, ' ' ORDER BY item_index) FROM telemetry.ingest_telemetry_batch(ARRAY['ahead', 'ahead'], ARRAY['$at', '$at']::timestamptz[], ARRAY[1, 5], NULL) AS r, telemetry.batch_verdicts(r.token) AS v"),
	'duplicate accepted', 'the same in a batch');

set(max_ahead => '2d');
is(send_ahead('1'), 'duplicate', 'a clamped reading is a duplicate where nothing is clamped any more');
is(send_ahead('7'), 'accepted', 'stored as it was sent');
set(max_ahead => '5min');
is(send_ahead('7'), 'duplicate', 'a duplicate where it would be clamped');
like(error_of("SELECT telemetry.ingest_telemetry('ahead', '$at', 7, region => 'hall')"), qr/TC009.*region was not sent, now "hall"/s, 'with a region a conflict there');

set(ahead_action => 'quarantine');
is(sql("SELECT verdict || ' ' || sqlstate FROM telemetry.check_reading('kept', '$at', 1)"), 'quarantined TC004', 'check_reading says quarantined');
my $receipt = sql("SELECT event_id IS NULL, status, token FROM telemetry.ingest_telemetry('kept', '$at', 1)");
my ($token) = $receipt =~ /^t\|quarantined\|(.*)$/;
ok($token, 'a single reading gets a receipt without an event') or diag($receipt);
is(sql("SELECT item_index, verdict, sqlstate, event_id FROM telemetry.batch_verdicts('$token')"), '1|quarantined|TC004|', 'and has a verdict');
is(sql("SELECT status FROM telemetry.ingest_telemetry('kept', '$at', 1)"), 'quarantined', 'once more');
is(sql("SELECT source, deliveries, token = '$token', item_index FROM telemetry.rejected_readings WHERE device_id = 'kept'"), 'reading|2|t|', 'its row counts both deliveries');
is(sql("SELECT string_agg(v.verdict, ' ' ORDER BY item_index) FROM telemetry.ingest_telemetry_batch(ARRAY['kept', 'kept'], ARRAY['$at', '2024-05-01']::timestamptz[], ARRAY[1, 5], NULL, on_error => 'abort') AS r, telemetry.batch_verdicts(r.token) AS v"),
	'quarantined accepted', 'a batch that is to abort goes on');

# The redrive judges a reading as of the time when it was received first.
set(max_ahead => '2d');
is(sql("SELECT examined, accepted, last_rejected_id IS NULL FROM telemetry.redrive_rejected(device_ids => ARRAY['kept'])"), '1|1|t', 'another policy accepts it');
is(sql("SELECT count(*) FROM telemetry.measurements WHERE device_id = 'kept' AND measured_at = '$at'"), '1', 'as it was sent');
is(sql("SELECT count(*) FROM telemetry.rejected_readings WHERE device_id = 'kept'"), '0', 'the row is gone');
set(max_ahead => '5min', ahead_action => 'reject', max_age => '1h', age_action => 'quarantine');
sql("INSERT INTO telemetry.rejected_readings (sqlstate, reason, payload, received_at) VALUES ('TC002', 'not registered', jsonb_build_object('device_id', 'late', 'measured_at', now() - interval '3 days', 'temperature', 1), now() - interval '3 days'), ('TC002', 'not registered', jsonb_build_object('device_id', 'early', 'measured_at', now() - interval '2 days', 'temperature', 1), now() - interval '3 days')");
is(sql("SELECT accepted, rejected FROM telemetry.redrive_rejected(sqlstates => ARRAY['TC002'])"), '1|1', 'a reading does not become too old in the quarantine, and a clock that was ahead does not become right');
is(sql("SELECT string_agg(payload ->> 'device_id' || ' ' || sqlstate, ' ') FROM telemetry.rejected_readings WHERE redrives = 1"), 'early TC004', 'it has the reason of today');
set(max_age => 0, age_action => 'reject');

# --- retention -------------------------------------------------------------------------------------------------------------------

sql('DELETE FROM telemetry.rejected_readings');
my $old = sql("SELECT token FROM telemetry.ingest_telemetry_batch(ARRAY['old', ''], NULL, ARRAY[1, 2], NULL, ARRAY['o1', 'o2'])");
sql("UPDATE telemetry.batch_verdict SET received_at = received_at - interval '8 days'");
sql(<<'SQL');
INSERT INTO telemetry.rejected_readings (sqlstate, reason, payload, received_at, last_received_at, delivery)
SELECT 'TC003', i::text, '{}', now() - make_interval(days => 20 + i % 20), CASE i % 4 WHEN 0 THEN now() END, i FROM generate_series(1, 20000) AS i;
SQL
is(sql('SELECT current_setting(s) FROM unnest(ARRAY[$$telemetry_cqrs.quarantine_retention$$, $$telemetry_cqrs.quarantine_rows$$, $$telemetry_cqrs.verdict_retention$$]) AS s') , "30d\n1000000\n7d", 'retention is on by default');
my $due = "coalesce(last_received_at, received_at) < now() - interval '30 days'";
my $kept = sql("SELECT count(*) FROM telemetry.rejected_readings WHERE NOT ($due)");
cmp_ok($kept, '<', 15000, 'there is something to delete');
# A writer counts in a row that is due, and does not commit. The upkeep passes over that row, and waits for nobody.
my $writer = $node->background_psql('postgres');
$writer->set_query_timer_restart();
$writer->query_safe('BEGIN');
my $locked = $writer->query_safe("SELECT rejected_id FROM telemetry.rejected_readings WHERE $due ORDER BY rejected_id LIMIT 1 FOR UPDATE");
set(quarantine_rows => 1000001);
wait_for($node, "SELECT count(*) = 1 FROM telemetry.rejected_readings WHERE $due", 'the projector to delete what is due');
is(sql("SELECT rejected_id FROM telemetry.rejected_readings WHERE $due"), $locked, 'but the row that a writer has locked');
is(sql("SELECT count(*) FROM telemetry.rejected_readings WHERE NOT ($due)"), $kept, 'and nothing else');
$writer->query_safe('UPDATE telemetry.rejected_readings SET last_received_at = now() WHERE rejected_id = ' . $locked);
$writer->query_safe('COMMIT');
$writer->quit;
wait_for($node, 'SELECT count(*) = 0 FROM telemetry.batch_verdict WHERE received_at < now() - interval $$7 days$$', 'the projector to delete old accounts');
like(error_of("SELECT * FROM telemetry.batch_verdicts('$old')"), qr/TC203.*verdict_retention/s, 'their verdicts are gone, and the error says why');
set(quarantine_rows => 100);
wait_for($node, 'SELECT count(*) = 100 FROM telemetry.rejected_readings', 'the projector to delete the oldest rows beyond a number');
is(sql('SELECT count(*) FROM (SELECT lag(rejected_id) OVER (ORDER BY rejected_id) AS before, rejected_id FROM telemetry.rejected_readings) AS r WHERE before IS NULL AND rejected_id > 100'), '1', 'the newest ones stay');
is(sql("SELECT detail FROM telemetry.health() WHERE item = 'rejected readings'") =~ /^100 kept/ ? 1 : 0, 1, 'health() counts what is left');
set(quarantine_rows => 0, quarantine_retention => 0, verdict_retention => 0);
sql("INSERT INTO telemetry.rejected_readings (sqlstate, reason, payload, received_at) VALUES ('TC003', 'ancient', '{}', '1999-01-01')");

# --- a restored dump -------------------------------------------------------------------------------------------------------------

sub verdicts
{
	my ($of, $database, $on) = @_;
	return ($on // $node)->safe_psql($database // 'postgres', "SELECT string_agg(concat_ws(' ', v.item_index, v.verdict, v.sqlstate, e.idempotency_key), ', ' ORDER BY v.item_index) FROM telemetry.batch_verdicts('$of') AS v LEFT JOIN telemetry.event AS e USING (event_id)");
}
sub send_batch
{
	my ($database, $device, @keys) = @_;
	my $array = join ', ', map { "'$_'" } @keys;
	my $devices = join ', ', map { "'$device'" } @keys;
	return $node->safe_psql($database, "SELECT token FROM telemetry.ingest_telemetry_batch(ARRAY[$devices], NULL, NULL, NULL, ARRAY[$array])");
}
my $plain = send_batch('postgres', 'dumped', qw(p1 p2 p3));
my $mixed = sql("SELECT token FROM telemetry.ingest_telemetry_batch(ARRAY['dumped', '', 'dumped', 'dumped'], NULL, NULL, NULL, ARRAY['m1', 'm2', 'p1', 'm4'])");
sql("UPDATE telemetry.batch_verdict SET received_at = '1999-01-01'");
my %said = (plain => '1 accepted p1, 2 accepted p2, 3 accepted p3', mixed => '1 accepted m1, 2 rejected TC001, 3 duplicate p1, 4 accepted m4');
is(verdicts($plain), $said{plain}, 'a batch that was stored');
is(verdicts($mixed), $said{mixed}, 'a batch with an account');
my $dump = $node->basedir . '/dump';
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, 'postgres' ], 'pg_dump');
sql('CREATE DATABASE copy');
$node->command_ok([ 'pg_restore', '-d', 'copy', $dump ], 'pg_restore');
is(verdicts($plain, 'copy'), $said{plain}, 'restored: a batch that was stored');
is(verdicts($mixed, 'copy'), $said{mixed}, 'restored: a batch with an account');
my $later = send_batch('copy', 'dumped', qw(p1 q2));
isnt((split /:/, $later)[0], (split /:/, $plain)[0], 'the copy goes on in another epoch');
is(verdicts($later, 'copy'), '1 duplicate p1, 2 accepted q2', 'its batches have verdicts');
is(verdicts($mixed, 'copy'), $said{mixed}, 'and those from before the dump keep theirs');
# In another epoch the same number is another transaction.
my ($epoch, $xid, $span) = split /:/, $plain;
my $other_epoch = (split /:/, $later)[0];
my (undef, undef, $err) = $node->psql('copy', "\\set VERBOSITY sqlstate\nSELECT * FROM telemetry.batch_verdicts('$other_epoch:$xid:$span')");
like($err, qr/TC203/, 'the token of another epoch names no batch');

# --- a standby -------------------------------------------------------------------------------------------------------------------

$node->backup('base');
my $standby = standby_of($node, 'standby', 'base');
my $sent = send_batch('postgres', 'after', qw(s1 s2));
$node->wait_for_catchup($standby, 'replay');
is(verdicts($sent, 'postgres', $standby), '1 accepted s1, 2 accepted s2', 'a standby has the verdicts of a batch that was stored');
is(verdicts($mixed, 'postgres', $standby), $said{mixed}, 'and of a batch with an account');
is($standby->safe_psql('postgres', "SELECT a.verdict, b.verdict, c.verdict, d.sqlstate FROM telemetry.check_reading('after', idempotency_key => 's1') AS a, telemetry.check_reading('after', idempotency_key => 's9') AS b, telemetry.check_reading('nobody knows', temperature => 1) AS c, telemetry.check_reading('') AS d"),
	'duplicate|accepted|accepted|TC001', 'it checks readings');
$standby->stop;

# --- the log without old events ----------------------------------------------------------------------------------------------------

sql(<<'SQL');
ALTER TABLE telemetry.event_1 DISABLE TRIGGER insert_only;
ALTER TABLE telemetry.event_1 DISABLE TRIGGER insert_only_rows;
DELETE FROM telemetry.event_1 WHERE idempotency_key IN ('m1', 'p3');
ALTER TABLE telemetry.event_1 ENABLE ALWAYS TRIGGER insert_only;
ALTER TABLE telemetry.event_1 ENABLE ALWAYS TRIGGER insert_only_rows;
SQL
is(verdicts($mixed), '1 accepted, 2 rejected TC001, 3 duplicate p1, 4 accepted', 'an account outlives its events, and names none where it cannot tell');
like(error_of("SELECT * FROM telemetry.batch_verdicts('$plain')"), qr/TC203/, 'a batch without an account goes with them');

is(sql("SELECT count(*) FROM telemetry.rejected_readings WHERE reason = 'ancient'"), '1', 'without limits the quarantine keeps everything');
is(sql("SELECT count(*) > 0 FROM telemetry.batch_verdict WHERE received_at = '1999-01-01'"), 't', 'and so do the accounts');
$node->stop;
done_testing();
