# Acceptance check 18. Requests for memory (palloc and new) and statements by SPI fail, one in each call, and a cancel comes at
# a palloc. The calls are: ingest (single, batch, duplicates, refused readings, new devices, a cold session, the very first
# reading), the queries, leases of a subscription, a pass of the projections, and the worker with its looks at silent devices. A call
# that fails raises an ordinary error, and the next
# call in the session works. Nothing is lost or stored twice, nothing leaks, and the process does not grow. At the end the test
# cancels and terminates at random.
#
# TELEMETRY_STRIDE: after the first requests only every so many-th fails; 1 lets each fail. TELEMETRY_ERRORS: how many errors
# the process must bear without growing. TELEMETRY_SEED: the seed of another run.
# Begins early.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;
use Time::HiRes qw(time);

my $stride = $ENV{TELEMETRY_STRIDE} // 15;
my $errors = $ENV{TELEMETRY_ERRORS} // 10_000;
my $worker_faults = $ENV{TELEMETRY_WORKER_FAULTS} // 4;    # of each kind, at random
my $seed = $ENV{TELEMETRY_SEED} // int(rand(1_000_000));
note "seed $seed";
srand($seed);
my $all_of_the_first = $stride > 1 ? 100 : 1e9;
my %sqlstate = (palloc => '53200', new => '53200', sql => '58000', cancel => '57014');

# The library that replaces new must be there before the server is. No worker at first: what is applied is applied by calls.
my $node = PostgreSQL::Test::Cluster->new('faults');
my $library = `pg_config --pkglibdir`;
chomp $library;
my $conf = <<'CONF';
shared_preload_libraries = 'fault_test'
telemetry_cqrs.start_worker = off
restart_after_crash = off
log_statement = none
log_min_error_statement = panic
lc_messages = 'C'
timezone = 'UTC'
CONF
$node->init;
$node->append_conf('postgresql.conf', $conf);
start();
$node->safe_psql('postgres', 'CREATE EXTENSION fault_test');
$node->safe_psql('postgres', 'CREATE EXTENSION telemetry_cqrs');

# A batch of 50: new devices and known ones, metrics, five duplicates of before, three refused, a conflict with one of before and
# two in the batch itself.
my $batch = <<'SQL';
SELECT accepted, duplicates, conflicts, rejected FROM (
	SELECT array_agg(CASE WHEN i = 48 THEN '' WHEN i % 10 = 9 THEN 'new-:what-' || i ELSE 'd' || i % 5 END ORDER BY i) AS d,
	       array_agg('2024-05-01 00:00:00+00'::timestamptz + i * interval '1 second' ORDER BY i) AS m,
	       array_agg(CASE WHEN i = 47 THEN 'NaN'::float8 ELSE i END ORDER BY i) AS t, array_agg(nullif(i % 3, 0)::float8 ORDER BY i) AS h,
	       array_agg(CASE WHEN i < 5 THEN 'before-' || i WHEN i = 5 THEN 'taken' WHEN i IN (17, 27) THEN :'what' || '-7' ELSE :'what' || '-' || i END ORDER BY i) AS k,
	       array_agg(CASE WHEN i = 46 THEN '{"a": "b"}' WHEN i % 4 = 0 THEN '{"light": 1.5, "b": null}' END::jsonb ORDER BY i) AS x,
	       array_agg('r' || i % 2 ORDER BY i) AS g
	FROM generate_series(0, 49) AS i) AS a,
	LATERAL telemetry.ingest_telemetry_batch(d, m, t, h, k, x, g) AS r
SQL
my $one = q{SELECT status FROM telemetry.ingest_telemetry('d1', '2024-05-01', 20, 40, :'what', '{"light": 3}', 'r1')};
my $new_device = q{SELECT status FROM telemetry.ingest_telemetry('dev-' || :'what', NULL, 20, 40, :'what', NULL, 'r2')};
my $token = q{SELECT token FROM telemetry.ingest_telemetry('d1', NULL, 20, 40, :'what') \gset};
my $few = q{SELECT accepted + duplicates AS stored FROM telemetry.ingest_telemetry_batch(ARRAY['d1', 'x-' || :'what', 'd1'], NULL, ARRAY[1, 2, 3], NULL,
	ARRAY[:'what' || 'a', :'what' || 'b', :'what' || 'c'])};

my $anew = "SELECT telemetry.restart_subscription('faulty', '-infinity') \\g /dev/null";

# Each row has the call, what must be true afterwards, and what comes before; :what is different each time. `after` is also the
# proof that the session can go on; it gives t.
my @calls = (
	{ name => 'one reading', call => $one, after => "SELECT status IN ('accepted', 'duplicate') FROM ($one) AS r" },
	{ name => 'one reading, cold', before => 'SELECT fault_forget() \g /dev/null', call => $one, after => "SELECT status IN ('accepted', 'duplicate') FROM ($one) AS r" },
	{ name => 'one reading of a new device', call => $new_device, after => "SELECT status IN ('accepted', 'duplicate') FROM ($new_device) AS r" },
	{ name => 'a conflict', call => "SELECT telemetry.ingest_telemetry('d0', NULL, :nr, 2, 'taken')", after => "SELECT count(*) = 1 FROM telemetry.measurements WHERE idempotency_key = 'taken'",
		fails_anyway => 'TC009' },
	{ name => 'few readings', call => $few, after => "SELECT stored = 3 FROM ($few) AS r" },
	{ name => 'a batch', call => $batch, after => "SELECT duplicates IN (5, 44) AND conflicts = 3 AND rejected = 3 AND accepted + duplicates = 44 FROM ($batch) AS r", heavy => 1 },
	{ name => 'a batch, cold', before => 'SELECT fault_forget() \g /dev/null', call => $batch,
		after => "SELECT duplicates IN (5, 44) AND conflicts = 3 AND rejected = 3 AND accepted + duplicates = 44 FROM ($batch) AS r", heavy => 1 },
	{ name => 'register_device', call => "SELECT telemetry.register_device(:'what', 'r', '1 minute', '{}')", after => "SELECT telemetry.register_device(:'what') OR true" },
	{ name => 'read_events', call => 'SELECT count(*) FROM telemetry.read_events(1)', after => 'SELECT count(*) = 45 FROM telemetry.read_events(1)' },
	{ name => 'read_events, cold', before => 'SELECT fault_forget() \g /dev/null', call => 'SELECT count(*) FROM telemetry.read_events(1)', after => 'SELECT count(*) = 45 FROM telemetry.read_events(1)' },
	{ name => 'a batch that is not there', call => 'SELECT count(*) FROM telemetry.read_events(123456789)', after => 'SELECT true', fails_anyway => 'TC203' },
	{ name => 'as_of and the tail', before => "$one \\g /dev/null", call => "SELECT telemetry.as_of('device'), (telemetry.projection_tail('region')).events",
		after => "SELECT telemetry.as_of('device') IS NOT NULL" },
	{ name => 'summaries', call => 'SELECT summaries[1]::text::telemetry.summary, telemetry.avg(summaries[2]), telemetry.last_at(summaries[1]) FROM telemetry.state_device LIMIT 3',
		after => 'SELECT sum(sample_count) > 0 FROM telemetry.device_stats' },
	{ name => 'aggregates', call => "SELECT telemetry.merge(s), telemetry.quantile(telemetry.merge(s), 0.5) FROM (SELECT telemetry.summary(i, '2024-05-01') AS s FROM generate_series(-20, 20) AS i GROUP BY i % 2) AS parts",
		after => "SELECT telemetry.quantile(telemetry.summary(i, '2024-05-01'), 1) = 20 FROM generate_series(-20, 20) AS i" },
	{ name => 'the status', call => 'SELECT * FROM telemetry.projection_status', after => 'SELECT count(*) = 8 FROM telemetry.projection_status' },
	{ name => 'the pipeline', call => 'SELECT * FROM telemetry.pipeline_status', after => 'SELECT count(*) = 11 FROM telemetry.pipeline_status' },
	{ name => 'a pause', call => "SELECT telemetry.pause_projection('region'), telemetry.resume_projection('region')",
		after => "SELECT telemetry.pause_projection('region') AND telemetry.resume_projection('region')" },
	{ name => 'a wait in vain', before => $token, call => "SELECT telemetry.wait_for(:'token', '1 ms')", after => "SELECT telemetry.wait_for(:'token', '0') = 'timeout'" },
	{ name => 'a wait', before => "$token\nCALL telemetry.project_once();", call => "SELECT telemetry.wait_for(:'token')", after => "SELECT telemetry.wait_for(:'token', '0') = 'applied'" },
	{ name => 'a lease that is acknowledged', before => "$anew", call => "SELECT telemetry.ack('faulty', max(lease)) FROM telemetry.next_batch('faulty', 20)", after => "SELECT count(*) = 20 FROM telemetry.next_batch('faulty', 20)" },
	{ name => 'a lease, cold', before => "$anew\nSELECT fault_forget() \\g /dev/null", call => "SELECT telemetry.ack('faulty', max(lease)) FROM telemetry.next_batch('faulty', 20)",
		after => "SELECT count(*) = 20 FROM telemetry.next_batch('faulty', 20)" },
	{ name => 'events that are given back', before => $anew, call => "SELECT telemetry.nack('faulty', max(lease), 'no', (array_agg(id))[2:4]) FROM telemetry.next_batch('faulty', 20)", after => "SELECT count(*) > 0 FROM telemetry.next_batch('faulty', 20)" },
	{ name => 'events that come again', before => "$anew\nSELECT telemetry.nack('faulty', max(lease), 'no', array_agg(id)) FROM telemetry.next_batch('faulty', 20) \\g /dev/null",
		call => "SELECT telemetry.nack('faulty', max(lease)) FROM telemetry.next_batch('faulty', 20)", after => "SELECT count(*) > 0 FROM telemetry.next_batch('faulty', 20)" },
	{ name => 'a pass', before => "$new_device \\g /dev/null", call => 'CALL telemetry.project_once()', after => 'CALL telemetry.project_once(); SELECT bool_and(lag_events = 0) FROM telemetry.projection_status',
		heavy => 1 },
	{ name => 'a pass over a batch, cold', before => "$batch \\g /dev/null\nSELECT fault_forget() \\g /dev/null", call => 'CALL telemetry.project_once()', heavy => 1,
		after => 'CALL telemetry.project_once(); SELECT bool_and(lag_events = 0) FROM telemetry.projection_status' },
);

my $number = 0;    # of the call, for keys
my %raised;
my $total = 0;

# --- the first reading of all opens the installation's first epoch -----------------------------------------------------

sweep({ name => 'the first reading', begin => 'BEGIN', call => $one, end => 'ROLLBACK', after => "SELECT count(*) = 0 FROM telemetry.epoch" });

# --- everything else --------------------------------------------------------------------------------------------------

run_ok(<<"SQL");
\\set what before
SELECT telemetry.ingest_telemetry('d' || i % 5, '2024-05-01 00:00:00+00'::timestamptz + i * interval '1 second', i, nullif(i % 3, 0), 'before-' || i, CASE WHEN i % 4 = 0 THEN '{"light": 1.5, "b": null}' END::jsonb, 'r' || i % 2)
FROM generate_series(0, 4) AS i;
SELECT telemetry.ingest_telemetry('d0', '2024-05-01', 1, 1, 'taken');
SELECT telemetry.create_subscription('faulty', retry_delay => '0', max_attempts => 0);
$batch;
CALL telemetry.project_once();
SQL
sweep($_) foreach @calls;
note "$total calls with a fault; errors: " . join(', ', map { "$_ $raised{$_}" } sort keys %raised);

# It would keep the batches at which it stands from being merged.
run_ok("SELECT telemetry.drop_subscription('faulty')");

# --- what is left of it all -------------------------------------------------------------------------------------------

run_ok('CALL telemetry.project_once()');
is($node->safe_psql('postgres', 'SELECT count(*) - count(DISTINCT (device_id, idempotency_key)) FROM telemetry.measurements WHERE idempotency_key IS NOT NULL'), '0', 'no key is there twice');
read_models_follow($node, 'telemetry.measurements', 'after all faults');
is($node->safe_psql('postgres', 'SELECT sum(events) = (SELECT count(*) FROM telemetry.measurements) AND max(batch_id) = count(*) FROM telemetry.batch'), 't',
	'the batches hold every event, numbered without a gap');
is($node->safe_psql('postgres', 'SELECT count(DISTINCT epoch) FROM telemetry.epoch'), '1', 'one epoch');

# --- the process does not grow -----------------------------------------------------------------------------------------

my $half = int($errors / 2);
my ($grown) = run_ok(<<"SQL");
CREATE FUNCTION fail(times int) RETURNS bigint LANGUAGE plpgsql AS \$\$
DECLARE raised bigint := 0;
BEGIN
	FOR i IN 1 .. times LOOP
		BEGIN
			-- the server writes all its memory contexts to the log when a palloc fails: not 10,000 times
			PERFORM fault_arm(CASE WHEN i % 20 = 0 THEN 'palloc' WHEN i % 3 = 0 THEN 'cancel' ELSE 'new' END, 1 + i / 7 % 25);
			PERFORM telemetry.ingest_telemetry_batch(ARRAY['d1', 'g' || i, 'd2'], NULL, ARRAY[1, 2, 'NaN']::float8[], NULL, ARRAY['g' || i, 'h', 'i'], ARRAY['{"a": 1}', NULL, NULL]::jsonb[]);
			PERFORM fault_disarm();
		EXCEPTION WHEN out_of_memory OR query_canceled THEN
			raised := raised + 1;
		END;
	END LOOP;
	RETURN raised;
END \$\$;
SELECT 'warm ' || fail($half / 4);
SELECT 'start ' || resident || ' ' || contexts FROM fault_memory();
SELECT 'raised ' || fail($errors);
SELECT 'end ' || resident || ' ' || contexts FROM fault_memory();
SQL
my ($raised) = $grown =~ /^raised (\d+)$/m;
my @memory = $grown =~ /^(?:start|end) (\d+) (\d+)$/mg;
cmp_ok($raised, '>', 0.8 * $errors, "$raised errors in one session");
cmp_ok($memory[2], '<', 1.05 * $memory[0] + 1_000_000, 'the process has not grown by 5 %');
note "resident $memory[0] -> $memory[2], contexts $memory[1] -> $memory[3]";

# --- the worker --------------------------------------------------------------------------------------------------------

$node->stop;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'telemetry_cqrs, fault_test'\ntelemetry_cqrs.start_worker = on\ntelemetry_cqrs.poll_interval = '100ms'\n");
start();
my $current = 'SELECT bool_and(lag_events = 0) FROM telemetry.projection_status';
wait_for($node, "SELECT state = 'running' FROM telemetry.worker_status()", 'the worker');
my $went_on = 1;
my %worker_fired;
foreach my $kind (qw(palloc new cancel))
{
	# How many requests there are between a reading and the end of its pass.
	$node->safe_psql('postgres', "SELECT fault_arm_projector('$kind', 1000000000)");
	worked("count-$kind");
	my $requests = $node->safe_psql('postgres', 'SELECT seen FROM fault_disarm_projector()');
	cmp_ok($requests, '>', 0, "the worker: $requests requests by $kind");
	foreach my $part (1 .. $worker_faults)
	{
		# On a busy machine the count may hold a second pass. Then a late request never comes, and the test takes an earlier one.
		my $fired = 0;
		for (my $at = 1 + int(rand($requests)); !$fired && $at > 0; $at = int($at / 2))
		{
			$node->safe_psql('postgres', "SELECT fault_arm_projector('$kind', $at)");
			$went_on &&= worked("$kind-$part-$at");
			$fired = $node->safe_psql('postgres', 'SELECT fired::int FROM fault_disarm_projector()');
		}
		$worker_fired{$kind} += $fired;
	}
	cmp_ok($worker_fired{$kind}, '>', 0, "$worker_fired{$kind} of $worker_faults failed");
}
ok($went_on, 'the worker goes on after each');

# Its statements by SPI: they merge old batches.
$node->safe_psql('postgres', "SELECT fault_arm_projector('sql', 1)");
$node->append_conf('postgresql.conf', "telemetry_cqrs.batch_retention = '1s'\n");
$node->reload;
ok(wait_for($node, "SELECT last_error LIKE '%fault_test: no SQL%' FROM telemetry.worker_status()", 'the statement to fail'), 'the merging of old batches fails');
is($node->safe_psql('postgres', 'SELECT fired FROM fault_disarm_projector()'), 't', 'by our doing');
ok(wait_for($node, 'SELECT count(*) = 1 FROM telemetry.batch', 'the old batches to be merged'), 'and is done later');
ok(worked('sql'), 'the worker goes on');

# Its looks which devices are silent. Each silence is told once, whichever request fails.
$node->append_conf('postgresql.conf', "telemetry_cqrs.liveness_interval = 1\n");
$node->reload;
my %most_requests = (palloc => 300, new => 10, sql => 2, cancel => 300);    # mostly there are more until the device is told
my ($silent, $silent_fired) = (0, 0);
foreach my $kind (sort keys %most_requests)
{
	foreach (1 .. $worker_faults / 2)
	{
		++$silent;
		$node->safe_psql('postgres', "SELECT telemetry.register_device('silent-$silent', 'r', '100 ms'), telemetry.ingest_telemetry('silent-$silent', NULL, 1, idempotency_key => 'silent')");
		wait_for($node, $current, 'the reading to be applied');
		$node->safe_psql('postgres', "SELECT fault_arm_projector('$kind', " . (1 + int(rand($most_requests{$kind}))) . ')');
		wait_for($node, "SELECT count(*) > 0 FROM telemetry.events WHERE type = 'device.offline' AND aggregateid = 'silent-$silent'", "the silence of device $silent");
		$silent_fired += $node->safe_psql('postgres', 'SELECT fired::int FROM fault_disarm_projector()');
	}
}
note "$silent_fired of $silent failed";
is($node->safe_psql('postgres', "SELECT count(*), count(DISTINCT aggregateid) FROM telemetry.events WHERE type LIKE 'device.%'"), "$silent|$silent", 'each silence is told once');
$node->append_conf('postgresql.conf', "telemetry_cqrs.liveness_interval = 0\n");
$node->reload;

# Waits until the worker has applied a further reading.
sub worked
{
	my ($key) = @_;
	$node->safe_psql('postgres', "SELECT telemetry.ingest_telemetry('worker', NULL, 1, 2, '$key', '{\"light\": 1}', 'r')");
	return wait_for($node, $current, "the reading $key to be applied");
}

# --- cancelled and terminated at random ---------------------------------------------------------------------------------

# Clients do not try again. Once the storm is over everything is sent a second time.
my $batches = 150;
my $sender = sub {
	my ($client) = @_;
	return "SET application_name = 'victim';\n" . join '', map { "SELECT telemetry.ingest_telemetry_batch(d, m, t, NULL, k, NULL, g) FROM storm WHERE client = $client AND batch = $_;\n" } 1 .. $batches;
};
$node->safe_psql('postgres', "CREATE TABLE storm AS SELECT client, batch, array_agg('s' || i % 7) AS d, array_agg('2024-06-01'::timestamptz + (batch * 100 + i) * interval '1 second') AS m,
	array_agg((i * 3 + batch)::float8) AS t, array_agg(client || '-' || batch || '-' || i) AS k, array_agg('r' || i % 2) AS g
	FROM generate_series(1, 2) AS client, generate_series(1, $batches) AS batch, generate_series(1, 30) AS i GROUP BY client, batch");
my $wait = "SELECT pg_advisory_lock_shared(7), pg_advisory_unlock_shared(7);\n";
my $storm = session($node);
# A victim may end between the look and the blow, which gives a warning.
$storm->query_safe('SET client_min_messages = error; SELECT pg_advisory_lock(7)');
my @started = ((map { psql_start($node, $wait . $sender->($_)) } 1, 2), psql_start($node, "SET application_name = 'victim';\n$wait" . "CALL telemetry.project_once();\n" x $batches));
wait_for($node, "SELECT count(*) = 3 FROM pg_locks WHERE locktype = 'advisory' AND objid = 7 AND NOT granted", 'the clients');
my $hit = $storm->query_safe(<<'SQL');
CREATE TEMP TABLE hit (cancelled int, terminated int);
DO $$
DECLARE cancelled int := 0; terminated int := 0; victim int;
BEGIN
	PERFORM pg_advisory_unlock(7);
	LOOP
		PERFORM pg_stat_clear_snapshot();
		EXIT WHEN NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'victim');
		SELECT pid INTO victim FROM pg_stat_activity WHERE application_name = 'victim' OR backend_type = 'telemetry_cqrs projector' ORDER BY random() LIMIT 1;
		IF random() < 0.004 THEN
			terminated := terminated + pg_terminate_backend(victim)::int;
		ELSE
			cancelled := cancelled + pg_cancel_backend(victim)::int;
		END IF;
		PERFORM pg_sleep(random() * 0.004);
	END LOOP;
	INSERT INTO hit VALUES (cancelled, terminated);
END $$;
SELECT cancelled || ' cancelled, ' || terminated || ' terminated' FROM hit
SQL
note $hit;
$storm->quit;
psql_finish($_) foreach @started;
my $said = join '', map { (psql_finish(psql_start($node, $sender->($_))))[1] } 1, 2;
is($said, '', 'what the storm hit can be sent again');
$node->safe_psql('postgres', "CREATE VIEW sent AS SELECT s.* FROM (SELECT unnest(d) AS device_id, unnest(k) AS idempotency_key FROM storm) AS s UNION ALL
	SELECT device_id, idempotency_key FROM telemetry.measurements WHERE device_id !~ '^s[0-6]\$'");
log_is($node, 'sent', 'after the storm');
wait_for($node, $current, 'everything to be applied');
read_models_follow($node, 'telemetry.measurements', 'after the storm');

# --- the server log ----------------------------------------------------------------------------------------------------------

my $log = slurp_file($node->logfile);
my @bad = grep { !/is not a PostgreSQL server process|could not send signal to process/ && /PANIC|TRAP:|terminated by signal|leak|WARNING|not closed|still referenced|C\+\+ exception/ } split /\n/, $log;
is(scalar @bad, 0, 'no crash, no leak and no warning in the log');
diag(join "\n", @bad[ 0 .. ($#bad < 19 ? $#bad : 19) ]) if @bad;
$node->stop;
done_testing();

sub start
{
	local $ENV{LD_PRELOAD} = "$library/fault_new.so";
	$node->start;
}

# Runs a script in one session. Returns its output, its errors, and whether the session lived to its end.
sub run_script
{
	my ($script) = @_;
	my ($out, $err) = ('', '');
	# In a file, because a session that ends leaves a pipe that holds the rest.
	my $file = PostgreSQL::Test::Utils::tempdir . '/script.sql';
	append_to_file($file, "\\set VERBOSITY verbose\n$script\n\\echo the end\n");
	my $status = $node->psql('postgres', "\\i $file", stdout => \$out, stderr => \$err, on_error_stop => 0, timeout => 300);
	return ($out, $err, $out =~ /^the end$/m);
}

sub run_ok
{
	my ($script) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($out, $err, $alive) = run_script($script);
	ok($alive && $err !~ /ERROR|FATAL/, 'a script without an error') or diag $err;
	return $out;
}

# Returns the script lines of a call in which request number $at fails. With $at = 0 no request fails, and the call only counts
# them.
sub lines_of
{
	my ($call, $kind, $at) = @_;
	++$number;
	my $before = $call->{before} ? "$call->{before}\n" : '';
	my $begin = $call->{begin} ? "$call->{begin};\n" : '';
	my $end = $call->{end} ? "$call->{end};\n" : '';
	my $after = $at ? "\\echo after\n$call->{after};\n" : '';
	return "\\set what k$number\n\\set nr $number\n$before$begin\\echo call $at\n\\warn call $at\nSELECT fault_arm('$kind', " . ($at || 1_000_000_000) . ") \\g /dev/null\n" .
		"$call->{call} \\g /dev/null\n${end}SELECT 'fault', fired, seen FROM fault_disarm();\n$after";
}

# Returns the script lines that prove in another session that the call that lines_of() made last has done no harm.
sub look_at
{
	my ($call) = @_;
	my $before = $call->{before} ? "$call->{before}\n" : '';
	return "\\set what k$number\n\\set nr $number\n$before\\echo after\n$call->{after};\n";
}

# From PostgreSQL 17 on the server ends a session that lacks the memory to begin a subtransaction. Is that all that was said?
sub is_ended_by_server
{
	my ($complaint) = @_;
	return $node->pg_version >= 17 && $complaint =~ /FATAL:  53200: out of memory/ && $complaint !~ /ERROR|WARNING|PANIC/;
}

# Lets each request of the call fail.
sub sweep
{
	my ($call) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	# A short tail: the views on the projections count it, a thousand times.
	my $before = $call->{begin} ? '' : "CALL telemetry.project_once();\n\\set what before-$call->{name}\n$one \\g /dev/null\n";
	my @kinds = qw(palloc new sql cancel);
	my ($counted) = run_script($before . join '', map { my $kind = $_; map { lines_of($call, $kind, 0) } 1 .. 3 } @kinds);
	my @counts = $counted =~ /^fault\|f\|(\d+)$/mg;
	is(scalar @counts, 3 * @kinds, "$call->{name}: its requests were counted");
	foreach my $kind (@kinds)
	{
		my $requests = (splice @counts, 0, 3)[2];
		next if !$requests;
		# A bit more than were counted: a cold session makes more.
		my $last = $requests + 20;
		my @at = grep { $_ <= $all_of_the_first || ($_ + $number) % ($stride * ($call->{heavy} ? 4 : 1)) == 0 } 1 .. $last;
		my $start = time;
		my ($alive, @answers, @complaints);
		my @scripts = map { { lines => lines_of($call, $kind, $_), look => look_at($call) } } @at;
		while (@scripts)
		{
			# The call that ended the session before is looked at in the next one.
			my $look = @answers ? $answers[-1]{look} : '';
			(my ($out, $err), $alive) = run_script(join '', $look, map { $_->{lines} } @scripts);
			$_ .= "\n" foreach $out, $err;    # psql() takes the last one off
			$out =~ s/^the end\n\z//m;
			my ($seen, @out) = split /^call \d+\n/m, $out, -1;
			my (undef, @err) = split /^(?:psql:\S+ )?call \d+\n/m, $err, -1;
			$answers[-1]{answer} .= "fault|t\n" . ($seen // '') if $look;
			push @answers, map { { answer => $_, look => '' } } @out;
			push @complaints, @err;
			last if $alive || !is_ended_by_server($err[-1] // '');
			$complaints[-1] = '';
			$answers[-1]{look} = $scripts[$#out]{look};
			splice @scripts, 0, scalar @out;
			push @scripts, { lines => '', look => '' } if !@scripts;
		}
		my (@wrong, $fired);
		foreach my $i (0 .. $#at)
		{
			my ($answer, $complaint) = ($answers[$i]{answer} // '', $complaints[$i] // '');
			# The server calls it an internal error when it lacks the memory for a hash table of its own.
			$complaint =~ s/ERROR:  XX000: (?=failed to initialize hash table )/ERROR:  53200: / if $kind eq 'palloc';
			my @codes = $complaint =~ /ERROR:  (\w{5}):/g;
			my $has_fired = $answer =~ /^fault\|t/m;
			$fired += $has_fired;
			$raised{$_}++ foreach @codes;
			my %allowed = map { $_ => 1 } ($has_fired ? $sqlstate{$kind} : ()), ($call->{fails_anyway} // ());
			my $is_ok = $answer =~ /^after\nt\n?\z/m && !grep({ !$allowed{$_} } @codes) && @codes <= 1 && $complaint !~ /WARNING|FATAL|PANIC/;
			push @wrong, "$kind $at[$i]:\n$answer$complaint" if !$is_ok;
		}
		$total += $fired // 0;
		ok($alive && $fired && !@wrong, sprintf '%s: %d of %d requests by %s failed, and the session went on', $call->{name}, $fired // 0, $requests, $kind)
			or diag(join "\n", "alive: " . ($alive ? 1 : 0) . ", wrong: " . scalar @wrong, @wrong[ 0 .. ($#wrong < 4 ? $#wrong : 4) ]);
		note sprintf '%.1f s', time - $start;
	}
}
