# Changes that a DBA may make to tables of the extension, tried on each table. A change has one of two outcomes. Either it
# works, so that log and statistics agree and every refused reading is kept. Or commands or passes are refused with a reason
# that health() shows, and everything goes on when the change is undone.
#
# Other tests have: pg_repack (607), default privileges (602), a data-only restore (610), replication of the tables (508, 509),
# REINDEX CONCURRENTLY under load (604), and every obstacle on a table of the read side (609).
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

my $node = telemetry_node('dba', conf => "wal_level = logical\n");    # no worker: project_once() applies
my $session = session($node);
sub sql { return $session->query_safe($_[0]); }

# Returns the SQLSTATE of a statement, '' where it succeeds.
sub sqlstate_of
{
	my ($statement) = @_;
	my $err = '';
	$node->psql('postgres', $statement, stdout => \my $out, stderr => \$err, extra_params => ['-v', 'VERBOSITY=sqlstate']);
	return $err =~ /ERROR:\s+(\w+)/ ? $1 : '';
}

my ($round, $refused) = (0, 0);
my $consumer;
# Returns a query that sends readings of a known and a new device in one call, with a region and a further metric. One is refused.
sub batch_of_readings
{
	++$round;
	return "SELECT accepted || ' ' || rejected FROM telemetry.ingest_telemetry_batch(ARRAY['d', 'new $round', 'd'], array_fill('2024-05-01 10:00:00+00'::timestamptz + $round * interval '1 minute', ARRAY[3]),
		ARRAY[20, $round, 'NaN']::float8[], ARRAY[40, 50, 60], ARRAY['a$round', 'b$round', 'c$round'], array_fill('{\"light\": $round}'::jsonb, ARRAY[3]), ARRAY['hall', 'region $round', 'hall'])";
}
my $send_one = sub { ++$round; return "SELECT status FROM telemetry.ingest_telemetry('single $round', NULL, 1, 2, 's$round')" };

sub everything_is_right
{
	my ($what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($node->safe_psql('postgres', batch_of_readings()), '2 1', "$what: a batch is stored");
	++$refused;
	is($node->safe_psql('postgres', $send_one->()), 'accepted', "$what: a single reading is stored");
	$node->safe_psql('postgres', 'CALL telemetry.project_once()');
	read_models_follow($node, 'telemetry.measurements', $what);
	is($node->safe_psql('postgres', "SELECT (SELECT count(*) FROM telemetry.rejected_readings), (SELECT sum(events) = (SELECT count(*) FROM telemetry.event) FROM telemetry.batch),
			(SELECT count(*) FROM (SELECT DISTINCT device_id FROM telemetry.event EXCEPT SELECT device_id FROM telemetry.device) AS d),
			(SELECT string_agg(detail, '; ') FROM telemetry.health() WHERE item = 'tables' AND state <> 'ok')"), "$refused|t|0|", "$what: quarantine, batches and registry are complete, health() is content");
	consumes_everything($what);
}

# A consumer gets every event that is new. One of them fails until it is a dead letter, and is replayed. A subscription comes and goes.
sub consumes_everything
{
	my ($what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$consumer //= session($node);
	$consumer->query_safe("SELECT telemetry.create_subscription('brief'); SELECT telemetry.drop_subscription('brief')");
	my ($lease, $first) = split /\|/, $consumer->query_safe("SELECT max(lease), min(id) FROM telemetry.next_batch('dba')");
	$consumer->query_safe("SELECT telemetry.nack('dba', $lease, 'not this one', ARRAY[$first])");
	$consumer->query_safe("SELECT telemetry.nack('dba', max(lease), 'nor now') FROM telemetry.next_batch('dba')");
	is($consumer->query_safe('SELECT count(*) FROM telemetry.dead_letters'), '1', "$what: an event becomes a dead letter");
	is($consumer->query_safe("SELECT telemetry.replay_dead_letters('dba')"), '1', "$what: it is replayed");
	is($consumer->query_safe("SELECT string_agg(id::text, ' ') || '|' || count(telemetry.ack('dba', lease)) FROM telemetry.next_batch('dba')"), "$first|1", "$what: it is processed");
	is($consumer->query_safe("SELECT state || consumed_batch - (SELECT max(batch_id) FROM telemetry.batch) FROM telemetry.subscription_status"), 'current0', "$what: a consumer has processed everything");
	return;
}

sql("SELECT telemetry.create_subscription('dba', retry_delay => '0', max_attempts => 2)");
everything_is_right('at the beginning');
my @tables = split /\n/, sql("SELECT relname FROM pg_class WHERE relnamespace = 'telemetry'::regnamespace AND relkind = 'r' ORDER BY relname");
my @read_side = qw(batch batcher cursor state_device state_device_1d state_device_1h state_device_1m state_region state_region_1d state_region_1h state_region_1m);
is_deeply(\@tables, [ sort @read_side, qw(audit batch_verdict checkpoint dead_letter device device_metric_state device_policy device_state epoch event event_1 http_token installation metric offline_device parked_event pause projection projection_failure projection_setting redelivery region_metric_state region_state rejected_readings relay subscription subscription_consumer subscription_share) ], 'the tables of the extension');
my %first_column = map { split /\|/ } split /\n/, sql("SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = 1 WHERE c.relnamespace = 'telemetry'::regnamespace AND c.relkind = 'r'");
sql(<<'SQL');
CREATE TABLE audit (table_name text, row_data jsonb);
CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.audit VALUES (TG_TABLE_NAME, to_jsonb(NEW)); RETURN NEW; END $$;
SQL

# Each row has a change of a table, the SQL that undoes it, and the tables where the extension refuses something meanwhile. It
# refuses commands for the log (TC202) and the registry (TC204), and passes for the read side (TC204), because native writes would
# bypass the change there. With '' it refuses nothing, and health() reports the change all the same. %t: the table, %c: its first
# column.
my @subscribing = qw(subscription subscription_consumer redelivery dead_letter);
my %native = (event_1 => 'TC202', map { $_ => 'TC204' } @read_side);
my %of_log = (event => 'TC202', event_1 => 'TC202');    # what the segment inherits
my @things = (
	[ 'index', 'CREATE INDEX dba_%t ON telemetry.%t (%c)', 'DROP INDEX telemetry.dba_%t', {} ],
	[ 'expression index', "CREATE INDEX dba_%t ON telemetry.%t ((%c::text || 'x'))", 'DROP INDEX telemetry.dba_%t', {} ],
	[ 'partial index', 'CREATE INDEX dba_%t ON telemetry.%t (%c) WHERE %c IS NOT NULL', 'DROP INDEX telemetry.dba_%t', {} ],
	[ 'index built concurrently', 'CREATE INDEX CONCURRENTLY dba_%t ON telemetry.%t (%c)', 'DROP INDEX CONCURRENTLY telemetry.dba_%t', {} ],
	[ 'row trigger', 'CREATE TRIGGER dba AFTER INSERT OR UPDATE OR DELETE ON telemetry.%t FOR EACH ROW EXECUTE FUNCTION audit()', 'DROP TRIGGER dba ON telemetry.%t', \%native ],
	[ 'statement trigger', 'CREATE TRIGGER dba BEFORE INSERT OR UPDATE OR DELETE ON telemetry.%t FOR EACH STATEMENT EXECUTE FUNCTION audit()', 'DROP TRIGGER dba ON telemetry.%t', \%native ],
	[ 'rule', 'CREATE RULE dba AS ON DELETE TO telemetry.%t DO ALSO NOTHING', 'DROP RULE dba ON telemetry.%t', {} ],
	[ 'rule on INSERT', 'CREATE RULE dba AS ON INSERT TO telemetry.%t DO ALSO NOTHING', 'DROP RULE dba ON telemetry.%t', { %native, device => 'TC204', pause => '', relay => '', projection_setting => '', audit => '', metric => '', device_policy => '', map { $_ => '' } @subscribing } ],
	[ 'row security', 'ALTER TABLE telemetry.%t ENABLE ROW LEVEL SECURITY', 'ALTER TABLE telemetry.%t DISABLE ROW LEVEL SECURITY', \%native ],
	[ 'column', 'ALTER TABLE telemetry.%t ADD COLUMN dba text', 'ALTER TABLE telemetry.%t DROP COLUMN dba', \%of_log ],
	[ 'column with default', "ALTER TABLE telemetry.%t ADD COLUMN dba text NOT NULL DEFAULT 'x'", 'ALTER TABLE telemetry.%t DROP COLUMN dba', { %native, %of_log } ],
	[ 'constraint', 'ALTER TABLE telemetry.%t ADD CONSTRAINT dba CHECK (%c IS NOT NULL)', 'ALTER TABLE telemetry.%t DROP CONSTRAINT dba', { %native, %of_log } ],
	[ 'UNLOGGED', 'ALTER TABLE telemetry.%t SET UNLOGGED', 'ALTER TABLE telemetry.%t SET LOGGED', \%native ],
	[ 'REINDEX', 'REINDEX TABLE telemetry.%t', undef, {} ],
	[ 'REINDEX CONCURRENTLY', 'REINDEX TABLE CONCURRENTLY telemetry.%t', undef, {} ],
	[ 'VACUUM FULL', 'VACUUM (FULL, ANALYZE) telemetry.%t', undef, {} ],
	[ 'CLUSTER', 'CREATE INDEX dba_%t ON telemetry.%t (%c); CLUSTER telemetry.%t USING dba_%t; ALTER TABLE telemetry.%t SET WITHOUT CLUSTER', 'DROP INDEX telemetry.dba_%t', {} ],
	[ 'publication', 'CREATE PUBLICATION dba_%t FOR TABLE telemetry.%t', 'DROP PUBLICATION dba_%t', {} ],
	[ 'REPLICA IDENTITY FULL', 'ALTER TABLE telemetry.%t REPLICA IDENTITY FULL', 'ALTER TABLE telemetry.%t REPLICA IDENTITY DEFAULT', {} ],
);

sub statement_on
{
	my ($template, $table) = @_;
	return $template =~ s/%t/$table/gr =~ s/%c/$first_column{$table}/gr;
}

foreach my $thing (@things)
{
	my ($what, $do, $undo, $refusals) = @$thing;
	# A change of the parent of the log reaches its segments: what it does is that of the segment.
	my @works = grep { !exists $refusals->{$_} } @tables;
	$node->safe_psql('postgres', join("\n", map { statement_on($do, $_) . ';' } @works));
	everything_is_right("$what on " . (@works == @tables ? 'every table' : join ', ', @works));
	$node->safe_psql('postgres', join("\n", map { statement_on($undo, $_) . ';' } @works)) if $undo;
	foreach my $table (grep { exists $refusals->{$_} } @tables)
	{
		my $sqlstate = $refusals->{$table};
		$node->safe_psql('postgres', statement_on($do, $table));
		my $waits = grep { $_ eq $table } @read_side;
		my $state = $waits ? '' : $sqlstate;    # of commands
		my $batch = batch_of_readings();
		is(sqlstate_of($batch), $state, "$what on $table: a batch is " . ($state ? 'refused' : 'stored'));
		++$refused if !$state;
		is(sqlstate_of('CALL telemetry.project_once()'), $sqlstate, "$what on $table: a pass is refused") if $waits;
		like($node->safe_psql('postgres', "SELECT state, detail, hint FROM telemetry.health() WHERE item = 'tables'"), qr/^error\|.*telemetry\.$table\b/, "$what on $table: health() names it");
		$node->safe_psql('postgres', statement_on($undo, $table));
		if ($state)
		{
			is($node->safe_psql('postgres', $batch), '2 1', "$what on $table: the same batch is stored when it is gone");
			++$refused;
		}
	}
	everything_is_right("$what, gone") if grep { exists $refusals->{$_} } @tables;
}
is($node->safe_psql('postgres', "SELECT string_agg(DISTINCT table_name, ' ' ORDER BY table_name) FROM audit"), 'batch_verdict dead_letter device redelivery rejected_readings subscription subscription_consumer subscription_share', 'triggers saw the registrations, the refused readings and what consumers did, and nothing by half');
# A trigger that keeps a row out which opens the log: the command says so, and the next one goes on when it is gone.
$node->safe_psql('postgres', 'CREATE DATABASE fresh');
$node->safe_psql('fresh', <<'SQL');
CREATE EXTENSION telemetry_cqrs;
CREATE FUNCTION keep_out() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
SQL
foreach my $table ('installation', 'epoch')
{
	$node->safe_psql('fresh', "CREATE TRIGGER keep_out BEFORE INSERT ON telemetry.$table FOR EACH ROW EXECUTE FUNCTION keep_out()");
	my $err = '';
	$node->psql('fresh', "SELECT telemetry.ingest_telemetry('d', NULL, 1)", stdout => \my $out, stderr => \$err, extra_params => ['-v', 'VERBOSITY=verbose']);
	like($err, qr/TC204: .*telemetry\.$table/, "a trigger that keeps the row of $table out: the command is refused");
	$node->safe_psql('fresh', "DROP TRIGGER keep_out ON telemetry.$table");
}
is($node->safe_psql('fresh', "SELECT status FROM telemetry.ingest_telemetry('d', NULL, 1)"), 'accepted', 'and goes on when it is gone');
$consumer->quit;
$session->{run}->finish if eval { $session->quit; 0 };
$node->stop;
done_testing();
