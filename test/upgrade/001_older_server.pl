# Acceptance checks 16 and 17 between major versions. An installation on an older server comes to the server under test by pg_upgrade
# and by dumps. It goes on there: nothing is lost, nothing is stored twice, repeats are duplicates, a pause stays a pause.
#
# TELEMETRY_OLD_INSTALLATION names the older server with the extension built for it; `dev/test upgrade` sets it.
use strict;
use warnings;

use File::Find qw(find);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

my $installation = $ENV{TELEMETRY_OLD_INSTALLATION} or die 'TELEMETRY_OLD_INSTALLATION is not set';

# A cluster of the older server or of the one under test. Both have checksums, whatever their initdb prefers: pg_upgrade wants them alike.
sub cluster
{
	my ($name, %options) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name, $options{old} ? (install_path => $installation) : ());
	$node->init(extra => [ '--data-checksums', '--encoding=UTF8', '--locale=C' ]);
	$node->append_conf('postgresql.conf', <<'CONF');
shared_preload_libraries = 'telemetry_cqrs'
telemetry_cqrs.launcher_interval = 100
telemetry_cqrs.poll_interval = 50
max_prepared_transactions = 20
max_connections = 60
log_statement = none
lc_messages = 'C'
timezone = 'UTC'
CONF
	return $node;
}

sub batch_sql
{
	my ($series, $count) = @_;
	return <<"SQL";
SELECT r.accepted, r.duplicates, r.rejected FROM (
	SELECT array_agg('d' || i % 7) AS d, array_agg(timestamptz '2024-05-01 10:00:00+00' + i * interval '1 s') AS m, array_agg(CASE WHEN i % 100 = 99 THEN 'NaN' ELSE i % 40 + 0.25::float8 END) AS t,
	       array_agg(i % 90 + 0.5::float8) AS h, array_agg('$series' || i) AS k,
	       array_agg(CASE WHEN i % 3 = 0 THEN jsonb_build_object('light', i / 8.0) END) AS j, array_agg('r' || i % 3) AS r
	FROM generate_series(1, $count) AS i) AS s, telemetry.ingest_telemetry_batch(d, m, t, h, k, j, r) AS r
SQL
}

my $single = "SELECT event_id, status, received_at FROM telemetry.ingest_telemetry('single', '2024-05-01 10:00:00+00', 21.5, 40, 'key', NULL, 'hall')";
my $conflict = $single =~ s/21\.5/99/r;

# --- the older server ------------------------------------------------------------------------------------------------------

my $old = cluster('old', old => 1);
$old->start;
$old->safe_psql('postgres', 'CREATE EXTENSION telemetry_cqrs');
note('from ' . $old->safe_psql('postgres', 'SHOW server_version'));
is($old->safe_psql('postgres', batch_sql('before', 2000)), '1980|0|20', 'readings of before, some refused');
my $receipt = $old->safe_psql('postgres', $single) =~ s/accepted/duplicate/r;
wait_applied($old);
$old->safe_psql('postgres', "SELECT telemetry.grant_reader('pg_monitor'); SELECT telemetry.pause_projection('region')");
is($old->safe_psql('postgres', batch_sql('tail', 90)), '90|0|0', 'and some that a paused projection does not see');
wait_for($old, "SELECT lag_events = 0 FROM telemetry.projection_status WHERE projection = 'device'", 'the other projection to apply them');
# The last batch is written down after a while.
wait_for($old, 'SELECT sum(events) = 2071 FROM telemetry.batch', 'the batches to hold every event');

# Every table and sequence that a dump holds, and what readers see, with a hash of the rows.
my @relations = split /\n/, $old->safe_psql('postgres', <<'SQL');
SELECT c.oid::regclass FROM pg_extension e, unnest(e.extconfig) AS t JOIN pg_class c ON c.oid = t WHERE e.extname = 'telemetry_cqrs'
UNION ALL SELECT unnest('{telemetry.measurements,telemetry.events,telemetry.device_stats,telemetry.device_metric_stats,telemetry.region_stats,telemetry.region_metric_stats}'::regclass[])
SQL
cmp_ok(scalar @relations, '>=', 20, 'relations to compare');

sub facts
{
	my ($node) = @_;
	return $node->safe_psql($TelemetryNode::database, join ";\n", map {
		my $columns = /_seq$/ ? 'last_value, is_called' : '*';    # log_cnt is the server's own
		my $row = /_stats$/ ? "(to_jsonb(t) - 'as_of')::text" : 't::text';    # how fresh they are depends on the worker
		"SELECT '$_', count(*), md5(coalesce(string_agg($row, E'\\n' ORDER BY $row COLLATE \"C\"), '')) FROM (SELECT $columns FROM $_) AS t"
	} @relations);
}

my $facts = facts($old);
my %count = map { /^([^|]*)\|(\d+)/ } split /\n/, $facts;
is_deeply([ @count{qw(telemetry.measurements telemetry.rejected_readings telemetry.region_stats telemetry.device_stats)} ], [ 2071, 20, 4, 8 ], 'there is something to compare');
is($old->safe_psql('postgres', 'SELECT count(DISTINCT epoch) FROM telemetry.epoch'), '1', 'one epoch');

# Tests: the copy in the database is as it was, and goes on.
sub goes_on
{
	my ($node, $database, $from) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	local $TelemetryNode::database = $database;
	my $ask = sub { $node->safe_psql($database, $_[0]) };
	wait_for($node, "SELECT state = 'running' FROM telemetry.worker_status()", "$from: the worker");
	is(facts($node), $facts, "$from: log, keys, read models, refused readings and sequences are as they were");
	is($ask->('SELECT projection, lag_events FROM telemetry.projection_status WHERE projection !~ $$_$$ ORDER BY 1'), "device|0\nregion|90", "$from: the pause too");

	is($ask->(batch_sql('before', 2000)), '0|1980|20', "$from: repeats are duplicates");
	is($ask->($single), $receipt, "$from: with the receipt of before");
	my ($out, $err);
	$node->psql($database, "\\set VERBOSITY sqlstate\n$conflict", stdout => \$out, stderr => \$err);
	like($err, qr/TC009/, "$from: a known key with another reading is a conflict");
	is($ask->(batch_sql('after', 200)), '198|0|2', "$from: new readings are stored");
	wait_for($node, "SELECT lag_events = 0 FROM telemetry.projection_status WHERE projection = 'device'", "$from: the projector to apply them");
	is($ask->("SELECT lag_events FROM telemetry.projection_status WHERE projection = 'region'"), '288', "$from: the paused projection waits");
	is($ask->("SELECT telemetry.resume_projection('region')"), 't', "$from: and is resumed");
	wait_applied($node, "$from: everything is applied");
	read_models_follow($node, 'telemetry.measurements', $from);
	is($ask->('SELECT count(*), count(DISTINCT event_id), count(DISTINCT (device_id, idempotency_key)) FROM telemetry.event'), '2269|2269|2269', "$from: no event is missing or twice");
	is($ask->('SELECT count(DISTINCT epoch), count(DISTINCT secret) FROM telemetry.epoch, telemetry.installation'), '2|1', "$from: a second epoch, the secret of before");
	wait_for($node, 'SELECT sum(events) = 2269 FROM telemetry.batch', "$from: the batches to follow");
	is($ask->('SELECT count(*), count(DISTINCT e.id) FROM telemetry.batch b, telemetry.read_events(b.batch_id) AS e'), '2269|2269', "$from: they hold every event once");
	is($ask->("SELECT has_table_privilege('pg_monitor', 'telemetry.device_stats', 'SELECT')"), 't', "$from: grants came along");
	is($ask->("CREATE EXTENSION amcheck; SELECT count(*) > 10 FROM (SELECT bt_index_check(i.indexrelid, true) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
		JOIN pg_am a ON a.oid = c.relam WHERE c.relnamespace = 'telemetry'::regnamespace AND a.amname = 'btree' OFFSET 0) AS checked"), 't', "$from: the indexes are sound");
}

# --- dumps -------------------------------------------------------------------------------------------------------------------

my $folder = $old->basedir;
my $target = cluster('target');
$target->start;
note('to ' . $target->safe_psql('postgres', 'SHOW server_version'));
$old->command_ok([ 'pg_dump', '-f', "$folder/old.sql", '-d', $old->connstr('postgres') ], 'dumped by the older pg_dump');
$target->command_ok([ 'pg_dump', '-Fc', '-f', "$folder/new.dump", '-d', $old->connstr('postgres') ], 'dumped by the newer pg_dump');
$target->safe_psql('postgres', "CREATE DATABASE $_") foreach qw(by_older by_newer);
$target->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-f', "$folder/old.sql", '-d', $target->connstr('by_older') ], 'restored by psql');
$target->command_ok([ 'pg_restore', '-j2', '--exit-on-error', '-d', $target->connstr('by_newer'), "$folder/new.dump" ], 'restored by pg_restore');
goes_on($target, 'by_older', 'dump of the older pg_dump');
goes_on($target, 'by_newer', 'dump of the newer pg_dump');
$target->stop;

# --- pg_upgrade --------------------------------------------------------------------------------------------------------------

# Runs pg_upgrade between two stopped clusters, and gives whether it succeeded and what it said, with the errors of its logs.
sub upgrade
{
	my ($from, $to, @options) = @_;
	chdir $to->basedir or die;
	my @command = ('pg_upgrade', '--no-sync', '-b', $from->config_data('--bindir'), '-B', $to->config_data('--bindir'), '-d', $from->data_dir, '-D', $to->data_dir,
		'-s', $to->host, '-p', $from->port, '-P', $to->port, @options);
	local %ENV = $to->_get_env();
	my $output = '';
	my $succeeded = IPC::Run::run(\@command, '<', '/dev/null', '>', \$output, '2>&1');
	my @errors;
	find(sub { push @errors, grep { /ERROR|FATAL/ } split /\n/, slurp_file($_) if /\.log$/ }, $to->data_dir . '/pg_upgrade_output.d') if !$succeeded && -d $to->data_dir . '/pg_upgrade_output.d';
	note("@command\n$output");
	return ($succeeded, join "\n", $output, @errors);
}

$old->stop;
my $new = cluster('new');
my ($checked, $said) = upgrade($old, $new, '--check');
ok($checked, 'pg_upgrade --check') or diag($said);
(my $upgraded, $said) = upgrade($old, $new);
if (!$upgraded)
{
	# Does this server take anything at all from the older one?
	my ($plain_old, $plain_new) = (cluster('plain_old', old => 1), cluster('plain_new'));
	$plain_old->start;
	$plain_old->safe_psql('postgres', 'CREATE TABLE plain (number integer)');
	$plain_old->stop;
	my ($plain_upgraded, $plain_said) = upgrade($plain_old, $plain_new);
	if (!$plain_upgraded)
	{
		my ($message) = $plain_said =~ /^(.*ERROR:.*)$/m;
		diag('SKIPPED: pg_upgrade to this server fails for any table: ' . ($message // $plain_said));
	}
	SKIP:
	{
		skip 'pg_upgrade to this server fails for any table', 1 if !$plain_upgraded;
		fail('pg_upgrade');
		diag($said);
	}
	done_testing();
	exit;
}
pass('pg_upgrade');
$new->start;
goes_on($new, 'postgres', 'pg_upgrade');
is($new->safe_psql('postgres', 'SELECT count(DISTINCT system_identifier) FROM telemetry.epoch'), '2', 'pg_upgrade: the second epoch is of the new system');
$new->safe_psql('postgres', "DROP EXTENSION telemetry_cqrs; CREATE EXTENSION telemetry_cqrs; SELECT telemetry.ingest_telemetry('d', NULL, 1)");
wait_applied($new, 'pg_upgrade: dropped and made anew it works');
$new->stop;
done_testing();
