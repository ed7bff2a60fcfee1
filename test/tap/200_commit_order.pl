# Acceptance check 1. No reading is lost, whatever the order of commits. Slow transactions with savepoints stay open while
# others commit. They end in random order: a tenth roll back, and some are prepared and end much later. The same transactions
# write down in a plain table which readings they sent.
#
# TELEMETRY_ROUNDS: how many rounds.
use strict;
use warnings;

use List::Util qw(shuffle);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

my $rounds = $ENV{TELEMETRY_ROUNDS} // 200;
my $seed = $ENV{TELEMETRY_SEED} // time;
srand($seed);
diag("TELEMETRY_SEED=$seed") if $ENV{TELEMETRY_ROUNDS};
note("TELEMETRY_SEED=$seed");

commit_order('worker', 1, $rounds);
commit_order('project_once', 0, int($rounds / 4));
done_testing();

sub commit_order
{
	my ($way, $preload, $turns) = @_;
	my $node = telemetry_node("order_$way", preload => $preload);
	prepare($node);

	my @slow = map { { psql => session($node), id => $_, open => 0 } } 1 .. 4;
	my $fast = session($node);
	my $projector = session($node);
	my (@prepared, %ended);
	my ($committed, $sent_fast, $stalls) = (0, 0, 0);

	# Ends the transaction of a slow session in one of four ways.
	my $end = sub {
		my ($session) = @_;
		my $dice = rand;
		$session->{open} = 0;
		if ($dice < 0.1) { $session->{psql}->query_safe('ROLLBACK'); $ended{'rolled back'}++; return }
		if ($dice < 0.4)
		{
			my $name = "turn_$session->{turn}";
			$session->{psql}->query_safe("PREPARE TRANSACTION '$name'");
			push @prepared, { name => $name, readings => $session->{readings} };
			return;
		}
		$session->{psql}->query_safe('COMMIT');
		$committed += $session->{readings};
		$ended{'committed'}++;
	};
	my $end_prepared = sub {
		my ($transaction) = @_;
		if (rand() < 0.2) { $fast->query_safe("ROLLBACK PREPARED '$transaction->{name}'"); $ended{'rolled back later'}++; return }
		$fast->query_safe("COMMIT PREPARED '$transaction->{name}'");
		$committed += $transaction->{readings};
		$ended{'committed later'}++;
	};

	foreach my $turn (1 .. $turns)
	{
		# A free slow session begins; when all are open, one of them ends, not the oldest.
		my ($session) = shuffle(grep { !$_->{open} } @slow);
		if (!$session) { ($session) = shuffle(@slow); $end->($session) }
		my $keep = rand() < 0.5;
		my $end_inside = $keep ? 'RELEASE inside' : 'ROLLBACK TO inside';
		$session->{psql}->query_safe(<<"SQL");
BEGIN;
SELECT send('slow-$session->{id}', '$turn-a', 1);
SAVEPOINT outside;
SELECT send('shared', '$turn-b', 1);
SAVEPOINT inside;
SELECT send('shared', '$turn-c', 1);
SELECT send_batch('shared', '$turn-d-', 7);
$end_inside;
SELECT send_batch('slow-$session->{id}', '$turn-e-', 3);
ROLLBACK TO outside;
SELECT send('shared', '$turn-f', 1);
SAVEPOINT inside;
SELECT send_batch('shared', '$turn-g-', 5);
$end_inside;
SQL
		@$session{qw(open turn readings)} = (1, $turn, 2 + ($keep ? 5 : 0));

		$fast->query_safe(join '', map { "SELECT send_batch('fast', '$turn-$_-', 4);" } 1 .. 5);
		$sent_fast += 20;
		if (rand() < 0.5) { my ($any) = shuffle(grep { $_->{open} } @slow); $end->($any) }
		if (@prepared > 6 || @prepared && rand() < 0.3) { @prepared = shuffle(@prepared); $end_prepared->(pop @prepared) }
		$projector->query_safe('CALL telemetry.project_once()') if !$preload || $turn % 7 == 0;

		# Open transactions hold no other session back.
		if ($turn % 20 == 0)
		{
			$stalls++ if !wait_for($node, "SELECT sample_count = $sent_fast FROM telemetry.device_stats WHERE device_id = 'fast'",
				"the readings of finished transactions while others are open, turn $turn", 60);
		}
	}
	is($stalls, 0, "$way: open and prepared transactions held no session back");
	$end->($_) foreach shuffle(grep { $_->{open} } @slow);
	$end_prepared->($_) foreach shuffle(@prepared);
	$_->{psql}->quit foreach @slow;
	$_->quit foreach ($fast, $projector);

	is($node->safe_psql('postgres', 'SELECT count(*) FROM sent'), $committed + $sent_fast, "$way: the test counts what it sent as the server does");
	is($ended{committed} > 0 && ($turns < 100 || scalar(keys %ended) == 4), 1, "$way: transactions ended in every way: " . join(', ', map { "$ended{$_} $_" } sort keys %ended));
	if ($preload) { wait_applied($node) }
	else { $node->safe_psql('postgres', 'CALL telemetry.project_once()') }
	log_is($node, 'sent', $way);
	read_models_follow($node, 'sent', $way);
	is($node->safe_psql('postgres', 'SELECT sum(events), count(*) = count(DISTINCT batch_id), max(batch_id) = count(*) FROM telemetry.batch'),
		$committed + $sent_fast . '|t|t', "$way: the batches are numbered without a gap and hold every event");
	$node->stop;
}

# send() and send_batch() write down what they send, in the same transaction. Times are neither in the order of sending nor all
# different, values are such that sums are exact.
sub prepare
{
	my ($node) = @_;
	$node->safe_psql('postgres', <<'SQL');
CREATE TABLE sent (device_id text, idempotency_key text, region text, measured_at timestamptz, temperature float8, humidity float8, metrics jsonb);
CREATE FUNCTION made(device text, key text) RETURNS sent LANGUAGE sql AS $$
	SELECT device, key, 'r' || abs(hashtext(key)) % 3, '2024-05-01 00:00+00'::timestamptz + abs(hashtext(key || 't')) % 5000 * interval '1 second',
	       (hashtext(key) % 1000)::float8, CASE WHEN hashtext(key) % 3 = 0 THEN NULL ELSE (hashtext(key) % 100)::float8 END,
	       CASE WHEN hashtext(key) % 5 = 0 THEN NULL ELSE jsonb_build_object('m' || abs(hashtext(key)) % 4, hashtext(key) % 77) END
$$;
CREATE FUNCTION send(device text, key text, expected int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	s sent := made(device, key);
	state text;
BEGIN
	INSERT INTO sent VALUES (s.*);
	SELECT status INTO state FROM telemetry.ingest_telemetry(s.device_id, s.measured_at, s.temperature, s.humidity, s.idempotency_key, s.metrics, s.region);
	IF state <> 'accepted' THEN RAISE '% of % %', state, device, key; END IF;
END $$;
CREATE FUNCTION send_batch(device text, key text, readings int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	r telemetry.batch_receipt;
BEGIN
	WITH s AS (INSERT INTO sent SELECT m.* FROM generate_series(1, readings) AS i, LATERAL made(device, key || i) AS m RETURNING *)
	SELECT b.* INTO r FROM (
		SELECT array_agg(device_id) AS d, array_agg(measured_at) AS m, array_agg(temperature) AS t, array_agg(humidity) AS h,
		       array_agg(idempotency_key) AS k, array_agg(metrics) AS j, array_agg(region) AS g FROM s) AS a,
		LATERAL telemetry.ingest_telemetry_batch(d, m, t, h, k, j, g) AS b;
	IF r.accepted <> readings OR r.received <> readings THEN RAISE '% of % readings accepted', r.accepted, readings; END IF;
END $$;
SELECT telemetry.register_device(d) FROM unnest(ARRAY['shared', 'fast', 'slow-1', 'slow-2', 'slow-3', 'slow-4']) AS d;
SQL
}
