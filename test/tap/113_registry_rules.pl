# Rules of metrics and devices in two sessions: a change takes effect with its commit, a registration makes no other session wait, a
# rollback takes it back, and the caps hold.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

my $node = telemetry_node('rules', preload => 0, conf => "autovacuum = off\n");
my ($here, $there) = map { session($node) } 1 .. 2;
my $key = 0;
sub sql { return $node->safe_psql('postgres', $_[0]) }

# Sends a reading in a session, with a key of its own unless one is given. Returns 'accepted', 'duplicate' or an SQLSTATE. A session
# that waits longer than a minute fails.
sub send_in
{
	my ($session, $device, $metrics, %options) = @_;
	my $sent_key = $options{key} // 'k' . $key++;
	$session->{stderr} = '';
	my $temperature = $options{temperature} // 'NULL';
	$session->query("SET statement_timeout = '60s'; SET client_min_messages = info;
DO \$\$ DECLARE answer text; BEGIN
SELECT status INTO answer FROM telemetry.ingest_telemetry('$device', '2024-05-01 10:00+00', $temperature, NULL, '$sent_key', '$metrics');
RAISE INFO 'answer %', answer; EXCEPTION WHEN OTHERS THEN RAISE INFO 'answer %', SQLSTATE; END \$\$");
	my $said = $session->{stderr};
	$session->{stderr} = '';
	return $said =~ /INFO:  answer (\w+)/ ? $1 : $said;
}
sub names { return sql(q{SELECT coalesce(string_agg(name, ' ' ORDER BY name), '') FROM telemetry.metric}) }
sub set_to
{
	my ($setting, $value) = @_;
	sql("LOAD 'telemetry_cqrs'; ALTER SYSTEM SET telemetry_cqrs.$setting = $value");
	$node->reload;
	for my $session ($here, $there)
	{
		my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
		select(undef, undef, undef, 0.02) while $session->query_safe("SELECT current_setting('telemetry_cqrs.$setting')") ne $value && time < $deadline;
		is($session->query_safe("SELECT current_setting('telemetry_cqrs.$setting')"), $value, "$setting is $value");
	}
	return;
}

# --- limits ---------------------------------------------------------------------------------------------------------------

is(send_in($here, 'a', '{"light": 5000}'), 'accepted', 'there are no limits');
$there->query_safe("BEGIN; SELECT telemetry.set_metric('light', maximum => 1000)");
is(send_in($here, 'a', '{"light": 5000}'), 'accepted', 'the change is not committed: it counts for nobody else, who does not wait');
is(send_in($there, 'a', '{"light": 5000}'), 'TC013', '... and it counts in its own transaction');
$here->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
is(send_in($here, 'a', '{"light": 5000}'), 'accepted', 'a transaction with a snapshot');
$there->query_safe('COMMIT');
is(send_in($here, 'a', '{"light": 5000}'), 'TC013', 'the commit counts in it, too');
is(send_in($here, 'a', '{"light": 1000}'), 'accepted', '... and values within the limits pass');
$here->query_safe('COMMIT');
$there->query_safe("BEGIN; SELECT telemetry.set_metric('light', maximum => 10)");
is(send_in($there, 'a', '{"light": 11}'), 'TC013', 'a change that is rolled back counts until then');
$there->query_safe('ROLLBACK');
is(send_in($there, 'a', '{"light": 11}'), 'accepted', '... and no longer in its own session');
is(send_in($here, 'a', '{"light": 11}'), 'accepted', '... and never in another');
sql("SELECT telemetry.set_metric('temperature', minimum => 0)");
is(send_in($here, 'a', '{}', temperature => -1), 'TC013', 'limits of temperature');
sql('TRUNCATE telemetry.metric');
is(send_in($here, 'a', '{"light": 5000}', temperature => -1), 'accepted', 'the owner empties the table');
is(names(), 'light', 'the name is registered anew');

# --- policies of devices ----------------------------------------------------------------------------------------------------

is(send_in($here, 'b', '{"light": 1, "sound": 2}'), 'accepted', 'a device without a policy');
$there->query_safe("BEGIN; SELECT telemetry.set_device_policy('b', max_metrics => 1)");
is(send_in($here, 'b', '{"light": 1, "sound": 2}'), 'accepted', 'not committed');
is(send_in($there, 'b', '{"light": 1, "sound": 2}'), 'TC006', 'it counts in its own transaction');
$there->query_safe('COMMIT');
is(send_in($here, 'b', '{"light": 1, "sound": 2}'), 'TC006', 'committed');
is(send_in($here, 'c', '{"light": 1, "sound": 2}'), 'accepted', '... for that device only');
sql("SELECT telemetry.set_device_policy('c', max_metrics => 0)");
is(send_in($here, 'c', '{"light": 1}'), 'TC006', 'a device that was remembered without a policy');
sql("DELETE FROM telemetry.device_policy WHERE device_id = 'b'");
is(send_in($here, 'b', '{"light": 1, "sound": 2}'), 'accepted', 'a policy is taken away');
sql("TRUNCATE telemetry.device_policy");
is(send_in($here, 'c', '{"light": 1}'), 'accepted', 'all of them');
# More devices than a session remembers.
sql("INSERT INTO telemetry.device_policy (device_id, max_metrics) SELECT 'many-' || i, i % 2 FROM generate_series(1, 20000) AS i");
for my $round (1, 2)
{
	is($here->query_safe(q{SELECT accepted || ' ' || rejected FROM telemetry.ingest_telemetry_batch((SELECT array_agg('many-' || i) FROM generate_series(1, 20000) AS i),
		metrics => array_fill('{"light": 1}'::jsonb, ARRAY[20000]))}), '10000 10000', "round $round through all of them");
}
is(sql(q{SELECT count(*), count(DISTINCT device_id), bool_and(right(device_id, 1)::int % 2 = 1) FROM telemetry.measurements WHERE device_id LIKE 'many-%'}), '20000|10000|t', 'each device has its own policy');
sql('TRUNCATE telemetry.device_policy');

# An id that no device can have leaves nothing in the memory of the session.
sql("SELECT telemetry.set_device_policy('b', max_metrics => 1)");
is($here->query_safe(q{SELECT accepted || ' ' || rejected FROM telemetry.ingest_telemetry_batch((SELECT array_agg(i || repeat('x', 1000000)) FROM generate_series(1, 20) AS i))}), '0 20', 'twenty ids of a megabyte');
cmp_ok($here->query_safe(q{SELECT total_bytes FROM pg_backend_memory_contexts WHERE name = 'telemetry_cqrs device policies'}), '<', 5_000_000, 'are not remembered');
sql('TRUNCATE telemetry.device_policy');

# --- registration of names --------------------------------------------------------------------------------------------------

$there->query_safe('BEGIN');
is(send_in($there, 'a', '{"rival": 1, "other": 1}'), 'accepted', 'an open transaction registers a name');
is(send_in($here, 'a', '{"rival": 2}'), 'accepted', 'another session sends it, and does not wait');
is(names(), 'light sound', '... and leaves the name to the first');
is(send_in($here, 'a', '{"rival": 2, "mine": 1}'), 'accepted', 'together with a name of its own');
is(names(), 'light mine sound', '... which it registers');
$there->query_safe('ROLLBACK');
is(names(), 'light mine sound', 'the first rolls back');
is(send_in($here, 'a', '{"rival": 3}'), 'accepted', 'the next reading');
is(names(), 'light mine rival sound', '... registers the name');
is(send_in($there, 'a', '{"other": 1}'), 'accepted', 'the session that rolled back');
is(names(), 'light mine other rival sound', '... registers its name as well');
$here->query_safe("BEGIN; SAVEPOINT s");
is(send_in($here, 'a', '{"inner": 1}'), 'accepted', 'in a subtransaction');
$here->query_safe('ROLLBACK TO s');
is(send_in($here, 'a', '{"inner": 1}'), 'accepted', 'once more after that was rolled back');
$here->query_safe('COMMIT');
is(names(), 'inner light mine other rival sound', '... it is registered');
my $before = sql("SELECT xmin FROM telemetry.metric WHERE name = 'inner'");
is(send_in($there, 'a', '{"inner": 2}'), 'accepted', 'a session that did not know the name');
is(sql("SELECT xmin FROM telemetry.metric WHERE name = 'inner'"), $before, '... writes no row');
$here->query_safe('BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT count(*) FROM telemetry.metric');
is(send_in($there, 'a', '{"meanwhile": 1}'), 'accepted', 'a name is registered after another transaction took its snapshot');
is(send_in($here, 'a', '{"meanwhile": 1}'), 'accepted', '... which sends it, too');
$here->query_safe('COMMIT');
# Readings are worth more than their names.
sql('CREATE RULE mine AS ON INSERT TO telemetry.metric DO ALSO NOTHING');
is(send_in($here, 'a', '{"ruled": 1}'), 'accepted', 'a rule is in the way of the names');
sql('DROP RULE mine ON telemetry.metric');
unlike(names(), qr/ruled/, '... and the name is not registered');
is(send_in($here, 'a', '{"ruled": 1}'), 'accepted', 'without the rule');
like(names(), qr/ruled/, '... it is');

# --- the cap of names ---------------------------------------------------------------------------------------------------------

my $known = sql('SELECT count(*) FROM telemetry.metric');
set_to('max_metric_names', $known + 2);
is(send_in($here, 'a', '{"cap1": 1, "cap2": 1, "cap3": 1}'), 'TC006', 'a reading with more new names than there is room for');
is(send_in($here, 'a', '{"cap1": 1}', key => 'first'), 'accepted', 'room for two: the first');
is($here->query_safe(q{SELECT accepted || ' ' || rejected FROM telemetry.ingest_telemetry_batch(array_fill('a'::text, ARRAY[4]), idempotency_keys => ARRAY['b1', 'b2', 'b3', 'b4'],
	metrics => ARRAY['{"cap2": 1}', '{"cap3": 1}', '{"cap2": 2, "light": 1}', '{"cap2": 3, "cap4": 1}']::jsonb[])}), '2 2', 'a batch: the second');
like(sql(q{SELECT string_agg(reason, ' ' ORDER BY rejected_id) FROM telemetry.rejected_readings WHERE sqlstate = 'TC006' AND idempotency_key IN ('b2', 'b4')}),
	qr/Metric "cap3" of device "a" is new.*telemetry_cqrs\.max_metric_names.*Metric "cap4"/s, 'the words name metric and cap');
is(send_in($there, 'a', '{"cap5": 1}'), 'TC006', 'no session registers more');
is(send_in($there, 'a', '{"light": 1, "cap1": 2, "cap2": 2}'), 'accepted', 'known names pass');
is(send_in($there, 'a', '{"cap1": 1}', key => 'first'), 'duplicate', 'a repeat is a duplicate');
is(names() =~ /cap[345]/ ? 'registered' : '', '', 'the others are not registered');
sql("SELECT telemetry.set_metric('cap5')");
is(send_in($there, 'a', '{"cap5": 1}', key => 'fifth'), 'accepted', 'an administrator may register more');
sql("DELETE FROM telemetry.metric WHERE name IN ('cap1', 'cap2', 'cap5')");
is(send_in($there, 'a', '{"cap5": 1}', key => 'fifth'), 'duplicate', 'a repeat of a reading whose metric is no longer registered');
is(send_in($there, 'a', '{"cap6": 1}'), 'accepted', 'there is room again');
set_to('max_metric_names', 0);
is(send_in($here, 'a', '{"cap7": 1}'), 'accepted', 'with 0 any name will do');
unlike(names(), qr/cap7/, '... and none is registered');
set_to('max_metric_names', 10000);

# --- the cap of devices -------------------------------------------------------------------------------------------------------

my $devices = sql('SELECT count(*) FROM telemetry.device');
set_to('max_devices', $devices + 1);
is(send_in($here, 'd1', '{}'), 'accepted', 'room for one device');
is(send_in($here, 'd2', '{}'), 'TC002', 'no room for another');
is(sql("SELECT concat_ws(' ', verdict, sqlstate) FROM telemetry.check_reading('d2')"), 'rejected TC002', 'check_reading says so');
is(sql("SELECT reason FROM telemetry.check_reading('d2')") =~ /telemetry_cqrs\.max_devices/ ? 'named' : '', 'named', '... and names the cap');
is(send_in($here, 'd1', '{}'), 'accepted', 'known devices go on');
is(sql("SELECT verdict FROM telemetry.check_reading('d1')"), 'accepted', '... as check_reading says');
is(send_in($there, 'a', '{}'), 'accepted', '... in each session');
is($there->query_safe(q{SELECT accepted || ' ' || rejected FROM telemetry.ingest_telemetry_batch(ARRAY['d3', 'a', 'd4'])}), '1 2', 'a batch of known and unknown devices');
like(sql(q{SELECT reason FROM telemetry.rejected_readings WHERE device_id = 'd4'}), qr/Device "d4" is unknown.*telemetry_cqrs\.max_devices/, 'the words name device and cap');
is(sql("SELECT telemetry.register_device('d2')"), 't', 'an administrator may register more');
is(send_in($here, 'd2', '{}'), 'accepted', '... and the device may send');
set_to('max_devices', sql('SELECT count(*) FROM telemetry.device') + 1);
$there->query_safe('BEGIN');
my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
my $answer = '';
select(undef, undef, undef, 0.05) while ($answer = send_in($there, 'open-1', '{}')) eq 'TC002' && time < $deadline;
is($answer, 'accepted', 'an open transaction takes the last room');
my $fresh = session($node);    # it has not counted yet
is(send_in($fresh, 'open-2', '{}'), 'TC002', 'it counts for other sessions');
$there->query_safe('ROLLBACK');
select(undef, undef, undef, 0.05) while ($answer = send_in($fresh, 'open-2', '{}')) eq 'TC002' && time < $deadline;
is($answer, 'accepted', 'the room is free again after a rollback');
$fresh->quit;
sql("DELETE FROM telemetry.device WHERE device_id IN ('d1', 'd2')");
$deadline = time + $PostgreSQL::Test::Utils::timeout_default;
select(undef, undef, undef, 0.05) while ($answer = send_in($here, 'd5', '{}')) eq 'TC002' && time < $deadline;
is($answer, 'accepted', 'devices go: the session counts again');
set_to('max_devices', 0);
is(send_in($here, 'd6', '{}'), 'accepted', 'with 0 there may be any number');

# --- dump and restore -----------------------------------------------------------------------------------------------------------

sql("SELECT telemetry.set_metric('light', unit => 'lx', maximum => 7), telemetry.set_device_policy('b', max_age => '1 day', rate => 2.5)");
my $dump = $node->basedir . '/rules.sql';
command_ok([ 'pg_dump', '-h', $node->host, '-p', $node->port, '-f', $dump, 'postgres' ], 'a dump');
sql('CREATE DATABASE copy');
command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-h', $node->host, '-p', $node->port, '-f', $dump, 'copy' ], 'is restored');
my $rules = q{SELECT string_agg(m::text, ';' ORDER BY name) || (SELECT string_agg(p::text, ';') FROM telemetry.device_policy p) FROM telemetry.metric m};
is($node->safe_psql('copy', $rules), sql($rules), '... with the rules');
my ($status, $out, $err) = $node->psql('copy', q{SELECT telemetry.ingest_telemetry('a', NULL, 1, NULL, 'k', '{"light": 8}')});
like($err, qr/allowed is at most 7 lx/, '... which count there');

$_->quit for $here, $there;
$node->stop;
done_testing();
