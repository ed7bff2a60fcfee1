# telemetry.open_metrics() is OpenMetrics, read by a strict parser, and its figures are those of plain SQL or of a count by hand. A bare reader
# gets it on an empty database, on a standby, without preloading, with hostile settings, and while a table is locked. No label names a
# device or a region.
use strict;
use warnings;

use OpenMetrics;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

my $node = telemetry_primary('metrics', conf => "telemetry_cqrs.expected_interval = '1min'\ntelemetry_cqrs.nats_url = 'nats://127.0.0.1:1'\nautovacuum = off\n");
sub sql { my ($statement, $on) = @_; return ($on // $node)->safe_psql('postgres', $statement); }
sql("CREATE ROLE reader; CREATE ROLE operator; SELECT telemetry.grant_reader('reader'), telemetry.grant_admin('operator')");

my (%seen_family, %seen_label);
# Returns what the role sees, read by the parser; settings: statements before.
sub metrics
{
	my ($what, %options) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $text = sql(join(' ', map { "$_;" } @{ $options{settings} // [] }) . 'SET ROLE ' . ($options{role} // 'reader') . '; SELECT telemetry.open_metrics() || $$.$$', $options{on}) =~ s/\.\z//r;
	my $metrics = eval { OpenMetrics->parse($text) };
	ok(defined $metrics, "$what: OpenMetrics") or die $@;
	for my $family (keys %{ $metrics->{families} })
	{
		$seen_family{$family} = 1;
		my $described = $metrics->{families}{$family};
		ok(0, "$what: $family has no help, no type or no sample") if !defined $described->{help} || !defined $described->{given}{TYPE} || !@{ $described->{samples} };
	}
	for my $sample ($metrics->samples) { $seen_label{$_}{ $sample->{labels}{$_} } = 1 for keys %{ $sample->{labels} } }
	is(join(', ', map { "$_->{labels}{section} $_->{labels}{sqlstate}" } grep { $_->{value} } @{ $metrics->{families}{telemetry_cqrs_section_failed}{samples} }),
		$options{failed} // '', "$what: which sections fail");
	return $metrics;
}

# Tests that samples of a family are the rows of a query: the values of the labels in the order of their names, then the value.
sub samples_are
{
	my ($metrics, $name, $query, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my @found = map {
		my $sample = $_;
		join '|', (map { $sample->{labels}{$_} } sort keys %{ $sample->{labels} }), $sample->{value}
	} grep { $_->{name} eq "telemetry_cqrs_$name" } $metrics->samples;
	return is(join("\n", sort @found), join("\n", sort split /\n/, $query =~ /^SELECT/ ? sql($query) : $query), $what);
}

# Of each set of states one holds, and it is the one that the query names.
sub states_are
{
	my ($metrics, $name, $query, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my @found = map {
		my $sample = $_;
		join '|', (map { $sample->{labels}{$_} } grep { $_ ne 'state' } sort keys %{ $sample->{labels} }), $sample->{labels}{state}
	} grep { $_->{name} eq "telemetry_cqrs_$name" && $_->{value} == 1 } $metrics->samples;
	return is(join("\n", sort @found), join("\n", sort split /\n/, sql($query)), $what);
}

# --- an empty database -------------------------------------------------------------------------------------------------------

ok(wait_for($node, "SELECT state = 'running' FROM telemetry.worker_status()", 'the worker'), 'a worker runs');
my $metrics = metrics('empty');
is($metrics->value('telemetry_cqrs_readings_total', verdict => $_), 0, "empty: no reading was $_") for 'accepted', 'duplicate', 'conflict', 'rejected', 'rolled back';
is($metrics->value('telemetry_cqrs_log_events_total'), 0, 'empty: no event');
is($metrics->value('telemetry_cqrs_log_state', state => 'fresh'), 1, 'empty: a fresh log');
is($metrics->value('telemetry_cqrs_devices', state => $_), 0, "empty: no device is $_") for qw(online late offline never_seen unknown);
is($metrics->value('telemetry_cqrs_projection_state', projection => 'device_1h', state => 'fresh'), 1, 'empty: fresh projections');
is($metrics->value('telemetry_cqrs_worker_up'), 1, 'empty: the worker is up');
is($metrics->value('telemetry_cqrs_rejected_readings'), 0, 'empty: nothing is rejected');
is($metrics->value('telemetry_cqrs_build_info', version => sql("SELECT extversion FROM pg_extension WHERE extname = 'telemetry_cqrs'"), library_version => sql('SELECT telemetry.library_version()'), server_version => sql('SHOW server_version')),
	1, 'empty: the versions');

# --- readings ----------------------------------------------------------------------------------------------------------------

# The verdicts are counted by hand. Names of devices and regions have what a label would have to escape.
my @devices = ('d"1', 'd\\2', 'd{3}', "d'4", 'd,5');
sub quoted { return join ', ', map { "'" . s/'/''/gr . "'" } @_ }
my $regions = quoted('nor"th', 'so\\uth', 'east', 'west', 'west');
# 5 accepted, in one batch.
sql('SELECT telemetry.ingest_telemetry_batch(ARRAY[' . quoted(@devices) . "], NULL, ARRAY[1, 2, 3, 4, 5], NULL, ARRAY['a', 'a', 'a', 'a', 'a'], NULL, ARRAY[$regions])");
# A batch with 1 accepted, 1 duplicate, 1 conflict and 2 rejected; the two are kept.
sql(q{SELECT telemetry.ingest_telemetry_batch(ARRAY['d,5', 'd"1', 'd{3}', '', ' '], ARRAY['2024-05-01 10:00', NULL, NULL, NULL, NULL]::timestamptz[], ARRAY[1, 1, 99, 1, 1], NULL, ARRAY['b', 'a', 'a', 'x', 'x'], NULL, ARRAY['west', 'nor"th', 'east', NULL, NULL])});
# A single one that is refused raises an error. Three are rolled back.
$node->psql('postgres', "SELECT telemetry.ingest_telemetry('', NULL, 1)");
sql("BEGIN; SELECT telemetry.ingest_telemetry('gone', NULL, g) FROM generate_series(1, 3) AS g; ROLLBACK");
# One device was silent for two and one for ten intervals, one has none, one never sent, and one is retired.
sql(q{SELECT telemetry.register_device('never', 'east'), telemetry.register_device('retired', 'east'); UPDATE telemetry.device SET status = 'retired' WHERE device_id = 'retired';
	SELECT telemetry.set_expected_interval('d"1', '1 day'), telemetry.set_expected_interval('d\2', '100 days')});
ok(wait_applied($node), 'everything is applied');

$metrics = metrics('readings');
is($metrics->value('telemetry_cqrs_readings_total', verdict => 'accepted'), sql('SELECT count(*) FROM telemetry.measurements'), 'accepted = the rows of the log');

samples_are($metrics, 'readings_total', "accepted|6\nconflict|1\nduplicate|1\nrejected|3\nrolled back|3", 'readings by verdict');
samples_are($metrics, 'commands_total', '6', 'commands: two batches, one that failed, three that were rolled back');
samples_are($metrics, 'batch_commands_total', '2', 'two of them were batches');
samples_are($metrics, 'raised_commands_total', '1', 'one raised');
is($metrics->value('telemetry_cqrs_rejected_readings'), sql('SELECT count(*) FROM telemetry.rejected_readings'), 'rejected readings that are kept');
cmp_ok($metrics->value('telemetry_cqrs_rejected_readings'), '>=', 2, 'there are some');
is($metrics->value('telemetry_cqrs_log_events_total'), sql('SELECT count(*) FROM telemetry.event'), 'events of the log');
is($metrics->value('telemetry_cqrs_batched_events_total'), sql('SELECT sum(events) FROM telemetry.batch'), 'events in batches');
is($metrics->value('telemetry_cqrs_unbatched_events'), 0, 'none is in no batch');
samples_are($metrics, 'projection_applied_events_total', "SELECT projection, (SELECT count(*) FROM telemetry.event) FROM telemetry.projection", 'every projection has applied every event');
samples_are($metrics, 'refused_commands_total', "backlog|0\ndevice|0\ntotal|0", 'no quota refused anything');
samples_are($metrics, 'projection_cadence_seconds', "SELECT projection, EXTRACT(epoch FROM cadence)::float8 FROM telemetry.projection", 'cadences');
states_are($metrics, 'log_state', "SELECT 'open'", 'the log is open');
states_are($metrics, 'worker_state', 'SELECT state FROM telemetry.worker_status()', 'the state of the worker');
states_are($metrics, 'relay_state', q{SELECT sink, state FROM telemetry.relay_status}, 'the relay, of which one sink cannot be reached');
is($metrics->value('telemetry_cqrs_relay_state', sink => 'redis', state => 'off'), 1, 'the other one is off');
cmp_ok(abs($metrics->value('telemetry_cqrs_counters_since_timestamp_seconds') - sql('SELECT EXTRACT(epoch FROM stats_since) FROM telemetry.stat_ingest')), '<', 0.001, 'since when it counts');
cmp_ok(abs($metrics->value('telemetry_cqrs_worker_since_timestamp_seconds') - sql('SELECT EXTRACT(epoch FROM since) FROM telemetry.worker_status()')), '<', 0.001, 'since when the worker runs');

# Sizes: every table of the schema is in one part.
my %part = map { $_->{labels}{part} => $_->{value} } @{ $metrics->{families}{telemetry_cqrs_size_bytes}{samples} };
is(join(' ', sort keys %part), 'batches event log other read models rejected readings', 'sizes of five parts');
is($part{'event log'}, sql("SELECT pg_total_relation_size('telemetry.event') + pg_total_relation_size('telemetry.event_1')"), 'the size of the log');

# Liveness, by the time at which each reading was received. The test moves these times in the read model.
sql(q{UPDATE telemetry.state_device SET last_received_at = now() - CASE key WHEN 'd{3}' THEN interval '2 min' ELSE interval '10 min' END WHERE key IN ('d{3}', 'd''4')
	AND generation = (SELECT generation FROM telemetry.cursor WHERE projection = 'device' AND purpose = 'current')});
$metrics = metrics('liveness');
samples_are($metrics, 'devices', "late|1\nnever_seen|1\noffline|1\nonline|3\nunknown|0", 'devices by liveness');

# --- behind, failing, parked -------------------------------------------------------------------------------------------------

sql(<<'SQL');
SELECT telemetry.pause_projection('region_1d'), telemetry.pause_projection('device_1d'), telemetry.rebuild_projection('device_1d');
CREATE FUNCTION handle(batch bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 / (e.payload ->> 'temperature')::numeric FROM telemetry.read_events(batch) AS e WHERE e.aggregateid = 'poison';
END $$;
SELECT telemetry.create_handler_projection('dividing', 'handle(bigint)');
SELECT telemetry.set_failure_policy('dividing', 'park');
SELECT telemetry.create_subscription('team-1', '-infinity', max_attempts => 1);
SELECT telemetry.create_subscription('lost-1');
SQL
sql("SELECT telemetry.ingest_telemetry('poison', NULL, g % 2) FROM generate_series(1, 20) AS g");
ok(wait_for($node, "SELECT count(*) = 10 FROM telemetry.parked_event WHERE projection = 'dividing'", 'parked events'), 'ten events are parked');
ok(wait_for($node, "SELECT bool_and(lag_events = 0) FROM telemetry.projection_status WHERE state <> 'paused'", 'the others'), 'the other projections go on');
# Two of the events that the subscription leases become dead letters.
sql(q{DO $$
DECLARE
	leased bigint;
	ids bigint[];
BEGIN
	SELECT min(b.lease), (array_agg(b.id))[1:2] INTO leased, ids FROM telemetry.next_batch('team-1', 1000) AS b;
	PERFORM telemetry.nack('team-1', leased, 'it is bad', ids);
END $$});
sql(q{UPDATE telemetry.subscription SET lost_at = now(), lost_because = 'a test' WHERE subscription = 'lost-1'});

$metrics = metrics('behind');
samples_are($metrics, 'projection_parked_events', "SELECT p.projection, count(DISTINCT k.event_id) FROM telemetry.projection p LEFT JOIN telemetry.parked_event k USING (projection) GROUP BY 1", 'parked events');
is($metrics->value('telemetry_cqrs_projection_lag_events', projection => 'region_1d'), 20, 'a projection that is paused is behind');
is($metrics->value('telemetry_cqrs_projection_lag_events', projection => 'region_1h'), 0, 'and no other one');
cmp_ok($metrics->value('telemetry_cqrs_projection_lag_seconds', projection => 'region_1d'), '>', 0, 'for some time');
samples_are($metrics, 'projection_rebuilt_events', 'SELECT projection, rebuilt_events FROM telemetry.projection_status WHERE rebuilt_events IS NOT NULL', 'a rebuild that waits');
is($metrics->value('telemetry_cqrs_projection_rebuilt_events', projection => 'device_1d'), 0, 'has done nothing');
states_are($metrics, 'projection_state', 'SELECT projection, state FROM telemetry.projection_status', 'one state of each projection');
is($metrics->value('telemetry_cqrs_projection_state', projection => 'region_1d', state => 'paused'), 1, 'paused');
for my $projection (split /\n/, sql('SELECT projection FROM telemetry.projection'))
{
	is($metrics->value('telemetry_cqrs_projection_applied_events_total', projection => $projection) + $metrics->value('telemetry_cqrs_projection_lag_events', projection => $projection),
		$metrics->value('telemetry_cqrs_log_events_total'), "$projection: applied + waiting = the log");
}
samples_are($metrics, 'subscription_dead_letters', "SELECT s.subscription, count(d.*) FROM telemetry.subscription s LEFT JOIN telemetry.dead_letter d USING (subscription) WHERE s.subscription !~ '^relay' GROUP BY 1", 'dead letters');
is($metrics->value('telemetry_cqrs_subscription_dead_letters', subscription => 'team-1'), 2, 'two of one subscription');
samples_are($metrics, 'subscription_lost', "lost-1|1\nteam-1|0", 'one subscription is lost');
states_are($metrics, 'subscription_state', "SELECT subscription, state FROM telemetry.subscription_status WHERE subscription !~ '^relay'", 'one state of each subscription');
samples_are($metrics, 'subscription_lag_events', "SELECT subscription, lag_events FROM telemetry.subscription_status WHERE subscription !~ '^relay'", 'how far each is behind');

# What is far behind is not counted, but subtracted. Here that is more than five events.
sub countable { my ($events) = @_; return sql("CREATE OR REPLACE FUNCTION telemetry.countable_events() RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS 'SELECT ${events}::bigint'") }
countable(5);
my $estimated = metrics('far behind');
for my $family (qw(projection_applied_events_total projection_lag_events projection_parked_events projection_rebuilt_events projection_cadence_seconds))
{
	samples_are($estimated, $family, join("\n", map { my $sample = $_; join '|', $sample->{labels}{projection}, $sample->{value} } grep { $_->{name} eq "telemetry_cqrs_$family" } $metrics->samples), "far behind: the same $family");
}
states_are($estimated, 'projection_state', 'SELECT projection, state FROM telemetry.projection_status', 'far behind: the same states');
for my $projection (qw(device_1d region_1d))
{
	my ($least, $most) = split /\|/, sql("SELECT lag_seconds - 60, lag_seconds FROM telemetry.projection_status WHERE projection = '$projection'");
	my $lag = $estimated->value('telemetry_cqrs_projection_lag_seconds', projection => $projection);
	ok($lag > 0 && $lag > $least && $lag < $most + 1, "far behind: $projection is about as late") or diag($lag);
	is($estimated->value('telemetry_cqrs_projection_as_of_timestamp_seconds', projection => $projection), undef, "far behind: $projection has no time as_of");
}
is($estimated->value('telemetry_cqrs_devices', state => 'never_seen'), 1, 'far behind: devices are counted, as their projection is not');

# The projector does not run, so more than five events are in no batch.
$node->append_conf('postgresql.conf', "telemetry_cqrs.start_worker = off\n");
$node->reload;
ok(wait_for($node, "SELECT state = 'none' FROM telemetry.worker_status()", 'the end of the worker'), 'the worker has ended');
sql("SELECT telemetry.ingest_telemetry('poison', NULL, g) FROM generate_series(1, 8) AS g");
$estimated = metrics('backlog');
is($estimated->value('telemetry_cqrs_backlog_events'), 8, 'backlog: eight events');
is($estimated->value('telemetry_cqrs_unbatched_events'), 8, 'backlog: in no batch');
is($estimated->value('telemetry_cqrs_log_events_total'), undef, 'backlog: an estimate is no counter');
cmp_ok($estimated->value('telemetry_cqrs_batching_lag_seconds'), '>', 0, 'backlog: they wait');
samples_are($estimated, 'projection_lag_events', 'SELECT projection, lag_events FROM telemetry.projection_status', 'backlog: how many wait for each projection');
states_are($estimated, 'projection_state', 'SELECT projection, state FROM telemetry.projection_status', 'backlog: the same states');
is($estimated->value('telemetry_cqrs_projection_state', projection => 'device', state => 'stopped'), 1, 'backlog: stopped');
ok(!exists $estimated->{families}{telemetry_cqrs_devices}, 'backlog: devices are left out');
$node->append_conf('postgresql.conf', "telemetry_cqrs.start_worker = on\n");
$node->reload;
countable(100_000);
ok(wait_for($node, "SELECT bool_and(lag_events = 0) FROM telemetry.projection_status WHERE state <> 'paused'", 'the others'), 'the worker goes on');

# A view would refuse to answer (TC103).
sql("SELECT telemetry.pause_projection('device')");
sql("SELECT telemetry.ingest_telemetry('poison', NULL, 3)");
ok(wait_for($node, "SELECT lag_seconds > 0.1 FROM telemetry.projection_status WHERE projection = 'device'", 'a lag'), 'the projection device is behind');
my $err;
$node->psql('postgres', "SET telemetry_cqrs.max_staleness = '1ms'; SET ROLE reader; SELECT min(state) FROM telemetry.device_liveness", stderr => \$err);
like($err, qr/max_staleness/, 'a view refuses to answer');
$metrics = metrics('max_staleness', settings => [q{SET telemetry_cqrs.max_staleness = '1ms'}]);
is($metrics->value('telemetry_cqrs_devices', state => 'never_seen'), 1, 'devices are counted however old the read model is');
sql("SELECT telemetry.resume_projection('device')");
metrics('hostile settings', settings => [ 'SET standard_conforming_strings = off', 'SET extra_float_digits = -15', "SET search_path = ''", "SET DateStyle = 'SQL, DMY'", "SET IntervalStyle = 'sql_standard'", "SET TimeZone = 'Asia/Kolkata'", "SET lc_numeric = 'C'", 'SET enable_hashjoin = off', "SET default_transaction_isolation = 'serializable'", 'SET transaction_read_only = on' ]);

# --- rights ------------------------------------------------------------------------------------------------------------------

ok(!exists metrics('reader')->{families}{telemetry_cqrs_health}, 'a reader sees no health');
$metrics = metrics('operator', role => 'operator');
samples_are($metrics, 'health', q{SELECT item, CASE state WHEN 'ok' THEN 0 WHEN 'warning' THEN 1 ELSE 2 END FROM telemetry.health()}, 'an administrator sees each item of health()');
is($metrics->value('telemetry_cqrs_health', item => 'subscriptions'), 2, 'a lost subscription is an error');
is($metrics->value('telemetry_cqrs_health', item => 'library'), 0, 'the library is right');
sql('CREATE ROLE nobody');
$node->psql('postgres', 'SET ROLE nobody; SELECT telemetry.open_metrics()', stderr => \$err);
like($err, qr/permission denied/, 'a role without a grant sees nothing');

# health() counts what waits for each projection, so it is left out where that would take long.
sub health_with_lag
{
	my ($lag) = @_;
	return sql("BEGIN; CREATE OR REPLACE FUNCTION telemetry.metric_samples() RETURNS text[] LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
		\$\$ SELECT ARRAY['telemetry_cqrs_projection_lag_events{projection=\"device\"} 1', 'telemetry_cqrs_projection_lag_events{projection=\"region\"} $lag'] \$\$;
		SET ROLE operator; SELECT telemetry.open_metrics() ~ 'telemetry_cqrs_health'; ROLLBACK");
}
is(health_with_lag('9.999999e+06'), 't', 'health() is there while ten million events wait');
is(health_with_lag('1e+07'), 'f', 'and not when more wait');

# Every sample belongs to a family: the text leaves out none.
is(scalar(grep { $_->{name} ne 'telemetry_cqrs_health' } $metrics->samples), sql('SELECT cardinality(telemetry.metric_samples())'), 'every sample is in the text');

# --- escapes, a locked table -------------------------------------------------------------------------------------------------

my $line = sql(q{SELECT telemetry.metric_sample('odd', 'Infinity', 'a', E'back\\\\slash "quoted"\nnext', 'none', NULL, 'b', '')});
my $odd = OpenMetrics->parse("# TYPE telemetry_cqrs_odd gauge\n$line\n# EOF\n");
is($odd->value('telemetry_cqrs_odd', a => "back\\slash \"quoted\"\nnext", b => ''), '+Inf' =~ s/\+//r, 'a label is escaped, and a NULL one left out');

my $locker = session($node);
$locker->query_safe('BEGIN; LOCK TABLE telemetry.rejected_readings, telemetry.device IN ACCESS EXCLUSIVE MODE');
$metrics = metrics('locked', failed => 'devices 55P03, rejected readings 55P03, sizes 55P03');
ok(!exists $metrics->{families}{telemetry_cqrs_devices}, 'the figures of a locked table are missing');
is($metrics->value('telemetry_cqrs_worker_up'), 1, 'the others are there');
$locker->query_safe('ROLLBACK');
$locker->quit;
metrics('unlocked');

# --- audits ------------------------------------------------------------------------------------------------------------------

sql("SELECT telemetry.resume_projection('device_1d'), telemetry.resume_projection('region_1d')");
sql("INSERT INTO telemetry.audit (projection, begun_at, finished_at, differences) VALUES ('device', now(), '2026-01-01 00:00:00.5+00', 0), ('region', now(), '2026-01-02 00:00+00', 3), ('device_1h', now(), NULL, 0)");
$metrics = metrics('audited');
samples_are($metrics, 'projection_audit_differences', "device|0\nregion|3", 'what the audits that have ended found');
samples_are($metrics, 'projection_audit_timestamp_seconds', "device|1767225600.5\nregion|1767312000", 'and when they ended');

# --- what is true of all of it -----------------------------------------------------------------------------------------------

my @families = split /\n/, sql("SELECT 'telemetry_cqrs_' || name FROM telemetry.metric_families()");
is(join(' ', grep { !$seen_family{$_} } @families), '', 'each of ' . @families . ' families was seen');
is(join(' ', sort keys %seen_label), 'item library_version limit part projection section server_version sink sqlstate state subscription verdict version', 'labels');
my @user_data = split /\n/, sql('SELECT device_id FROM telemetry.device UNION SELECT region FROM telemetry.device WHERE region IS NOT NULL');
cmp_ok(scalar @user_data, '>', 8, 'there are devices and regions');
is(join(' ', grep { my $value = $_; grep { exists $seen_label{$_}{$value} } keys %seen_label } @user_data), '', 'no label is the name of a device or a region');

# --- a standby ---------------------------------------------------------------------------------------------------------------

$node->backup('backup');
my $standby = standby_of($node, 'standby', 'backup');
$node->wait_for_catchup($standby);
$metrics = metrics('standby', on => $standby);
is($metrics->value('telemetry_cqrs_in_recovery'), 1, 'standby: it says so');
is($metrics->value('telemetry_cqrs_log_events_total'), sql('SELECT count(*) FROM telemetry.event'), 'standby: the events of the log');
is($metrics->value('telemetry_cqrs_worker_up'), 0, 'standby: no worker');
is(metrics('standby, operator', on => $standby, role => 'operator')->value('telemetry_cqrs_health', item => 'worker'), 0, 'standby: and that is right');
$standby->stop;
$node->stop;

# --- without preloading ------------------------------------------------------------------------------------------------------

my $plain = telemetry_node('plain');
sql("CREATE ROLE reader; SELECT telemetry.grant_reader('reader')", $plain);
sql("SELECT telemetry.ingest_telemetry('d', NULL, 1)", $plain);
$metrics = metrics('not preloaded', on => $plain);
is($metrics->value('telemetry_cqrs_preloaded'), 0, 'not preloaded: it says so');
ok(!exists $metrics->{families}{"telemetry_cqrs_$_"}, "not preloaded: no $_") for qw(readings commands refused_commands backlog_events);
is($metrics->value('telemetry_cqrs_log_events_total'), 1, 'not preloaded: the durable figures are there');
is($metrics->value('telemetry_cqrs_projection_state', projection => 'device', state => 'stopped'), 1, 'not preloaded: the projection waits');
$plain->stop;
done_testing();
