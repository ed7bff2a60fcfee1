# Acceptance check 16 (update while a worker runs the old library):
# 1. New files are installed beside a running server. Until the restart ALTER EXTENSION UPDATE is refused with a hint, and
#    everything goes on with the old library.
# 2. Between restart and update the worker waits with a reason, and commands store.
# 3. After the update the worker goes on by itself. Nothing is lost, and nothing is applied twice.
#
# Without preloading a new session is enough. A session that has the old library can use the log no more: it lacks the access method of
# an index. The old library is the new one with another version, without library_version() and without that access method.
# TELEMETRY_LIBRARY_1_0 names a real one (soak_old_library.pl).
use strict;
use warnings;

use File::Basename qw(basename);
use File::Copy qw(copy);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

$LastingSession::wanted = 0;

# An installation of our own: the files of the common one stay as they are.
my $root = PostgreSQL::Test::Utils::tempdir;
my ($bindir, $sharedir) = map { my ($out) = run_command([ 'pg_config', $_ ]); $out } qw(--bindir --sharedir);
my $version = basename($sharedir);
my $installation = "$root/lib/postgresql/$version";
mkdir $_ or die "$_: $!" foreach "$root/lib", "$root/lib/postgresql", "$root/share", "$root/share/postgresql";
system_or_bail('cp', '-R', "$bindir/..", $installation);
system_or_bail('cp', '-R', $sharedir, "$root/share/postgresql/$version");
my $library = "$installation/lib/telemetry_cqrs.so";
copy($library, "$root/new.so") or die $!;

my $real = $ENV{TELEMETRY_LIBRARY_1_0};
if ($real)
{
	copy($real, "$root/old.so") or die $!;
}
else
{
	my $bytes = slurp_file("$root/new.so");
	ok($bytes =~ s/(telemetry_cqrs library version )1\.[1-9]\0/${1}1.0\0/g, 'the library says which version it is');
	$bytes =~ s/telemetry_get_library_version\0/telemetry_got_library_version\0/g;
	$bytes =~ s/telemetry_handle_reading_index\0/telemetry_hidden_reading_index\0/g;
	open my $file, '>:raw', "$root/old.so" or die $!;
	print $file $bytes;
	close $file;
}

# Installs a library by rename, as package managers do. A process that has the old file open keeps it.
sub install_library
{
	my ($which) = @_;
	copy("$root/$which.so", "$library.new") or die $!;
	chmod 0755, "$library.new";
	rename "$library.new", $library or die $!;
	return;
}

install_library('old');
my $node = PostgreSQL::Test::Cluster->new('old_library', install_path => $installation);
$node->init;
$node->append_conf('postgresql.conf', <<'CONF');
shared_preload_libraries = 'telemetry_cqrs'
telemetry_cqrs.launcher_interval = 100
telemetry_cqrs.poll_interval = 100
log_statement = none
lc_messages = 'C'
timezone = 'UTC'
CONF
$node->start;
$node->safe_psql('postgres', "CREATE EXTENSION telemetry_cqrs VERSION '1.0'; CREATE TABLE sent (device_id text, idempotency_key text)");
$node->safe_psql('postgres', 'CREATE DATABASE other');

my $count = 0;
# Returns SQL that sends a reading and notes it in the transaction that stores it.
sub ingest_sql
{
	++$count;
	return "BEGIN; INSERT INTO sent SELECT 'd', 'k$count' FROM telemetry.ingest_telemetry('d', NULL, $count, 40, 'k$count') AS r WHERE r.status = 'accepted'; COMMIT";
}
sub ingest { return $node->safe_psql('postgres', ingest_sql()); }

# Returns the error of a command: SQLSTATE, message and hint in one line.
sub error_of
{
	my ($database, $command) = @_;
	my ($out, $err);
	$node->psql($database, "\\set VERBOSITY verbose\n$command", stdout => \$out, stderr => \$err);
	return $err =~ s/\n/ /gr;
}

# --- preloaded -----------------------------------------------------------------------------------------------------------

ingest() for 1 .. 5;
my $old_session = session($node);
$old_session->query_safe(ingest_sql());
wait_applied($node, 'the old library to apply') if $real;

install_library('new');
my $refused = qr/ERROR:  TC301: the loaded library of telemetry_cqrs is not of version \d+\.\d+ .*HINT:  .*[Rr]estart the server/;
like(error_of('postgres', 'ALTER EXTENSION telemetry_cqrs UPDATE'), $refused, 'before the restart the update is refused, and says what to do');
like(error_of('other', 'CREATE EXTENSION telemetry_cqrs'), $refused, 'so is a fresh installation');
is($node->safe_psql('postgres', "SELECT extversion FROM pg_extension WHERE extname = 'telemetry_cqrs'"), '1.0', 'nothing has changed');
$old_session->query_safe(ingest_sql());
ingest() for 1 .. 5;
wait_applied($node, 'the old library to go on') if $real;
$old_session->quit;

$node->restart;
wait_for($node, "SELECT state = 'failing' AND last_error LIKE 'extension version 1.0 does not belong to library version%' FROM telemetry.worker_status()",
	'after the restart the worker to wait with a reason');
like(slurp_file($node->logfile), qr/HINT:  Run ALTER EXTENSION telemetry_cqrs UPDATE/, 'its line in the log says what to do');
ingest() for 1 .. 5;
like(error_of('postgres', 'CALL telemetry.project_once()'), qr/TC301: extension version 1\.0 does not belong.*HINT:  Run ALTER EXTENSION/, 'nor does project_once() work on another version');
is($node->safe_psql('postgres', "SELECT status FROM telemetry.ingest_telemetry('d', NULL, 1, 40, 'k1')"), 'duplicate', 'commands store and know duplicates meanwhile');
$old_session = session($node);
$old_session->query_safe(ingest_sql());
$node->safe_psql('postgres', 'ALTER EXTENSION telemetry_cqrs UPDATE');
wait_applied($node, 'after the update the worker to go on by itself');
$old_session->query_safe(ingest_sql());
ingest();
wait_applied($node);
log_is($node, 'sent', 'preloaded');
read_models_follow($node, 'telemetry.measurements', 'preloaded');
$old_session->quit;
$node->safe_psql('other', 'CREATE EXTENSION telemetry_cqrs');

# --- not preloaded -------------------------------------------------------------------------------------------------------

$node->safe_psql('postgres', 'DROP EXTENSION telemetry_cqrs');    # the old library lacks the access method of an index
$node->stop;
install_library('old');
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''\n");
$node->start;
$node->safe_psql('postgres', "CREATE EXTENSION telemetry_cqrs VERSION '1.0'; TRUNCATE sent");
$old_session = $node->background_psql('postgres', on_error_stop => 0);
$old_session->query_safe(ingest_sql()) for 1 .. 3;
install_library('new');
$old_session->query('ALTER EXTENSION telemetry_cqrs UPDATE');
like($old_session->{stderr}, qr/the loaded library of telemetry_cqrs is not of version.*HINT:.*start a new session/s, 'a session that has the old library cannot update');
$old_session->{stderr} = '';
# A worker of the new library finds the old extension and leaves. The update starts the next one: no command need come along.
$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs projector'");
ingest();
wait_for($node, "SELECT state = 'failing' AND last_error LIKE 'extension version 1.0 does not belong to library version%' FROM telemetry.worker_status()",
	'a worker of the new library to leave with a reason');
$node->safe_psql('postgres', 'ALTER EXTENSION telemetry_cqrs UPDATE');
wait_applied($node, 'the update starts a worker, which applies everything');
$old_session->query("SELECT status FROM telemetry.ingest_telemetry('d', NULL, 1, 40)");
like($old_session->{stderr}, qr/could not find function "telemetry_handle_reading_index"/, 'a session that has the old library stores nothing any more, and says so');
ingest() for 1 .. 3;
wait_applied($node, 'a new session can, and the worker that the next command starts is of the new library');
log_is($node, 'sent', 'not preloaded');
read_models_follow($node, 'telemetry.measurements', 'not preloaded');
$old_session->quit;

SKIP:
{
	skip 'the library of release 1.0 starts no worker without preloading', 1 if $real;
	# A worker of the old library whose every turn has failed has a successor, too.
	my $workers = "FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs projector'";
	$node->safe_psql('postgres', 'DROP EXTENSION telemetry_cqrs');
	install_library('old');
	$node->safe_psql('postgres', "CREATE EXTENSION telemetry_cqrs VERSION '1.0'; TRUNCATE sent; ALTER TABLE telemetry.batch RENAME TO hidden");
	ingest();
	$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid, 60000) $workers");
	# Each look is a command: it starts one where there is none.
	wait_for($node, "SELECT (SELECT count(*) = 1 $workers AND query LIKE '%does not exist%') FROM telemetry.ingest_telemetry('d', NULL, 1, 40)", 'a worker of the old library to fail');
	install_library('new');
	$node->safe_psql('postgres', 'BEGIN; ALTER TABLE telemetry.hidden RENAME TO batch; ALTER EXTENSION telemetry_cqrs UPDATE; COMMIT');
	wait_for($node, "SELECT state = 'running' AND pid IS NOT NULL FROM telemetry.worker_status()", 'its successor to work');
	wait_applied($node);
}
$node->stop;
done_testing();
