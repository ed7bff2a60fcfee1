# Acceptance check 17. Binary-upgrade mode starts no process of the extension. pg_upgrade carries an installation to a cluster
# with another system identifier. There it goes on like a restored installation: nothing is lost, nothing is applied twice, and
# repeats of earlier readings are duplicates. A library that is not preloaded says so where that matters.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

$LastingSession::wanted = 0;

my $conf = "telemetry_cqrs.launcher_interval = 100\ntelemetry_cqrs.poll_interval = 50\n";
my $old = telemetry_node('old', preload => 1, conf => $conf);
my $new = PostgreSQL::Test::Cluster->new('new');
$new->init;
$new->append_conf('postgresql.conf', "shared_preload_libraries = 'telemetry_cqrs'\nmax_prepared_transactions = 20\nmax_connections = 60\n$conf");
my $bindir = $old->config_data('--bindir');

sub batch_sql
{
	my ($series, $count) = @_;
	return "SELECT accepted, duplicates FROM (SELECT array_agg('d' || i % 7) AS d, array_agg(i % 40 + 0.5::float8) AS t, array_agg('$series' || i) AS k,
		array_agg('{\"light\": 3}'::jsonb) AS j, array_agg('r' || i % 3) AS r FROM generate_series(1, $count) AS i) AS s,
		telemetry.ingest_telemetry_batch(d, NULL, t, t, k, j, r)";
}

is($old->safe_psql('postgres', batch_sql('before', 1000)), '1000|0', 'readings of before');
wait_applied($old);
# A tail: what is stored and not applied comes along, too.
$old->append_conf('postgresql.conf', "telemetry_cqrs.start_worker = off\n");
$old->append_conf('postgresql.conf', "shared_preload_libraries = ''\n");
$old->restart;
is($old->safe_psql('postgres', batch_sql('tail', 100)), '100|0', 'and some that wait');
$old->safe_psql('postgres', "SELECT telemetry.grant_reader('pg_monitor'); GRANT SELECT ON telemetry.device_state TO pg_monitor");
my $log_position = -s $old->logfile;

# --- the mode itself -----------------------------------------------------------------------------------------------------

$old->append_conf('postgresql.conf', "shared_preload_libraries = 'telemetry_cqrs'\ntelemetry_cqrs.start_worker = on\n");
$old->stop;
# As pg_upgrade starts it.
$old->command_ok([ 'pg_ctl', '-w', '-s', '-l', $old->logfile, '-D', $old->data_dir, '-o', '-b -c listen_addresses= -c log_min_messages=debug1', 'start' ], 'binary-upgrade mode starts');
my $running = $old->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'telemetry%'");
my $registered = $old->safe_psql('postgres', 'SELECT preloaded, pid IS NULL, state FROM telemetry.worker_status()');
is($running, '0', 'binary-upgrade mode: nothing of ours runs');
note("worker_status: $registered");
is($old->safe_psql('postgres', 'SELECT count(*) FROM telemetry.measurements'), '1100', 'binary-upgrade mode: the library loads and queries work');
$old->command_ok([ 'pg_ctl', '-w', '-s', '-D', $old->data_dir, '-m', 'fast', 'stop' ], 'and stops');
my $log = substr slurp_file($old->logfile), $log_position;
unlike($log, qr/telemetry_cqrs (launcher|projector)/, 'binary-upgrade mode: no worker was even registered');

# --- pg_upgrade ----------------------------------------------------------------------------------------------------------

chdir $old->basedir or die;
my @upgrade = ('pg_upgrade', '--no-sync', '-d', $old->data_dir, '-D', $new->data_dir, '-b', $bindir, '-B', $bindir, '-s', $old->host, '-p', $old->port, '-P', $new->port);
command_ok([ @upgrade, '--check' ], 'pg_upgrade --check');
command_ok(\@upgrade, 'pg_upgrade');
$new->start;

wait_for($new, "SELECT state = 'running' FROM telemetry.worker_status()", 'the worker of the new cluster');
is($new->safe_psql('postgres', "SELECT DISTINCT applied, lag_events FROM telemetry.projection_status"), '1000|100', 'upgraded: state and tail as they were');
is($new->safe_psql('postgres', 'SELECT count(DISTINCT epoch) FROM telemetry.epoch'), '1', 'upgraded: nothing is written before the first command');
is($new->safe_psql('postgres', batch_sql('before', 1000)), '0|1000', 'upgraded: duplicates of before are duplicates');
is($new->safe_psql('postgres', batch_sql('after', 200)), '200|0', 'upgraded: takes readings');
wait_applied($new);
read_models_follow($new, 'telemetry.measurements', 'upgraded');
is($new->safe_psql('postgres', 'SELECT count(*), count(DISTINCT event_id), count(DISTINCT idempotency_key) FROM telemetry.event'), '1300|1300|1300', 'upgraded: no event is missing or twice');
is($new->safe_psql('postgres', 'SELECT count(DISTINCT epoch), count(DISTINCT system_identifier), count(DISTINCT secret) FROM telemetry.epoch, telemetry.installation'), '2|2|1', 'upgraded: an epoch of the new system');
wait_for($new, 'SELECT sum(events) = 1300 FROM telemetry.batch', 'the batches to follow');
is($new->safe_psql('postgres', 'SELECT count(*), count(DISTINCT e.id) FROM telemetry.batch b, telemetry.read_events(b.batch_id) AS e'), '1300|1300', 'upgraded: the batches hold every event once');
is($new->safe_psql('postgres', "SELECT has_table_privilege('pg_monitor', 'telemetry.device_stats', 'SELECT'), has_table_privilege('pg_monitor', 'telemetry.device_state', 'SELECT')"), 't|t', 'upgraded: grants came along');
my ($dump) = run_command([ 'pg_dump', '-s', '-d', $new->connstr('postgres') ]);
like($dump, qr/^GRANT SELECT ON TABLE telemetry\.device_state TO pg_monitor;$/m, 'upgraded: and are dumped again');
$new->safe_psql('postgres', "DROP EXTENSION telemetry_cqrs; CREATE EXTENSION telemetry_cqrs; SELECT telemetry.ingest_telemetry('d', NULL, 1)");
wait_applied($new, 'upgraded: dropped and made anew it works');

# --- without preloading --------------------------------------------------------------------------------------------------

$new->append_conf('postgresql.conf', "shared_preload_libraries = ''\n");
$new->restart;
my ($out, $err);
is($new->psql('postgres', "LOAD 'telemetry_cqrs'; SELECT telemetry.ingest_telemetry('d', NULL, 1)", stdout => \$out, stderr => \$err), 0, 'not preloaded: loads and stores');
is($new->safe_psql('postgres', 'SELECT preloaded FROM telemetry.worker_status()'), 'f', 'not preloaded: and says so');
wait_applied($new, 'not preloaded: the command started a worker');
$new->stop;
done_testing();
