# Acceptance check 4. Ingest takes no lock of NOTIFY; such a lock would put all commits of the server in one line. Neither
# ingest nor the worker waits for a synchronous standby that does not answer, unless the client asks for that.
# Runs alone: it counts what sessions get done in some seconds.
use strict;
use warnings;

use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

my $node = telemetry_node('notify', preload => 1, conf => "synchronous_commit = on\nwal_level = replica\nmax_wal_senders = 5\n");
my $scripts = PostgreSQL::Test::Utils::tempdir;
write_file("$scripts/ingest.sql", <<'SQL');
\set n random(1, 1000000000)
SELECT status FROM telemetry.ingest_telemetry('d' || :client_id, '2024-05-01 10:00:00+00'::timestamptz + :n * interval '1 microsecond', :n % 100, NULL, 'k' || :n);
SELECT accepted FROM telemetry.ingest_telemetry_batch(ARRAY['d' || :client_id, 'shared'], NULL, ARRAY[1, :n % 50], NULL, ARRAY['b' || :n, 'b' || :client_id || '-' || :n]);
SQL
# The lock of NOTIFY: object 0 of class pg_database in database 0.
write_file("$scripts/sample.sql", <<'SQL');
INSERT INTO sample SELECT now(), count(*), count(*) FILTER (WHERE a.application_name = 'ingest'), count(*) FILTER (WHERE a.application_name = 'control')
FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'object' AND l.database = 0 AND l.classid = 'pg_database'::regclass AND l.objid = 0 AND l.mode = 'AccessExclusiveLock' AND l.granted;
\sleep 10 ms
SQL
$node->safe_psql('postgres', "CREATE TABLE sample (at timestamptz, locks bigint, ingest bigint, control bigint); CREATE TABLE plain (n int); SELECT telemetry.register_device('shared')");

my $listener = session($node);
$listener->query_safe('LISTEN telemetry_ingested');

# Lets 8 clients send readings while a session looks at the locks. Returns how many transactions they made.
sub ingest_and_sample
{
	my ($name, $seconds, $options) = @_;
	local %ENV = $node->_get_env();
	$ENV{PGOPTIONS} = $options // '';
	my ($sampler_out, $out, $err) = ('', '', '');
	my $sampler = IPC::Run::start([ 'pgbench', '-n', '-c1', "-T" . ($seconds + 1), '-f', "$scripts/sample.sql", $node->connstr('postgres') . ' application_name=sampler options=-csynchronous_commit=off' ], '>&', \$sampler_out);
	my $run = IPC::Run::run([ 'pgbench', '-n', '-c8', '-j2', "-T$seconds", '-f', "$scripts/ingest.sql", $node->connstr('postgres') . ' application_name=ingest' ],
		'>', \$out, '2>', \$err, IPC::Run::timeout(180));
	ok($run, "$name: 8 clients ingest") or diag($err);
	$sampler->finish;
	my ($transactions) = $out =~ /number of transactions actually processed: (\d+)/;
	cmp_ok($transactions // 0, '>', 100, "$name: they go on");
	return $transactions;
}

# The sampler sees such a lock when there is one: a notifying commit that waits for a standby.
$node->safe_psql('postgres', "ALTER SYSTEM SET synchronous_standby_names = 'nobody'; SELECT pg_reload_conf()");
wait_for($node, "SET synchronous_commit = off; SELECT current_setting('synchronous_standby_names') = 'nobody'", 'the setting');
{
	my $neighbour = start_neighbour();
	is($node->safe_psql('postgres', <<'SQL'), '1', 'control: the lock of a NOTIFY that waits is seen');
SET synchronous_commit = off;
SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'object' AND l.database = 0 AND l.classid = 'pg_database'::regclass AND l.objid = 0 AND l.granted AND a.application_name = 'control'
SQL
	stop_neighbour($neighbour);
}

ingest_and_sample('no standby answers, synchronous_commit = local', 3, '-c synchronous_commit=local');
wait_applied($node, 'the worker to go on although no standby answers');
is($node->safe_psql('postgres', "SELECT count(*) FROM telemetry.worker_status() JOIN pg_stat_activity USING (pid) WHERE wait_event = 'SyncRep'"), '0', 'the worker waits for no standby');
$listener->{stdout} = '';
my $heard = $listener->query('SELECT 1');
like($heard, qr/Asynchronous notification "telemetry_ingested"/, 'and its notifications arrive');

$node->safe_psql('postgres', "SET synchronous_commit = local; ALTER SYSTEM RESET synchronous_standby_names; SELECT pg_reload_conf()");
wait_for($node, "SELECT current_setting('synchronous_standby_names') = ''", 'the setting');
ingest_and_sample('asking for full durability', 4);
wait_applied($node);
my ($samples, $ingest) = split /\|/, $node->safe_psql('postgres', 'SELECT count(*), sum(ingest) FROM sample');
cmp_ok($samples, '>', 100, "samples were taken: $samples");
is($ingest, '0', 'no session that ingests ever held the lock of NOTIFY');

# A notifying commit of a neighbour that hangs: ingest and projection go on; only the worker's own notifications wait.
$node->safe_psql('postgres', "ALTER SYSTEM SET synchronous_standby_names = 'nobody'; SELECT pg_reload_conf()");
wait_for($node, "SET synchronous_commit = off; SELECT current_setting('synchronous_standby_names') = 'nobody'", 'the setting');
{
	my $neighbour = start_neighbour();
	ingest_and_sample('a neighbour holds the lock of NOTIFY', 2, '-c synchronous_commit=local');
	stop_neighbour($neighbour);
}
$node->safe_psql('postgres', "SET synchronous_commit = local; ALTER SYSTEM RESET synchronous_standby_names; SELECT pg_reload_conf()");
wait_applied($node, 'the worker to go on when the neighbour is gone');

# An ingesting transaction can be prepared, which one that notifies cannot.
is($node->safe_psql('postgres', "BEGIN; SELECT status FROM telemetry.ingest_telemetry('prepared', NULL, 1, NULL, 'k'); PREPARE TRANSACTION 'p'; COMMIT PREPARED 'p';"),
	'accepted', 'a transaction that ingests can be prepared');
wait_applied($node);
read_models_follow($node, 'telemetry.measurements', 'at the end');
$listener->quit;
$node->stop;
done_testing();

# Starts a session whose notifying commit waits for a standby. The checkpointer decides some time after the setting has changed
# that commits wait for standbys. So the session commits until a commit waits.
sub start_neighbour
{
	my $script = "SET application_name = 'control';\nSET synchronous_commit = on;\n" . "BEGIN;\nINSERT INTO plain VALUES (1);\nNOTIFY elsewhere;\nCOMMIT;\nSELECT pg_sleep(0.01);\n" x 5000;
	my $neighbour = psql_start($node, $script);
	wait_for($node, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'control' AND wait_event = 'SyncRep')", 'a commit that waits for a standby', 60);
	return $neighbour;
}

sub stop_neighbour
{
	my ($neighbour) = @_;
	$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'control'");
	psql_finish($neighbour);
}

sub write_file
{
	my ($name, $text) = @_;
	open my $file, '>', $name or die "$name: $!";
	print $file $text;
	close $file;
}
