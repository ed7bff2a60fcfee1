# An administrator changes things beside a running pass, and each change holds. He cancels a rebuild that a pass serves, drops a handler while it runs, asks
# for parked events again while a pass ends an earlier request, and while a rebuild copies its baseline. No event is lost, and nothing is
# left behind. A pass serves projections that fell behind before rebuilds. A reader whose snapshot lacks some subtransactions gets his answer.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

# The passes of this test are its own, so that it decides when they run.
my $node = telemetry_node('between_passes', conf => "telemetry_cqrs.start_worker = off\nfsync = off\n");
sub sql { my ($statement) = @_; return $node->safe_psql('postgres', $statement); }
my $pass = 'CALL telemetry.project_once()';
sub waiting { my ($count) = @_; return "SELECT count(*) = $count FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND wait_event = 'advisory'"; }
my $gate = session($node);
sql(<<'SQL');
CREATE FUNCTION store(devices text[]) RETURNS bigint LANGUAGE sql AS 'SELECT accepted FROM telemetry.ingest_telemetry_batch(devices, NULL, array_fill(1::float8, ARRAY[cardinality(devices)]), NULL, NULL)';
CREATE TABLE allowed (device text);
CREATE FUNCTION held(batch bigint) RETURNS void LANGUAGE sql AS 'SELECT pg_advisory_xact_lock(7)';
CREATE FUNCTION picky(batch bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF EXISTS (SELECT FROM telemetry.read_events(batch) e WHERE e.aggregateid LIKE 'bad%' AND NOT EXISTS (SELECT FROM public.allowed a WHERE a.device = e.aggregateid)) THEN
		RAISE 'bad' USING ERRCODE = 'P0042';
	END IF;
END $$;
-- An index of the DBA's fails on one device while the table refused has it.
CREATE TABLE refused (device text);
CREATE FUNCTION refuse(key text, n bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	IF EXISTS (SELECT FROM public.refused r WHERE r.device = key) THEN RAISE 'not this one' USING ERRCODE = 'P0042'; END IF;
	RETURN n;
END $$;
SELECT store(ARRAY['a']);
SQL
sql($pass);

# --- the order in which passes serve projections; all that a pass serves has the number of its transaction

sql("CREATE FUNCTION nothing(batch bigint) RETURNS void LANGUAGE sql AS 'SELECT'; SELECT telemetry.create_handler_projection('early', 'nothing(bigint)')");
sql($pass);
sql("SELECT telemetry.pause_projection(p) FROM unnest(ARRAY['device_1m', 'early', 'region']) AS p; SELECT store(ARRAY['a'])");
sql($pass);
sql("SELECT telemetry.pause_projection('device'); SELECT store(ARRAY['a'])");
sql($pass);
sql("SELECT telemetry.add_generation('device_1d', 'audit'), telemetry.rebuild_projection('device_1h'), telemetry.rebuild_projection('region_1h'), telemetry.create_projection('anew', 'device', cadence => '0')");
sql("SELECT telemetry.resume_projection(projection) FROM telemetry.pause");
sql($pass);
is(sql("SELECT string_agg(served, ', ' ORDER BY number) FROM (SELECT xmin::text::bigint AS number, string_agg(projection || CASE purpose WHEN 'audit' THEN ' (audit)' ELSE '' END, ' + ' ORDER BY projection) AS served
		FROM telemetry.cursor WHERE projection IN ('device_1m', 'early', 'region', 'device', 'device_1h', 'region_1h', 'anew') OR purpose = 'audit' GROUP BY 1) AS passes"),
	'device_1m, early, region, device, anew, device_1h + region_1h, device_1d (audit)',
	'a lazy projection that kept up, those that fell behind from the oldest on and a handler alone, new ones and rebuilds, an audit');
is(sql('SELECT p.projection FROM telemetry.projection p, telemetry.verify_projection(p.projection) WHERE handler IS NULL'), '', '... and each is right');
sql("SELECT telemetry.drop_projection('early'), telemetry.drop_projection('anew'); DELETE FROM telemetry.cursor WHERE purpose = 'audit'");

# --- a handler is dropped while it runs

sql("SELECT telemetry.create_handler_projection('h', 'held(bigint)')");
$gate->query_safe('SELECT pg_advisory_lock(7)');
my $passing = psql_start($node, $pass);
wait_for($node, waiting(1), 'the handler to run');
my $dropping = psql_start($node, "SELECT telemetry.drop_projection('h')");
wait_for($node, waiting(2), 'the drop to wait for the pass');
$gate->query_safe('SELECT pg_advisory_unlock(7)');
is((psql_finish($passing))[1], '', 'the pass that calls the handler ends well');
is((psql_finish($dropping))[1], '', '... and so does the drop');
is(sql("SELECT count(*) FROM telemetry.cursor WHERE projection = 'h'"), '0', 'a dropped handler leaves no cursor behind');
sql("SELECT telemetry.create_projection('h', 'device')");
sql($pass);
is(sql('SELECT sum(sample_count) FROM telemetry.h_stats'), '3', 'the next projection of that name has the whole history');

# --- parked events are asked for again, while a pass ends an earlier request

sql("SELECT telemetry.create_handler_projection('p', 'picky(bigint)', false), telemetry.set_failure_policy('p', 'park')");
sql("SELECT store(ARRAY['bad1', 'bad2', 'c'])");
sql($pass);
is(sql("SELECT count(*) FROM telemetry.parked_event WHERE projection = 'p'"), '2', 'two events are parked');
sql("INSERT INTO allowed VALUES ('bad1'), ('bad2'); SELECT telemetry.replay_parked('p', ARRAY[(SELECT min(event_id) FROM telemetry.parked_event)])");
$gate->query_safe("BEGIN; SELECT telemetry.replay_parked('p', ARRAY[(SELECT max(event_id) FROM telemetry.parked_event)])");
$passing = psql_start($node, $pass);
wait_for($node, waiting(1), 'the pass to meet the second request');
$gate->query_safe('COMMIT');
is((psql_finish($passing))[1], '', 'a pass waits for a request that is open');
sql($pass);
is(sql("SELECT count(*) FROM telemetry.parked_event WHERE projection = 'p'"), '0', 'both are applied');

# --- a rebuild: it is cancelled beside a pass; its baseline keeps still while it is copied; what fails in the copy is no event's fault

sql("SELECT telemetry.set_failure_policy('device', 'park'); INSERT INTO refused VALUES ('aaa'); CREATE INDEX refusing ON telemetry.state_device (public.refuse(key, sample_count))");
sql("SELECT store(ARRAY['aaa', 'b', 'c'])");
sql($pass);
sql("SELECT store(ARRAY(SELECT format('dev-%s-%s', n, i) FROM generate_series(1, 10000) AS i)) FROM generate_series(1, 4) AS n");
sql($pass);
is(sql("SELECT count(*) FROM telemetry.parked_event WHERE projection = 'device'"), '1', 'an event of statistics is parked');
sql("SELECT telemetry.rebuild_projection('device')");
$passing = psql_start($node, $pass);
wait_for($node, "SELECT count(*) = 2 FROM telemetry.parked_event WHERE projection = 'device'", 'the rebuild to park it too');
$node->psql('postgres', "SELECT telemetry.cancel_rebuild('device')");    # it may come too late, and then says so
psql_finish($passing);
is(sql("SELECT count(*) FROM telemetry.parked_event p JOIN telemetry.cursor c USING (projection, generation) WHERE p.projection = 'device' AND c.purpose = 'current'"), '1', 'whoever won, the event is still parked');
is(sql("SELECT count(*) FROM telemetry.cursor WHERE projection = 'device'"), '1', '... and one generation is left');
is(sql("SELECT count(*) FROM telemetry.verify_projection('device')"), '0', '... whose statistics are right');

# The rows of the cursors are written natively, which bears no rival. So whoever changes them takes turns with passes.
$gate->query_safe('BEGIN; SELECT telemetry.advance_baselines(max(batch_id)) FROM telemetry.batch');
$passing = psql_start($node, $pass);
wait_for($node, waiting(1), 'the pass to wait');
$gate->query_safe('COMMIT');
is((psql_finish($passing))[1], '', 'a pass waits for the transaction that lets the baselines go on');
is(sql("SELECT count(*) FROM telemetry.cursor WHERE purpose = 'baseline' AND batch_id < until_batch"), '0', '... and takes them there');

# The pass that ends a rebuild deletes rows of the cursors by SQL.
sql('CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$');
sql('CREATE CONSTRAINT TRIGGER late AFTER DELETE ON telemetry.cursor DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION skip()');
sql("SELECT telemetry.rebuild_projection('region')");
$node->psql('postgres', $pass, stderr => \my $refusal, extra_params => ['-v', 'VERBOSITY=verbose']);
like($refusal, qr/TC204: table telemetry\.cursor cannot be written because of trigger "late"/, 'a deferred trigger on the cursors is refused with its name');
sql('DROP TRIGGER late ON telemetry.cursor');
sql($pass);
is(sql("SELECT count(*) FROM telemetry.cursor WHERE purpose = 'rebuild'"), '0', '... and the rebuild ends when it is gone');
sql("DELETE FROM refused; SELECT telemetry.rebuild_projection('device')");
$passing = psql_start($node, $pass);
wait_for($node, "SELECT EXISTS (SELECT FROM telemetry.cursor WHERE projection = 'device' AND purpose = 'rebuild')
	AND EXISTS (SELECT FROM telemetry.state_device s JOIN telemetry.cursor c ON c.projection = 'device' AND c.purpose = 'rebuild' AND s.generation = c.generation)
	OR NOT EXISTS (SELECT FROM telemetry.cursor WHERE projection = 'device' AND purpose = 'rebuild')", 'the copy to be under way');
sql("SELECT telemetry.replay_parked('device')");
psql_finish($passing);
sql($pass);
is(sql("SELECT count(*) FROM telemetry.parked_event WHERE projection = 'device'"), '0', 'a replay beside a copy: nothing is parked any more');
is(sql("SELECT sum(sample_count) FROM telemetry.device_stats WHERE device_id = 'aaa'"), '1', '... and the event is in the rebuilt statistics');
is(sql("SELECT count(*) FROM telemetry.verify_projection('device')"), '0', '... which are right');

sql("INSERT INTO refused VALUES ('a'); SELECT telemetry.rebuild_projection('device')");
my (undef, undef, $err) = $node->psql('postgres', $pass);
like($err, qr/not this one/, 'the copy of a baseline fails');
is(sql("SELECT count(*) FROM telemetry.parked_event WHERE projection = 'device'"), '0', '... and parks nothing');
sql('DELETE FROM refused');
sql($pass);
is(sql("SELECT count(*) FROM telemetry.cursor WHERE projection = 'device' AND purpose = 'rebuild'"), '0', '... later it goes on');
is(sql("SELECT count(*) FROM telemetry.verify_projection('device')"), '0', '... and nothing is missing');

# --- a parked event whose batch is not in the list any more stays

sql('DELETE FROM allowed');
sql("SELECT store(ARRAY['bad3', 'x'])");
sql($pass);
sql("SELECT store(ARRAY['x'])");
sql($pass);
sql("DELETE FROM telemetry.batch WHERE batch_id = (SELECT batch_id FROM telemetry.parked_event WHERE projection = 'p'); SELECT telemetry.replay_parked('p')");
(undef, undef, $err) = $node->psql('postgres', $pass);
like($err, qr/lacks the batch of a parked event/, 'a parked event without its batch: TC202');
is(sql("SELECT count(*) FROM telemetry.parked_event WHERE projection = 'p'"), '1', '... and it stays parked');

# --- a rebuild that is under way does not delay a projection that fell behind

sql("SELECT telemetry.drop_projection('p'), telemetry.advance_baselines(max(batch_id)) FROM telemetry.batch");
sql(<<'SQL');
CREATE FUNCTION rebuilt() RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FROM telemetry.state_device s JOIN telemetry.cursor c ON c.projection = 'device' AND c.purpose = 'rebuild' AND s.generation = c.generation
$$;
CREATE TABLE noted (batch bigint, rows bigint);
CREATE FUNCTION note(batch bigint) RETURNS void LANGUAGE sql AS 'INSERT INTO public.noted VALUES (batch, public.rebuilt())';
SELECT telemetry.create_handler_projection('noting', 'note(bigint)', false), store(ARRAY['a']);
-- An index of the DBA's sees each pass that writes statistics of regions.
CREATE SEQUENCE seen;
CREATE FUNCTION see(key text, n bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM setval('public.seen', public.rebuilt() + 1); RETURN n; END $$;
CREATE INDEX seeing ON telemetry.state_region (see(key, sample_count));
SQL
sql($pass);
sql("SELECT telemetry.pause_projection('noting'), telemetry.pause_projection('region'), store(ARRAY['a'])");
sql($pass);
sql("DELETE FROM noted; INSERT INTO refused VALUES ('x'); SELECT telemetry.rebuild_projection('device')");
$node->psql('postgres', $pass);
my $rebuilt = sql('SELECT rebuilt()');
cmp_ok($rebuilt, '>', 0, 'a rebuild is under way');
sql("DELETE FROM refused; SELECT telemetry.resume_projection('noting'), telemetry.resume_projection('region'), store(ARRAY['a'])");
sql($pass);
is(sql('SELECT count(*), min(rows), max(rows) FROM noted'), "2|$rebuilt|$rebuilt", 'a handler that fell behind is served before it goes on');
is(sql('SELECT last_value - 1 FROM seen'), $rebuilt, '... and so are statistics that fell behind');
is(sql("SELECT count(*) FROM telemetry.cursor WHERE purpose = 'rebuild'"), '0', '... and then it ends');
is(sql("SELECT count(*) FROM telemetry.verify_projection('device')"), '0', '... with the right statistics');

# --- a snapshot that lacks subtransactions

my @holders = map { session($node) } 1 .. 3;
foreach my $holder (0 .. 2) {
	my $subtransactions = (3, 100, 3)[$holder];
	$holders[$holder]->query_safe("CREATE TEMP TABLE t (i int); BEGIN;
		DO 'BEGIN FOR n IN 1 .. $subtransactions LOOP BEGIN INSERT INTO t VALUES (n); EXCEPTION WHEN division_by_zero THEN NULL; END; END LOOP; END'");
}
sql("INSERT INTO allowed VALUES ('one more transaction')");
is(sql("SELECT sample_count FROM telemetry.device_stats WHERE device_id = 'b'; SELECT sample_count FROM telemetry.device_stats WHERE device_id = 'b'"), "1\n1", 'a reader beside many subtransactions');
$_->quit foreach @holders, $gate;

done_testing();
