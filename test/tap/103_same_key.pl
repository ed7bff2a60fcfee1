# Acceptance check 6. 16 sessions send the same key at the same moment, again and again. One session is accepted, and the others
# get the same receipt as duplicates. Under REPEATABLE READ a session succeeds or gets 40001. When the winner rolls back, a
# loser becomes the winner.
#
# TELEMETRY_ROUNDS: how many rounds.
use strict;
use warnings;

use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

my $rounds = $ENV{TELEMETRY_ROUNDS} // 50;
my $clients = 16;
my $node = telemetry_node('same_key', preload => 1);
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE outcome (way text, round int, client int, state text, status text, event_id bigint, received_at timestamptz, token text);
SELECT telemetry.register_device('race');
SQL

# All sessions wait for a shared advisory lock on the round. The starter releases it when all are waiting.
my $receipt = sub { my ($r, $value) = @_; "SELECT status, event_id, received_at, token FROM telemetry.ingest_telemetry('race', '2024-05-01 10:00:00+00', $value, NULL, '%s-$r', '{\"m\": $r}') \\gset r_\n" };
my $reset = "\\set r_status\n\\set r_event_id\n\\set r_received_at\n\\set r_token\n";
my $record = "INSERT INTO outcome VALUES ('%s', %d, %d, :'state', nullif(:'r_status', ''), nullif(:'r_event_id', '')::bigint, nullif(:'r_received_at', '')::timestamptz, nullif(:'r_token', ''));\n";
my $barrier = sub { "SELECT pg_advisory_lock_shared(1, $_[0]) \\g /dev/null\n" };

race('read committed', sub {
	my ($round, $client) = @_;
	return $barrier->($round) . $reset . sprintf($receipt->($round, $round), 'read committed') . "\\set state :SQLSTATE\n" . sprintf($record, 'read committed', $round, $client);
});
is(ask(<<'SQL'), "$rounds|$rounds|0", 'exactly one accepted, 15 duplicates, one receipt for all');
SELECT count(*), count(*) FILTER (WHERE accepted = 1 AND duplicates = 15 AND receipts = 1 AND sessions = 16), sum(others)
FROM (SELECT round, count(*) FILTER (WHERE status = 'accepted') AS accepted, count(*) FILTER (WHERE status = 'duplicate') AS duplicates,
             count(DISTINCT (event_id, received_at, token)) AS receipts, count(*) AS sessions, count(*) FILTER (WHERE state <> '00000') AS others
      FROM outcome WHERE way = 'read committed' GROUP BY round) AS o
SQL

# The snapshot of every session is older than the first delivery.
race('repeatable read', sub {
	my ($round, $client) = @_;
	return "BEGIN ISOLATION LEVEL REPEATABLE READ;\nSELECT 1 \\g /dev/null\n" . $barrier->($round) . $reset . sprintf($receipt->($round, $round), 'repeatable read')
		. "\\set state :SQLSTATE\nCOMMIT;\n" . sprintf($record, 'repeatable read', $round, $client);
});
is(ask(<<'SQL'), "$rounds|$rounds", 'repeatable read: one accepted, the others 40001 and nothing else');
SELECT count(*), count(*) FILTER (WHERE accepted = 1 AND failed + duplicates = 15)
FROM (SELECT round, count(*) FILTER (WHERE state = '00000' AND status = 'accepted') AS accepted, count(*) FILTER (WHERE state = '00000' AND status = 'duplicate') AS duplicates,
             count(*) FILTER (WHERE state = '40001') AS failed
      FROM outcome WHERE way = 'repeatable read' GROUP BY round) AS o
SQL

# Every winner but one session rolls back: in the end the reading is stored once.
race('rolled back', sub {
	my ($round, $client) = @_;
	my $end = $client == $round % $clients ? 'COMMIT' : 'ROLLBACK';
	return "BEGIN;\n" . $barrier->($round) . $reset . sprintf($receipt->($round, $round), 'rolled back') . "\\set state :SQLSTATE\n$end;\n" . sprintf($record, 'rolled back', $round, $client);
});
is(ask(<<'SQL'), "$rounds|$rounds", 'winners roll back: each was accepted or is a duplicate of the one that stayed');
SELECT count(*), count(*) FILTER (WHERE failed = 0 AND stayed = 1 AND duplicates_of_another = 0)
FROM (SELECT round, count(*) FILTER (WHERE state <> '00000') AS failed,
             count(*) FILTER (WHERE client = round % 16 AND status = 'accepted') AS stayed,
             count(*) FILTER (WHERE status = 'duplicate' AND event_id <> (SELECT w.event_id FROM outcome w WHERE w.way = o.way AND w.round = o.round AND w.client = w.round % 16)) AS duplicates_of_another
      FROM outcome o WHERE way = 'rolled back' GROUP BY round) AS o
SQL

# Different requests with the same key at once: one is stored, every other one is refused.
race('conflict', sub {
	my ($round, $client) = @_;
	return $barrier->($round) . $reset . sprintf($receipt->($round, $client), 'conflict') . "\\set state :SQLSTATE\n" . sprintf($record, 'conflict', $round, $client);
});
is(ask(<<'SQL'), "$rounds|$rounds", 'different requests: one accepted, 15 conflicts');
SELECT count(*), count(*) FILTER (WHERE accepted = 1 AND conflicts = 15)
FROM (SELECT round, count(*) FILTER (WHERE status = 'accepted') AS accepted, count(*) FILTER (WHERE state = 'TC009') AS conflicts FROM outcome WHERE way = 'conflict' GROUP BY round) AS o
SQL

# Batches of 20 keys, each session in another order: no deadlock, each key stored once.
race('batches', sub {
	my ($round, $client) = @_;
	return $barrier->($round) . $reset . <<"SQL" . "\\set state :SQLSTATE\n" . sprintf($record, 'batches', $round, $client);
SELECT CASE WHEN received = accepted + duplicates THEN accepted ELSE -1 END AS event_id FROM (
	SELECT array_agg('race'::text) AS d, array_agg('2024-05-01 11:00:00+00'::timestamptz) AS t, array_agg('batches-$round-' || i ORDER BY hashtext(i || '-$client')) AS k
	FROM generate_series(1, 20) AS i) AS b, LATERAL telemetry.ingest_telemetry_batch(d, t, NULL, NULL, k) \\gset r_
SQL
});
is(ask(<<'SQL'), "$rounds|$rounds", 'batches in any order: every key accepted once, no deadlock');
SELECT count(*), count(*) FILTER (WHERE accepted = 20 AND failed = 0 AND wrong = 0)
FROM (SELECT round, sum(event_id) AS accepted, count(*) FILTER (WHERE state <> '00000') AS failed, count(*) FILTER (WHERE event_id < 0) AS wrong
      FROM outcome WHERE way = 'batches' GROUP BY round) AS o
SQL

is(ask("SELECT count(*), count(DISTINCT idempotency_key) FROM telemetry.measurements"), join('|', ($rounds * 24) x 2), 'the log: each key once');
is(ask("SELECT count(*) FROM telemetry.measurements m WHERE NOT EXISTS (SELECT FROM outcome o WHERE o.event_id = m.event_id AND o.status = 'accepted') AND idempotency_key NOT LIKE 'batches%'"), '0',
	'every stored reading was acknowledged to a session');
wait_applied($node);
read_models_follow($node, 'telemetry.measurements', 'after the races');
$node->stop;
done_testing();

sub ask { return $node->safe_psql('postgres', $_[0]) }

# Runs a script of all rounds in each session and starts the rounds one by one.
sub race
{
	my ($way, $script) = @_;
	my $starter = session($node);
	$starter->query_safe("SELECT count(pg_advisory_lock(1, r)) FROM generate_series(1, $rounds) AS r");
	my @sessions;
	foreach my $client (0 .. $clients - 1)
	{
		push @sessions, psql_start($node, join '', "\\set VERBOSITY sqlstate\n", map { $script->($_, $client) } 1 .. $rounds);
	}
	# each round begins when all are waiting for it; a round that hangs ends the test
	$starter->query_safe(<<"SQL");
SET statement_timeout = '180s';
DO \$\$
BEGIN
	FOR r IN 1 .. $rounds LOOP
		WHILE (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 1 AND objid = r AND NOT granted) < $clients LOOP
			PERFORM pg_sleep(0.001);
		END LOOP;
		PERFORM pg_advisory_unlock(1, r);
	END LOOP;
END \$\$;
SQL
	my %errors;
	foreach my $session (@sessions)
	{
		my (undef, $err) = psql_finish($session);
		$errors{$1}++ while $err =~ /ERROR:\s+(\S+)/g;
	}
	$starter->quit;
	note("$way: errors: ", explain(\%errors));
	is(ask("SELECT count(*) FROM outcome WHERE way = '$way'"), $rounds * $clients, "$way: $rounds rounds of $clients sessions");
}
