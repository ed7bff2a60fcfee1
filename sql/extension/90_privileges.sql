-- What is new belongs to the owner of the log, whoever ran the script, and nothing of it is for PUBLIC; grant_reader, grant_writer
-- and grant_admin hand out the three sets. What an earlier version made has initial privileges on record and is left alone: a
-- REVOKE here would record what was granted since as part of the extension, and dumps would leave it out.
DO $new$
DECLARE
    owner regrole := (SELECT relowner FROM pg_catalog.pg_class WHERE oid OPERATOR(pg_catalog.=) 'telemetry.event'::pg_catalog.regclass);
    item record;
BEGIN
    FOR item IN
        SELECT o.kind, o.name, o.owner
        FROM pg_catalog.pg_depend d
        CROSS JOIN LATERAL (
            SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE' WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END AS kind, c.oid::regclass::text AS name, c.relowner AS owner
            FROM pg_catalog.pg_class c WHERE d.classid = 'pg_class'::regclass AND c.oid = d.objid AND c.relkind IN ('r', 'v', 'S')
            UNION ALL
            SELECT 'ROUTINE', p.oid::regprocedure::text, p.proowner
            FROM pg_catalog.pg_proc p WHERE d.classid = 'pg_proc'::regclass AND p.oid = d.objid
            UNION ALL
            SELECT 'TYPE', t.oid::regtype::text, t.typowner
            FROM pg_catalog.pg_type t WHERE d.classid = 'pg_type'::regclass AND t.oid = d.objid AND t.typelem = 0
        ) AS o
        WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
          AND d.refobjid = (SELECT e.oid FROM pg_catalog.pg_extension e WHERE e.extname = 'telemetry_cqrs')
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_init_privs i WHERE i.classoid = d.classid AND i.objoid = d.objid AND i.objsubid = 0)
    LOOP
        IF item.owner <> owner THEN EXECUTE format('ALTER %s %s OWNER TO %s', item.kind, item.name, owner); END IF;
        EXECUTE format('REVOKE ALL ON %s %s FROM PUBLIC', CASE item.kind WHEN 'VIEW' THEN 'TABLE' ELSE item.kind END, item.name);
    END LOOP;
END $new$;

SELECT telemetry.announce_installation();
