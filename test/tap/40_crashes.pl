# Nothing is lost and nothing is counted twice when the worker is killed (kill -9, which makes the server start anew, and
# pg_terminate_backend), when a session that ingests is killed, and when the server stops at once, all in the middle of a load of
# clients that send again what was not acknowledged. The worker comes back without a command. TELEMETRY_ROUNDS makes it longer.
use strict;
use warnings;

use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;
use Time::HiRes qw(usleep);

my $rounds = $ENV{TELEMETRY_ROUNDS} // 2;
my $clients = 3;
my $readings = 40;    # in a batch
my $node = telemetry_node('crashes', preload => 1, conf => "restart_after_crash = on\nsynchronous_commit = on\n");
my $folder = PostgreSQL::Test::Utils::tempdir;

# A client sends batches one by one, each again until it is acknowledged, and writes down what was; it ends when the file "stop"
# is there. Keys say client, batch and reading; the last reading of a batch stands in it twice.
write_file("$folder/client.sh", <<'SH');
client=$1 batch=0
while [ ! -e "$FOLDER/stop" ]; do
	batch=$((batch + 1))
	until receipt=$(psql -XAtq -v ON_ERROR_STOP=1 -c "
		SELECT r.received, r.accepted + r.duplicates, r.conflicts + r.rejected FROM (
			SELECT array_agg('d' || i % 5 ORDER BY i) AS d,
			       array_agg('2024-05-01 00:00:00+00'::timestamptz + ($batch * 100 + i) * interval '1 second' ORDER BY i) AS m,
			       array_agg((i * 7 + $batch) % 100 ORDER BY i) AS t, array_agg(nullif(i % 3, 0) ORDER BY i) AS h,
			       array_agg('$client-$batch-' || i ORDER BY i) AS k, array_agg('r' || i % 2 ORDER BY i) AS g
			FROM (SELECT generate_series(1, $READINGS) AS i UNION ALL SELECT $READINGS) AS n) AS a,
			LATERAL telemetry.ingest_telemetry_batch(d, m, t, h, k, NULL, g) AS r" 2>>"$FOLDER/errors.$client"); do
		sleep 0.02
	done
	echo "$batch|$receipt" >>"$FOLDER/acknowledged.$client"
done
SH
my @runs;
{
	local %ENV = $node->_get_env();
	@ENV{qw(FOLDER READINGS PGDATABASE PGUSER)} = ($folder, $readings, 'postgres', scalar getpwuid($<));
	push @runs, IPC::Run::start([ 'sh', "$folder/client.sh", $_ ]) foreach 1 .. $clients;
}

my $applied = 0;
foreach my $round (1 .. $rounds)
{
	foreach my $blow ('kill -9 of the worker', 'pg_terminate_backend of the worker', 'kill -9 of a session that ingests', 'immediate shutdown')
	{
		go_on("round $round, before: $blow") or last;
		my $pid = worker();
		if ($blow eq 'kill -9 of the worker') { kill 'KILL', $pid }
		elsif ($blow eq 'pg_terminate_backend of the worker') { $node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)") }
		elsif ($blow eq 'immediate shutdown') { $node->stop('immediate'); $node->start }
		else
		{
			# in the middle of a transaction of its own that never ends: nothing of it may remain
			my $victim = psql_start($node, "SET application_name = 'victim';
				DO 'BEGIN FOR i IN 1 .. 100000000 LOOP PERFORM telemetry.ingest_telemetry(''d1'', ''2024-05-01 00:00:00+00'', i % 100, NULL, ''victim-'' || i); END LOOP; END'");
			wait_for($node, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'victim' AND backend_xid IS NOT NULL)", 'a session in mid-ingest', 60);
			kill 'KILL', $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE application_name = 'victim'");
			psql_finish_quietly($victim);
		}
		wait_for($node, "SELECT pid IS NOT NULL AND pid <> $pid AND state = 'running' FROM telemetry.worker_status()",
			"a new worker after $blow", 60);
		ok(go_on("round $round, after: $blow"), "round $round, $blow: the worker is back and goes on without a command");
	}
}
write_file("$folder/stop", '');
$_->finish foreach @runs;

# Everything that was acknowledged is in the log, whole; each key once; what clients did not hear of cannot be there in part.
$node->safe_psql('postgres', 'CREATE TABLE acknowledged (client int, batch int, received int, stored int, other int)');
foreach my $client (1 .. $clients)
{
	my $rows = join ',', map { chomp; '(' . join(',', $client, split /\|/) . ')' } read_lines("$folder/acknowledged.$client");
	$node->safe_psql('postgres', "INSERT INTO acknowledged VALUES $rows");
}
my ($batches, $wrong) = split /\|/, $node->safe_psql('postgres', "SELECT count(*), count(*) FILTER (WHERE received <> $readings + 1 OR stored <> $readings + 1 OR other <> 0) FROM acknowledged");
cmp_ok($batches, '>', 10 * $rounds, "$batches batches were acknowledged");
is($wrong, 0, 'every receipt adds up');
$node->safe_psql('postgres', "CREATE TABLE sent AS SELECT 'd' || i % 5 AS device_id, client || '-' || batch || '-' || i AS idempotency_key, 'r' || i % 2 AS region,
	'2024-05-01 00:00:00+00'::timestamptz + (batch * 100 + i) * interval '1 second' AS measured_at, ((i * 7 + batch) % 100)::float8 AS temperature,
	nullif(i % 3, 0)::float8 AS humidity, NULL::jsonb AS metrics FROM acknowledged, generate_series(1, $readings) AS i");
log_is($node, 'sent', 'after the crashes');
wait_applied($node);
read_models_follow($node, 'sent', 'after the crashes');
is($node->safe_psql('postgres', 'SELECT sum(events) = (SELECT count(*) FROM telemetry.measurements) AND max(batch_id) = count(*) FROM telemetry.batch'), 't', 'the batches hold every event, numbered without a gap');
is($node->safe_psql('postgres', 'SELECT bool_and(applied = (SELECT count(*) FROM telemetry.measurements)) FROM telemetry.projection_status'), 't', 'the status counts them as well');
is($node->safe_psql('postgres', 'SELECT count(DISTINCT epoch) FROM telemetry.epoch'), '1', 'a crash opens no new epoch');
my $log = slurp_file($node->logfile);
unlike($log, qr/PANIC|TRAP:|terminated by signal (?!9\b)/, 'no process went down by itself');
$node->stop;
done_testing();

sub worker
{
	wait_for($node, "SELECT pid IS NOT NULL AND state = 'running' FROM telemetry.worker_status()", 'a running worker', 60);
	return $node->safe_psql('postgres', 'SELECT pid FROM telemetry.worker_status()');
}

# Waits until the read models hold more readings than at the last call: load and worker are both at work.
sub go_on
{
	my ($when) = @_;
	wait_for($node, "SELECT coalesce(sum(sample_count), 0) > $applied FROM telemetry.device_stats", "progress, $when", 60) or return 0;
	$applied = 10 * $readings + $node->safe_psql('postgres', 'SELECT coalesce(sum(sample_count), 0) FROM telemetry.device_stats');
	return 1;
}

# The end of a psql whose server went away is no success.
sub psql_finish_quietly
{
	my ($started) = @_;
	eval { psql_finish($started) };
}

sub write_file
{
	my ($name, $text) = @_;
	open my $file, '>', $name or die "$name: $!";
	print $file $text;
	close $file;
}

sub read_lines
{
	my ($name) = @_;
	open my $file, '<', $name or die "$name: $!";
	return <$file>;
}
