# A registry that logical replication maintains. A device that is retired on the publisher may no longer send on the subscriber,
# not even through a session that remembers the device.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../support";
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

my $publisher = telemetry_node('publisher', conf => "wal_level = logical\nmax_wal_senders = 10\nmax_replication_slots = 10\n");
my $subscriber = telemetry_node('subscriber', preload => 1);

$publisher->safe_psql('postgres', q{SELECT telemetry.register_device('d' || i, 'hall') FROM generate_series(1, 5) AS i; CREATE PUBLICATION registry FOR TABLE telemetry.device});
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION registry CONNECTION '" . $publisher->connstr . " dbname=postgres' PUBLICATION registry");
ok(wait_for($subscriber, 'SELECT count(*) = 5 FROM telemetry.device', 'the first copy'), 'the registry is copied');

my $session = session($subscriber);
sub send_of
{
	my ($device, $key) = @_;
	my $answer = $session->query("DO \$\$ BEGIN PERFORM telemetry.ingest_telemetry('$device', NULL, 20, idempotency_key => '$key');
		RAISE INFO 'stored'; EXCEPTION WHEN OTHERS THEN RAISE INFO '%', SQLSTATE; END \$\$");
	my $said = $session->{stderr};
	$session->{stderr} = '';
	return $said =~ /INFO:  (\w+)/ ? $1 : $said;
}
is(send_of("d$_", 'before'), 'stored', "d$_ may send, and is remembered") for 1 .. 5;
is(send_of("d$_", 'before 2'), 'stored', "d$_ again") for 1 .. 5;

$publisher->safe_psql('postgres', q{UPDATE telemetry.device SET status = 'retired' WHERE device_id IN ('d1', 'd2')});
ok(wait_for($subscriber, q{SELECT count(*) = 2 FROM telemetry.device WHERE status = 'retired'}, 'the change'), 'the change is applied');
is(send_of('d1', 'after'), 'TC008', 'a retired device is refused in a session that remembered it');
is(send_of('d2', 'after'), 'TC008', 'each of them');
is(send_of('d3', 'after'), 'stored', 'the others go on');

$publisher->safe_psql('postgres', q{UPDATE telemetry.device SET status = 'active', region = 'yard' WHERE device_id = 'd1'});
ok(wait_for($subscriber, q{SELECT region = 'yard' FROM telemetry.device WHERE device_id = 'd1'}, 'the change'), 'taken back into service');
is(send_of('d1', 'later'), 'stored', 'it may send again');
$publisher->safe_psql('postgres', q{UPDATE telemetry.device SET region = 'roof' WHERE device_id = 'd1'});
ok(wait_for($subscriber, q{SELECT region = 'roof' FROM telemetry.device WHERE device_id = 'd1'}, 'the change'), 'moved');
is(send_of('d1', 'moved'), 'stored', 'it sends');
is($subscriber->safe_psql('postgres', q{SELECT string_agg(region, ', ' ORDER BY event_id) FROM telemetry.measurements WHERE device_id = 'd1' AND idempotency_key IN ('later', 'moved')}),
	'yard, roof', 'with the region that the registry has now');

# Gone and come again with another region.
$publisher->safe_psql('postgres', q{DELETE FROM telemetry.device WHERE device_id = 'd4'});
ok(wait_for($subscriber, q{SELECT NOT EXISTS (SELECT FROM telemetry.device WHERE device_id = 'd4')}, 'the change'), 'taken off the registry');
$publisher->safe_psql('postgres', q{SELECT telemetry.register_device('d4', 'roof')});
ok(wait_for($subscriber, q{SELECT EXISTS (SELECT FROM telemetry.device WHERE device_id = 'd4')}, 'the change'), 'registered again');
is(send_of('d4', 'again'), 'stored', 'it sends');
is($subscriber->safe_psql('postgres', q{SELECT region FROM telemetry.measurements WHERE device_id = 'd4' AND idempotency_key = 'again'}), 'roof', 'with its new region');

$publisher->safe_psql('postgres', 'TRUNCATE telemetry.device');
ok(wait_for($subscriber, 'SELECT NOT EXISTS (SELECT FROM telemetry.device)', 'the change'), 'the registry is emptied');
is(send_of('d5', 'unknown'), 'stored', 'a device that was forgotten is registered anew');
is($subscriber->safe_psql('postgres', q{SELECT concat_ws('|', device_id, region) FROM telemetry.device}), 'd5', '... without the region it had');
$session->quit;

# An ordinary session pays for one trigger a statement.
is($publisher->safe_psql('postgres', q{SELECT string_agg(concat_ws(' ', tgname, tgenabled), ', ' ORDER BY tgname) FROM pg_trigger WHERE tgrelid = 'telemetry.device'::regclass}),
	'announce_change A, announce_replicated_change R', 'one trigger always, one in the replica role only');
$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION registry');
wait_applied($subscriber);
local $TelemetryNode::database = 'postgres';
read_models_follow($subscriber, 'telemetry.measurements', 'the subscriber');
$subscriber->stop;
$publisher->stop;

done_testing();
