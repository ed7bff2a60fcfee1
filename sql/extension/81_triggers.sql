-- telemetry.trigger_defects() compares the triggers that guard the log, announce changes of the registry and take the rows of the
-- inboxes with those that the script made.

CREATE FUNCTION telemetry.trigger_defects(OUT "table" text, OUT "trigger" text, OUT defect text, OUT command text) RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    WITH expected ("table", name, fires, deed) AS (VALUES
        ('event', 'insert_only', 'ALWAYS', 'BEFORE DELETE OR UPDATE OR TRUNCATE ON telemetry.event FOR EACH STATEMENT EXECUTE FUNCTION telemetry.refuse_change()'),
        ('event_1', 'insert_only', 'ALWAYS', 'BEFORE DELETE OR UPDATE OR TRUNCATE ON telemetry.event_1 FOR EACH STATEMENT EXECUTE FUNCTION telemetry.refuse_change()'),
        ('event_1', 'insert_only_rows', 'ALWAYS', 'BEFORE DELETE OR UPDATE ON telemetry.event_1 FOR EACH ROW EXECUTE FUNCTION telemetry.refuse_change()'),
        ('device', 'announce_change', 'ALWAYS', 'AFTER DELETE OR UPDATE OR TRUNCATE ON telemetry.device FOR EACH STATEMENT EXECUTE FUNCTION telemetry.announce_registry_change()'),
        ('device', 'announce_replicated_change', 'REPLICA', 'AFTER DELETE OR UPDATE ON telemetry.device FOR EACH ROW EXECUTE FUNCTION telemetry.announce_registry_change()'),
        ('metric', 'announce_change', 'ALWAYS', 'AFTER DELETE OR UPDATE ON telemetry.metric FOR EACH ROW EXECUTE FUNCTION telemetry.announce_registry_change()'),
        ('metric', 'announce_limits', 'ALWAYS', 'AFTER INSERT ON telemetry.metric FOR EACH ROW WHEN (((new.minimum IS NOT NULL) OR (new.maximum IS NOT NULL))) EXECUTE FUNCTION telemetry.announce_registry_change()'),
        ('metric', 'announce_truncate', 'ALWAYS', 'AFTER TRUNCATE ON telemetry.metric FOR EACH STATEMENT EXECUTE FUNCTION telemetry.announce_registry_change()'),
        ('device_policy', 'announce_change', 'ALWAYS', 'AFTER INSERT OR DELETE OR UPDATE ON telemetry.device_policy FOR EACH ROW EXECUTE FUNCTION telemetry.announce_registry_change()'),
        ('device_policy', 'announce_truncate', 'ALWAYS', 'AFTER TRUNCATE ON telemetry.device_policy FOR EACH STATEMENT EXECUTE FUNCTION telemetry.announce_registry_change()'),
        ('inbox', 'begin_intake', 'ORIGIN', 'BEFORE INSERT ON telemetry.inbox FOR EACH STATEMENT EXECUTE FUNCTION telemetry.begin_intake()'),
        ('inbox', 'take_row', 'ORIGIN', 'INSTEAD OF INSERT ON telemetry.inbox FOR EACH ROW EXECUTE FUNCTION telemetry.take_inbox_row()'),
        ('inbox', 'end_intake', 'ORIGIN', 'AFTER INSERT ON telemetry.inbox FOR EACH STATEMENT EXECUTE FUNCTION telemetry.end_intake()'),
        ('inbox_text', 'begin_intake', 'ORIGIN', 'BEFORE INSERT ON telemetry.inbox_text FOR EACH STATEMENT EXECUTE FUNCTION telemetry.begin_intake()'),
        ('inbox_text', 'take_row', 'ORIGIN', 'INSTEAD OF INSERT ON telemetry.inbox_text FOR EACH ROW EXECUTE FUNCTION telemetry.take_inbox_text_row()'),
        ('inbox_text', 'end_intake', 'ORIGIN', 'AFTER INSERT ON telemetry.inbox_text FOR EACH STATEMENT EXECUTE FUNCTION telemetry.end_intake()')
    ), found AS (
        SELECT c.relname, t.tgname, pg_get_triggerdef(t.oid) AS definition,
               CASE t.tgenabled WHEN 'A' THEN 'ALWAYS' WHEN 'R' THEN 'REPLICA' WHEN 'O' THEN 'ORIGIN' ELSE 'DISABLED' END AS fires
        FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
        WHERE c.relnamespace = 'telemetry'::regnamespace AND NOT t.tgisinternal
    ), compared AS (
        SELECT e."table", e.name, e.fires, format('CREATE TRIGGER %I %s', e.name, e.deed) AS definition,
               f.tgname AS known, f.definition AS known_definition, COALESCE(f.fires, o.fires) AS known_fires, o.tgname AS other_name
        FROM expected e
        JOIN pg_class c ON c.relname = e."table" AND c.relnamespace = 'telemetry'::regnamespace
        LEFT JOIN found f ON f.relname = e."table" AND f.tgname = e.name
        LEFT JOIN LATERAL (
            SELECT r.tgname, r.fires FROM found r
            WHERE f.tgname IS NULL AND r.relname = e."table" AND r.definition = format('CREATE TRIGGER %I %s', r.tgname, e.deed)
            ORDER BY r.tgname LIMIT 1
        ) AS o ON true
    )
    SELECT "table", name,
           CASE WHEN known IS NULL AND other_name IS NULL THEN 'is missing'
                WHEN known IS NULL THEN 'is named ' || quote_ident(other_name)
                WHEN known_definition <> definition THEN 'has another definition'
                WHEN known_fires = 'DISABLED' THEN 'is disabled'
                ELSE 'fires as ' || known_fires || ', not ' || fires END,
           concat_ws('; ',
               CASE WHEN known_definition <> definition THEN format('DROP TRIGGER %I ON telemetry.%I', name, "table") END,
               CASE WHEN known IS NULL AND other_name IS NOT NULL THEN format('ALTER TRIGGER %I ON telemetry.%I RENAME TO %I', other_name, "table", name)
                    WHEN known IS NULL OR known_definition <> definition THEN definition END,
               -- A new trigger fires as ORIGIN. Those of views always do, and ALTER TABLE refuses to change that.
               CASE WHEN fires <> 'ORIGIN' AND (known_definition <> definition OR known_fires IS DISTINCT FROM fires) THEN
                   format('ALTER TABLE telemetry.%I ENABLE %s TRIGGER %I', "table", fires, name) END)
    FROM compared
    WHERE known IS NULL OR known_definition <> definition OR known_fires <> fires
    ORDER BY "table", name
$$;
COMMENT ON FUNCTION telemetry.trigger_defects() IS 'Lists the triggers of the extension that are not as its script made them, with the defect of each and the SQL that mends it. Internal.';
