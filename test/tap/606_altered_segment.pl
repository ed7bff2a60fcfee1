# A DBA adds objects to a segment that the native append would bypass. Commands refuse with TC202, which names the object and the
# SQL that mends it. That SQL does mend it. Harmless changes are allowed.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

my $node = telemetry_node('altered_segment');
my $key = 0;
$node->safe_psql('postgres', <<'SQL');
SELECT telemetry.register_device('d');
CREATE TABLE other (id bigint PRIMARY KEY);
CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
SQL
stores('the segment as it was made');

# Each obstacle: what makes it, the object that is named, and the command that is recommended, word for word.
refuses('CREATE TRIGGER mine BEFORE INSERT ON telemetry.event_1 FOR EACH ROW EXECUTE FUNCTION skip()', 'trigger "mine"', 'DROP TRIGGER mine ON telemetry.event_1');
refuses('CREATE TRIGGER "My ""own" AFTER INSERT ON telemetry.event_1 FOR EACH STATEMENT EXECUTE FUNCTION skip()', 'trigger "My "own"', 'DROP TRIGGER "My ""own" ON telemetry.event_1');
refuses('CREATE TRIGGER mine AFTER INSERT ON telemetry.event_1 REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION skip(); ALTER TABLE telemetry.event_1 ENABLE ALWAYS TRIGGER mine', 'trigger "mine"', 'DROP TRIGGER mine ON telemetry.event_1');
refuses('CREATE CONSTRAINT TRIGGER mine AFTER INSERT ON telemetry.event_1 DEFERRABLE FOR EACH ROW EXECUTE FUNCTION skip()', 'trigger "mine"', 'DROP TRIGGER mine ON telemetry.event_1');
refuses('CREATE RULE mine AS ON INSERT TO telemetry.event_1 DO ALSO NOTIFY rows', 'rule "mine"', 'DROP RULE mine ON telemetry.event_1');
refuses('ALTER TABLE telemetry.event_1 ENABLE ROW LEVEL SECURITY', 'row security', 'ALTER TABLE telemetry.event_1 DISABLE ROW LEVEL SECURITY');
refuses('ALTER TABLE telemetry.event_1 ADD COLUMN mine text', 'column "mine"', 'ALTER TABLE telemetry.event_1 DROP COLUMN mine');
refuses('ALTER TABLE telemetry.event_1 ADD COLUMN mine bigint GENERATED ALWAYS AS IDENTITY', 'column "mine"', 'ALTER TABLE telemetry.event_1 DROP COLUMN mine');
refuses('ALTER TABLE telemetry.event ADD COLUMN mine positive DEFAULT 7', 'column "mine"', 'ALTER TABLE telemetry.event DROP COLUMN mine');
refuses('ALTER TABLE telemetry.event_1 ALTER COLUMN temperature SET NOT NULL', 'column "temperature"', 'ALTER TABLE telemetry.event_1 ALTER COLUMN temperature DROP NOT NULL');
refuses('ALTER TABLE telemetry.event ALTER COLUMN request_digest TYPE numeric', 'column "request_digest"', 'ALTER TABLE telemetry.event ALTER COLUMN request_digest TYPE bigint');
refuses('ALTER TABLE telemetry.event_1 ADD CONSTRAINT mine CHECK (temperature < 100)', 'constraint "mine"', 'ALTER TABLE telemetry.event_1 DROP CONSTRAINT mine');
refuses('ALTER TABLE telemetry.event ADD CONSTRAINT mine CHECK (temperature < 100) NOT VALID', 'constraint "mine"', 'ALTER TABLE telemetry.event DROP CONSTRAINT mine');
refuses('ALTER TABLE telemetry.event_1 ADD CONSTRAINT mine FOREIGN KEY (event_id) REFERENCES other NOT VALID', 'constraint "mine"', 'ALTER TABLE telemetry.event_1 DROP CONSTRAINT mine');
refuses('ALTER TABLE telemetry.event_1 ADD CONSTRAINT mine UNIQUE (event_id) DEFERRABLE', 'constraint "mine"', 'ALTER TABLE telemetry.event_1 DROP CONSTRAINT mine');
refuses('ALTER TABLE telemetry.event_1 ADD CONSTRAINT mine EXCLUDE (event_id WITH =) DEFERRABLE INITIALLY DEFERRED', 'constraint "mine"', 'ALTER TABLE telemetry.event_1 DROP CONSTRAINT mine');
refuses('ALTER TABLE telemetry.event_1 SET UNLOGGED', 'UNLOGGED', 'ALTER TABLE telemetry.event_1 SET LOGGED');

# Harmless: a trigger that does not fire, or on what does not happen natively.
for my $harmless (
	'CREATE TRIGGER off BEFORE INSERT ON telemetry.event_1 FOR EACH ROW EXECUTE FUNCTION skip(); ALTER TABLE telemetry.event_1 DISABLE TRIGGER off',
	'CREATE TRIGGER on_replicas BEFORE INSERT ON telemetry.event_1 FOR EACH ROW EXECUTE FUNCTION skip(); ALTER TABLE telemetry.event_1 ENABLE REPLICA TRIGGER on_replicas',
	'CREATE TRIGGER on_delete BEFORE DELETE ON telemetry.event_1 FOR EACH ROW EXECUTE FUNCTION skip()',
	'CREATE RULE on_delete AS ON DELETE TO telemetry.event_1 DO ALSO NOTIFY rows',
	'CREATE STATISTICS mine (dependencies) ON device_id, region FROM telemetry.event_1',
	"COMMENT ON COLUMN telemetry.event_1.region IS 'where'")
{
	$node->safe_psql('postgres', $harmless);
	stores($harmless);
}

# The two indexes of the log: found by what they are, not by their names.
$node->safe_psql('postgres', 'ALTER INDEX telemetry.event_1_fingerprint RENAME TO prints; ALTER INDEX telemetry.event_1_xid_event_id RENAME TO event_1_fingerprint');
stores('with its indexes renamed');
$node->safe_psql('postgres', 'CREATE UNIQUE INDEX CONCURRENTLY event_1_fingerprint_2 ON telemetry.event_1 (fingerprint)');
stores('with a second index on fingerprints');
$node->safe_psql('postgres', 'DROP INDEX telemetry.prints');
stores('with the second one in the place of the first');
$node->safe_psql('postgres', 'CREATE INDEX event_1_xid_event_id ON telemetry.event_1 (xid, event_id); DROP INDEX telemetry.event_1_fingerprint; ALTER INDEX telemetry.event_1_fingerprint_2 RENAME TO event_1_fingerprint');
stores('with another index on transactions');

for my $other (
	'CREATE UNIQUE INDEX event_1_fingerprint ON telemetry.event_1 (fingerprint) INCLUDE (device_id)',
	'CREATE UNIQUE INDEX event_1_fingerprint ON telemetry.event_1 (fingerprint, device_id)',
	'CREATE UNIQUE INDEX event_1_fingerprint ON telemetry.event_1 (fingerprint) WHERE epoch > 0',
	'CREATE UNIQUE INDEX event_1_fingerprint ON telemetry.event_1 (CAST(fingerprint AS text))',
	'CREATE UNIQUE INDEX event_1_fingerprint ON telemetry.event_1 (fingerprint) NULLS NOT DISTINCT',
	'CREATE UNIQUE INDEX event_1_fingerprint ON telemetry.event_1 (event_id)',
	'CREATE INDEX event_1_fingerprint ON telemetry.event_1 (fingerprint)',
	'CREATE INDEX event_1_fingerprint ON telemetry.event_1 USING hash (fingerprint)',
	'CREATE INDEX event_1_fingerprint ON telemetry.event_1 USING brin (fingerprint)',
	'SELECT')
{
	refuses("DROP INDEX telemetry.event_1_fingerprint; $other", 'index on (fingerprint)', 'CREATE UNIQUE INDEX ON telemetry.event_1 (fingerprint)',
		'DROP INDEX IF EXISTS telemetry.event_1_fingerprint; ALTER INDEX telemetry.event_1_fingerprint_idx RENAME TO event_1_fingerprint');
}
for my $other (
	'CREATE INDEX event_1_xid_event_id ON telemetry.event_1 (xid, event_id) INCLUDE (device_id)',
	'CREATE INDEX event_1_xid_event_id ON telemetry.event_1 (xid DESC, event_id)',
	'CREATE INDEX event_1_xid_event_id ON telemetry.event_1 (event_id, xid)',
	'CREATE INDEX event_1_xid_event_id ON telemetry.event_1 (xid, event_id) WHERE epoch > 0',
	'CREATE INDEX event_1_xid_event_id ON telemetry.event_1 (xid)',
	'CREATE INDEX event_1_xid_event_id ON telemetry.event_1 USING gin (metrics)',
	'SELECT')
{
	$node->safe_psql('postgres', "DROP INDEX telemetry.event_1_xid_event_id; $other");
	my (undef, undef, $err) = $node->psql('postgres', 'CALL telemetry.project_once()');
	like($err, qr/ERROR:.*"event_1".*index on \(xid, event_id\).*CREATE INDEX ON telemetry\.event_1 \(xid, event_id\)/s, "nothing is projected: $other");
	refuses('SELECT', 'index on (xid, event_id)', 'CREATE INDEX ON telemetry.event_1 (xid, event_id)',
		'DROP INDEX IF EXISTS telemetry.event_1_xid_event_id; ALTER INDEX telemetry.event_1_xid_event_id_idx RENAME TO event_1_xid_event_id');
}

# An index that is invalid cannot be asked, and does not count.
$node->safe_psql('postgres', 'DROP INDEX telemetry.event_1_fingerprint; CREATE UNIQUE INDEX event_1_fingerprint ON telemetry.event_1 (fingerprint)');
refuses("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'telemetry.event_1_fingerprint'::regclass", 'index on (fingerprint)', 'CREATE UNIQUE INDEX ON telemetry.event_1 (fingerprint)');
stores('with a valid index beside the invalid one');
$node->safe_psql('postgres', 'DROP INDEX telemetry.event_1_fingerprint_idx; REINDEX INDEX telemetry.event_1_fingerprint');
stores('rebuilt');

# The primary keys by which rows of the other tables are found natively: other columns are refused, INCLUDEd ones are not.
for my $case ([ 'state_device', 'generation, key, bucket, part', 'key' ], [ 'batcher', 'epoch', 'epoch, events' ])
{
	my ($table, $key, $other) = @$case;
	$node->safe_psql('postgres', "BEGIN; ALTER TABLE telemetry.$table DROP CONSTRAINT ${table}_pkey; ALTER TABLE telemetry.$table ADD PRIMARY KEY ($other); COMMIT");
	my (undef, undef, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\nCALL telemetry.project_once()");
	my $command = "ALTER TABLE telemetry.$table DROP CONSTRAINT ${table}_pkey, ADD PRIMARY KEY ($key)";
	like($err, qr/ERROR:\s+TC202: primary key of table "$table" was altered.*HINT:\s+This mends it: \Q$command\E\n/s, "another primary key of $table");
	$node->safe_psql('postgres', $command);
	$node->safe_psql('postgres', "ALTER TABLE telemetry.$table DROP CONSTRAINT ${table}_pkey, ADD PRIMARY KEY ($key) INCLUDE (" . ($table eq 'state_device' ? 'sample_count' : 'as_of') . ')');
}

# The registry is looked through natively, too: by its primary key, whatever its name is, and whatever has that name.
$node->safe_psql('postgres', 'ALTER TABLE telemetry.device DROP CONSTRAINT device_pkey; CREATE UNIQUE INDEX of_dba ON telemetry.device (device_id); CREATE INDEX device_pkey ON telemetry.device (registered_at)');
{
	my ($status, undef, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n" . sending());
	like($err, qr/ERROR:\s+TC202: primary key of table "device" was altered.*HINT:\s+This mends it: ALTER TABLE telemetry\.device ADD PRIMARY KEY \(device_id\)\n/s, 'no primary key of device');
}
$node->safe_psql('postgres', 'ALTER TABLE telemetry.device ADD PRIMARY KEY (device_id); DROP INDEX telemetry.of_dba');
stores('with a primary key of another name');
# The view of the devices' liveness, which holds the column, is left out for the rest of the test.
$node->safe_psql('postgres', 'ALTER EXTENSION telemetry_cqrs DROP VIEW telemetry.device_liveness; DROP VIEW telemetry.device_liveness; DROP INDEX telemetry.device_pkey; ALTER TABLE telemetry.device ALTER device_id TYPE text COLLATE "en-x-icu"');
stores('with a primary key of another collation');
$node->safe_psql('postgres', 'ALTER TABLE telemetry.device ALTER device_id TYPE text COLLATE "C"');

# Its columns: a status of another type, and none.
$node->safe_psql('postgres', q{ALTER TABLE telemetry.device DROP CONSTRAINT device_status_check, ALTER status DROP DEFAULT, ALTER status TYPE integer USING 1});
{
	my (undef, undef, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n" . sending());
	my $command = 'ALTER TABLE telemetry.device ALTER COLUMN status TYPE text';
	like($err, qr/ERROR:\s+TC204: table telemetry\.device cannot be written because of column "status".*HINT:.*\Q$command\E/s, 'a status of another type');
	is($node->safe_psql('postgres', 'SELECT command FROM telemetry.table_obstacles()'), $command, '... is listed');
	$node->safe_psql('postgres', "$command; ALTER TABLE telemetry.device ALTER status DROP NOT NULL; UPDATE telemetry.device SET status = NULL");
}
stores('by a device without a status');
$node->safe_psql('postgres', q{UPDATE telemetry.device SET status = 'active'; ALTER TABLE telemetry.device ALTER status SET NOT NULL, ALTER status SET DEFAULT 'active'});

# The readings that were stored meanwhile are projected, each once.
$node->safe_psql('postgres', 'CALL telemetry.project_once()');
wait_applied($node);
read_models_follow($node, 'telemetry.measurements', 'at the end');
is($node->safe_psql('postgres', 'SELECT count(*) = count(DISTINCT idempotency_key) FROM telemetry.measurements'), 't', 'each key once');
$node->stop;
done_testing();

# Tests that single and array calls store a new reading and recognise it.
sub stores
{
	my ($what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($status, $out, $err) = $node->psql('postgres', sending(), on_error_stop => 0);
	is("$out|$err", "accepted\nduplicate\n10|0\n0|10|", "stored: $what");
	return;
}

# Returns SQL that sends one reading, and ten in one call, each twice.
sub sending
{
	++$key;
	my $single = "SELECT status FROM telemetry.ingest_telemetry('d', '2024-05-01 10:00:00+00', 1, NULL, 'single $key')";
	my $batch = "SELECT accepted, duplicates FROM (SELECT array_agg('batch $key ' || i) AS k FROM generate_series(1, 10) AS i) AS b, telemetry.ingest_telemetry_batch(array_fill('d'::text, ARRAY[10]), array_fill('2024-05-01 10:00:00+00'::timestamptz, ARRAY[10]), array_fill(1::float8, ARRAY[10]), NULL, k)";
	return "$single;\n$single;\n$batch;\n$batch;\n";
}

# Tests that after $change each command is refused, and that the error names $object and gives $command. After that command, and
# $further, everything is as before.
sub refuses
{
	my ($change, $object, $command, $further) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$node->safe_psql('postgres', $change);
	my (undef, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n" . sending(), on_error_stop => 0);
	my @codes = $err =~ /ERROR:\s+(\w+):/g;
	is("$out|@codes", '|TC202 TC202 TC202 TC202', "refused: $change");
	like($err, qr/segment "event_1" of the event log was altered/, '... as altered');
	like($err, qr/DETAIL:.*\Q$object\E/, '... the object is named');
	my ($hint) = $err =~ /^HINT:\s+This mends it: (.*)$/m;
	is($hint, $command, '... and the command that mends it');
	my ($status, undef, $mend_err) = $node->psql('postgres', 'SET client_min_messages = warning;' . join ';', grep { defined } $hint // $command, $further);
	is("$status|$mend_err", '0|', '... which can be run');
	stores("after $command");
	return;
}
