# Counters are right whatever the order in which readings arrive, and however passes cut them. Random readings with resets come in
# random order, some in transactions that end late, and passes of projections that follow, are lazy, were paused, or are rebuilt take
# them. After each step, state and live views are what window functions give. Then a pass takes only a part of what it sees, a pass
# writes before it has read everything, a projection parks readings, and the log has lost readings.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

my $seed = $ENV{TELEMETRY_SEED} // time % 100_000;
note "TELEMETRY_SEED=$seed";
srand $seed;

my $node = telemetry_node('counters', conf => "max_prepared_transactions = 10\nshared_buffers = '256MB'\n");
sub sql { my ($statement) = @_; return $node->safe_psql('postgres', $statement); }

# Values are whole numbers, so sums are exact in any order.
sql(<<'SQL');
SELECT telemetry.set_metric('meter', 'counter'), telemetry.set_metric('temperature', 'counter');
SELECT telemetry.create_projection('following', 'device', '15 minutes', cadence => '0'),
       telemetry.create_projection('some', 'device', '2 hours', regions => ARRAY['r1'], metrics => ARRAY['meter'], quantiles => false);
CREATE TABLE reading (n int, device text, region text, at timestamptz, meter float8);
CREATE FUNCTION send(numbers int[]) RETURNS bigint LANGUAGE sql AS $$
    SELECT b.accepted FROM (SELECT array_agg(r.device) AS d, array_agg(r.at) AS at, array_agg(r.meter / 2) AS t, array_agg(jsonb_build_object('meter', r.meter, 'gauge', r.meter)) AS m, array_agg(r.region) AS r, array_agg(r.device || ':' || r.n) AS k
                            FROM unnest(numbers) WITH ORDINALITY AS u (n, place) JOIN reading r USING (n)) AS a,
         LATERAL telemetry.ingest_telemetry_batch(a.d, a.at, a.t, NULL, a.k, a.m, a.r) AS b
$$;
-- What the buckets of some width have to show.
CREATE FUNCTION counted(width interval, regions text[]) RETURNS TABLE (device text, bucket timestamptz, metric text, samples bigint, increase float8, resets bigint) LANGUAGE sql AS $$
    SELECT r.device_id, r.bucket, r.metric, count(*), COALESCE(sum(CASE WHEN r.value >= r.before THEN r.value - r.before ELSE r.value END) FILTER (WHERE r.before IS NOT NULL), 0), count(*) FILTER (WHERE r.value < r.before)
    FROM (SELECT v.*, lag(v.value) OVER (PARTITION BY v.device_id, v.bucket, v.metric ORDER BY v.measured_at, v.value) AS before
          FROM (SELECT m.device_id, m.measured_at, date_bin(width, m.measured_at, '2000-01-01') AS bucket, k.metric, k.value FROM telemetry.measurements m
                CROSS JOIN LATERAL (VALUES ('meter', (m.metrics ->> 'meter')::float8), ('temperature', m.temperature)) AS k (metric, value)
                WHERE k.value IS NOT NULL AND (regions IS NULL OR m.region = ANY (regions))) AS v) AS r
    GROUP BY 1, 2, 3
$$;
SQL
my %width = (device_1m => '1 minute', following => '15 minutes', device_1h => '1 hour', some => '2 hours', device_1d => '1 day');
my %view = (device_1m => 'device_stats_1m', following => 'following_stats', device_1h => 'device_stats_1h', some => 'some_stats', device_1d => 'device_stats_1d');

# How many rows of the view differ from what the readings give that the caller sees.
sub differing
{
	my ($projection, $suffix, $session) = @_;
	my ($regions, $metrics) = $projection eq 'some' ? ("ARRAY['r1']", "('meter')") : ('NULL', "('meter', 'temperature')");
	my $shown = "SELECT device_id, time, metric, sample_count, increase, resets FROM telemetry.$view{$projection}$suffix WHERE metric IN $metrics";
	my $counted = "SELECT * FROM counted('$width{$projection}', $regions) WHERE metric IN $metrics";
	my $statement = "SELECT count(*) FROM ((TABLE shown EXCEPT ALL TABLE counted) UNION ALL (TABLE counted EXCEPT ALL TABLE shown)) AS d";
	$statement = "WITH shown AS MATERIALIZED ($shown), counted AS MATERIALIZED ($counted) $statement";
	return $session ? $session->query_safe($statement) : sql($statement);
}

# The projections whose view is wrong.
sub wrong
{
	my ($suffix, $session, @projections) = @_;
	return join ' ', grep { differing($_, $suffix, $session) ne '0' } sort @projections;
}

my ($rounds, $devices, $readings) = (4, 3, 400);
for my $round (1 .. $rounds)
{
	# A counter that grows, is reset now and then, and is sometimes read twice at one time.
	my @rows;
	for my $device (1 .. $devices)
	{
		my ($value, $at) = (0, 0);
		for my $i (1 .. $readings)
		{
			$value = rand() < 0.1 ? int(rand 5) * 2 : $value + int(rand 20) * 2;
			$at += int(rand 40) unless rand() < 0.1;
			push @rows, sprintf "('m%d-%d', 'r%d', '2024-03-01'::timestamptz + %d * interval '1 s', %d)", $round, $device, rand() < 0.7 ? 1 : 2, $at, $value;
		}
	}
	sql('TRUNCATE reading; INSERT INTO reading SELECT row_number() OVER (), * FROM (VALUES ' . join(', ', @rows) . ') AS v');
	my @order = 1 .. @rows;
	my $shuffled = $round > 1;    # in the first round, few are late
	for my $i (reverse 1 .. $#order)
	{
		my $j = $shuffled ? int rand($i + 1) : $i - int rand 2;
		@order[ $i, $j ] = @order[ $j, $i ];
	}
	my $prepared = 0;
	my %paused;
	while (@order)
	{
		my @part = splice @order, 0, 1 + int rand($shuffled ? 250 : 60);
		my $send = "SELECT send('{" . join(',', @part) . "}')";
		my $luck = rand;
		if ($luck < 0.15 && $prepared < 3) { sql("BEGIN; $send; PREPARE TRANSACTION 'p$round-" . ++$prepared . q{'}); }
		elsif ($luck < 0.3)
		{
			my $session = session($node);
			$session->query_safe("BEGIN; $send");
			is(wrong('_live', $session, keys %width), '', 'live views with the uncommitted readings of one\'s own');
			$session->query_safe(rand() < 0.5 ? 'COMMIT' : "ROLLBACK; $send");
			$session->quit;
		}
		else { sql($send); }
		if (rand() < 0.2)
		{
			my $projection = (keys %width)[ rand keys %width ];
			sql($paused{$projection} ? "SELECT telemetry.resume_projection('$projection')" : "SELECT telemetry.pause_projection('$projection')");
			$paused{$projection} = !$paused{$projection};
		}
		sql("SELECT telemetry.rebuild_projection('device_1m') WHERE NOT EXISTS (SELECT FROM telemetry.cursor WHERE projection = 'device_1m' AND purpose = 'rebuild') AND EXISTS (SELECT FROM telemetry.cursor WHERE projection = 'device_1m')") if rand() < 0.05;
		sql('SELECT telemetry.advance_baselines((SELECT max(batch_id) FROM telemetry.batch))') if rand() < 0.1;
		sql('CALL telemetry.project_once()') if rand() < 0.6;
	}
	is(wrong('_live', undef, keys %width), '', "round $round: live views while some readings wait");
	is(sql('SELECT count(*) FROM telemetry.projection p, telemetry.verify_projection(p.projection)'), '0', "round $round: proved while some readings wait");
	sql("COMMIT PREPARED 'p$round-$_'") for 1 .. $prepared;
	sql("SELECT telemetry.resume_projection('$_')") for keys %paused;
	sql('CALL telemetry.project_once()');
	is(wrong('', undef, keys %width), '', "round $round: the views at the end");
	is(wrong('_live', undef, keys %width), '', "round $round: the live views at the end");
	is(sql('SELECT count(*) FROM telemetry.projection p, telemetry.verify_projection(p.projection)'), '0', "round $round: proved");
}
is(sql(q{SELECT count(*) FROM (SELECT device_id, telemetry.increase(s) AS increase, telemetry.resets(s) AS resets, b.increase AS wanted, b.resets AS wanted_resets
	FROM (SELECT key AS device_id, telemetry.merge(m.s) AS s FROM telemetry.state_device_1m d, unnest(ARRAY['temperature', 'humidity'] || d.metric_names, d.summaries) AS m (metric, s)
	      WHERE m.metric = 'meter' AND d.generation = (SELECT generation FROM telemetry.cursor WHERE projection = 'device_1m' AND purpose = 'current') GROUP BY 1) AS a
	JOIN (SELECT device, increase, resets FROM counted('1000 days', NULL) WHERE metric = 'meter') AS b ON b.device = device_id) AS c WHERE (increase, resets) IS DISTINCT FROM (wanted, wanted_resets)}),
	'0', 'merged minutes count the steps between them');

# A paused projection reads 100,000 events at most, and sees later ones that it leaves for the next pass.
sub meter { my ($seconds, $value) = @_; return "SELECT telemetry.ingest_telemetry('slice', '2024-06-01 10:00+00'::timestamptz + $seconds * interval '1 s', NULL, NULL, NULL, '{\"meter\": $value}')"; }
sub filler { return "SELECT telemetry.ingest_telemetry_batch((SELECT array_agg('filler'::text) FROM generate_series(1, 100000)), NULL, (SELECT array_agg(i::float8) FROM generate_series(1, 100000) AS i), NULL)"; }
sql(join ';', meter(10, 5), meter(50, 9));
sql('CALL telemetry.project_once()');
sql("SELECT telemetry.pause_projection('device_1m')");
sql(meter(30, 2));
sql(filler());
sql('CALL telemetry.project_once()');
sql(meter(55, 1));
sql('CALL telemetry.project_once()');
sql("SELECT telemetry.resume_projection('device_1m')");
sql('CALL telemetry.project_once()');
is(sql("SELECT increase, resets FROM telemetry.device_stats_1m WHERE device_id = 'slice' AND metric = 'meter'"), '10|2', 'a reading of a later batch counts once');

# A pass whose deltas take much memory writes them before it has read everything.
sql("SELECT telemetry.pause_projection(projection) FROM telemetry.projection WHERE projection NOT IN ('device_1m', 'device_1h')");
my $wide = q{WITH many AS (SELECT jsonb_object_agg('m' || i, i) AS metrics FROM generate_series(1, 64) AS i)
	SELECT sum(b.accepted) FROM generate_series(1, 9) AS n, LATERAL (
		SELECT array_agg('w' || n * 1000 + i) AS d, array_agg('2024-06-02'::timestamptz) AS m, array_agg(metrics) AS j FROM many, generate_series(1, 1000) AS i) AS a,
		LATERAL telemetry.ingest_telemetry_batch(d, m, NULL, NULL, NULL, j) AS b};
my @meters = map { my $part = $_; join ';', map { meter(3600 + 7 * ($_ * 2 + $part), ($_ * 37 + $part * 11) % 50) } 0 .. 9 } 0, 1;
sql("BEGIN; $meters[0]; $wide; $meters[1]; COMMIT");
sql('CALL telemetry.project_once()');
is(differing($_, ''), '0', "$_ after a pass in several parts") for qw(device_1m device_1h);
is(sql("SELECT resets > 0, sample_count FROM telemetry.device_stats_1h WHERE device_id = 'slice' AND metric = 'meter' AND time = '2024-06-01 11:00+00'"), 't|20', 'which has resets');

# A projection that fails on a reading leaves it out, also when it counts again, until somebody sends the reading through again.
sql(q{CREATE FUNCTION refuse(summaries telemetry.summary[]) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$
	BEGIN
		IF telemetry.maximum(summaries[1]) = 777 THEN RAISE 'not this one' USING ERRCODE = 'P0042'; END IF;
		RETURN 1;
	END $$;
	CREATE INDEX refusing ON telemetry.state_device_1m (public.refuse(summaries));
	SELECT telemetry.set_failure_policy('device_1m', 'park')});
sub parking { my (%reading) = @_; return join ';', map { "SELECT telemetry.ingest_telemetry('park', '2024-06-03 10:00+00'::timestamptz + $_ * interval '1 s', $reading{$_})" } sort keys %reading; }
my $parking = "WHERE device_id = 'park' AND metric = 'temperature'";
sql(parking(10 => 5));
sql('CALL telemetry.project_once()');
sql('BEGIN; ' . parking(15 => 9, 20 => 777, 30 => 2) . '; COMMIT');
sql('CALL telemetry.project_once()') for 1 .. 2;
is(sql('SELECT count(*) FROM telemetry.parked_event'), '1', 'a reading is parked');
sql(parking(25 => 1));
is(sql("SELECT increase, resets, sample_count FROM telemetry.device_stats_1m_live $parking"), '6|1|4', 'the live view leaves it out');
sql('CALL telemetry.project_once()');
is(sql("SELECT increase, resets, sample_count FROM telemetry.device_stats_1m $parking"), '6|1|4', 'and so does the state, with a late reading');
is(sql("SELECT count(*) FROM telemetry.verify_projection('device_1m')"), '0', 'proved');
sql("DROP INDEX telemetry.refusing; SELECT telemetry.replay_parked('device_1m')");
sql('CALL telemetry.project_once()');
is(sql("SELECT increase, resets, sample_count FROM telemetry.device_stats_1m $parking"), '774|1|5', 'when it is sent through again, it counts');
is(sql("SELECT count(*) FROM telemetry.verify_projection('device_1m')"), '0', 'proved again');

# The log has lost a reading, so nobody can count again. What is known stays.
sql('SELECT telemetry.advance_baselines((SELECT max(batch_id) FROM telemetry.batch))');
sql('CALL telemetry.project_once()');
sql(join ';', 'ALTER TABLE telemetry.event_1 DISABLE TRIGGER ALL', "DELETE FROM telemetry.event_1 WHERE device_id = 'slice' AND measured_at = '2024-06-01 10:00:10+00'",
	'ALTER TABLE telemetry.event_1 ENABLE ALWAYS TRIGGER insert_only, ENABLE ALWAYS TRIGGER insert_only_rows');
sql(meter(20, 100));
my $lost = "WHERE device_id = 'slice' AND metric = 'meter' AND time = '2024-06-01 10:00+00'";
is(sql("SELECT increase, resets FROM telemetry.device_stats_1m_live $lost"), '10|2', 'the live view shows it');
sql('CALL telemetry.project_once()');
is(sql("SELECT increase, resets, sample_count, max FROM telemetry.device_stats_1m $lost"), '10|2|5|100', 'and so does the state');
is(sql("SELECT count(*) FROM telemetry.verify_projection('device_1m')"), '0', 'it is not called wrong');
sql(meter(58, 7));
sql('CALL telemetry.project_once()');
is(sql("SELECT increase, resets, last_value FROM telemetry.device_stats_1m $lost"), '16|2|7', 'later readings count');
sql("SELECT telemetry.rebuild_projection('device_1m')");
sql('CALL telemetry.project_once()');
is(sql("SELECT increase, resets, last_value FROM telemetry.device_stats_1m $lost"), '16|2|7', 'a rebuild begins with the baseline');
$node->stop;
done_testing();
