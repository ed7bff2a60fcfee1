# A role without a right cannot keep others waiting by trying a statement. The server often locks first and checks the right
# afterwards. Such a lock waits for a transaction that has sent readings, and all other sessions wait for that lock.
#
# In each case a writer's transaction stays open after a command, and a stranger runs a statement in another session. A further
# command and the projector go on meanwhile. DROP EXTENSION by the owner waits for the writer and ends cleanly. DROP DATABASE by a
# stranger, again and again, makes no projector leave; by the owner it succeeds in time.
# Runs late: the stranger's session must not lose the processor or the disk for long while it holds a lock.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../support";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ServerLog;
use TelemetryNode;
use Test::More;
use Time::HiRes qw(time usleep);

my $deadline = 60;    # seconds in which a command goes on; the stranger's statement would wait longer
my $conf = $ServerLog::conf . "autovacuum = off\n";
my $sent = 0;
my ($node, $writer);

sub sql { my ($sql, $database) = @_; return $node->safe_psql($database // 'postgres', $sql); }
# Returns the SQLSTATEs of the errors that a script gets.
sub refusal
{
	my ($sql, $database) = @_;
	my ($status, $out, $err) = $node->psql($database // 'postgres', $sql, on_error_stop => 0, extra_params => [ '-v', 'VERBOSITY=sqlstate' ]);
	return join ' ', $err =~ /(?:ERROR|FATAL):  (\w{5})/g;
}
sub start { my ($sql) = @_; return psql_start($node, "\\set VERBOSITY sqlstate\n$sql"); }
sub end_of { my ($started) = @_; my ($out, $err) = psql_finish($started); return join ' ', $err =~ /(?:ERROR|FATAL):  (\w{5})/g; }
# Each reading has a device of its own, because a session does not look up a device again that it has seen.
my $send = sub { ++$sent; return "SELECT status FROM telemetry.ingest_telemetry('d$sent', now(), $sent, 50, 'k$sent')"; };

# Lets a session of role writer send one reading in a transaction, which stays open.
sub open_writer
{
	if (!$writer)
	{
		$writer = session($node);
		$writer->query_safe('SET ROLE writer');
	}
	$writer->query_safe('BEGIN');
	$writer->query_safe($send->());
	return;
}
sub leave_writer
{
	$writer->quit;
	undef $writer;
	return;
}
# Tests that another writer's command and the projector go on.
sub all_go_on
{
	my ($what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($status, $out, $err) = $node->psql('postgres', "SET statement_timeout = '${deadline}s';\nSET ROLE writer;\n" . $send->());
	is($out, 'accepted', "$what: a command goes on") or diag $err;
	my $last = "k$sent";
	return ok(wait_for($node,
		"SELECT count(*) > 0 AND count(*) = (SELECT coalesce(sum(sample_count), 0) FROM telemetry.device_stats) FROM telemetry.measurements",
		"$what: the projector", $deadline), "$what: the projector goes on");
}
# Runs a stranger's statement in a session of its own while a writer's transaction is open. Tests that the rest goes on, and that
# the statement is refused.
sub stranger_is_refused
{
	my ($role, $sql, $expected, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	open_writer();
	my $stranger = start("SET application_name = 'stranger';\nSET statement_timeout = '" . 3 * $deadline . "s';\nSET ROLE $role;\n$sql;\n");
	wait_for($node, "SELECT coalesce(bool_and(wait_event_type = 'Lock'), true) FROM pg_stat_activity WHERE application_name = 'stranger'", 'the stranger to wait or to be gone');
	all_go_on($what);
	my $waiting = sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'stranger' AND wait_event_type = 'Lock'");
	is($waiting, '0', "$what: the stranger waits for no session");
	$writer->query_safe('ROLLBACK');
	return is(end_of($stranger), $expected, "$what: refused") if $waiting eq '0';
	sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'stranger'");
	return;
}
# Tests DROP EXTENSION by its owner beside a writer whose transaction is open, a reader, and a command that comes later.
sub owner_drops
{
	my ($what, %options) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $from = log_end($node);
	open_writer();
	my $drop = start("SET application_name = 'owner';\nDROP EXTENSION telemetry_cqrs;\n");
	my $waits = sub { "SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = '$_[0]' AND wait_event_type = 'Lock'" };
	ok(wait_for($node, $waits->('owner'), 'DROP EXTENSION to wait'), "$what: DROP EXTENSION by the owner waits for the open transaction");
	$options{is_read} or is(sql("SET statement_timeout = '${deadline}s';\nSELECT count(*) >= 0 FROM telemetry.device_stats"), 't', "$what: views of the read side can be read meanwhile");
	my $late = start("SET application_name = 'late';\nSET ROLE writer;\n" . $send->() . ";\n");
	ok(wait_for($node, $waits->('late'), 'the late command to wait'), "$what: a command that comes later waits for it");
	is($writer->query_safe($send->()), 'accepted', "$what: the open transaction goes on");
	$writer->query_safe('COMMIT');
	leave_writer();
	is(end_of($drop), '', "$what: then DROP EXTENSION ends without an error");
	like(end_of($late), qr/^(TC301|42883|3F000)$/, "$what: and the late command says that there is no extension");
	unlike(slurp_file($node->logfile, $from), qr/ 40P01 /, "$what: no session deadlocks");
	ok(wait_for($node, "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs projector'", 'the projector to end', $deadline), "$what: the projector ends");
	sql("CREATE EXTENSION telemetry_cqrs;\nSELECT telemetry.grant_writer('writer')");
	return;
}

# Relations of the stranger's own that he offers to put together with ours.
my $prepare = <<'SQL';
CREATE ROLE stranger;
CREATE ROLE writer;
SELECT telemetry.grant_writer('writer');
CREATE SCHEMA mine AUTHORIZATION writer;
SET ROLE writer;
CREATE TABLE mine.parent (a bigint) PARTITION BY RANGE (a);
SQL
$prepare .= "CREATE INDEX parent_index ON mine.parent (a);\nCREATE TABLE mine.plain (a bigint, d text);\nCREATE FUNCTION mine.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';\n";

# --- the extension ----------------------------------------------------------------------------------------------------------

foreach my $preload (0, 1)
{
	my $how = $preload ? 'preloaded' : 'not preloaded';
	$node = telemetry_node("strangers_$preload", conf => $conf, $preload ? (preload => 1) : (on_demand => 1));
	sql($prepare);
	foreach my $statement ('DROP EXTENSION telemetry_cqrs', 'DROP EXTENSION telemetry_cqrs CASCADE', "COMMENT ON EXTENSION telemetry_cqrs IS ''")
	{
		stranger_is_refused('stranger', $statement, '42501', "$how, $statement");
	}
	stranger_is_refused('writer', 'DROP EXTENSION telemetry_cqrs', '42501', "$how, by a writer");
	owner_drops($how);
	# Another relation comes first in pg_depend: one that passes write, and views read.
	my $first = "SELECT objid::regclass FROM pg_depend WHERE refclassid = 'pg_extension'::regclass AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'telemetry_cqrs') AND classid = 'pg_class'::regclass ORDER BY ctid LIMIT 1";
	sql(<<"SQL");
DO \$\$
DECLARE
	relation regclass;
	kind text;
BEGIN
	FOR attempt IN 1 .. 30 LOOP
		relation := ($first);
		EXIT WHEN relation = 'telemetry.state_device'::regclass;
		kind := (SELECT CASE relkind WHEN 'S' THEN 'SEQUENCE' WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END FROM pg_class WHERE oid = relation);
		EXECUTE format('ALTER EXTENSION telemetry_cqrs DROP %s %s', kind, relation);
		EXECUTE format('ALTER EXTENSION telemetry_cqrs ADD %s %s', kind, relation);
	END LOOP;
END \$\$
SQL
	is(sql($first), 'telemetry.state_device', "$how: another relation comes first");
	owner_drops("$how, after another relation", is_read => 1);
	all_go_on("$how, in the new extension");
	$node->stop if !$preload;    # owner_drops() has left the writer's session
}

# --- relations, where the library is preloaded ------------------------------------------------------------------------------

my @statements = (
	'CREATE TRIGGER t BEFORE INSERT ON telemetry.event_1 FOR EACH ROW EXECUTE FUNCTION mine.f()',
	'CREATE CONSTRAINT TRIGGER t AFTER INSERT ON telemetry.device FOR EACH ROW EXECUTE FUNCTION mine.f()',
	'CREATE RULE r AS ON INSERT TO telemetry.event_1 DO NOTHING',
	'CREATE OR REPLACE RULE r AS ON INSERT TO telemetry.installation DO NOTHING',
	'CREATE TABLE mine.part PARTITION OF telemetry.event_1 FOR VALUES FROM (1) TO (2)',
	'CREATE TEMP TABLE part PARTITION OF telemetry.event FOR VALUES FROM (1) TO (2)',
	'CREATE SCHEMA AUTHORIZATION writer CREATE TABLE part PARTITION OF telemetry.event_1 DEFAULT',
	'ALTER TABLE mine.parent ATTACH PARTITION telemetry.event_1 DEFAULT',
	'ALTER TABLE mine.parent DETACH PARTITION telemetry.event_1',
	'ALTER TABLE mine.parent DETACH PARTITION telemetry.event_1 FINALIZE',
	'ALTER INDEX mine.parent_index ATTACH PARTITION telemetry.event_1_xid_event_id',
	'ALTER INDEX telemetry.event_1_xid_event_id DEPENDS ON EXTENSION plpgsql',
	'ALTER MATERIALIZED VIEW telemetry.event_1 DEPENDS ON EXTENSION plpgsql',
	'CREATE TABLE mine.child (d text REFERENCES telemetry.device)',
	'CREATE TEMP TABLE child (d text, FOREIGN KEY (d) REFERENCES telemetry.device (device_id))',
	'ALTER TABLE mine.plain ADD FOREIGN KEY (d) REFERENCES telemetry.device',
	'ALTER TABLE mine.plain ADD COLUMN e text REFERENCES telemetry.device (device_id)',
	'SET search_path = telemetry; CREATE RULE r AS ON UPDATE TO device DO NOTHING',
	"DO \$\$ BEGIN EXECUTE 'CREATE RULE r AS ON DELETE TO telemetry.state_device DO NOTHING'; END \$\$",
);
sql('GRANT CREATE ON DATABASE postgres TO writer');
stranger_is_refused('writer', $_, '42501', $_) foreach @statements;
leave_writer();

# --- and nothing changes for the owner, for a holder of the right, and for tables of others -------------------------------------

is(refusal(<<'SQL'), '', 'the owner may do all that');
BEGIN;
CREATE TRIGGER t AFTER INSERT ON telemetry.device FOR EACH ROW EXECUTE FUNCTION mine.f();
CREATE RULE r AS ON INSERT TO telemetry.rejected_readings DO NOTHING;
CREATE TABLE mine.child (d text REFERENCES telemetry.device);
ALTER TABLE mine.plain ADD FOREIGN KEY (d) REFERENCES telemetry.device;
ALTER INDEX telemetry.event_1_xid_event_id DEPENDS ON EXTENSION plpgsql;
ROLLBACK;
SQL
sql('GRANT TRIGGER ON telemetry.device TO stranger; GRANT REFERENCES (device_id) ON telemetry.device TO writer; GRANT USAGE ON SCHEMA telemetry, mine TO stranger');
is(refusal("BEGIN;\nSET ROLE stranger;\nCREATE TRIGGER t AFTER INSERT ON telemetry.device FOR EACH ROW EXECUTE FUNCTION mine.f();\nROLLBACK"), '', 'a role with TRIGGER may create one');
is(refusal("BEGIN;\nSET ROLE writer;\nALTER TABLE mine.plain ADD COLUMN e text REFERENCES telemetry.device;\nROLLBACK"), '', 'a role with REFERENCES on the column may refer to it');
sql('REVOKE ALL (device_id) ON telemetry.device FROM writer');
is(refusal(<<'SQL'), '', 'own tables that are named like ours');
BEGIN;
SET ROLE writer;
SET LOCAL search_path = mine, telemetry;
CREATE TABLE device (device_id text PRIMARY KEY, above text REFERENCES device);
CREATE TABLE event (a bigint) PARTITION BY LIST (a);
CREATE TABLE event_of_1 PARTITION OF event FOR VALUES IN (1);
ALTER TABLE event DETACH PARTITION event_of_1;
ALTER TABLE event ATTACH PARTITION event_of_1 DEFAULT;
CREATE RULE r AS ON INSERT TO device DO NOTHING;
CREATE TRIGGER t BEFORE INSERT ON event_of_1 FOR EACH ROW EXECUTE FUNCTION mine.f();
ROLLBACK;
SQL
is(refusal("SET ROLE stranger;\nCREATE RULE r AS ON INSERT TO telemetry.nothing DO NOTHING"), '42P01', 'what is not there is not found');
is(refusal("BEGIN;\nSELECT 1/0;\nCREATE RULE r AS ON INSERT TO telemetry.device DO NOTHING"), '22012 25P02', 'an aborted transaction refuses as ever');
sql("CREATE DATABASE empty");
is(refusal("CREATE SCHEMA telemetry;\nCREATE TABLE telemetry.device (a int);\nCREATE ROLE somebody;\nGRANT USAGE ON SCHEMA telemetry TO somebody;\nSET ROLE somebody;\nCREATE RULE r AS ON INSERT TO telemetry.device DO NOTHING", 'empty'),
	'42501', 'a foreign schema of our name is left to the server');

# --- databases --------------------------------------------------------------------------------------------------------------

sql('CREATE DATABASE aim');
sql('CREATE EXTENSION telemetry_cqrs', 'aim');
my $pid = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'telemetry_cqrs projector' AND datname = 'aim'";
ok(wait_for($node, "SELECT count(*) = 1 FROM ($pid) AS p", 'the projector of the database'), 'a database with a projector');
my $worker = sql($pid);
# The server writes the error to its log before it releases the lock: a longer text makes the lock last.
sql('ALTER SYSTEM SET backtrace_functions = aclcheck_error');
sql('SELECT pg_reload_conf()');
my @loops = map { start("SET application_name = 'loop';\nSET ROLE stranger;\n" . "DROP DATABASE aim;\nALTER DATABASE aim RENAME TO other;\n" x 200_000) } 1 .. 2;
my $end = time + 6;    # a busy projector looks more than twice a second
my $seen = $worker;
while (time < $end && $seen eq $worker)
{
	sql("SELECT telemetry.ingest_telemetry('d', now(), 1, 1)", 'aim');
	usleep(100_000);
	$seen = sql($pid);
}
is($seen, $worker, 'DROP DATABASE by a stranger, again and again: the projector stays');
is(sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'loop'"), '2', 'it was still tried at the end');
sql("SELECT pg_terminate_backend(pid) FROM ($pid) AS p");
ok(wait_for($node, "SELECT count(*) = 1 FROM ($pid) AS p WHERE pid <> $worker", 'the next projector', $deadline), 'nor is the launcher kept from starting one');
my $started = time;
sql('DROP DATABASE aim');
note(sprintf 'DROP DATABASE by the owner beside them: %.2f s', time - $started);
is(sql("SELECT count(*) FROM pg_database WHERE datname = 'aim'"), '0', 'and DROP DATABASE by the owner succeeds at its first try');
sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'loop'");
psql_finish($_) foreach @loops;
$node->stop;

done_testing();
