# Acceptance check 8. The test kills the worker, sessions that send, and the postmaster with kill -9. It also uses
# pg_terminate_backend and an immediate shutdown. The blows come at random under a load of clients, which send again what was
# not acknowledged. Some blows hit an exact point (injection points of a debug build): between state and position, between the
# commit of a pass and its notification, between probe and insert, between insert and receipt, and while the first epoch opens.
#
# Afterwards the log holds each key once, and the read models equal plain SQL over the log. Each receipt that a client got is
# found again with its event_id. The worker comes back without a command.
#
# TELEMETRY_ROUNDS: how many kills. TELEMETRY_SEED: the seed of another run.
# Begins early.
use strict;
use warnings;

use IPC::Run ();
use List::Util qw(shuffle);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;
use Time::HiRes qw(time usleep);

plan skip_all => 'needs a debug build in TELEMETRY_DEBUG_INSTALLATION' if !$ENV{TELEMETRY_DEBUG_INSTALLATION};

my $rounds = $ENV{TELEMETRY_ROUNDS} // 20;
my $seed = $ENV{TELEMETRY_SEED} // int(rand(1_000_000));
note "seed $seed";
srand($seed);

my $clients = 3;
my $readings = 20;    # in a batch
my $node = telemetry_node('kills', preload => 1, installation => $ENV{TELEMETRY_DEBUG_INSTALLATION},
	conf => "restart_after_crash = on\nsynchronous_commit = on\ntelemetry_cqrs.launcher_interval = '1s'\n");
my $folder = PostgreSQL::Test::Utils::tempdir;
my $pause_file = $node->data_dir . '/telemetry_cqrs.pause';

my %blows = (
	'kill -9 of the worker' => \&kill_worker,
	'kill -9 of the worker between state and position' => sub { kill_worker_at('state_written') },
	'kill -9 of the worker between commit and notification' => sub { kill_worker_at('pass_committed') },
	'kill -9 of a session that ingests' => \&kill_session,
	'kill -9 of a session between probe and insert' => sub { session_dies_at('probed') },
	'kill -9 of a session between insert and receipt' => sub { session_dies_at('stored') },
	'kill -9 of the postmaster' => \&kill_postmaster,
	'kill -9 of the postmaster, the worker between state and position' => sub { at_pause('state_written', \&kill_postmaster) },
	'pg_terminate_backend of the worker' => sub { $node->safe_psql('postgres', 'SELECT pg_terminate_backend(' . worker() . ')') },
	'immediate shutdown' => sub { $node->stop('immediate'); $node->start },
);

# The very first command dies while it opens the first epoch: nothing of it is there.
session_dies_at('epoch_half_open');
wait_for($node, 'SELECT count(*) = 0 FROM telemetry.installation', 'the server after its first crash', 60);

# A client sends rounds of a batch and a few single readings, each round again until the whole was acknowledged, and keeps every
# receipt. A session sends ten rounds at most. The client ends when the file "stop" is there and its last round is whole. The last
# reading of a batch stands in it twice.
write_file("$folder/client.sh", <<'SH');
client=$1 round=1 sent=0
: >"$FOLDER/receipts.$client"
while [ -d "$FOLDER" ] && { [ ! -e "$FOLDER/stop" ] || [ "$round" -le "$sent" ]; }; do
	[ "$round" -gt "$sent" ] && sent=$((round + 9))
	for n in $(seq "$round" "$sent"); do
		printf '\\set round %d\n\\i %s/round.sql\n\\echo round|%d|%d\n' "$n" "$FOLDER" "$client" "$n"
	done | psql -XAtq -v ON_ERROR_STOP=1 -v client="$client" -v readings="$READINGS" -f - \
		>>"$FOLDER/receipts.$client" 2>>"$FOLDER/errors.$client" || sleep 0.02
	round=$(sed -n 's/^round|.*|//p' "$FOLDER/receipts.$client" | tail -n 1)
	round=$((${round:-0} + 1))
done
SH
write_file("$folder/round.sql", <<'SQL');
SET application_name = 'client';
SELECT 'batch', :client, :round, r.received, r.accepted + r.duplicates, r.conflicts + r.rejected, r.accepted, r.first_event_id, r.last_event_id FROM (
	SELECT array_agg('d' || i % 5 ORDER BY i) AS d,
	       array_agg('2024-05-01 00:00:00+00'::timestamptz + (:round * 100 + i) * interval '1 second' ORDER BY i) AS m,
	       array_agg((i * 7 + :round) % 100 ORDER BY i) AS t, array_agg(nullif(i % 3, 0) ORDER BY i) AS h,
	       array_agg(:client || '-' || :round || '-' || i ORDER BY i) AS k, array_agg('r' || i % 2 ORDER BY i) AS g
	FROM (SELECT generate_series(1, :readings) AS i UNION ALL SELECT :readings) AS n) AS a,
	LATERAL telemetry.ingest_telemetry_batch(d, m, t, h, k, NULL, g) AS r;
SELECT 'single', 'd1', :client || '-' || :round || '-a', status, event_id FROM telemetry.ingest_telemetry('d1', '2024-05-01', :round % 50, 1, :client || '-' || :round || '-a', NULL, 'r1');
SELECT 'single', 'd2', :client || '-' || :round || '-b', status, event_id FROM telemetry.ingest_telemetry('d2', '2024-05-02', :round % 60, NULL, :client || '-' || :round || '-b', NULL, 'r2');
SELECT pg_sleep(0.05) \g /dev/null
SQL
my @runs;
{
	local %ENV = $node->_get_env();
	@ENV{qw(FOLDER READINGS PGDATABASE)} = ($folder, $readings, 'postgres');
	push @runs, IPC::Run::start([ 'sh', "$folder/client.sh", $_ ]) foreach 1 .. $clients;
}

my $applied = 0;
my $number = 0;
my @order = sort keys %blows;
@order = (@order, map { $order[ int(rand(@order)) ] } @order .. $rounds - 1) if $rounds > @order;
@order = shuffle(@order);
foreach my $blow (@order[ 0 .. $rounds - 1 ])
{
	++$number;
	go_on("before $number: $blow") or last;
	usleep(rand(200_000));
	my $worker = worker();
	$blows{$blow}->();
	my $start = time;
	wait_for($node, "SELECT pid <> $worker AND state = 'running' FROM telemetry.worker_status()", "a new worker after $blow", 120) or last;
	my $back = time - $start;
	ok(go_on("after $number: $blow"), "$number. $blow: the worker is back and goes on without a command");
	note sprintf 'a worker after %.1f s', $back;
}
write_file("$folder/stop", '');
$_->finish foreach @runs;

# --- every receipt ----------------------------------------------------------------------------------------------------

my %said = (round => [], batch => [], single => []);
foreach my $client (1 .. $clients)
{
	foreach my $line (split /\n/, slurp_file("$folder/receipts.$client"))
	{
		my ($what, @fields) = split /\|/, $line, -1;
		push @{ $said{$what} }, '(' . join(',', map { $_ eq '' ? 'NULL' : "'$_'" } @fields) . ')';
	}
}
my $receipts = 'CREATE TABLE whole (client int, round int); CREATE TABLE batches (client int, round int, received int, stored int, other int, accepted int, first bigint, last bigint);
	CREATE TABLE singles (device_id text, key text, status text, event_id bigint);';
my %table = (round => 'whole', batch => 'batches', single => 'singles');
foreach my $what (sort keys %said)
{
	cmp_ok(scalar @{ $said{$what} }, '>=', $number, "the clients kept " . @{ $said{$what} } . " lines of $table{$what}");
	$receipts .= "INSERT INTO $table{$what} VALUES " . join(',', @{ $said{$what} }) . ';';
}
$node->safe_psql('postgres', $receipts);
is($node->safe_psql('postgres', "SELECT count(*) FROM batches WHERE received <> $readings + 1 OR stored <> $readings + 1 OR other <> 0"), '0', 'every batch receipt adds up');
is($node->safe_psql('postgres', "SELECT count(*) FROM singles s LEFT JOIN telemetry.measurements m ON (m.device_id, m.idempotency_key) = (s.device_id, s.key) WHERE m.event_id IS DISTINCT FROM s.event_id"),
	'0', 'every single receipt is found again: this key with this event_id');
is($node->safe_psql('postgres', <<"SQL"), '0', 'every batch receipt is found again: its accepted keys from the first to the last event_id');
SELECT count(*) FROM batches b JOIN (
	SELECT client, round, count(m.event_id) AS rows, min(m.event_id) AS first, max(m.event_id) AS last
	FROM (SELECT DISTINCT client, round FROM batches) AS sent CROSS JOIN generate_series(1, $readings) AS i
	LEFT JOIN telemetry.measurements m ON (m.device_id, m.idempotency_key) = ('d' || i % 5, client || '-' || round || '-' || i)
	GROUP BY client, round) AS m USING (client, round)
WHERE m.rows <> $readings OR (b.accepted > 0 AND (b.accepted, b.first, b.last) <> ($readings, m.first, m.last))
SQL
my $again = $node->safe_psql('postgres', "SELECT (SELECT count(*) FROM batches WHERE accepted = 0) || ' batches and ' || (SELECT count(*) FROM singles WHERE status = 'duplicate') || ' readings'");
note "$again were sent again though they were stored";

# --- log and read models ------------------------------------------------------------------------------------------------

# A client's last round is whole, so everything that was sent was acknowledged.
$node->safe_psql('postgres', "CREATE TABLE sent AS
	SELECT 'd' || i % 5 AS device_id, client || '-' || round || '-' || i AS idempotency_key, 'r' || i % 2 AS region,
	       '2024-05-01 00:00:00+00'::timestamptz + (round * 100 + i) * interval '1 second' AS measured_at, ((i * 7 + round) % 100)::float8 AS temperature,
	       nullif(i % 3, 0)::float8 AS humidity, NULL::jsonb AS metrics FROM whole, generate_series(1, $readings) AS i
	UNION ALL SELECT 'd1', client || '-' || round || '-a', 'r1', '2024-05-01', round % 50, 1, NULL FROM whole
	UNION ALL SELECT 'd2', client || '-' || round || '-b', 'r2', '2024-05-02', round % 60, NULL, NULL FROM whole");
log_is($node, 'sent', 'after the kills');
wait_applied($node);
read_models_follow($node, 'sent', 'after the kills');
is($node->safe_psql('postgres', 'SELECT sum(events) = (SELECT count(*) FROM telemetry.measurements) AND max(batch_id) = count(*) FROM telemetry.batch'), 't', 'the batches hold every event, numbered without a gap');
is($node->safe_psql('postgres', 'SELECT bool_and(applied = (SELECT count(*) FROM telemetry.measurements)) FROM telemetry.projection_status'), 't', 'the status counts them as well');
is($node->safe_psql('postgres', 'SELECT count(DISTINCT epoch) FROM telemetry.epoch'), '1', 'a crash opens no new epoch');
my $log = slurp_file($node->logfile);
unlike($log, qr/PANIC|TRAP:|terminated by signal (?!9\b)/, 'no process went down by itself');
$node->stop;
done_testing();

# --- blows ------------------------------------------------------------------------------------------------------------

sub kill_worker
{
	kill 'KILL', worker();
}

# Holds the worker at a point, and runs $rest meanwhile.
sub at_pause
{
	my ($point, $rest) = @_;
	write_file($pause_file, '');
	my $offset = -s $node->logfile;
	set_for_workers("$point=pause");
	wait_for_line(qr/telemetry_cqrs injects at "$point"/, $offset);
	my $pid = worker();
	set_for_workers('');
	$rest->($pid);
	unlink $pause_file;
}

sub kill_worker_at
{
	my ($point) = @_;
	at_pause($point, sub { kill 'KILL', shift });
}

sub set_for_workers
{
	my ($value) = @_;
	$node->safe_psql('postgres', "ALTER SYSTEM SET telemetry_cqrs.inject = '$value';\nSELECT pg_reload_conf()");
}

# Kills a session in the middle of a long transaction of its own, of which nothing may remain.
sub kill_session
{
	my $victim = psql_start($node, "SET application_name = 'victim';
		DO 'BEGIN FOR i IN 1 .. 100000000 LOOP PERFORM telemetry.ingest_telemetry(''d1'', ''2024-05-01 00:00:00+00'', i % 100, NULL, ''victim-'' || i); END LOOP; END'");
	wait_for($node, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'victim' AND backend_xid IS NOT NULL)", 'a session in mid-ingest', 60);
	kill 'KILL', $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE application_name = 'victim'");
	eval { psql_finish($victim) };    # whose server went away
}

# Lets a session kill itself at a reading in the middle of its only transaction.
sub session_dies_at
{
	my ($point) = @_;
	my $at = $point eq 'epoch_half_open' ? 1 : 1 + int(rand(20));
	my (undef, undef, $err) = $node->psql('postgres', "SET telemetry_cqrs.inject = '$point=kill:$at';
		DO 'BEGIN FOR i IN 1 .. 100 LOOP PERFORM telemetry.ingest_telemetry(''d1'', ''2024-05-01 00:00:00+00'', i % 100, NULL, ''victim-'' || i); END LOOP; END'", on_error_stop => 0);
	like($err, qr/server closed the connection|connection to server was lost/, "a session killed itself at $point, pass $at");
}

# Kills the postmaster and starts the server again. The children of the dead postmaster end by themselves. A new one refuses to
# start until the last child is gone, so this tries again as a DBA does.
sub kill_postmaster
{
	my $offset = -s $node->logfile;
	$node->kill9;
	local %ENV = $node->_get_env(PGAPPNAME => undef);
	my $deadline = time + 180;
	my $attempts = 1;
	while (system_log('pg_ctl', '-w', '-D', $node->data_dir, '-l', $node->logfile, '-o', '--cluster-name=kills', 'start') != 0)
	{
		++$attempts;
		die 'the server does not start' if time > $deadline;
		usleep(100_000);
	}
	$node->_update_pid(1);
	note "$attempts attempts to start";
}

# --- helpers ----------------------------------------------------------------------------------------------------------

sub worker
{
	wait_for($node, "SELECT pid IS NOT NULL AND state = 'running' FROM telemetry.worker_status()", 'a running worker', 120);
	return $node->safe_psql('postgres', 'SELECT pid FROM telemetry.worker_status()');
}

# Waits until the read models hold more readings than at the last call, so that load and worker are both at work.
sub go_on
{
	my ($when) = @_;
	wait_for($node, "SELECT coalesce(sum(sample_count), 0) > $applied FROM telemetry.device_stats", "progress, $when", 120) or return 0;
	$applied = 2 * $readings + $node->safe_psql('postgres', 'SELECT coalesce(sum(sample_count), 0) FROM telemetry.device_stats');
	return 1;
}

sub wait_for_line
{
	my ($line, $offset) = @_;
	my $deadline = time + 120;
	until (slurp_file($node->logfile, $offset) =~ $line)
	{
		die "no line $line in the log" if time > $deadline;
		usleep(10_000);
	}
}

sub write_file
{
	my ($name, $text) = @_;
	open my $file, '>', $name or die "$name: $!";
	print $file $text;
	close $file;
}
