# Acceptance check 16 (update). ALTER EXTENSION UPDATE runs from every released version. The result equals a fresh installation.
# Data and grants stay, repeats of earlier readings are still duplicates, and the projections go on.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TelemetryNode;

$LastingSession::wanted = 0;

# Everything the extension consists of, a line a fact, without oids. Members are found by their dependency on the extension.
my $catalogue = <<'SQL';
SET search_path = pg_catalog;
WITH member AS MATERIALIZED (
	SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
	WHERE d.deptype = 'e' AND e.extname = 'telemetry_cqrs'
), relation AS MATERIALIZED (
	SELECT c.* FROM member m JOIN pg_class c ON m.classid = 'pg_class'::regclass AND c.oid = m.objid
), fact AS (
	SELECT 'member' AS kind, i.type || ' ' || i.identity AS what, obj_description(m.objid, m.classid::regclass::name) AS fact
	FROM member m, pg_identify_object(m.classid, m.objid, 0) AS i
	UNION ALL
	SELECT 'relation', oid::regclass::text, concat_ws(', ', relkind, relpersistence, relreplident, relrowsecurity, relhasrules, relowner::regrole, reloptions, relacl)
	FROM relation
	UNION ALL
	SELECT 'column', r.oid::regclass || '.' || a.attnum,
	       concat_ws(', ', a.attname, format_type(a.atttypid, a.atttypmod), a.attcollation::regcollation, a.attnotnull, a.attstorage, a.attcompression,
	                 a.attstattarget, a.attinhcount, a.attislocal, a.attacl, pg_get_expr(f.adbin, f.adrelid), col_description(r.oid, a.attnum))
	FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 LEFT JOIN pg_attrdef f ON (f.adrelid, f.adnum) = (a.attrelid, a.attnum)
	UNION ALL
	SELECT 'toast', r.oid::regclass::text, t.reloptions::text FROM relation r JOIN pg_class t ON t.oid = r.reltoastrelid
	UNION ALL
	SELECT 'constraint', r.oid::regclass || '.' || c.conname, pg_get_constraintdef(c.oid) || c.connoinherit::text FROM relation r JOIN pg_constraint c ON c.conrelid = r.oid
	UNION ALL
	SELECT 'index', i.indexrelid::regclass::text, concat_ws(', ', pg_get_indexdef(i.indexrelid), c.reloptions, i.indisclustered, i.indisreplident, i.indisvalid)
	FROM relation r JOIN pg_index i ON i.indrelid = r.oid JOIN pg_class c ON c.oid = i.indexrelid
	UNION ALL
	SELECT 'trigger', r.oid::regclass || '.' || t.tgname, pg_get_triggerdef(t.oid) || t.tgenabled::text FROM relation r JOIN pg_trigger t ON t.tgrelid = r.oid AND NOT t.tgisinternal
	UNION ALL
	SELECT 'parent', i.inhrelid::regclass::text, i.inhparent::regclass::text FROM relation r JOIN pg_inherits i ON i.inhrelid = r.oid
	UNION ALL
	SELECT 'view', oid::regclass::text, pg_get_viewdef(oid) FROM relation WHERE relkind = 'v'
	UNION ALL
	SELECT 'sequence', s.seqrelid::regclass::text, (to_jsonb(s) - 'seqrelid')::text FROM relation r JOIN pg_sequence s ON s.seqrelid = r.oid
	UNION ALL
	SELECT 'routine', p.oid::regprocedure::text, concat_ws(', ', CASE WHEN p.prokind <> 'a' THEN pg_get_functiondef(p.oid) END, p.proowner::regrole, p.proacl)
	FROM member m JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND p.oid = m.objid
	UNION ALL
	SELECT 'aggregate', a.aggfnoid::text, concat_ws(', ', a.aggtranstype::regtype, to_jsonb(a) - ARRAY['aggfnoid', 'aggtranstype', 'aggmtranstype'])
	FROM member m JOIN pg_aggregate a ON m.classid = 'pg_proc'::regclass AND a.aggfnoid = m.objid
	UNION ALL
	SELECT 'type', t.oid::regtype::text, concat_ws(', ', t.typelem::regtype, to_jsonb(t) - ARRAY['oid', 'typrelid', 'typarray', 'typelem', 'typnamespace', 'typowner'])
	FROM member m JOIN pg_type t ON m.classid = 'pg_type'::regclass AND t.oid = m.objid
	UNION ALL
	SELECT 'attribute', t.oid::regtype || '.' || a.attnum, a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
	FROM member m JOIN pg_type t ON m.classid = 'pg_type'::regclass AND t.oid = m.objid JOIN pg_attribute a ON a.attrelid = t.typrelid AND a.attnum > 0
	UNION ALL
	SELECT 'schema', n.nspname, concat_ws(', ', n.nspowner::regrole, n.nspacl) FROM member m JOIN pg_namespace n ON m.classid = 'pg_namespace'::regclass AND n.oid = m.objid
	UNION ALL
	SELECT 'initial privileges', i.type || ' ' || i.identity, p.initprivs::text || p.privtype::text
	FROM member m JOIN pg_init_privs p ON (p.classoid, p.objoid) = (m.classid, m.objid), pg_identify_object(p.classoid, p.objoid, p.objsubid) AS i
	UNION ALL
	SELECT 'dumped', lpad(n::text, 3) || ' ' || c.relation::regclass, c.filter
	FROM pg_extension e, LATERAL ROWS FROM (unnest(e.extconfig), unnest(e.extcondition)) WITH ORDINALITY AS c (relation, filter, n) WHERE e.extname = 'telemetry_cqrs'
	UNION ALL
	SELECT 'extension', extname, concat_ws(', ', extversion, extnamespace::regnamespace, extrelocatable) FROM pg_extension WHERE extname = 'telemetry_cqrs'
)
SELECT kind || ' ' || what || ': ' || translate(coalesce(fact, 'nothing'), E'\n', ' ') FROM fact;
SQL

my $node = telemetry_node('upgrade', preload => 1, conf => "telemetry_cqrs.poll_interval = 100\ntelemetry_cqrs.launcher_interval = 100\n");
my $version = $node->safe_psql('postgres', 'SELECT telemetry.library_version()');
my @fresh = split /\n/, $node->safe_psql('postgres', $catalogue);
cmp_ok(scalar @fresh, '>', 300, 'facts of a fresh install');
$node->safe_psql('postgres', <<'SQL');
CREATE ROLE reader LOGIN; CREATE ROLE writer LOGIN; CREATE ROLE admin LOGIN; CREATE ROLE second SUPERUSER LOGIN;
ALTER DEFAULT PRIVILEGES FOR ROLE second GRANT EXECUTE ON FUNCTIONS TO PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE second GRANT SELECT ON TABLES TO PUBLIC;
SQL

# Returns the facts that are on one side only.
sub differences
{
	my ($have, $want) = @_;
	my (%have, %want);
	$have{$_}++ foreach @$have;
	$want{$_}++ foreach @$want;
	my @lines = ((map { "+ $_" } grep { !$want{$_} } sort keys %have), (map { "- $_" } grep { !$have{$_} } sort keys %want));
	splice @lines, 20 if @lines > 20;
	return @lines;
}

# Returns the rights that roles have on the extension's objects: as the catalogue has them, and as a dump carries them.
sub granted
{
	my $acls = $node->safe_psql('postgres', q{
SELECT o.what, CASE a.grantee WHEN 0 THEN 'public' ELSE a.grantee::regrole::text END, a.privilege_type FROM (
	SELECT oid::regclass::text AS what, relacl AS acl FROM pg_class WHERE relnamespace = 'telemetry'::regnamespace
	UNION ALL SELECT oid::regprocedure::text, proacl FROM pg_proc WHERE pronamespace = 'telemetry'::regnamespace
	UNION ALL SELECT 'schema', nspacl FROM pg_namespace WHERE nspname = 'telemetry') AS o, LATERAL aclexplode(o.acl) AS a
WHERE a.grantee <> 'postgres'::regrole ORDER BY 1, 2, 3});
	my ($dump) = run_command([ 'pg_dump', '-s', '-d', $node->connstr('postgres') ]);
	return ($acls, join "\n", sort grep { /^(GRANT|REVOKE) .*telemetry/ } split /\n/, $dump);
}

for my $release (split /\n/, $node->safe_psql('postgres', "SELECT version FROM pg_available_extension_versions WHERE name = 'telemetry_cqrs' AND version <> '$version' ORDER BY 1"))
{
	$node->safe_psql('postgres', "DROP EXTENSION telemetry_cqrs; CREATE EXTENSION telemetry_cqrs VERSION '$release'");
	$node->safe_psql('postgres', "SELECT telemetry.grant_reader('reader'), telemetry.grant_writer('writer'), telemetry.grant_admin('admin');
		GRANT SELECT ON telemetry.device_state TO reader; GRANT SELECT ON telemetry.device_stats TO PUBLIC; GRANT EXECUTE ON FUNCTION telemetry.as_of(text) TO writer WITH GRANT OPTION");
	my ($acls, $dumped) = granted();

	# The library came first: what the old script made stores, and the worker says what it waits for.
	wait_for($node, "SELECT state = 'failing' AND last_error LIKE 'extension version $release does not belong to library version $version%' FROM telemetry.worker_status()",
		"$release: the worker to say that the versions do not fit");
	my $batch = "(SELECT array_agg('d' || i % 10) AS d, array_agg(timestamptz '2024-05-01 10:00:00+00' + i * interval '1 s') AS m, array_agg(i * 0.1::float8) AS t,
		array_agg(i * 0.2::float8) AS h, array_agg('k' || i) AS k, array_agg('{\"light\": 5}'::jsonb) AS j, array_agg('r' || i % 3) AS r FROM generate_series(1, 500) AS i) AS s,
		telemetry.ingest_telemetry_batch(d, m, t, h, k, j, r)";
	is($node->safe_psql('postgres', "SET ROLE writer; SELECT accepted, first_event_id IS NOT NULL FROM $batch"), '500|t', "$release: a batch is stored");
	my $single = "telemetry.ingest_telemetry('single', '2024-05-01 10:00:00+00', %s, 40, 'key', NULL, 'hall')";
	my $receipt = $node->safe_psql('postgres', 'SET ROLE writer; SELECT event_id, received_at FROM ' . sprintf($single, '21.5'));
	is($node->safe_psql('postgres', "SET ROLE admin; SELECT telemetry.register_device('registered', 'hall')"), 't', "$release: a device is registered");
	my $identity = 'SELECT i::text FROM telemetry.installation i UNION ALL SELECT (epoch, system_identifier, database_oid, log_oid, timeline, opened_xid, opened_at)::text FROM telemetry.epoch';
	my @identity = split /\n/, $node->safe_psql('postgres', $identity);

	my $dump = $node->basedir . "/$release.dump";
	$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, '-d', $node->connstr('postgres') ], "$release: a dump of it");

	$node->safe_psql('postgres', 'SET SESSION AUTHORIZATION second; ALTER EXTENSION telemetry_cqrs UPDATE');
	wait_for($node, "SELECT state = 'running' FROM telemetry.worker_status()", "$release: the worker to go on by itself");
	wait_applied($node, "$release: what was stored before the update to be applied");
	read_models_follow($node, 'telemetry.measurements', "$release: updated");
	# A view's functions are called with the rights of the role that queries it.
	my @readable = split /\n/, $node->safe_psql('postgres', "SELECT DISTINCT table_name FROM information_schema.role_table_grants WHERE grantee = 'reader' AND table_schema = 'telemetry' ORDER BY 1");
	cmp_ok(scalar @readable, '>=', 8, "$release: what a reader was granted");
	$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-d', $node->connstr('postgres'), '-c', 'SET ROLE reader', '-c', "SELECT * FROM telemetry.$_" ],
		"$release: a reader of before reads $_") foreach @readable;
	is($node->safe_psql('postgres', "SELECT duplicates, accepted FROM $batch"), '500|0', "$release: duplicates of before are duplicates");
	is($node->safe_psql('postgres', "SELECT event_id, received_at FROM " . sprintf($single, '21.5')), $receipt, "$release: with the receipt of before");
	isnt($node->psql('postgres', 'SELECT ' . sprintf($single, '99')), 0, "$release: and a conflict is a conflict");
	is($node->safe_psql('postgres', $identity), join("\n", @identity), "$release: secret and epoch are those of before");
	$node->safe_psql('postgres', "SET ROLE writer; SELECT telemetry.ingest_telemetry('single', NULL, 3, 40, 'next')");
	wait_applied($node);
	read_models_follow($node, 'telemetry.measurements', "$release: updated, and written to");

	my ($acls_now, $dumped_now) = granted();
	like($acls_now, qr/^telemetry\.shown_generation\(text,boolean\)\|public\|EXECUTE$/m, "$release: everybody may call what the views of everybody call");
	is(join("\n", differences([ grep { !/^telemetry\.shown_generation/ } split /\n/, $acls_now ], [ split /\n/, $acls ])), '', "$release: what was granted is granted, and nothing else");
	is(join("\n", differences([ split /\n/, $dumped_now ], [ split /\n/, $dumped ])), '', "$release: a dump carries what was granted");
	$node->safe_psql('postgres', 'DROP OWNED BY reader, writer, admin; REVOKE ALL ON telemetry.device_stats FROM PUBLIC');

	# The other way to the new version: a dump of the old one, restored where the new one is installed.
	$node->safe_psql('postgres', 'CREATE DATABASE moved');
	$node->command_ok([ 'pg_restore', '-j2', '--exit-on-error', '-d', $node->connstr('moved'), $dump ], "$release: restored");
	{
		local $TelemetryNode::database = 'moved';
		is($node->safe_psql('moved', "SET ROLE writer; SELECT duplicates, accepted FROM $batch"), '500|0', "$release: restored: duplicates of before are duplicates");
		is($node->safe_psql('moved', 'SELECT event_id, received_at FROM ' . sprintf($single, '21.5')), $receipt, "$release: restored: with the receipt of before");
		$node->safe_psql('moved', "SET ROLE writer; SELECT telemetry.ingest_telemetry('single', NULL, 3, 40, 'next')");
		wait_applied($node, "$release: restored: applied");
		read_models_follow($node, 'telemetry.measurements', "$release: restored");
	}
	$node->safe_psql('postgres', 'DROP DATABASE moved WITH (FORCE)');
	my @updated = split /\n/, $node->safe_psql('postgres', $catalogue);
	is(join("\n", differences(\@updated, \@fresh)), '', "$release: after the update everything is as in a fresh install");
}

$node->stop;
done_testing();
