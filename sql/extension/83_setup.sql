-- telemetry.setup() reports what the server's set-up lacks, with the SQL or the shell command that mends it.

CREATE FUNCTION telemetry.setup(OUT item text, OUT state text, OUT detail text, OUT hint text, OUT command text) RETURNS SETOF record
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET lock_timeout = '250ms' AS $$
DECLARE
    worker record;
    seen record;
    number bigint;
    version text;
    library text;
    caller name := COALESCE(NULLIF(current_setting('role'), 'none'), session_user);
    -- The command names the folder, because pg_ctl is in no PATH on Debian.
    restart CONSTANT text := (SELECT quote_literal(c.setting || '/pg_ctl') FROM pg_config c WHERE c.name = 'BINDIR')
                             || ' restart -D ' || quote_literal(current_setting('data_directory'));
BEGIN
    SELECT * INTO worker FROM telemetry.worker_status();
    FOREACH item IN ARRAY ARRAY['preload', 'library version', 'start_worker', 'worker slots', 'worker', 'tables', 'readers', 'writers', 'your rights', 'privileges',
                                'synchronous_commit', 'fsync', 'autovacuum', 'track_activities', 'triggers'] LOOP
        state := 'ok'; detail := NULL; hint := NULL; command := NULL;
        BEGIN
            CASE item
            WHEN 'preload' THEN
                detail := current_setting('shared_preload_libraries');
                IF NOT worker.preloaded THEN
                    state := CASE current_setting('telemetry_cqrs.start_worker') WHEN 'on' THEN 'advice' ELSE 'missing' END;
                    -- The configuration files say what the next start will load; the server may run with less.
                    SELECT f.setting INTO seen FROM pg_file_settings f WHERE f.name = 'shared_preload_libraries' ORDER BY f.seqno DESC LIMIT 1;
                    IF FOUND THEN detail := seen.setting; END IF;
                    SELECT string_agg(quote_literal(COALESCE(replace(m.part[1], '""', '"'), m.part[2])), ', ' ORDER BY m.place),
                           count(*) FILTER (WHERE COALESCE(m.part[1], m.part[2]) = 'telemetry_cqrs') INTO command, number
                    FROM regexp_matches(detail, '"((?:[^"]|"")*)"|([^",\s](?:[^",]*[^",\s])?)', 'g') WITH ORDINALITY AS m (part, place);
                    IF number > 0 THEN
                        command := restart;
                        hint := 'The configuration names the library. Restart the server.';
                    ELSE
                        command := 'ALTER SYSTEM SET shared_preload_libraries = ' || concat(command || ', ', quote_literal('telemetry_cqrs'));
                        hint := 'Restart the server after the command. Without preloading only a command starts a worker, telemetry.stat_ingest counts nothing, and no quota is enforced. A role that may use schema telemetry can also make every session wait by a statement that it has no right to, such as CREATE RULE on a table of the extension, from a session that has not loaded the library.';
                    END IF;
                END IF;

            WHEN 'library version' THEN
                SELECT e.extversion INTO version FROM pg_extension e WHERE e.extname = 'telemetry_cqrs';
                library := telemetry.library_version();
                detail := concat('extension ', version, ', library ', library);
                IF library <> version THEN
                    state := 'missing';
                    command := CASE WHEN EXISTS (SELECT FROM pg_extension_update_paths('telemetry_cqrs') p
                                                 WHERE p.source = version AND p.target = library AND p.path IS NOT NULL)
                                    THEN 'ALTER EXTENSION telemetry_cqrs UPDATE TO ' || quote_literal(library) ELSE restart END;
                END IF;

            WHEN 'start_worker' THEN
                detail := current_setting('telemetry_cqrs.start_worker');
                IF detail = 'off' THEN
                    state := 'advice';
                    hint := 'No worker runs while it is off.';
                    command := 'ALTER SYSTEM SET telemetry_cqrs.start_worker = on; SELECT pg_reload_conf()';
                END IF;

            WHEN 'worker slots' THEN
                SELECT count(*) INTO number
                FROM pg_stat_activity a
                WHERE telemetry.is_background_worker(a.pid);
                detail := concat(number, ' of ', current_setting('max_worker_processes'), ' in use');
                IF worker.pid IS NULL AND number >= current_setting('max_worker_processes')::integer THEN
                    state := 'missing';
                    hint := 'telemetry.health() says which workers have the slots. Restart the server after the command.';
                    command := 'ALTER SYSTEM SET max_worker_processes = ' || number + 8;
                END IF;

            WHEN 'worker' THEN
                detail := concat(worker.state, ', pid ' || worker.pid, ' since ' || worker.since);
                IF pg_is_in_recovery() THEN
                    detail := 'none: a standby has no worker until it is promoted';
                ELSIF worker.state = 'none' AND NOT worker.preloaded AND current_setting('telemetry_cqrs.start_worker') = 'on' THEN
                    detail := 'none: the next command starts it';
                ELSIF worker.state = 'starting' AND worker.since > clock_timestamp() - (SELECT l.starting FROM telemetry.health_limits() l) THEN
                    NULL;  -- A worker that has just been asked for is not missing.
                ELSIF worker.pid IS NULL THEN
                    state := 'missing';
                    detail := concat(detail, ': ' || worker.last_error);
                    hint := 'A worker starts by itself when the rows above are ok. Until then the command applies readings by hand.';
                    command := 'CALL telemetry.project_once()';
                ELSIF worker.state = 'failing' THEN
                    state := 'missing';
                    detail := concat(detail, ': ' || worker.last_error);
                    hint := 'The worker tries again by itself. The server log has the details.';
                END IF;

            WHEN 'tables' THEN
                SELECT string_agg(format('%s on %s: %s', o.object, o."table", o.reason), '; ' ORDER BY o."table"::text),
                       string_agg(o.command, '; ' ORDER BY o."table"::text)
                INTO detail, command FROM telemetry.table_obstacles() o;
                IF detail IS NOT NULL THEN
                    state := 'missing';
                    IF command IS NOT NULL THEN hint := 'The extension goes on by itself after the command.'; END IF;
                ELSE
                    detail := 'nothing keeps the extension from writing them';
                END IF;

            WHEN 'readers', 'writers' THEN
                SELECT string_agg(r.rolname, ', ' ORDER BY r.rolname) INTO detail
                FROM pg_roles r
                WHERE NOT r.rolsuper AND r.rolname !~ '^pg_'
                  AND CASE item WHEN 'readers' THEN has_table_privilege(r.oid, 'telemetry.device_stats', 'SELECT')
                      ELSE has_function_privilege(r.oid, 'telemetry.ingest_telemetry(text, timestamptz, double precision, double precision, text, jsonb, text)', 'EXECUTE') END;
                IF detail IS NULL THEN
                    state := 'advice';
                    detail := 'none but superusers';
                    hint := 'Make a role that may ' || CASE item WHEN 'readers' THEN 'query.' ELSE 'send readings.' END;
                    command := format('CREATE ROLE telemetry_%1$s; SELECT telemetry.grant_%1$s(''telemetry_%1$s'')', rtrim(item, 's'));
                END IF;

            WHEN 'your rights' THEN
                SELECT concat_ws(', ', CASE WHEN r.reads THEN 'read' END, CASE WHEN r.writes THEN 'send' END) AS list, r.reads AND r.writes AS has_all INTO seen
                FROM (SELECT has_schema_privilege(caller, 'telemetry', 'USAGE') AND has_table_privilege(caller, 'telemetry.device_stats', 'SELECT') AS reads,
                             has_schema_privilege(caller, 'telemetry', 'USAGE') AND has_function_privilege(caller,
                                 'telemetry.ingest_telemetry(text, timestamptz, double precision, double precision, text, jsonb, text)', 'EXECUTE') AS writes) AS r;
                detail := caller || ': ' || COALESCE(NULLIF(seen.list, ''), 'none');
                IF NOT seen.has_all THEN
                    state := 'advice';
                    command := format('SELECT telemetry.grant_admin(%L)', quote_ident(caller));
                END IF;

            WHEN 'privileges' THEN
                -- The DBA may grant the tables device, rejected_readings and projection, and the sequence of rejected_readings, because a
                -- role that writes them changes no reading. Writers insert into the inboxes. TRIGGER is too much, because the owner's commands run a trigger's function.
                WITH relation AS MATERIALIZED (
                    SELECT c.oid, c.oid::regclass::text AS name, c.relkind, c.relowner, c.relacl,
                           CASE WHEN c.relname = 'event_id_seq' THEN '{USAGE,UPDATE}'::text[]
                                WHEN c.relkind = 'S' THEN '{}'
                                WHEN c.relname IN ('device', 'rejected_readings', 'projection', 'inbox', 'inbox_text') THEN '{TRIGGER}'
                                WHEN c.relname = 'installation' THEN '{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'
                                ELSE '{INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}' END AS internal
                    FROM pg_depend d JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid JOIN pg_class c ON c.oid = d.objid
                    WHERE e.extname = 'telemetry_cqrs' AND d.deptype = 'e' AND d.classid = 'pg_class'::regclass AND c.relkind IN ('r', 'v', 'S')
                ), granted AS (
                    SELECT CASE r.relkind WHEN 'S' THEN 'SEQUENCE ' ELSE '' END AS kind, r.name, r.relowner AS owner, r.internal, a.grantee, a.privilege_type AS privilege
                    FROM relation r, aclexplode(r.relacl) a
                    UNION ALL
                    SELECT '', r.name, r.relowner, r.internal, a.grantee, a.privilege_type
                    FROM relation r JOIN pg_attribute t ON t.attrelid = r.oid AND t.attacl IS NOT NULL, aclexplode(t.attacl) a
                    UNION ALL
                    SELECT 'SCHEMA ', n.nspname, n.nspowner, '{CREATE}', a.grantee, a.privilege_type
                    FROM pg_namespace n, aclexplode(n.nspacl) a WHERE n.nspname = 'telemetry'
                ), excess AS (
                    SELECT g.kind, g.name, g.privilege, CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE g.grantee::regrole::text END COLLATE "C" AS grantee
                    FROM granted g WHERE g.grantee <> g.owner AND g.privilege = ANY (g.internal)
                ), of_object AS (
                    SELECT x.kind, x.name, string_agg(DISTINCT x.privilege, ', ') AS privileges, string_agg(DISTINCT x.grantee, ', ') AS grantees
                    FROM excess x GROUP BY x.kind, x.name
                ), revocation AS (
                    SELECT format('REVOKE %s ON %s%s FROM %s CASCADE', o.privileges, o.kind, string_agg(o.name, ', ' ORDER BY o.name), o.grantees) AS words
                    FROM of_object o GROUP BY o.kind, o.privileges, o.grantees
                )
                SELECT (SELECT string_agg(DISTINCT x.grantee, ', ') FROM excess x), (SELECT string_agg(v.words, '; ' ORDER BY v.words) FROM revocation v)
                INTO detail, command;
                IF command IS NOT NULL THEN
                    state := 'advice';
                    hint := 'These roles may write internal tables, read the secret of the installation, create objects in the schema or put a trigger on a table. ALTER DEFAULT PRIVILEGES gives such rights where an earlier version was installed.';
                END IF;

            WHEN 'synchronous_commit' THEN
                SELECT s.setting, s.source INTO seen FROM pg_settings s WHERE s.name = 'synchronous_commit';
                detail := seen.setting;
                IF seen.setting = 'off' THEN
                    state := 'advice';
                    hint := 'A crash of the server loses the last accepted readings of sessions with this setting. The command changes it for new sessions.';
                    command := CASE seen.source
                                   WHEN 'user' THEN format('ALTER ROLE %I SET synchronous_commit = on', session_user)
                                   WHEN 'database user' THEN format('ALTER ROLE %I IN DATABASE %I SET synchronous_commit = on', session_user, current_database())
                                   ELSE format('ALTER DATABASE %I SET synchronous_commit = on', current_database()) END;
                END IF;

            WHEN 'fsync' THEN
                detail := current_setting('fsync');
                IF detail = 'off' THEN
                    state := 'advice';
                    hint := 'A crash of the machine may destroy every database of the server.';
                    command := 'ALTER SYSTEM SET fsync = on; SELECT pg_reload_conf()';
                END IF;

            WHEN 'autovacuum' THEN
                SELECT string_agg(s.name || ' ' || s.setting, ', ' ORDER BY s.name),
                       string_agg('ALTER SYSTEM SET ' || s.name || ' = on', '; ') FILTER (WHERE s.setting = 'off') INTO detail, command
                FROM pg_settings s WHERE s.name IN ('autovacuum', 'track_counts');
                IF command IS NOT NULL THEN
                    state := 'missing';
                    hint := 'Read models grow with every batch, and nothing freezes the log.';
                    command := command || '; SELECT pg_reload_conf()';
                END IF;

            WHEN 'track_activities' THEN
                detail := current_setting('track_activities');
                IF detail = 'off' THEN
                    state := 'advice';
                    hint := 'telemetry.health() cannot say what the sessions in the way are doing.';
                    command := 'ALTER SYSTEM SET track_activities = on; SELECT pg_reload_conf()';
                END IF;

            WHEN 'triggers' THEN
                SELECT string_agg(format('%s of telemetry.%s %s', d.trigger, d.table, d.defect), ', '), string_agg(d.command, '; ') INTO detail, command
                FROM telemetry.trigger_defects() d;
                IF command IS NULL THEN
                    detail := 'as installed';
                ELSE
                    state := 'missing';
                    hint := 'The log is open to changes, sessions miss changes of the registry, or an inbox takes no rows.';
                END IF;
            END CASE;
        EXCEPTION WHEN OTHERS THEN
            state := 'missing';
            detail := concat('could not be checked: ', SQLSTATE, ' ', SQLERRM);
            hint := NULL;
            command := NULL;
        END;
        RETURN NEXT;
    END LOOP;
END $$;
COMMENT ON FUNCTION telemetry.setup() IS
'Returns a row for each thing that the extension needs of the server: item, state (ok | missing: something does not work | advice: it works, but could be better), detail (what the server has), hint (why it matters, or what else to do) and command, which mends it. A command is SQL for a superuser, its statements separated by "; ", or a call of pg_ctl for a shell of the server''s user. Settings are those of the caller''s session.';

CREATE FUNCTION telemetry.announce_installation() RETURNS void
    AS 'MODULE_PATHNAME', 'telemetry_announce_installation' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.announce_installation() IS 'Announces the installation when the transaction commits: the launcher looks at this database, and every session looks up the extension''s relations anew. Internal.';
