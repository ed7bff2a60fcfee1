# A full disk under the read side, under the log and under the WAL. The worker says why it waits, at most once a minute, and
# goes on by itself. Commands are refused cleanly and store nothing in part. After a PANIC of the server every acknowledged
# reading is there.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../support";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ServerLog;
use SmallDisk;
use TelemetryNode;
use Test::More;
use Time::HiRes qw(time usleep);

my $disks = small_disks(read => 12, log => 12, wal => 24) or plan skip_all => 'LOUD: this machine lets an ordinary user mount nothing, no disk can be full';
my $node = PostgreSQL::Test::Cluster->new('full');
$node->init(extra => ['--wal-segsize=1']);
$node->append_conf('postgresql.conf', $ServerLog::conf . <<'CONF');
shared_preload_libraries = 'telemetry_cqrs'
min_wal_size = 2MB
max_wal_size = 8MB
autovacuum = off
max_wal_senders = 0
wal_level = minimal
CONF
my $data = $node->data_dir;
on_small_disks($disks, "mv '$data/pg_wal' '$disks->{path}/wal/' && ln -s '$disks->{path}/wal/pg_wal' '$data/pg_wal' && mkdir '$disks->{path}/read/space' '$disks->{path}/log/space'");
start_on_small_disks($disks, $node);

sub sql { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }
sub refusal
{
	my ($sql) = @_;
	my ($status, $out, $err) = $node->psql('postgres', $sql, extra_params => [ '-v', 'VERBOSITY=sqlstate' ]);
	return join ' ', $err =~ /(?:ERROR|FATAL|PANIC):\s+(\w{5})/g;
}
# Readings of devices that were never seen before, so that both sides grow; or of a few that are known, so that only the log does.
my $number = 0;
sub batch
{
	my ($count, $device) = @_;
	$device //= 'i';
	my $first = $number + 1;
	$number += $count;
	return "SELECT (r).accepted FROM (SELECT telemetry.ingest_telemetry_batch(array_agg('device ' || $device), array_agg('2024-05-01'::timestamptz + i * interval '1 ms'), array_agg(i % 50.0), array_agg(i % 90.0),
	        array_agg('key ' || i), NULL, array_agg('region ' || $device)) AS r FROM generate_series($first, $number) AS i) AS a";
}
sql(<<"SQL");
CREATE EXTENSION telemetry_cqrs;
CREATE TABLESPACE read_space LOCATION '$disks->{path}/read/space';
CREATE TABLESPACE log_space LOCATION '$disks->{path}/log/space';
SELECT format('ALTER TABLE telemetry.%I SET TABLESPACE read_space', relname) FROM pg_class
WHERE relnamespace = 'telemetry'::regnamespace AND relkind = 'r' AND relname ~ '^state_'
UNION ALL SELECT format('ALTER INDEX telemetry.%I SET TABLESPACE read_space', relname) FROM pg_class
WHERE relnamespace = 'telemetry'::regnamespace AND relkind = 'i' AND relname ~ '^state_.*_pkey\$'
UNION ALL VALUES ('ALTER TABLE telemetry.event_1 SET TABLESPACE log_space') \\gexec
SQL
is(sql(batch(100)), '100', 'stored');
wait_applied($node, 'the first readings to be applied');

# --- the read side ----------------------------------------------------------------------------------------------------------

my $from = log_end($node);
fill($disks, 'read');
sql(batch(100)) foreach 1 .. 3;
ok(wait_for($node, "SELECT state = 'failing' AND last_error ~ 'could not extend file' FROM telemetry.worker_status()", 'the state'), 'the read side is full: a state with the reason');
ok(wait_for($node, "SELECT bool_and(sqlstate = '53100') FROM telemetry.projection_failure WHERE failures > 0", 'the failures'), 'with SQLSTATE 53100');
my $watched_until = time + 5;
my $stored = 0;
# A fast machine would fill the disk of the log as well.
while (time < $watched_until) { $stored < 20_000 ? $stored += sql(batch(5, 'i % 50')) : usleep(50_000) }
is($stored + 400, $number, 'ingest stores meanwhile');
my @complaints = grep { /projector waits/ } lines_of_ours($node, $from);
is(scalar @complaints, 1, 'one line in the log, though more than one projection fails') or diag join "\n", @complaints;
free($disks, 'read');
wait_applied($node, 'with room again the worker goes on by itself');
ok(wait_for($node, "SELECT state = 'running' FROM telemetry.worker_status()", 'the worker to run'), 'and says so');
read_models_follow($node, 'telemetry.measurements', 'after the read side was full');
nothing_repeats($node, $from, 'a full read side');

# --- the server log ----------------------------------------------------------------------------------------------------------------

$from = log_end($node);
fill($disks, 'log');
my $before = sql('SELECT count(*) FROM telemetry.measurements');
my $batch = batch(5000, 'i % 50');
is(refusal($batch), '53100', 'the log is full: a batch is refused with 53100');
is(refusal("BEGIN;\nSELECT telemetry.ingest_telemetry('half', '2024-05-01', 1, 2, 'half');\n$batch;\nCOMMIT;"), '53100', 'and a transaction with it');
is(sql('SELECT count(*) FROM telemetry.measurements'), $before, 'nothing is stored by half');
is(sql('SELECT state FROM telemetry.worker_status()'), 'running', 'the worker is well');
free($disks, 'log');
is(sql($batch), '5000', 'with room again the same batch is stored, all of it');
wait_applied($node, 'and applied');
read_models_follow($node, 'telemetry.measurements', 'after the log was full');
nothing_repeats($node, $from, 'a full log');

# --- the WAL: the server itself gives up ------------------------------------------------------------------------------------

my $acknowledged = sql('SELECT count(*) FROM telemetry.measurements');
fill($disks, 'wal');
my $answer = 0;
for (1 .. 200)
{
	my ($status, $out, $err) = $node->psql('postgres', batch(1000, 'i % 50'));
	last if $status != 0;
	$acknowledged += $out;
	$answer++;
}
my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
usleep(50_000) while -e "$data/postmaster.pid" && time < $deadline;
like(slurp_file($node->logfile, $from), qr/PANIC:.*No space left on device/, 'the WAL is full: the server gives up');
note("$answer batches went into what room there was");
free($disks, 'wal');
$node->_update_pid(0);
start_on_small_disks($disks, $node);
wait_applied($node, 'after the restart everything to be applied');
my $there = sql('SELECT count(*) FROM telemetry.measurements');
ok($there == $acknowledged || $there == $acknowledged + 1000, 'what was acknowledged is there, and at most the batch in flight beside it') or diag "$there, acknowledged $acknowledged";
read_models_follow($node, 'telemetry.measurements', 'after the WAL was full');
is(sql(batch(100)), '100', 'and more is stored');
wait_applied($node, 'and applied');
$node->stop;

done_testing();
