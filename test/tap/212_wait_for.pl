# Acceptance checks 8 and 15, in part. Each answer of wait_for(): woken and polling, with many waiting sessions, across a crash,
# on a standby and after its promotion.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use TelemetryNode;
use Test::More;
use Time::HiRes qw(time usleep);

my $node = telemetry_node('wait', preload => 1,
	conf => "telemetry_cqrs.poll_interval = 60s\nwal_level = replica\nmax_wal_senders = 4\nhot_standby = on\nrestart_after_crash = on\n");
my $sent = 0;

sub in_database { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }
# Sends one more reading and returns its token.
sub token { my ($on) = @_; ++$sent; return ($on // $node)->safe_psql('postgres', "SELECT token FROM telemetry.ingest_telemetry('d', now(), $sent, 50, 'k$sent')"); }
# Returns the answer of wait_for(), or its SQLSTATE.
sub answer_of
{
	my ($arguments, %on) = @_;
	my ($out, $err);
	($on{node} // $node)->psql('postgres', "\\set VERBOSITY sqlstate\n" . ($on{before} // '') . "SELECT telemetry.wait_for($arguments);\n" . ($on{after} // ''), stdout => \$out, stderr => \$err);
	return $err =~ /ERROR:\s+(\w{5})/ ? $1 : $out;
}
sub set { my ($line) = @_; $node->append_conf('postgresql.conf', $line); $node->reload; return; }
my $projector = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs projector'";

# --- the answers -----------------------------------------------------------------------------------------------------------

my $token = token();
is(answer_of("'$token', '90 s'"), 'applied', 'applied');
is(answer_of("'$token', '90 s', 'region'"), 'applied', 'applied: of the other projection');
is(answer_of("'$token', '0', 'region'"), 'applied', 'applied: with a single look');

# Without the worker nothing is applied, and what waits is told by project_once() of another session.
set('telemetry_cqrs.start_worker = off');
wait_for($node, 'SELECT pid IS NULL FROM telemetry.worker_status()', 'the worker to end');
$token = token();
is(answer_of("'$token', '0'"), 'timeout', 'timeout: one look');
is(answer_of("'$token', '100 ms'"), 'timeout', 'timeout');
my $waiter = psql_start($node, "SELECT telemetry.wait_for('$token', '90 s')");
wait_for($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Extension' AND query LIKE '%wait_for(''%'", 'the waiter to wait');
# It holds locks only during a look.
ok(wait_for($node, "SELECT count(*) = 0 FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE a.query LIKE '%wait_for(''%' AND a.pid <> pg_backend_pid() AND l.locktype <> 'virtualxid'",
	'no lock'), 'it holds no lock');
in_database('CALL telemetry.project_once()');
is((psql_finish($waiter))[0], "applied\n", 'applied by project_once() of another session');

# In progress, then over.
for my $end ('COMMIT', 'ROLLBACK')
{
	my $writer = session($node);
	++$sent;
	my $open = $writer->query_safe("BEGIN; SELECT token FROM telemetry.ingest_telemetry('d', now(), $sent, 50, 'open$sent')");
	is(answer_of("'$open', '50 ms'"), 'timeout', "not over yet: timeout ($end)");
	$waiter = psql_start($node, "SELECT telemetry.wait_for('$open', '90 s')");
	$writer->query_safe($end);
	in_database('CALL telemetry.project_once()');
	is((psql_finish($waiter))[0], $end eq 'COMMIT' ? "applied\n" : "rolled back\n", "$end: the waiter is told");
	is(answer_of("'$open', '0'"), $end eq 'COMMIT' ? 'applied' : 'rolled back', "$end: and so is a session that asks later");
	$writer->quit;
}
my $prepared = in_database("BEGIN; SELECT token FROM telemetry.ingest_telemetry('d', now(), 1, 50, 'prepared'); PREPARE TRANSACTION 'p'");
is(answer_of("'$prepared', '50 ms'"), 'timeout', 'prepared: timeout');
in_database("ROLLBACK PREPARED 'p'");
is(answer_of("'$prepared', '50 ms'"), 'rolled back', 'rolled back');

# A savepoint's rows are its top-level transaction's.
$token = in_database("BEGIN; SAVEPOINT s; SELECT token FROM telemetry.ingest_telemetry('d', now(), 1, 50, 'savepoint'); RELEASE s; COMMIT");
in_database('CALL telemetry.project_once()');
is(answer_of("'$token', '0'"), 'applied', 'stored in a savepoint');

# Duplicates: a single one has the first delivery's token, a batch of nothing else waits for what was there before it.
my $first = in_database("SELECT token FROM telemetry.ingest_telemetry('dup', '2024-05-01 10:00+00', 1, 50, 'k')");
is(in_database("SELECT token FROM telemetry.ingest_telemetry('dup', '2024-05-01 10:00+00', 1, 50, 'k')"), $first, 'a duplicate has the token of the first delivery');
my $batch = in_database("SELECT token FROM telemetry.ingest_telemetry_batch(ARRAY['dup'], ARRAY['2024-05-01 10:00+00'::timestamptz], ARRAY[1], ARRAY[50], ARRAY['k'])");
is(answer_of("'$batch', '50 ms'"), 'timeout', 'a batch of duplicates: what it was told of is not applied');
in_database('CALL telemetry.project_once()');
is(answer_of("'$batch', '0'"), 'applied', 'then it is');
$batch = in_database("SELECT token FROM telemetry.ingest_telemetry_batch(ARRAY['dup'], ARRAY['2024-05-01 10:00+00'::timestamptz], ARRAY[1], ARRAY[50], ARRAY['k'])");
is(answer_of("'$batch', '0'"), 'applied', 'another one, with nothing to apply');

# --- refused -----------------------------------------------------------------------------------------------------------------

my ($epoch, $xid) = split /:/, token();
for my $malformed ('', '1', ':', '1:', ':7', '1:x', 'x:7', '-1:7', '0:7', '1:2', ' 1:7', '1:7 ', '1:7:7', '1:99999999999999999999', '99999999999:7', '1:+7')
{
	is(answer_of("'$malformed'"), '22023', "\"$malformed\" is no token");
}
is(answer_of("'$epoch:' || $xid + 1000000"), '22023', 'a transaction that never was');
is(answer_of("'" . ($epoch + 1) . ":$xid'"), '22023', 'an epoch that never was');
is(answer_of("'$epoch:$xid', '-1 ms'"), '22023', 'a negative timeout');
is(answer_of("'$epoch:$xid', '1 s', 'batch'"), '22023', 'not a projection');
is(answer_of("'$epoch:$xid', '1 s', NULL"), '', 'NULL gives NULL');
is(answer_of("NULL"), '', 'NULL gives NULL');
is(answer_of("token, '10 s') FROM telemetry.ingest_telemetry('d', now(), 1, 50"), 'TC102', 'the own transaction');
is(in_database("BEGIN; SELECT token AS t FROM telemetry.ingest_telemetry('d', now(), 1, 50) \\gset\nSAVEPOINT s;\n\\set ON_ERROR_STOP off\n\\set VERBOSITY sqlstate\nSELECT telemetry.wait_for(:'t');\nROLLBACK TO s; SELECT telemetry.wait_for('$first', '0');"),
	'applied', 'and in a subtransaction; another token is no error there');

# Where nothing was accepted yet, the epoch of a token goes with the transaction that would have opened it.
in_database('CREATE DATABASE fresh');
my $never = $node->safe_psql('fresh', "CREATE EXTENSION telemetry_cqrs; BEGIN; SELECT token FROM telemetry.ingest_telemetry('d', now(), 1, 50); ROLLBACK");
{
	my ($out, $err);
	$node->psql('fresh', "SELECT telemetry.wait_for('$never', '0')", stdout => \$out, stderr => \$err);
	is("$out$err", 'rolled back', 'the first command of all, rolled back');
	$never =~ s/^1:/2:/;
	$node->psql('fresh', "SELECT telemetry.wait_for('$never', '0')", stdout => \$out, stderr => \$err);
	like($err, qr/the token is not of this database/, 'but of no later epoch');
}
in_database('DROP DATABASE fresh');

# --- isolation, cancel, timeouts ------------------------------------------------------------------------------------------

$token = token();
my $strict = session($node);
$strict->query_safe("BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT count(*) FROM telemetry.device_stats");
is($strict->query_safe("SELECT telemetry.wait_for('$token', '0')"), 'timeout', 'serializable: not applied');
in_database('CALL telemetry.project_once()');
is($strict->query_safe("SELECT telemetry.wait_for('$token', '0')"), 'applied', 'applied, though its own snapshot does not show it');
$strict->query_safe('COMMIT');
$strict->quit;
$token = token();
is(answer_of("'$token', '1 hour'", before => "SET statement_timeout = '200ms';\n"), '57014', 'statement_timeout ends the wait');
SKIP:
{
	skip 'no transaction_timeout before PostgreSQL 17', 2 if $node->pg_version < 17;
	is(answer_of("'$token', '1 hour'", before => "SET transaction_timeout = '2s';\n"), 'timeout', 'transaction_timeout: the answer comes before it ends the session');
	is(answer_of("'$token', '1 hour'", before => "SET transaction_timeout = '2s';\n", after => "SELECT 'still here';\n"), "timeout\nstill here", 'and the session goes on');
}
$waiter = psql_start($node, "\\set VERBOSITY sqlstate\nSELECT telemetry.wait_for('$token', '1 hour');\nSELECT 'the session goes on'");
my $waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Extension' AND query LIKE '%wait_for(''%'";
wait_for($node, "SELECT count(*) = 1 FROM ($waiting) AS w", 'the waiter to wait');
in_database("SELECT pg_cancel_backend(pid) FROM ($waiting) AS w");
my ($out, $err) = psql_finish($waiter);
like($err, qr/57014/, 'cancelled');
is($out, "the session goes on\n", 'and the session goes on');
$waiter = psql_start($node, "SELECT telemetry.wait_for('$token', '1 hour')");
wait_for($node, "SELECT count(*) = 1 FROM ($waiting) AS w", 'the waiter to wait');
in_database("SELECT pg_terminate_backend(pid, 60000) FROM ($waiting) AS w");
like((psql_finish($waiter))[1], qr/terminating connection/, 'terminated');
# A waiting session is in no other session's way.
$waiter = psql_start($node, "\\set VERBOSITY sqlstate\nSELECT telemetry.wait_for('$token', '1 hour')");
wait_for($node, "SELECT count(*) = 1 FROM ($waiting) AS w", 'the waiter to wait');
is(in_database("SET lock_timeout = '30s'; BEGIN; LOCK telemetry.batcher, telemetry.cursor, telemetry.epoch, telemetry.event; ROLLBACK; SELECT 1"), '1', 'no session waits for a waiter');
is(in_database("SET lock_timeout = '30s'; BEGIN; DROP EXTENSION telemetry_cqrs; ROLLBACK; SELECT 1"), '1', 'not even DROP EXTENSION');
in_database("SELECT pg_terminate_backend(pid, 60000) FROM ($waiting) AS w");
psql_finish($waiter);

# --- woken, many at once ----------------------------------------------------------------------------------------------------

set('telemetry_cqrs.start_worker = on');
wait_for($node, "SELECT state = 'running' FROM telemetry.worker_status()", 'the worker');
my $start = time;
my @clients = map {
	my $client = $_;
	psql_start($node, join("\n", map { "SELECT token FROM telemetry.ingest_telemetry('c$client', now(), $_, 50, '$_') \\gset\nSELECT telemetry.wait_for(:'token', '90 s'), (SELECT sample_count FROM telemetry.device_stats WHERE device_id = 'c$client') = $_;" } 1 .. 20))
} 1 .. 6;
my @answers = map { (psql_finish($_))[0] } @clients;
my $seconds = time - $start;
is(scalar(grep { !/^(applied\|[tf]?\n){20}$/ } @answers), 0, 'six sessions wait for twenty of theirs, each');
note sprintf('120 waits in six sessions: %.2f s', $seconds);
my $read = session($node);
for my $n (1 .. 20)
{
	my $own = $read->query_safe("SELECT token FROM telemetry.ingest_telemetry('own', now(), $n, 50, '$n')");
	is($read->query_safe("SELECT telemetry.wait_for('$own', '90 s')"), 'applied', "own write $n") if $n == 1 || $n == 20;
	$read->query_safe("SELECT telemetry.wait_for('$own', '90 s')");
	my $seen = $read->query_safe("SELECT sample_count FROM telemetry.device_stats WHERE device_id = 'own'");
	is($seen, $n, "is seen by the next statement") if $seen ne $n || $n == 20;
}
$read->quit;

# --- a crash -------------------------------------------------------------------------------------------------------------------

my $open = session($node);
my $lost = $open->query_safe("BEGIN; SELECT token FROM telemetry.ingest_telemetry('lost', now(), 1, 50, 'k')");
my $kept = token();
$node->stop('immediate');
$node->start;
eval { $open->quit };
is(answer_of("'$kept', '90 s'"), 'applied', 'after a crash: what was committed is applied');
is(answer_of("'$lost', '90 s'"), 'rolled back', 'and what was open was rolled back');

# --- a standby -----------------------------------------------------------------------------------------------------------------

$node->backup('base');
my $standby = standby_of($node, 'standby', 'base');
$token = token();
is(answer_of("'$token', '90 s'", node => $standby), 'applied', 'standby: applied there as well');
is($standby->safe_psql('postgres', "SELECT last_temperature FROM telemetry.device_stats WHERE device_id = 'd'"), $sent, 'and seen');
is(answer_of("'$lost', '90 s'", node => $standby), 'rolled back', 'standby: rolled back');
is(answer_of("'$epoch:' || $xid + 1000000, '100 ms'", node => $standby), 'timeout', 'standby: what has not come yet may still');
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_pause()');
$token = token();
is(answer_of("'$token', '90 s'"), 'applied', 'applied at the primary');
is(answer_of("'$token', '100 ms'", node => $standby), 'timeout', 'not yet at a standby that does not replay');
$waiter = psql_start($standby, "SELECT telemetry.wait_for('$token', '90 s')");
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_resume()');
is((psql_finish($waiter))[0], "applied\n", 'until it does');
my $at_promotion = in_database("BEGIN; SELECT token FROM telemetry.ingest_telemetry('d', now(), 1, 50, 'promotion'); PREPARE TRANSACTION 'across'");
my $unapplied = token();
$node->wait_for_catchup($standby);
$node->stop('immediate');
$standby->promote;
is(answer_of("'$token', '90 s'", node => $standby), 'applied', 'promoted: tokens of before');
is(answer_of("'$unapplied', '90 s'", node => $standby), 'applied', 'the last one too');
is(answer_of("'$lost', '0'", node => $standby), 'rolled back', 'and what was lost');
is(answer_of("'$at_promotion', '50 ms'", node => $standby), 'timeout', 'prepared before: open');
my $new = token($standby);
unlike($new, qr/^$epoch:/, 'the first command opens another epoch');
is(answer_of("'$new', '90 s'", node => $standby), 'applied', 'a token of it');
is(answer_of("'$token', '0'", node => $standby), 'applied', 'and one of the old epoch');
$standby->safe_psql('postgres', "COMMIT PREPARED 'across'");
$standby->safe_psql('postgres', 'CALL telemetry.project_once()');
is(answer_of("'$at_promotion', '0'", node => $standby), 'applied', 'prepared before, committed after: applied');
read_models_follow($standby, 'telemetry.measurements', 'promoted');
$standby->stop;
done_testing();
