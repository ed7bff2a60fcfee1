# The log is insert-only, and that guarantee is never lost silently. health() and setup() report each trigger of the extension
# that is not as installed, with the SQL that mends it. A data-only restore with --disable-triggers leaves such triggers; opening
# the log mends them.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

my $node = telemetry_node('triggers', preload => 1, conf => "telemetry_cqrs.launcher_interval = 100\n");
my $database = 'postgres';
sub sql { return $node->safe_psql($database, $_[0]); }
sub error_of
{
	my ($command) = @_;
	my ($out, $err);
	$node->psql($database, "\\set VERBOSITY sqlstate\n$command", stdout => \$out, stderr => \$err);
	return $err =~ /ERROR:\s+(\w{5})/ ? $1 : '';
}
my $health = "SELECT state, detail FROM telemetry.health() WHERE item = 'triggers'";
my $setup = "SELECT state, detail FROM telemetry.setup() WHERE item = 'triggers'";
# By the catalogue alone: what the extension's tables have of triggers, as the script made them.
my $facts = "SELECT string_agg(concat_ws(' ', t.tgrelid::regclass, t.tgname, t.tgenabled, t.tgtype, t.tgfoid::regproc), E'\\n' ORDER BY 1, t.tgrelid::regclass::text, t.tgname)
	FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE c.relnamespace = 'telemetry'::regnamespace AND NOT t.tgisinternal";
my $installed = sql($facts);

is(sql($health), 'ok|as installed', 'health: a fresh installation');
is(sql($setup), 'ok|as installed', 'setup: as well');
is(sql('SELECT count(*) FROM telemetry.trigger_defects()'), '0', 'no defect');

# --- each kind of defect of each trigger ---------------------------------------------------------------------------------

sql("SELECT telemetry.ingest_telemetry('d', NULL, 1)");
wait_applied($node);
# Those of the inboxes are triggers of views: an insert fails where one of them is missing.
my @triggers = grep { $_->[0] !~ /^telemetry\.inbox/ } map { [ split / / ] } split /\n/, $installed;
cmp_ok(scalar @triggers, '>=', 4, 'triggers');
for my $trigger (@triggers)
{
	my ($table, $name, $fires) = @$trigger;
	my ($other) = grep { $_ ne $fires } qw(A R);
	my %word = (A => 'ALWAYS', R => 'REPLICA', O => 'ORIGIN');
	my %damage = (
		"is disabled" => "ALTER TABLE $table DISABLE TRIGGER $name",
		"fires as ORIGIN, not $word{$fires}" => "ALTER TABLE $table ENABLE TRIGGER $name",
		"fires as $word{$other}, not $word{$fires}" => "ALTER TABLE $table ENABLE $word{$other} TRIGGER $name",
		"is missing" => "DROP TRIGGER $name ON $table",
		"is named \"Mine\"" => "ALTER TRIGGER $name ON $table RENAME TO \"Mine\"",
		"has another definition" => "DROP TRIGGER $name ON $table; CREATE TRIGGER $name BEFORE TRUNCATE ON $table EXECUTE FUNCTION telemetry.refuse_change(); ALTER TABLE $table ENABLE ALWAYS TRIGGER $name");
	for my $defect (sort keys %damage)
	{
		sql($damage{$defect});
		is(sql($health), "error|$name of $table $defect", "health: $name of $table $defect");
		is(sql($setup), "missing|$name of $table $defect", "setup: $name of $table $defect");
		sql(sql("SELECT command FROM telemetry.setup() WHERE item = 'triggers'"));
		is(sql($facts), $installed, 'the command mends it');
	}
}
sql('ALTER TABLE telemetry.event_1 DISABLE TRIGGER ALL');
like(sql($health), qr/^error\|insert_only of telemetry\.event_1 is disabled, insert_only_rows of telemetry\.event_1 is disabled$/, 'two of them');
sql(sql("SELECT substring(hint FROM 'mends it: (.*)') FROM telemetry.health() WHERE item = 'triggers'"));
is(sql($facts), $installed, 'the hint of health() has both commands');

# --- a restore of data with --disable-triggers ---------------------------------------------------------------------------

my $dump = $node->basedir . '/data.dump';
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, '-d', $node->connstr('postgres') ], 'dumped');
sub restore_data
{
	($database) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	sql('CREATE EXTENSION telemetry_cqrs');
	$node->command_ok([ 'pg_restore', '--data-only', '--disable-triggers', '--single-transaction', '-d', $node->connstr($database), $dump ], "$database: restored");
	return;
}
restore_data('by_worker');
isnt(sql($facts), $installed, 'the restore leaves the triggers changed');
like(sql($health), qr/^error\|.*insert_only of telemetry\.event_1 fires as ORIGIN, not ALWAYS/, 'health() says so');
is(sql("SELECT status FROM telemetry.ingest_telemetry('d', NULL, 2)"), 'accepted', 'the first command');
{
	local $TelemetryNode::database = $database;
	wait_for($node, "SELECT state = 'ok' FROM telemetry.health() WHERE item = 'triggers'", 'the worker to mend them');
	wait_applied($node);
	read_models_follow($node, 'telemetry.measurements', $database);
}
is(sql($facts), $installed, 'with the first pass they are as installed');
is(error_of("SET session_replication_role = replica; DELETE FROM telemetry.event_1"), 'TC201', 'and refuse a replica');

# Where no worker runs, project_once() does it.
$node->append_conf('postgresql.conf', 'telemetry_cqrs.start_worker = off');
$node->reload;
restore_data('by_hand');
sql("SELECT telemetry.ingest_telemetry('d', NULL, 2)");
sql('CALL telemetry.project_once()');
is(sql($facts), $installed, 'project_once() mends them as well');

# Mending waits for no writer, and keeps no session waiting.
restore_data('in_use');
my $writer = $node->background_psql($database);
$writer->query_safe("BEGIN; SELECT telemetry.ingest_telemetry('open', NULL, 3)");
sql("SELECT telemetry.ingest_telemetry('d', NULL, 2)");
sql("SET statement_timeout = '60s'; CALL telemetry.project_once()");
is(sql("SELECT sum(sample_count) FROM telemetry.device_stats"), '2', 'in use: readings are applied');
like(sql($health), qr/^error\|.*insert_only of telemetry\.event_1 fires as ORIGIN/, 'in use: the triggers are left');
$writer->query_safe("SELECT telemetry.ingest_telemetry('open', NULL, 4); COMMIT");
$writer->quit;
sql("SELECT telemetry.ingest_telemetry('d', NULL, 5)");
sql('CALL telemetry.project_once()');
sql("SELECT command FROM telemetry.setup() WHERE item = 'triggers'");
sql(sql("SELECT command FROM telemetry.setup() WHERE item = 'triggers'"));
is(sql($facts), $installed, 'in use: the command mends them later');

# In an epoch that was opened long ago the extension does not put back a trigger that a DBA removed.
sql('ALTER TABLE telemetry.event_1 DISABLE TRIGGER insert_only');
sql("SELECT telemetry.ingest_telemetry('d', NULL, 6)");
sql('CALL telemetry.project_once()');
like(sql($health), qr/^error\|insert_only of telemetry\.event_1 is disabled$/, 'a trigger that was taken away stays so, and is told');

# An inbox without one of its triggers takes no rows. The command in setup() makes the trigger again.
sql('ALTER TABLE telemetry.event_1 ENABLE ALWAYS TRIGGER insert_only');
foreach my $inbox (qw(inbox inbox_text))
{
	foreach my $trigger (qw(begin_intake take_row end_intake))
	{
		sql("DROP TRIGGER $trigger ON telemetry.$inbox");
		isnt(error_of("INSERT INTO telemetry.$inbox (device_id) VALUES ('d')"), '', "$inbox without $trigger takes nothing");
		like(sql($health), qr/^error\|$trigger of telemetry\.$inbox is missing$/, 'health says so');
		sql(sql("SELECT command FROM telemetry.setup() WHERE item = 'triggers'"));
		is(sql($health), 'ok|as installed', 'the command mends it');
	}
	sql("INSERT INTO telemetry.$inbox (device_id, temperature) VALUES ('of $inbox', '1')");
}
is(sql("SELECT count(*) FROM telemetry.measurements WHERE device_id LIKE 'of inbox%'"), '2', 'and rows are taken again');

$node->stop;
done_testing();
