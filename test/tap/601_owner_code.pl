# A DBA adds an object to the tables of the extension: an index whose expression calls a function, or a trigger. It runs with
# the rights of their owner while a writer's or an admin's command works. The settings of the caller must not decide which code
# runs.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

my $node = telemetry_node('owner_code', preload => 0);
sub sql { return $node->safe_psql('postgres', $_[0]); }
sub as { my ($role, $sql) = @_; return $node->safe_psql('postgres', $sql, extra_params => [ '-U', $role ]); }

sql(<<'SQL');
CREATE ROLE writer LOGIN; SELECT telemetry.grant_writer('writer');
CREATE ROLE admin LOGIN; SELECT telemetry.grant_admin('admin');
GRANT CREATE ON DATABASE postgres TO writer;
GRANT SET ON PARAMETER session_replication_role TO admin;
-- The DBA's: none of them says where its lower() is.
CREATE FUNCTION public.folded(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN lower($1); END';
CREATE TABLE public.audit (what text, settings jsonb);
CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.audit
    SELECT lower(TG_TABLE_NAME), jsonb_object_agg(name, setting) FROM pg_settings
    WHERE name IN ('search_path', 'session_replication_role', 'row_security', 'standard_conforming_strings', 'transform_null_equals',
                   'array_nulls', 'gin_fuzzy_search_limit');
    RETURN NULL;
END $$;
SQL

# A lower() of the writer's own, which notes as whom it runs.
as('writer', <<'SQL');
CREATE SCHEMA evil;
GRANT USAGE ON SCHEMA evil TO PUBLIC;
CREATE TABLE evil.seen (ran_as name);
CREATE FUNCTION evil.lower(text) RETURNS text LANGUAGE plpgsql VOLATILE AS
$$ BEGIN INSERT INTO evil.seen VALUES (current_user); RETURN pg_catalog.lower($1); END $$;
SQL

my $hostile_path = 'SET search_path = evil, pg_catalog;';
my $number = 0;

# Runs a command under a hostile search_path while the object stands. Tests as which role the writer's function ran.
sub is_deaf
{
	my ($role, $command, $object, $gone, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	sql("TRUNCATE evil.seen; $object");
	as($role, "$hostile_path $command");
	is(sql('SELECT string_agg(DISTINCT ran_as, $$, $$) FROM evil.seen'), '', $what);
	sql($gone);
	return;
}

# --- which functions ------------------------------------------------------------------------------------------------------------

my $index_on_device = 'CREATE INDEX of_dba ON telemetry.device (public.folded(device_id))';
my $trigger = sub { return "CREATE TRIGGER of_dba AFTER INSERT OR UPDATE OR DELETE ON telemetry.$_[0] FOR EACH ROW EXECUTE FUNCTION public.note()" };
my $no_trigger = sub { return "DROP TRIGGER of_dba ON telemetry.$_[0]" };

# First that the trap works: with the writer's own rights it is a function like any other.
as('writer', "$hostile_path SELECT public.folded('X')");
is(sql('SELECT string_agg(DISTINCT ran_as, $$, $$) FROM evil.seen'), 'writer', 'the trap works');

is_deaf('writer', "SELECT telemetry.ingest_telemetry('One', NULL, 1)", $index_on_device, 'DROP INDEX telemetry.of_dba', 'an index on device: ingest_telemetry()');
is_deaf('writer', "SELECT telemetry.ingest_telemetry_batch(ARRAY['Two', 'Three'], NULL, NULL, NULL)", $index_on_device, 'DROP INDEX telemetry.of_dba', 'an index on device: ingest_telemetry_batch()');
is_deaf('admin', "SELECT telemetry.register_device('Four')", $index_on_device, 'DROP INDEX telemetry.of_dba', 'an index on device: register_device()');
is_deaf('writer', "SELECT telemetry.ingest_telemetry_batch(ARRAY['One'], NULL, ARRAY['NaN']::float8[], NULL)", 'CREATE INDEX of_dba ON telemetry.rejected_readings (public.folded(reason))',
	'DROP INDEX telemetry.of_dba', 'an index on rejected_readings');
my @index_on_log = ('CREATE INDEX of_dba ON telemetry.event_1 (public.folded(device_id))', 'DROP INDEX telemetry.of_dba');
is_deaf('writer', "SELECT telemetry.ingest_telemetry('One', '2026-03-01', 2)", @index_on_log, 'an index on the log: one reading');
is_deaf('writer', "SELECT telemetry.ingest_telemetry_batch(array_fill('One'::text, ARRAY[20]), NULL, array_fill(3.0, ARRAY[20]), NULL)", @index_on_log, 'an index on the log: a batch');
is_deaf('writer', "INSERT INTO telemetry.inbox (device_id, temperature) SELECT 'One', i FROM pg_catalog.generate_series(1, 20) AS i", @index_on_log, 'an index on the log: the inbox');
# The server simplifies the expressions and the predicate of an index when a session first asks for them: it runs functions of
# constants, and puts the body of a function in SQL in place of the call.
my @constant_on_log = ("CREATE INDEX of_dba ON telemetry.event_1 (device_id) WHERE public.folded('X') = 'x'", 'DROP INDEX telemetry.of_dba');
my @body_on_log = ('CREATE INDEX of_dba ON telemetry.event_1 (public.folded_in_sql(device_id))', 'DROP INDEX telemetry.of_dba');
my @on_fingerprints = ("CREATE INDEX of_dba ON telemetry.event_1 (fingerprint) WHERE public.folded('X') = 'x'", 'DROP INDEX telemetry.of_dba');
sql("CREATE FUNCTION public.folded_in_sql(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT lower(\$1)'");
sql(<<'SQL');
ALTER FUNCTION evil.lower(text) RENAME TO noting_lower;
CREATE FUNCTION evil.lower(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN evil.noting_lower($1); END';
SQL
for ([ 'a constant in an index on the log', @constant_on_log ], [ 'the body of a function in an index on the log', @body_on_log ], [ 'an index on fingerprints', @on_fingerprints ])
{
	my ($what, @index) = @$_;
	is_deaf('writer', "SELECT telemetry.ingest_telemetry('One', NULL, 2)", @index, "$what: one reading");
	is_deaf('writer', "SELECT telemetry.ingest_telemetry_batch(array_fill('One'::text, ARRAY[20]), NULL, array_fill(3.0, ARRAY[20]), NULL)", @index, "$what: a batch");
	is_deaf('writer', "SELECT telemetry.check_reading('One', '2026-03-01', 2)", @index, "$what: check_reading()");
}
is_deaf('admin', "SELECT telemetry.register_device('Five')", $trigger->('device'), $no_trigger->('device'), 'an audit trigger on device');
is_deaf('admin', "SELECT telemetry.pause_projection('device')", $trigger->('pause'), $no_trigger->('pause'), 'a trigger on pause: pause');
is_deaf('admin', "SELECT telemetry.resume_projection('device')", $trigger->('pause'), $no_trigger->('pause'), 'a trigger on pause: resume');
is_deaf('admin', 'CALL telemetry.project_once()', 'CREATE INDEX of_dba ON telemetry.state_device (public.folded(key))', 'DROP INDEX telemetry.of_dba', 'an index on a read model');
is(sql("SELECT string_agg(what, ', ') FROM public.audit"), 'device, pause, pause', 'the triggers ran');
is(sql("SELECT count(*) FROM telemetry.rejected_readings"), '1', 'the reading was quarantined');

# --- the other settings that steer code --------------------------------------------------------------------------------------------

my @settings = ([ 'search_path', 'evil, pg_catalog', 'pg_catalog, pg_temp' ], [ 'session_replication_role', 'replica', 'origin' ], [ 'row_security', 'off', 'on' ],
	[ 'standard_conforming_strings', 'off', 'on' ], [ 'transform_null_equals', 'on', 'off' ], [ 'array_nulls', 'off', 'on' ], [ 'gin_fuzzy_search_limit', '7', '0' ]);
my $set = join ' ', map { "SET $_->[0] = " . ($_->[0] eq 'search_path' ? $_->[1] : "'$_->[1]'") . ';' } @settings;
my $own = "SELECT string_agg(name || '=' || setting, '|' ORDER BY name) FROM pg_settings WHERE name IN (" . join(', ', map { "'$_->[0]'" } @settings) . ')';
my $kept = join '|', map { "$_->[0]=$_->[1]" } sort { $a->[0] cmp $b->[0] } @settings;
sql($trigger->('device') . '; TRUNCATE public.audit');

is(as('admin', "$set SELECT telemetry.register_device('Six'); $own"), "t\n$kept", 'a caller has its settings afterwards');
foreach my $setting (@settings)
{
	is(sql("SELECT settings->>'$setting->[0]' FROM public.audit WHERE what = 'device'"), $setting->[2], "the trigger runs, with $setting->[0] = $setting->[2]");
}

# After an error as well, in a subtransaction and out of one.
sql(<<'SQL');
CREATE FUNCTION public.fail() RETURNS trigger LANGUAGE plpgsql SET work_mem = '1MB' AS $$
BEGIN
    PERFORM pg_catalog.set_config('search_path', 'evil', false), pg_catalog.set_config('enable_sort', 'off', false);
    RAISE EXCEPTION 'not this one';
END $$;
CREATE TRIGGER fails AFTER INSERT ON telemetry.device FOR EACH ROW WHEN (NEW.device_id = 'Fails') EXECUTE FUNCTION public.fail();
SQL
is(as('admin', <<"SQL"), "$kept\nadmin|on\n$kept\nadmin|on\nt\n$kept", 'after errors, too');
$set
DO \$\$ BEGIN PERFORM telemetry.register_device('Fails'); EXCEPTION WHEN OTHERS THEN NULL; END \$\$;
$own;
SELECT current_user, current_setting('enable_sort');
\\set ON_ERROR_STOP off
BEGIN;
SAVEPOINT s;
SELECT telemetry.register_device('Fails');
ROLLBACK TO s;
$own;
SELECT current_user, current_setting('enable_sort');
COMMIT;
BEGIN;
SELECT telemetry.register_device('Fails');
ROLLBACK;
SELECT telemetry.register_device('Seven');
$own;
SQL

# A setting that the owner's code makes is not left to the caller.
sql(<<'SQL');
DROP TRIGGER fails ON telemetry.device;
CREATE FUNCTION public.set() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_catalog.set_config('search_path', 'nowhere', false); RETURN NULL; END $$;
CREATE TRIGGER sets AFTER INSERT ON telemetry.device FOR EACH ROW EXECUTE FUNCTION public.set();
SQL
is(as('admin', "SELECT telemetry.register_device('Eight'); SHOW search_path"), qq{t\n"\$user", public}, 'a setting of the owner\'s code ends with the command');

sql(<<'SQL');
CREATE FUNCTION public.setting(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM pg_catalog.set_config('search_path', 'nowhere', false); RETURN $1; END $$;
CREATE INDEX sets ON telemetry.event_1 (public.setting(device_id));
SQL
is(as('writer', "SELECT status FROM telemetry.ingest_telemetry('Nine', NULL, 1); SHOW search_path"), qq{accepted\n"\$user", public}, 'nor one that a function of an index makes');
sql('DROP INDEX telemetry.sets');

# A statement that is refused before anything ran leaves nothing either.
is(as('admin', <<"SQL"), "$kept\nadmin", 'after a command that is refused');
$set
\\set ON_ERROR_STOP off
SELECT telemetry.register_device('');
$own;
SELECT current_user;
SQL

$node->stop;
done_testing();
