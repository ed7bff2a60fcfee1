# A script gives the same answer in a shared session (test/support/LastingSession.pm) as in a psql of its own: status, output and
# errors. And it leaves the shared session as it found it.
use strict;
use warnings;

use LastingSession ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

my $node = telemetry_node('lasting_session');
$node->safe_psql('postgres', "CREATE TABLE t (a int, b text); CREATE ROLE nobody; GRANT ALL ON t TO nobody");

my @scripts = (
	'SELECT 1', 'SELECT 1;', "SELECT 1;\n\n", "SELECT 1; SELECT 2;\nSELECT 3", "SELECT E'a\\n\\n'", "SELECT ''", 'SELECT', '', ';', "-- nothing\n", "SELECT 1 -- ; and 'no end\n",
	'SELECT 1/0', 'SELECT 1; SELECT 1/0', 'SELECT 1/0; SELECT 1', "SELECT 1; SELECT 1/0; SELECT 2", 'nonsense', "SELECT 'no end",
	"SELECT 'a;b'", "SELECT 1; SELECT 'a;b'", "SELECT ';'; SELECT 1/0; SELECT ';'", 'SELECT "no column"; SELECT 1', 'SELECT 1 AS "a;b"; SELECT 1/0',
	"SELECT E'it\\'s'; SELECT 1/0", "SELECT E'it\\'s; no end'", 'SELECT $$a;b$$; SELECT 1/0', 'SELECT $x$a;$$;b$x$', '/* ; */ SELECT 1; /* SELECT 1/0; */ SELECT 2', 'SELECT 2 - 1; SELECT 1 - 1/0',
	'DO $$ BEGIN RAISE NOTICE $x$said; and heard$x$; END $$', 'DO $$ BEGIN RAISE WARNING $x$warned$x$; END $$; SELECT 1', 'DO $$ BEGIN RAISE $x$refused$x$; END $$; SELECT 1',
	"DELETE FROM t; INSERT INTO t VALUES (1, 'x'); SELECT count(*) FROM t", "UPDATE t SET b = 'y' WHERE false; SELECT 1/0", 'BEGIN; INSERT INTO t VALUES (2); ROLLBACK; SELECT count(*) FROM t WHERE a = 2',
	'BEGIN; INSERT INTO t VALUES (3); SELECT 1/0; COMMIT; SELECT count(*) FROM t WHERE a = 3', 'BEGIN; INSERT INTO t VALUES (4)', 'BEGIN READ ONLY; INSERT INTO t VALUES (5); COMMIT',
	'BEGIN ISOLATION LEVEL SERIALIZABLE; SHOW transaction_isolation; COMMIT', 'COMMIT', "SAVEPOINT s", 'SET ROLE nobody; SELECT current_user; DROP TABLE t', 'SET ROLE nobody; SELECT current_user',
	'SET work_mem = 1000; SHOW work_mem', 'SET nothing = 1; SELECT 1', "SET search_path = nowhere; SELECT count(*) FROM t", "SELECT set_config('work_mem', '2000', false)",
	'SET lock_timeout = 1; SELECT pg_advisory_lock(1)', 'PREPARE p AS SELECT 7; EXECUTE p', 'SELECT pg_terminate_backend(pg_backend_pid())', "\\echo said\nSELECT 1", "\\set VERBOSITY sqlstate\nSELECT 1; SELECT 1/0",
	"\\set VERBOSITY verbose\nSELECT no_column FROM t", "SELECT 'ä'", 'CREATE TEMP TABLE t (c int); SELECT * FROM t', "COPY t (a) FROM STDIN;\n9\n\\.\nSELECT 1");

# Returns what psql() says of a script, without the numbers of its lines and without the places in the server's source.
sub said
{
	my ($wanted, $script, %params) = @_;
	local $LastingSession::wanted = $wanted;
	my ($status, $out, $err) = $node->psql('postgres', $script, %params);
	$err =~ s/^psql:<stdin>:\d+: |^LOCATION: .*\n?//mg;
	return join '|', $status, $out, $err =~ s/\s+\z//r;
}
my $state = "SELECT current_user, current_setting('work_mem'), current_setting('search_path'), current_setting('lock_timeout'), (SELECT count(*) FROM pg_prepared_statements)";
my $before = $node->safe_psql('postgres', $state);
for my $script (@scripts)
{
	my $name = $script =~ s/\n/\\n/gr;
	my $own = said(0, $script);
	is(said(1, $script), $own, "'$name'");
	is($node->safe_psql('postgres', $state), $before, "'$name': the session is as before");
	my $is_refused = !eval { $node->safe_psql('postgres', $script); 1 };
	is($is_refused, $own !~ /^0\|/, "'$name': safe_psql() dies of an error");
	next if $script !~ /;./s;
	is(said(1, $script, on_error_stop => 0), said(0, $script, on_error_stop => 0), "'$name', does not stop at an error");
	is($node->safe_psql('postgres', $state), $before, "'$name': the session is as before again");
}

# A variable of the environment counts for the next script.
{
	local $ENV{PGOPTIONS} = '-c work_mem=3000';
	is($node->safe_psql('postgres', 'SHOW work_mem'), '3000kB', 'PGOPTIONS are obeyed');
}
is($node->safe_psql('postgres', $state), $before, 'and forgotten');
$node->stop;
done_testing();
