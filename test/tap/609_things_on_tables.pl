# Objects that users add to tables of the extension are not bypassed. Writes to the registry and to the quarantine obey them.
# The tables of the read side wait with a reason that names the object, and go on when it is gone.
# Begins early.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../support";
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

my $node = telemetry_node('things');    # no worker: project_once() applies
sub sql { return $node->safe_psql('postgres', $_[0]); }

# Runs SQL that must fail. Returns SQLSTATE, message, detail and hint.
sub error_of
{
	my ($statement) = @_;
	my ($out, $err) = ('', '');
	my $status = $node->psql('postgres', "\\set VERBOSITY verbose\n$statement", stdout => \$out, stderr => \$err, on_error_stop => 1);
	return $status == 0 ? 'no error' : $err;
}

my $round = 0;
# Sends readings of known and new devices, with a region and a further metric.
sub send_readings
{
	my ($on) = @_;
	++$round;
	return ($on // $node)->safe_psql('postgres',
		"SELECT accepted FROM telemetry.ingest_telemetry_batch(ARRAY['d1', 'd2', 'new $round'], array_fill('2024-05-01 10:00:00+00'::timestamptz + $round * interval '1 minute', ARRAY[3]),
		     ARRAY[20, 21, $round], ARRAY[40, 50, 60], array_fill('k$round'::text, ARRAY[3]), array_fill('{\"light\": $round}'::jsonb, ARRAY[3]), ARRAY['hall', 'yard', 'region $round'])");
}
sub same_statistics { my ($what) = @_; return read_models_follow($node, 'telemetry.measurements', $what); }

send_readings();
sql('CALL telemetry.project_once()');
sql(<<'SQL');
CREATE TABLE audit (table_name text, row_data jsonb);
CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.audit VALUES (TG_TABLE_NAME, to_jsonb(NEW)); RETURN NEW; END $$;
CREATE FUNCTION audit_statement() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.audit VALUES (TG_TABLE_NAME, NULL); RETURN NULL; END $$;
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE TABLE referred (key text COLLATE "C" PRIMARY KEY);
INSERT INTO referred SELECT 'd' || i FROM generate_series(1, 2) AS i;
SQL

# --- each kind, on a table of the read side ---------------------------------------------------------------------------------

my $table = 'telemetry.state_device';
my @kinds = (
	[ 'row trigger', "CREATE TRIGGER mine AFTER INSERT OR UPDATE ON $table FOR EACH ROW EXECUTE FUNCTION audit()", 'trigger "mine"', "DROP TRIGGER mine ON $table" ],
	[ 'trigger before the row', "CREATE TRIGGER mine BEFORE UPDATE ON $table FOR EACH ROW EXECUTE FUNCTION audit()", 'trigger "mine"', "DROP TRIGGER mine ON $table" ],
	[ 'statement trigger', "CREATE TRIGGER \"My trigger\" AFTER UPDATE ON $table FOR EACH STATEMENT EXECUTE FUNCTION audit_statement()", 'trigger "My trigger"', "DROP TRIGGER \"My trigger\" ON $table" ],
	[ 'rule', "CREATE RULE mine AS ON UPDATE TO $table DO ALSO NOTHING", 'rule "mine"', "DROP RULE mine ON $table" ],
	[ 'row security', "ALTER TABLE $table ENABLE ROW LEVEL SECURITY", 'row security', "ALTER TABLE $table DISABLE ROW LEVEL SECURITY" ],
	[ 'CHECK', "ALTER TABLE $table ADD CONSTRAINT mine CHECK (sample_count > 0)", 'constraint "mine"', "ALTER TABLE $table DROP CONSTRAINT mine" ],
	[ 'foreign key', "ALTER TABLE $table ADD CONSTRAINT mine FOREIGN KEY (key) REFERENCES referred NOT VALID", 'constraint "mine"', "ALTER TABLE $table DROP CONSTRAINT mine" ],
	[ 'deferrable unique constraint', "ALTER TABLE $table ADD CONSTRAINT mine UNIQUE (key, region) DEFERRABLE", 'constraint "mine"', "ALTER TABLE $table DROP CONSTRAINT mine" ],
	[ 'column with a default', "ALTER TABLE $table ADD COLUMN mine integer DEFAULT 7", 'column "mine"', "ALTER TABLE $table DROP COLUMN mine" ],
	[ 'generated column', "ALTER TABLE $table ADD COLUMN mine bigint GENERATED ALWAYS AS (sample_count * 2) STORED", 'column "mine"', "ALTER TABLE $table DROP COLUMN mine" ],
	[ 'identity column', "ALTER TABLE $table ADD COLUMN mine bigint GENERATED ALWAYS AS IDENTITY", 'column "mine"', "ALTER TABLE $table DROP COLUMN mine" ],
	[ 'domain', "ALTER TABLE $table ADD COLUMN mine positive", 'column "mine"', "ALTER TABLE $table DROP COLUMN mine" ],
	[ 'NOT NULL', "ALTER TABLE $table ALTER COLUMN region SET NOT NULL", 'column "region"', "ALTER TABLE $table ALTER COLUMN region DROP NOT NULL" ],
	[ 'UNLOGGED', "ALTER TABLE $table SET UNLOGGED", 'UNLOGGED', "ALTER TABLE $table SET LOGGED" ],
);
for my $kind (@kinds)
{
	my ($what, $put, $object, $mend) = @$kind;
	sql($put);
	is(sql(q{SELECT concat_ws('|', "table", object, command) FROM telemetry.table_obstacles()}), "$table|$object|$mend", "$what: listed with the command that mends it");
	is(send_readings(), '3', "$what: readings are stored");
	like(error_of('CALL telemetry.project_once()'), qr/TC204: table \Q$table\E cannot be written because of \Q$object\E.*DETAIL:  This is the reason: .*HINT:  This mends it: \Q$mend\E/s, "$what: the pass says why it waits");
	is(sql(q{SELECT string_agg(projection || ' ' || lag_events, ', ' ORDER BY projection) FROM telemetry.projection_status WHERE projection IN ('device', 'region')}), 'device 3, region 0', "$what: the other projection goes on");
	like(sql("SELECT state, detail, hint FROM telemetry.health() WHERE item = 'tables'"), qr/^error\|\Q$object on $table\E: .*\|This mends it: \Q$mend\E$/, "$what: health() names it");
	like(sql("SELECT state, detail, command FROM telemetry.setup() WHERE item = 'tables'"), qr/^missing\|\Q$object on $table\E: .*\|\Q$mend\E$/, "$what: setup() has the command");
	sql($mend);
	sql('CALL telemetry.project_once()');
	is(sql("SELECT state FROM telemetry.health() WHERE item = 'tables'"), 'ok', "$what: gone");
	same_statistics($what);
}
is(sql('SELECT count(*) FROM audit'), '0', 'no trigger was fired for a part of the rows');

# These are no obstacles.
sql(<<"SQL");
CREATE INDEX mine ON $table (region);
ALTER TABLE $table ADD COLUMN mine text;
CREATE TRIGGER disabled AFTER UPDATE ON $table FOR EACH ROW EXECUTE FUNCTION audit();
ALTER TABLE $table DISABLE TRIGGER disabled;
CREATE TRIGGER on_delete AFTER DELETE ON $table FOR EACH ROW EXECUTE FUNCTION audit();
SQL
is(sql('SELECT count(*) FROM telemetry.table_obstacles()'), '0', 'an index, a plain column, a disabled trigger and one that never fires are no obstacles');
send_readings();
sql('CALL telemetry.project_once()');
same_statistics('further index and column');
sql("DROP TRIGGER disabled ON $table; DROP TRIGGER on_delete ON $table; ALTER TABLE $table DROP COLUMN mine; DROP INDEX telemetry.mine");

# --- each table -----------------------------------------------------------------------------------------------------------

for my $each (qw(batcher batch state_device state_region))
{
	sql("CREATE TRIGGER mine AFTER INSERT ON telemetry.$each FOR EACH ROW EXECUTE FUNCTION audit()");
	send_readings();
	like(error_of('CALL telemetry.project_once()'), qr/TC204: table telemetry\.$each cannot be written because of trigger "mine"/, "$each: waits");
	is(sql(q{SELECT string_agg("table"::text, ', ') FROM telemetry.table_obstacles()}), "telemetry.$each", "$each: listed");
	my $waiting = { batcher => 'device 3, region 3', batch => 'device 0, region 0' }->{$each} // ($each eq 'state_device' ? 'device 3, region 0' : 'device 0, region 3');
	is(sql(q{SELECT string_agg(projection || ' ' || lag_events, ', ' ORDER BY projection) FROM telemetry.projection_status WHERE projection IN ('device', 'region')}), $waiting, "$each: the waiting projections");
	sql("DROP TRIGGER mine ON telemetry.$each");
	sql('CALL telemetry.project_once()');
	same_statistics($each);
}
is(sql('SELECT count(*) FROM audit'), '0', 'nothing was written past a trigger');
is(sql('SELECT sum(events) = (SELECT count(*) FROM telemetry.measurements) FROM telemetry.batch'), 't', 'the batches hold every event');

# --- the registry ---------------------------------------------------------------------------------------------------------

sql(<<'SQL');
ALTER TABLE telemetry.device ADD COLUMN building text NOT NULL DEFAULT 'main';
ALTER TABLE telemetry.device ADD COLUMN label text GENERATED ALWAYS AS (upper(device_id)) STORED;
ALTER TABLE telemetry.device ALTER COLUMN region SET DEFAULT 'nowhere';
ALTER TABLE telemetry.device ALTER COLUMN expected_interval SET DEFAULT '1 minute';
CREATE TRIGGER mine AFTER INSERT ON telemetry.device FOR EACH ROW EXECUTE FUNCTION audit();
SQL
sub batch_of { my ($devices) = @_; return "telemetry.ingest_telemetry_batch(ARRAY[$devices], NULL, NULL, NULL)"; }
sql(q{SELECT telemetry.ingest_telemetry('registry 1', NULL, 1)});
sql('SELECT ' . batch_of(q{'registry 2', 'registry 3'}));
sql(q{SELECT telemetry.register_device('registry 4')});
sql(q{SELECT telemetry.ingest_telemetry('registry 5', NULL, 1, region => 'hall')});
is(sql(q{SELECT string_agg(concat_ws(' ', device_id, building, label, region, expected_interval), E'\n' ORDER BY device_id) FROM telemetry.device WHERE device_id LIKE 'registry%'}),
	join("\n", map { "registry $_ main REGISTRY $_ " . ($_ == 5 ? 'hall' : 'nowhere') . ' 00:01:00' } 1 .. 5), 'defaults and generated columns count');
is(sql(q{SELECT region FROM telemetry.measurements WHERE device_id = 'registry 1'}), 'nowhere', 'a reading has the region that the registry gave its device');
is(sql(q{SELECT string_agg(row_data->>'device_id', ', ' ORDER BY row_data->>'device_id') FROM audit WHERE table_name = 'device'}), join(', ', map { "registry $_" } 1 .. 5), 'a trigger sees every registration');

sql(q{ALTER TABLE telemetry.device ADD CONSTRAINT mine CHECK (device_id NOT LIKE 'bad%')});
like(error_of(q{SELECT telemetry.ingest_telemetry('bad 1', NULL, 1)}), qr/23514: .*"mine"/, 'CHECK counts');
like(error_of('SELECT ' . batch_of(q{'good 1', 'bad 2'})), qr/23514/, '... in a batch');
sql('ALTER TABLE telemetry.device DROP CONSTRAINT mine');
sql(q{ALTER TABLE telemetry.device ADD CONSTRAINT mine FOREIGN KEY (region) REFERENCES referred NOT VALID});
like(error_of(q{SELECT telemetry.ingest_telemetry('fk 1', NULL, 1, region => 'far')}), qr/23503: .*"mine"/, 'a foreign key counts');
sql(q{INSERT INTO referred VALUES ('far'); SELECT telemetry.ingest_telemetry('fk 1', NULL, 1, region => 'far')});
sql('ALTER TABLE telemetry.device ALTER CONSTRAINT mine DEFERRABLE INITIALLY DEFERRED');
like(error_of(q{SELECT telemetry.ingest_telemetry('fk 2', NULL, 1)}), qr/TC204: table telemetry\.device cannot be written because of constraint "mine".*HINT: .*ALTER TABLE telemetry\.device ALTER CONSTRAINT mine INITIALLY IMMEDIATE/s, 'a deferred one is refused with its name');
is(sql(q{SELECT concat_ws('|', "table", object, command) FROM telemetry.table_obstacles()}), 'telemetry.device|constraint "mine"|ALTER TABLE telemetry.device ALTER CONSTRAINT mine INITIALLY IMMEDIATE', '... and listed');
is(sql(q{SELECT status FROM telemetry.ingest_telemetry('registry 1', '2024-05-01 10:00:00+00', 1)}), 'accepted', '... while known devices send');
sql('ALTER TABLE telemetry.device ALTER CONSTRAINT mine INITIALLY IMMEDIATE; ALTER TABLE telemetry.device DROP CONSTRAINT mine');

# A trigger that decides which devices may be registered, and how.
sql(<<'SQL');
CREATE FUNCTION gatekeeper() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.device_id LIKE 'stranger%' THEN RETURN NULL; END IF;
    IF NEW.device_id LIKE 'new one%' THEN NEW.status := 'retired'; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER gatekeeper BEFORE INSERT ON telemetry.device FOR EACH ROW EXECUTE FUNCTION gatekeeper();
SQL
like(error_of(q{SELECT telemetry.ingest_telemetry('stranger 1', NULL, 1)}), qr/TC002: .*trigger on telemetry\.device kept it from being registered/s, 'a device that a trigger keeps out is not registered');
like(error_of(q{SELECT telemetry.ingest_telemetry('new one 1', NULL, 1)}), qr/TC008/, 'one that it registers as retired may not send');
is(sql('SELECT accepted, rejected FROM ' . batch_of(q{'stranger 2', 'friend 1', 'new one 2'})), '1|2', 'a batch keeps them apart');
sql('DROP TRIGGER gatekeeper ON telemetry.device');

# A rival that registers the same device between the look and the insert, and whose transaction stays open, is not waited for. The
# trigger stops the first session at that point.
my $go = PostgreSQL::Test::Utils::tempdir . '/go';
sql(<<"SQL");
CREATE FUNCTION hesitate() RETURNS trigger LANGUAGE plpgsql AS \$\$
BEGIN
    WHILE current_setting('application_name') = 'hesitant' AND (pg_stat_file('$go', true)).size IS NULL LOOP PERFORM pg_sleep(0.01); END LOOP;
    RETURN NULL;
END \$\$;
CREATE TRIGGER hesitate BEFORE INSERT ON telemetry.device FOR EACH STATEMENT EXECUTE FUNCTION hesitate();
SQL
my $hesitant = psql_start($node, q{SET application_name = 'hesitant'; SELECT accepted FROM telemetry.ingest_telemetry_batch(ARRAY['raced 1', 'raced 2', 'raced 3'], NULL, ARRAY[1, 2, 3], NULL);});
ok(wait_for($node, q{SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'hesitant' AND wait_event = 'PgSleep')}, 'the first session'), 'one session has looked and not inserted');
my $rival = session($node);
$rival->query_safe(q{BEGIN; SELECT telemetry.ingest_telemetry('raced 2', NULL, 1, region => 'hall')});
append_to_file($go, 'go');
is(join('|', psql_finish($hesitant)), "3\n|", 'it stores its readings while the rival is open');
$rival->query_safe('COMMIT');
$rival->quit;
is(sql(q{SELECT string_agg(concat_ws(' ', device_id, region), ', ' ORDER BY device_id) FROM telemetry.device WHERE device_id LIKE 'raced%'}), 'raced 1 nowhere, raced 2 hall, raced 3 nowhere', 'each device is registered once');
is(sql(q{SELECT string_agg(concat_ws(' ', device_id, region), ', ' ORDER BY event_id) FROM telemetry.measurements WHERE device_id = 'raced 2'}), 'raced 2 hall, raced 2 hall', "the reading has the region that the rival's registration gives");
sql('DROP TRIGGER hesitate ON telemetry.device');

# --- the quarantine -------------------------------------------------------------------------------------------------------

sql(<<'SQL');
TRUNCATE audit;
ALTER TABLE telemetry.rejected_readings ADD COLUMN seen boolean NOT NULL DEFAULT false;
ALTER TABLE telemetry.rejected_readings ADD COLUMN device text GENERATED ALWAYS AS (payload->>'device_id') STORED;
CREATE TRIGGER mine AFTER INSERT ON telemetry.rejected_readings FOR EACH ROW EXECUTE FUNCTION audit();
SQL
sql(q{SELECT telemetry.ingest_telemetry_batch((SELECT array_agg('refused ' || i) FROM generate_series(1, 1500) AS i), NULL, array_fill('NaN'::float8, ARRAY[1500]), NULL)});
is(sql(q{SELECT concat_ws(' ', count(*), count(DISTINCT rejected_id), bool_or(seen)) FROM telemetry.rejected_readings WHERE device LIKE 'refused%'}), '1500 1500 f', 'defaults and generated columns count');
is(sql(q{SELECT count(DISTINCT row_data->>'device') FROM audit WHERE table_name = 'rejected_readings'}), '1500', 'a trigger sees every refused reading');
is(sql(q{SELECT bool_and(device = 'refused ' || row_number) FROM (SELECT device, row_number() OVER (ORDER BY rejected_id) FROM telemetry.rejected_readings WHERE device LIKE 'refused%') AS r}), 't', 'numbered in the order they were sent');
# Called once a column, kept once.
sql(q{SELECT (telemetry.ingest_telemetry_batch(ARRAY['once', 'once'], ARRAY['2024-05-01 10:00:00+00', '2024-05-01 10:00:00+00']::timestamptz[], ARRAY[1, 'NaN'::float8], NULL, ARRAY['a', 'b'])).*});
is(sql(q{SELECT count(*) FROM telemetry.rejected_readings WHERE device = 'once'}), '1', 'a call that is made once a column is kept once');
sql(q{ALTER TABLE telemetry.rejected_readings ADD CONSTRAINT mine CHECK (device <> 'unwanted')});
like(error_of(q{SELECT telemetry.ingest_telemetry_batch(ARRAY['unwanted'], NULL, ARRAY['NaN'::float8], NULL)}), qr/23514: .*"mine"/, 'CHECK counts');
sql('ALTER TABLE telemetry.rejected_readings DROP CONSTRAINT mine');
sql('CREATE CONSTRAINT TRIGGER late AFTER INSERT ON telemetry.rejected_readings INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION audit()');
like(error_of(q{SELECT telemetry.ingest_telemetry_batch(ARRAY['late'], NULL, ARRAY['NaN'::float8], NULL)}), qr/TC204: table telemetry\.rejected_readings cannot be written because of trigger "late"/, 'a deferred trigger is refused with its name');
is(sql(q{SELECT accepted FROM telemetry.ingest_telemetry_batch(ARRAY['in time'], NULL, ARRAY[1], NULL)}), '1', '... while batches without refused readings are stored');
sql('DROP TRIGGER late ON telemetry.rejected_readings');

# More than a JSON text can hold: the good readings beside it are stored. sql/ingest_oversized.sql has the other sizes.
is(sql(q{SELECT accepted, rejected FROM telemetry.ingest_telemetry_batch(ARRAY['good 1', repeat('f', 268435456), 'good 2'], NULL, ARRAY[1, 2, 3], NULL)}), '2|1', 'a device id of 256 MB does no harm to the others');
is(sql(q{SELECT octet_length(device), payload->'truncated' FROM telemetry.rejected_readings WHERE device LIKE 'fff%'}), '4096|{"device_id": 268435456}', '... and is kept in part');

# A user's trigger runs with the rights of the owner. The search_path of the caller does not decide which functions it calls.
sql(<<'SQL');
CREATE ROLE writer;
SELECT telemetry.grant_writer('writer');
CREATE SCHEMA trap AUTHORIZATION writer;
CREATE FUNCTION trap.upper(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped as %', current_user; END $$;
CREATE FUNCTION careless() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM upper(NEW.device_id); RETURN NEW; END $$;
CREATE TRIGGER careless BEFORE INSERT ON telemetry.device FOR EACH ROW EXECUTE FUNCTION careless();
GRANT USAGE ON SCHEMA trap TO PUBLIC;
SQL
is(sql(q{SET ROLE writer; SET search_path = trap, pg_catalog; SELECT status FROM telemetry.ingest_telemetry('careless', NULL, 1)}), 'accepted', 'a trigger runs with a search_path that is safe');
sql('DROP TRIGGER careless ON telemetry.device');

sql('CALL telemetry.project_once()');
same_statistics('at the end');
$node->stop;

# --- the worker waits and goes on by itself -----------------------------------------------------------------------------------

my $served = telemetry_node('served', preload => 1, conf => "telemetry_cqrs.batch_retention = '1s'\n");
$served->safe_psql('postgres', 'CREATE FUNCTION noticed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$');
send_readings($served);
wait_applied($served);
for my $each (qw(batcher batch state_device state_region))
{
	$served->safe_psql('postgres', "CREATE TRIGGER mine AFTER INSERT OR UPDATE ON telemetry.$each FOR EACH ROW EXECUTE FUNCTION noticed()");
	send_readings($served);
	ok(wait_for($served, "SELECT failures >= 1 AND sqlstate = 'TC204' AND message LIKE '%telemetry.$each cannot be written because of trigger \"mine\"' FROM telemetry.projection_failure
	                      WHERE failures > 0 ORDER BY failed_at DESC LIMIT 1", "the failure over $each"), "$each: the worker waits, and says why");
	$served->safe_psql('postgres', "DROP TRIGGER mine ON telemetry.$each");
	ok(wait_for($served, 'SELECT bool_and(failures = 0) FROM telemetry.projection_failure', 'the worker to go on', 30), "$each: it goes on within seconds");
	wait_applied($served);
	read_models_follow($served, 'telemetry.measurements', "$each, applied by the worker");
}

# Old batches are merged by SQL: a deferred trigger stops that, and is named.
my $log = -s $served->logfile;
$served->safe_psql('postgres', 'CREATE CONSTRAINT TRIGGER late AFTER DELETE ON telemetry.batch INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION noticed()');
send_readings($served);
wait_applied($served);
ok($served->wait_for_log(qr/keeps old batches: table telemetry\.batch cannot be written because of trigger "late"/, $log), 'old batches stay: the log says why');
like($served->safe_psql('postgres', "SELECT state, detail, hint FROM telemetry.health() WHERE item = 'tables'"), qr/^error\|trigger "late" on telemetry\.batch: .*DROP TRIGGER late ON telemetry\.batch/, '... and health() does');
send_readings($served);
wait_applied($served);
$served->safe_psql('postgres', 'CREATE TABLE waited AS SELECT max(batch_id) AS batch_id FROM telemetry.batch');
$served->safe_psql('postgres', 'DROP TRIGGER late ON telemetry.batch');
ok(wait_for($served, 'SELECT NOT EXISTS (SELECT FROM telemetry.batch b, waited w WHERE b.batch_id < w.batch_id)', 'old batches to go', 60), 'they go when it is gone');
my $lines = () = slurp_file($served->logfile, $log) =~ /keeps old batches/g;
is($lines, 1, 'one line in the log');
unlike(slurp_file($served->logfile), qr/GUC nest level/, "the owner's settings end before the transaction that deletes them");
read_models_follow($served, 'telemetry.measurements', 'the worker at the end');
$served->stop;

done_testing();
