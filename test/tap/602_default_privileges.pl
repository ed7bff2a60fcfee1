# ALTER DEFAULT PRIVILEGES applies to objects that CREATE EXTENSION and ALTER EXTENSION UPDATE make. Still only the owner may have
# a right to them. telemetry.setup() names each extra right of an earlier installation, with the SQL that revokes it. Dumps carry
# grants and revokes, also into a database that has default privileges.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

my $node = telemetry_node('default_privileges', preload => 0);
sub sql { my ($sql, $database) = @_; return $node->safe_psql($database // 'postgres', $sql); }

my @kinds = qw(TABLES SEQUENCES FUNCTIONS TYPES SCHEMAS);
my $defaults = join '', map { my $kind = $_; map { "ALTER DEFAULT PRIVILEGES GRANT ALL ON $kind TO $_;\n" } ('app', '"App Two" WITH GRANT OPTION', 'PUBLIC') } @kinds;
sql('CREATE ROLE app LOGIN; CREATE ROLE "App Two" LOGIN; CREATE ROLE reader; CREATE ROLE writer; CREATE ROLE admin; CREATE ROLE second SUPERUSER LOGIN');

# A line for each right of a role other than the owner, on each object of the extension; without the function that is everybody's.
my $rights = <<'SQL';
SELECT o.what, coalesce(nullif(a.grantee, 0)::regrole::text, 'public'), string_agg(a.privilege_type, ' ' ORDER BY a.privilege_type)
FROM pg_depend d JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND e.extname = 'telemetry_cqrs' AND d.deptype = 'e',
LATERAL (
	SELECT c.oid::regclass::text, c.relowner, coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's'::"char" ELSE 'r' END, c.relowner)) FROM pg_class c WHERE (d.classid, d.objid) = ('pg_class'::regclass, c.oid)
	UNION ALL SELECT p.oid::regprocedure::text, p.proowner, coalesce(p.proacl, acldefault('f', p.proowner)) FROM pg_proc p WHERE (d.classid, d.objid) = ('pg_proc'::regclass, p.oid)
	UNION ALL SELECT t.oid::regtype::text, t.typowner, coalesce(t.typacl, acldefault('T', t.typowner)) FROM pg_type t WHERE (d.classid, d.objid) = ('pg_type'::regclass, t.oid) AND t.typelem = 0
		AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind <> 'c')    -- row types follow their table
	UNION ALL SELECT 'schema ' || n.nspname, n.nspowner, coalesce(n.nspacl, acldefault('n', n.nspowner)) FROM pg_namespace n WHERE (d.classid, d.objid) = ('pg_namespace'::regclass, n.oid)
) AS o (what, owner, acl), LATERAL aclexplode(o.acl) AS a
WHERE a.grantee <> o.owner AND NOT (a.grantee = 0 AND o.what ~ 'shown_generation') GROUP BY 1, 2 ORDER BY 1, 2
SQL
# The rights that the owner lacks: 1 for each object.
my $owner_lacks = <<'SQL';
SELECT count(*) FROM pg_class c WHERE c.relnamespace = 'telemetry'::regnamespace AND c.relkind IN ('r', 'v')
AND NOT has_table_privilege(c.relowner, c.oid, 'SELECT, INSERT') AND NOT (SELECT rolsuper FROM pg_roles WHERE oid = c.relowner)
   OR c.relnamespace = 'telemetry'::regnamespace AND c.relkind IN ('r', 'v') AND coalesce(array_length(c.relacl, 1), 0) <> 1
SQL
sub privileges_of { my ($columns, $database) = @_; return sql("SELECT $columns FROM telemetry.setup() WHERE item = 'privileges'", $database); }

# --- a fresh install -------------------------------------------------------------------------------------------------------------

sql('CREATE DATABASE fresh');
sql("$defaults ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM postgres; CREATE EXTENSION telemetry_cqrs", 'fresh');
is(sql($rights, 'fresh'), '', 'a fresh install: only the owner has a right');
is(sql($owner_lacks, 'fresh'), '0', 'and the owner has all');
is(privileges_of('state', 'fresh'), 'ok', 'setup(): ok');
sql("SELECT telemetry.grant_reader('reader'), telemetry.grant_writer('writer'), telemetry.grant_admin('admin')", 'fresh');
my $granted = sql($rights, 'fresh');
unlike($granted, qr/app|App|public/, 'the three grants are for those they name');
is(privileges_of('state', 'fresh'), 'ok', 'setup(): what they hand out is in order');
sql("SELECT telemetry.ingest_telemetry('d', NULL, 1, NULL, 'k'); CALL telemetry.project_once()", 'fresh');
foreach my $forbidden ('UPDATE telemetry.device_state SET sample_count = 0', 'UPDATE telemetry.device_stats SET sample_count = 0', 'INSERT INTO telemetry.epoch SELECT * FROM telemetry.epoch',
	'SELECT secret FROM telemetry.installation', "SELECT nextval('telemetry.event_id_seq')", 'CREATE FUNCTION telemetry.grant_reader(text) RETURNS void LANGUAGE sql AS $$$$')
{
	my ($status, undef, $err) = $node->psql('fresh', "\\set VERBOSITY sqlstate\n$forbidden", extra_params => [ '-U', 'app' ]);
	like($err, qr/ERROR:  42501/, "app may not: $forbidden");
}

# --- an installation of an earlier version ---------------------------------------------------------------------------------------

sql('CREATE DATABASE older');
sql("$defaults CREATE EXTENSION telemetry_cqrs VERSION '1.0'; SELECT telemetry.grant_reader('reader'); GRANT SELECT, INSERT ON telemetry.device TO writer", 'older');
like(sql($rights, 'older'), qr/^telemetry\.device_state\|app\|DELETE INSERT/m, 'version 1.0 left it to the default privileges');
my %before = map { $_ => 1 } split /\n/, sql($rights, 'older');
sql(join('', map { "ALTER DEFAULT PRIVILEGES FOR ROLE second GRANT ALL ON $_ TO app;\n" } @kinds), 'older');
$node->safe_psql('older', 'ALTER EXTENSION telemetry_cqrs UPDATE', extra_params => [ '-U', 'second' ]);
my @after = split /\n/, sql($rights, 'older');
is(join("\n", grep { !$before{$_} } @after), '', 'the update gives no role a right to new objects');
is(scalar @after, scalar keys %before, 'and takes none of the old ones');

my ($state, $who, $command) = split /\|/, privileges_of('state, detail, command', 'older');
is($state, 'advice', 'setup(): advice');
is($who, '"App Two", app', 'and the roles that have too much'); # PUBLIC had been revoked by 1.0
like($command, qr/REVOKE [^;]*SELECT[^;]* ON telemetry\.installation FROM [^;]*app/, 'and the command for the secret');
sql($command, 'older');
is(privileges_of('state || coalesce(command, $$$$)', 'older'), 'ok', 'its command mends it');
@after = grep { /\|(?:app|"App Two")\|/ } split /\n/, sql($rights, 'older');
is(join("\n", grep { /^schema telemetry.*CREATE|^telemetry\.event_id_seq.*(?:UPDATE|USAGE)|^telemetry\.installation.*SELECT/ } @after), '', 'no role reads the secret, creates objects or takes numbers');
is(join("\n", grep { /TRIGGER/ || (/INSERT|UPDATE|DELETE|TRUNCATE|REFERENCES/ && !/^telemetry\.(?:device|rejected_readings|projection|rejected_id_seq)\|/) } @after), '', 'no role writes internal tables');
like(sql($rights, 'older'), qr/^telemetry\.device\|writer\|INSERT SELECT$/m, 'what the DBA gave of the registry is there');
like(sql($rights, 'older'), qr/^telemetry\.device_stats\|reader\|SELECT$/m, 'and what grant_reader gave');

# Single rights are found as well: on a column, of PUBLIC, handed on, of a role whose name needs quotes.
sql(<<'SQL', 'older');
GRANT UPDATE (sample_count) ON telemetry.region_state TO app;
GRANT TRIGGER ON telemetry.device TO PUBLIC;
GRANT UPDATE ON SEQUENCE telemetry.event_id_seq TO "App Two" WITH GRANT OPTION;
SET ROLE "App Two";
GRANT UPDATE ON SEQUENCE telemetry.event_id_seq TO reader;
SQL
is(privileges_of('detail', 'older'), '"App Two", PUBLIC, app, reader', 'setup(): single rights');
sql(privileges_of('command', 'older'), 'older');
is(privileges_of('state', 'older'), 'ok', 'mended');
is(sql("SELECT has_column_privilege('app', 'telemetry.region_state', 'sample_count', 'UPDATE')", 'older'), 'f', 'the column, too');

# --- dump and restore -------------------------------------------------------------------------------------------------------------

foreach my $database ('fresh', 'older')
{
	my $file = $node->basedir . "/$database.sql";
	my $want = sql($rights, $database);
	command_ok([ 'pg_dump', '-f', $file, '-d', $node->connstr($database) ], "$database: dumped");
	sql("CREATE DATABASE copy");
	sql($defaults, 'copy');
	command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', $file, '-d', $node->connstr('copy') ], "$database: restored");
	my $have = sql($rights, 'copy');
	# The harmless rights that the script of 1.0 left to app are part of the extension, as long as no command changed the rights of the object:
	# a dump does not carry those.
	my %original = map { $_ => 1 } split /\n/, $want;
	is(join("\n", grep { !$original{$_} } split /\n/, $have), '', "$database: every right in the copy is in the original too");
	my $of_default = qr/\|(?:app|"App Two")\|/;
	is(join("\n", grep { !/$of_default/ } split /\n/, $have), join("\n", grep { !/$of_default/ } split /\n/, $want), "$database: what was granted is granted in the copy");
	is(privileges_of('state', 'copy'), 'ok', "$database: no role has too much there");
	sql('DROP DATABASE copy');
}

$node->stop;
done_testing();
