-- New objects belong to the owner of the log, whichever role ran the script, and no other role has a right to them: the script takes
-- back the rights that ALTER DEFAULT PRIVILEGES gave. Only shown_generation() is everybody's: the server asks the reader of a view for the
-- right to its functions, and the views of version 1.0 did not call it. grant_reader, grant_writer and grant_admin hand out the three sets. Objects of an
-- earlier version have initial privileges on record and are left alone: a REVOKE here would record later grants as part of the
-- extension, and dumps would leave them out. telemetry.setup() names the roles that have too many rights there.
DO $new$
DECLARE
    log_owner regrole := (SELECT relowner FROM pg_catalog.pg_class WHERE oid OPERATOR(pg_catalog.=) 'telemetry.event'::pg_catalog.regclass);
    -- A schema that this script has just made has initial privileges already, so the script looks at those of the log.
    is_fresh boolean := NOT EXISTS (SELECT FROM pg_catalog.pg_init_privs i WHERE i.classoid = 'pg_class'::regclass AND i.objoid = 'telemetry.event'::regclass AND i.objsubid = 0);
    item record;
BEGIN
    FOR item IN
        SELECT o.kind, o.name, o.owner, o.kind = 'ROUTINE' AND o.name LIKE '%shown_generation(%' AS is_public, CASE o.kind WHEN 'VIEW' THEN 'TABLE' ELSE o.kind END AS granted_as,
               (SELECT string_agg(DISTINCT ', ' || a.grantee::regrole, '') FROM aclexplode(o.acl) a WHERE a.grantee NOT IN (0, o.owner, log_owner)) AS others
        FROM pg_catalog.pg_depend d
        CROSS JOIN LATERAL (
            SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE' WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END AS kind, c.oid::regclass::text AS name, c.relowner AS owner, c.relacl AS acl
            FROM pg_catalog.pg_class c WHERE d.classid = 'pg_class'::regclass AND c.oid = d.objid AND c.relkind IN ('r', 'v', 'S')
            UNION ALL
            SELECT 'ROUTINE', p.oid::regprocedure::text, p.proowner, p.proacl
            FROM pg_catalog.pg_proc p WHERE d.classid = 'pg_proc'::regclass AND p.oid = d.objid
            UNION ALL
            SELECT 'TYPE', t.oid::regtype::text, t.typowner, t.typacl
            FROM pg_catalog.pg_type t WHERE d.classid = 'pg_type'::regclass AND t.oid = d.objid AND t.typelem = 0
              -- From PostgreSQL 17 on the row types of tables and views are members, too; they follow their table.
              AND NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = t.typrelid AND c.relkind <> 'c')
            UNION ALL
            SELECT 'SCHEMA', n.oid::regnamespace::text, n.nspowner, n.nspacl
            FROM pg_catalog.pg_namespace n WHERE is_fresh AND d.classid = 'pg_namespace'::regclass AND n.oid = d.objid
        ) AS o
        WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
          AND d.refobjid = (SELECT e.oid FROM pg_catalog.pg_extension e WHERE e.extname = 'telemetry_cqrs')
          AND (o.kind = 'SCHEMA' OR NOT EXISTS (SELECT FROM pg_catalog.pg_init_privs i WHERE i.classoid = d.classid AND i.objoid = d.objid AND i.objsubid = 0))
    LOOP
        IF item.owner <> log_owner THEN EXECUTE format('ALTER %s %s OWNER TO %s', item.kind, item.name, log_owner); END IF;
        EXECUTE format('REVOKE ALL ON %s %s FROM PUBLIC%s', item.granted_as, item.name, item.others);
        IF item.is_public THEN EXECUTE format('GRANT EXECUTE ON %s %s TO PUBLIC', item.granted_as, item.name); END IF;
        -- Default privileges can also take rights from the owner.
        EXECUTE format('GRANT ALL ON %s %s TO %s', item.granted_as, item.name, log_owner);
    END LOOP;
END $new$;

SELECT telemetry.announce_installation();
