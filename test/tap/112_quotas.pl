# Quotas of devices and of the database, and the brake on the backlog. The rates are so low that no token comes back while the test
# runs, unless the test wants one.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

my $node = telemetry_node('quotas', preload => 1);
sub sql { return $node->safe_psql('postgres', $_[0]); }
sub set
{
	my (%values) = @_;
	sql("ALTER SYSTEM SET telemetry_cqrs.$_ = '$values{$_}'") for sort keys %values;
	sql('SELECT pg_reload_conf()');
	wait_for($node, "SELECT setting = '$values{$_}' FROM pg_settings WHERE name = 'telemetry_cqrs.$_'", "$_ = $values{$_}") for sort keys %values;
	return;
}
# Returns "accepted", or "SQLSTATE detail hint" of the error.
sub answer_of
{
	my ($command) = @_;
	my ($out, $err);
	$node->psql('postgres', "\\set VERBOSITY verbose\n$command", stdout => \$out, stderr => \$err);
	return 'accepted' if $err eq '';
	my ($state) = $err =~ /ERROR:\s+(\w{5})/;
	my ($detail) = $err =~ /DETAIL:\s+(.*)/;
	my ($hint) = $err =~ /HINT:\s+(.*)/;
	return join ' ', $state // $err, $detail // '', $hint // '';
}
sub send_to { my ($device) = @_; return answer_of("SELECT telemetry.ingest_telemetry('$device', NULL, 1)"); }
# Sends so many readings of one device in one call.
sub send_many { my ($device, $count) = @_; return answer_of("SELECT telemetry.ingest_telemetry_batch(array_fill('$device'::text, ARRAY[$count]), NULL, array_fill(1.0, ARRAY[$count]), NULL)"); }
sub stored { return sql("SELECT count(*) FROM telemetry.measurements WHERE device_id = '$_[0]'"); }
sub health { return sql("SELECT state, detail FROM telemetry.health() WHERE item = 'back-pressure'"); }
my ($status, $out, $err);
my $an_hour = '0.000277778';    # readings a second: one an hour
my $a_wait = qr/Wait (\d+) ms and send the same request again\./;

# --- off by default ---------------------------------------------------------------------------------------------------------------

is(send_many('free', 5000), 'accepted', 'no limit unless one is set');
is(health(), 'ok|off', 'health: off');
is(sql('SELECT refused_by_device, refused_by_total, refused_by_backlog, unbounded, last_refused_at FROM telemetry.quota_status()'), '0|0|0|0|', 'nothing was refused');

# --- a device ---------------------------------------------------------------------------------------------------------------------

set(device_rate => $an_hour, device_burst => 5);
is(send_to('a'), 'accepted', "reading $_ of the burst") for 1 .. 5;
my $answer = send_to('a');
like($answer, qr/^TC104 Of device "a" the limit is 0\.000277778 readings a second and 5 at once; the call has 1 of them\. $a_wait$/, 'the next one is refused');
my ($wait) = $answer =~ $a_wait;
cmp_ok($wait, '<=', 3600_001, 'it waits for one token');
cmp_ok($wait, '>', 1000_000, 'and not for less');
is(stored('a'), '5', 'and it is not stored');
is(send_to('b'), 'accepted', 'another device may send');
like(send_many('b', 5), qr/^TC104 /, 'a call is admitted as a whole or not at all');
is(send_many('b', 4), 'accepted', 'a call that was refused charged nothing');
like(answer_of("SELECT telemetry.ingest_telemetry_batch(ARRAY['c', 'a', 'd'], NULL, ARRAY[1, 1, 1], NULL)"), qr/^TC104 Of device "a" /, 'one device over its quota refuses the call');
is(send_many($_, 5), 'accepted', "its other devices keep their tokens: $_") for 'c', 'd';
is(sql('SELECT refused_by_device, refused_by_total, refused_by_backlog, last_refused_at > now() - interval $$1 hour$$ FROM telemetry.quota_status()'), '3|0|0|t', 'the refusals are counted');
like(health(), qr/^warning\|3 calls refused by the quotas of devices, 0 by the total, 0 by the backlog, the last one at /, 'health: it warns');
is(sql('SELECT raised, last_error_sqlstate FROM telemetry.stat_ingest'), '3|TC104', 'stat_ingest has them as raised');

# A call of more than the burst needs a full bucket, and leaves a debt.
is(send_many('large', 12), 'accepted', 'more than the burst, of a silent device');
like(send_to('large'), qr/^TC104 /, 'it leaves a debt');
my ($debt) = send_to('large') =~ $a_wait;
cmp_ok($debt, '>', 7 * 3600_000, 'of more than the burst');
cmp_ok($debt, '<=', 8 * 3600_001, 'and of no more than the call');

# A debt was made at a rate, and a new rate starts without it.
like(send_to('large'), qr/^TC104 /, 'still in debt');
sql("SELECT telemetry.set_device_policy('large', rate => 1000, burst => 5)");
is(send_to('large'), 'accepted', 'a higher rate of the device: the debt is gone');
sql("SELECT telemetry.set_device_policy('large')");
like(send_to('large'), qr/^TC104 /, '... and counts at the old rate as before');
set(device_rate => 1000);
is(send_to('large'), 'accepted', 'a higher rate of all devices');
set(device_rate => $an_hour);

# Repeats count, and a rollback gives nothing back.
sql("SELECT telemetry.ingest_telemetry('repeats', NULL, 1, NULL, 'k')") for 1 .. 5;
is(stored('repeats'), '1', 'one reading was sent five times');
like(answer_of("SELECT telemetry.ingest_telemetry('repeats', NULL, 1, NULL, 'k')"), qr/^TC104 /, 'repeats count');
sql("BEGIN; SELECT telemetry.ingest_telemetry('back', NULL, 1); SELECT telemetry.ingest_telemetry('back', NULL, 1); ROLLBACK");
is(send_many('back', 3), 'accepted', 'after a rollback three of five are left');
like(send_to('back'), qr/^TC104 /, 'and no more');

# Two sessions share a bucket: of 2 x 200 readings at once exactly the burst is admitted.
set(device_burst => 200);
my $script = "\\set ON_ERROR_STOP off\n" . "SELECT telemetry.ingest_telemetry('shared', NULL, 1);\n" x 200;
my @started = map { psql_start($node, $script) } 1 .. 2;
my @refused = map { my ($out, $err) = psql_finish($_); scalar(() = $err =~ /is over its quota/g) } @started;
is($refused[0] + $refused[1], 200, 'two sessions: as many are refused');
is(stored('shared'), '200', 'two sessions: the burst is admitted, once');

# The request gets through when the wait of the hint is over. The debt is 8 readings, and one session makes both calls.
set(device_rate => 2, device_burst => 1);
$answer = answer_of("SELECT telemetry.ingest_telemetry_batch(array_fill('soon'::text, ARRAY[8]), NULL, array_fill(1.0, ARRAY[8]), NULL);\nSELECT telemetry.ingest_telemetry('soon', NULL, 1);");
my $answered_at = sql('SELECT clock_timestamp()');
like($answer, qr/^TC104 .* $a_wait$/, 'a debt of eight readings');
($wait) = $answer =~ $a_wait;
ok(wait_for($node, "SELECT clock_timestamp() >= '$answered_at'::timestamptz + $wait * interval '1 ms'", 'the wait to end'), "after $wait ms");
is(send_to('soon'), 'accepted', 'it may send');
# A policy of the device.
set(device_rate => $an_hour, device_burst => 2);
sql("SELECT telemetry.set_device_policy('own', burst => 3), telemetry.set_device_policy('any', burst => 0), telemetry.set_device_policy('free', rate => 0)");
is(send_to('own'), 'accepted', "reading $_ of a burst of its own") for 1 .. 3;
like(send_to('own'), qr/^TC104 Of device "own" the limit is 0\.000277778 readings a second and 3 at once/, 'and no more');
for my $device ('any', 'free')
{
	is(send_many($device, 100), 'accepted', "0 is any number: $device");
	is(send_to($device), 'accepted', "$device has no debt");
}

# An insert into an inbox comes in portions, and is one call all the same.
sub insert_many { my ($devices) = @_; return answer_of("INSERT INTO telemetry.inbox (device_id, temperature) SELECT $devices, i FROM generate_series(1, 12000) AS i"); }
is(insert_many(q{'portions'}), 'accepted', 'an insert of more than one portion, of a silent device');
is(stored('portions'), '12000', 'all of it is stored');
like(send_to('portions'), qr/^TC104 /, 'it leaves a debt');
($debt) = send_to('portions') =~ $a_wait;
cmp_ok($debt, '>', 11_998 * 3600_000, 'of all portions');
like(insert_many(q{'portions'}), qr/^TC104 Of device "portions" .* the call has 10000 of them\./, 'another insert is refused');
like(insert_many(q{CASE WHEN i <= 10000 THEN 'portions-2' ELSE 'portions' END}), qr/^TC104 Of device "portions" .* the call has 2000 of them\./, 'a later portion brings a device with a debt');

# So does a redrive.
sql("SELECT telemetry.set_device_policy('redriven', max_metrics => 0)");
is(answer_of("SELECT telemetry.ingest_telemetry_batch(array_fill('redriven'::text, ARRAY[1000]), temperatures => (SELECT array_agg(i) FROM generate_series(1, 1000) AS i), metrics => array_fill('{\"light\": 1}'::jsonb, ARRAY[1000]))"),
	'accepted', 'a thousand readings for the quarantine');
sql("SELECT telemetry.set_device_policy('redriven')");
is(sql("SELECT accepted, rejected FROM telemetry.redrive_rejected(device_ids => ARRAY['redriven'])"), '1000|0', 'are sent again, in several portions');
like(send_to('redriven'), qr/^TC104 /, 'they leave a debt');
set(device_rate => 0);
is(send_many('a', 100), 'accepted', 'off again');

# --- all devices together -----------------------------------------------------------------------------------------------------------

set(total_rate => $an_hour, total_burst => 10);
is(send_to("t$_"), 'accepted', "reading $_ of the total") for 1 .. 10;
like(send_to('t11'), qr/^TC104 Of all devices together the limit is 0\.000277778 readings a second and 10 at once; the call has 1 of them\. $a_wait$/, 'the total is used up');
set(device_rate => $an_hour, device_burst => 2);
like(send_to('t12'), qr/^TC104 Of all/, 'the total refuses');
set(total_rate => 0);
is(send_many('t12', 2), 'accepted', 'and has charged the device nothing');
set(device_rate => 0);
sql('CREATE DATABASE other');
$node->safe_psql('other', 'CREATE EXTENSION telemetry_cqrs');
set(total_rate => $an_hour, total_burst => 11);
is($node->safe_psql('other', "INSERT INTO telemetry.inbox (device_id, temperature) SELECT 'total-' || i % 7, i FROM generate_series(1, 12000) AS i; SELECT count(*) FROM telemetry.measurements"),
	'12000', 'the total of another database: an insert of more than one portion');
($status, $out, $err) = $node->psql('other', "SELECT telemetry.ingest_telemetry('t1', NULL, 1)");
like($err, qr/the database is over its quota.*Wait (\d+) ms/s, 'it leaves a debt');
cmp_ok($err =~ /Wait (\d+) ms/ ? $1 : 0, '>', 11_988 * 3600_000, 'of all portions');
set(total_rate => 1000);
my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
do { ($status, $out, $err) = $node->psql('other', "SELECT telemetry.ingest_telemetry('t1', NULL, 1)") } while $status != 0 && time < $deadline;
is($err, '', 'a higher rate of all databases: the launcher takes the debt away');
set(total_rate => $an_hour);
sql('CREATE DATABASE third');
$node->safe_psql('third', 'CREATE EXTENSION telemetry_cqrs');
is($node->safe_psql('third', "SELECT status FROM telemetry.ingest_telemetry('t1', NULL, 1)"), 'accepted', 'each database has a total of its own');
set(total_rate => 0);

# --- the brake ----------------------------------------------------------------------------------------------------------------------

wait_applied($node);
ok(wait_for($node, 'SELECT backlog = 0 FROM telemetry.quota_status()', 'an empty backlog'), 'everything is read: nothing waits');
set(start_worker => 'off');
ok(wait_for($node, 'SELECT pid IS NULL FROM telemetry.worker_status()', 'the projector to end'), 'no projector runs');
set(max_backlog => 10);
is(send_many('w', 10), 'accepted', 'ten may wait');
is(send_to('w'), 'accepted', 'the limit is not passed yet');
is(sql('SELECT backlog FROM telemetry.quota_status()'), '11', 'eleven wait');
like(send_to('w'), qr/^TC105 11 events wait; telemetry_cqrs\.max_backlog is 10\. $a_wait$/, 'more are refused');
sql('CALL telemetry.project_once()');
is(sql('SELECT backlog FROM telemetry.quota_status()'), '0', 'project_once() empties it');
is(send_to('w'), 'accepted', 'and readings are stored again');
sql("BEGIN; SELECT telemetry.ingest_telemetry('w', NULL, 1); ROLLBACK");
is(sql('SELECT backlog FROM telemetry.quota_status()'), '1', 'a rollback leaves nothing to read');

# A start of the server forgets the figure. The first pass counts what waits.
is(send_many('w', 20), 'accepted', 'more wait');
$node->restart;
is(sql('SELECT backlog FROM telemetry.quota_status()'), '0', 'a restart: the figure is gone');
set(start_worker => 'on');
wait_applied($node);
is(send_to('w'), 'accepted', 'the projector has read everything');
ok(wait_for($node, 'SELECT backlog = 0 FROM telemetry.quota_status()', 'the reading to be read'), 'and goes on');

# --- many sessions --------------------------------------------------------------------------------------------------------------------

# A full bucket comes back within a microsecond, so no session may be refused, wherever it loses the processor.
set(max_backlog => 0, device_rate => '1e+09', device_burst => 1000, total_rate => '1e+09', total_burst => 1000);
append_to_file("$PostgreSQL::Test::Utils::tmp_check/crowd.sql", "SELECT status FROM telemetry.ingest_telemetry('crowd', NULL, 1)");
my $refused_before = sql('SELECT refused_by_device + refused_by_total FROM telemetry.quota_status()');
$node->command_ok([ 'pgbench', '-n', '-c', 8, '-t', 2500, '-M', 'prepared', '-f', "$PostgreSQL::Test::Utils::tmp_check/crowd.sql", $node->connstr('postgres') . ' options=-csynchronous_commit=off' ],
	'eight sessions send far below the limit');
is(sql('SELECT refused_by_device + refused_by_total FROM telemetry.quota_status()'), $refused_before, 'none is refused');

# --- without preloading ---------------------------------------------------------------------------------------------------------------

$node->append_conf('postgresql.conf', "shared_preload_libraries = ''\n");
set(start_worker => 'off', device_rate => $an_hour, device_burst => 1, total_rate => 0, max_backlog => 1);
$node->restart;
my $log_before = -s $node->logfile;
is(sql("SELECT count(status) FROM generate_series(1, 5) AS i, telemetry.ingest_telemetry('unbounded', NULL, i)"), '5', 'not preloaded: no limit');
my @logged = slurp_file($node->logfile, $log_before) =~ /LOG:  the quotas of telemetry_cqrs are not enforced/g;
is(scalar @logged, 1, 'the log says so, once in a session');
is(health(), 'warning|not enforced: the library is not preloaded', 'health says so');
like(sql("SELECT hint FROM telemetry.setup() WHERE item = 'preload'"), qr/no quota is enforced/, 'setup says so');
is(sql('SELECT backlog IS NULL AND refused_by_device IS NULL FROM telemetry.quota_status()'), 't', 'quota_status: NULL');

$node->stop;
done_testing();
