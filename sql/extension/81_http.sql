-- An administrator gives HTTP clients tokens. src/http answers them.

CREATE FUNCTION telemetry.create_http_token(role regrole, description text = NULL, expires_at timestamptz = NULL) RETURNS text
    AS 'MODULE_PATHNAME', 'telemetry_administer_for_caller' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.create_http_token(regrole, text, timestamptz) IS 'Makes a token and returns it, this once only. An HTTP client that sends it (Authorization: Bearer ...) acts as the role. The caller must be a member of the role that may act as it (SET ROLE), and the role no superuser. description: for telemetry.http_tokens. expires_at: NULL for never. The token is of use once the transaction has committed. Errors: 42704 for an unknown role, 42501, 22004 without a role, 22023 for a time that has passed.';

CREATE FUNCTION telemetry.create_http_token_as_owner(role regrole, description text, expires_at timestamptz, caller text) RETURNS text
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found pg_roles;
    -- 244 random bits need no slow hash.
    token CONSTANT text := 'tcq_' || replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '');
BEGIN
    IF role IS NULL THEN
        RAISE EXCEPTION 'role is NULL' USING ERRCODE = 'null_value_not_allowed', HINT = 'Give the role as which the holder of the token shall act.';
    END IF;
    SELECT r.* INTO found FROM pg_roles r WHERE r.oid = role;
    IF found.rolname IS NULL THEN
        RAISE EXCEPTION 'there is no such role' USING ERRCODE = 'undefined_object', DETAIL = format('The role was given as %L.', role),
            HINT = 'Give the name of a role that CREATE ROLE has made.';
    END IF;
    IF found.rolsuper THEN
        RAISE EXCEPTION 'no token stands for a superuser' USING ERRCODE = 'insufficient_privilege', DETAIL = format('Role %I is one.', found.rolname),
            HINT = 'Make a role, and give it the rights that the client needs by telemetry.grant_reader(), grant_writer() or grant_admin().';
    END IF;
    -- From PostgreSQL 16 on a role may have members that cannot act as it.
    IF NOT pg_has_role(caller, role, CASE WHEN current_setting('server_version_num')::integer >= 160000 THEN 'SET' ELSE 'MEMBER' END) THEN
        RAISE EXCEPTION 'permission denied to make a token of role %', quote_ident(found.rolname) USING ERRCODE = 'insufficient_privilege',
            DETAIL = 'Only members that may act as a role can make tokens that stand for it.', HINT = 'Ask a superuser or a member of that role.';
    END IF;
    IF expires_at <= clock_timestamp() THEN
        RAISE EXCEPTION 'expires_at has passed' USING ERRCODE = 'invalid_parameter_value', DETAIL = format('It is %s.', expires_at),
            HINT = 'Give a later time, or NULL for a token that does not expire.';
    END IF;
    INSERT INTO telemetry.http_token (hash, role, description, created_by, created_at, expires_at)
    VALUES (encode(sha256(convert_to(token, 'UTF8')), 'hex'), found.rolname, create_http_token_as_owner.description, caller, clock_timestamp(), create_http_token_as_owner.expires_at);
    RETURN token;
END $$;
COMMENT ON FUNCTION telemetry.create_http_token_as_owner(regrole, text, timestamptz, text) IS 'Does the work of telemetry.create_http_token(). Internal.';

CREATE VIEW telemetry.http_tokens AS
    SELECT pg_catalog.left(t.hash, 12) AS token_id, t.role, t.description, t.created_by, t.created_at, t.expires_at,
           CASE WHEN t.expires_at <= pg_catalog.clock_timestamp() THEN 'expired'
                WHEN NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = t.role) THEN 'no such role'
                ELSE 'active' END AS state
    FROM telemetry.http_token t;
COMMENT ON VIEW telemetry.http_tokens IS 'Shows the tokens of HTTP clients, but not the tokens themselves. token_id names one for telemetry.revoke_http_token(). state: active | expired | no such role.';

CREATE FUNCTION telemetry.revoke_http_token(token_id text) RETURNS boolean
    AS 'MODULE_PATHNAME', 'telemetry_administer' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.revoke_http_token(text) IS 'Ends the token that telemetry.http_tokens shows under this token_id, from the commit on; a stream of events ends within seconds. Returns whether there was one. NULL for NULL.';

CREATE FUNCTION telemetry.revoke_http_token_as_owner(token_id text) RETURNS boolean
    LANGUAGE sql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
    WITH gone AS (DELETE FROM telemetry.http_token t WHERE left(t.hash, 12) = token_id RETURNING 1)
    SELECT EXISTS (SELECT FROM gone)
$$;
COMMENT ON FUNCTION telemetry.revoke_http_token_as_owner(text) IS 'Does the work of telemetry.revoke_http_token(). Internal.';

CREATE FUNCTION telemetry.http_status(OUT worker integer, OUT state text, OUT pid integer, OUT since timestamptz, OUT last_error text, OUT last_error_at timestamptz) RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'telemetry_get_http_status' LANGUAGE C VOLATILE PARALLEL RESTRICTED ROWS 1;
COMMENT ON FUNCTION telemetry.http_status() IS 'Returns a row for each worker that should answer HTTP for this database (telemetry_cqrs.http_listen, http_workers). state: none | starting | running | failing (with a pid it tries again, such as to listen at an address that another program has; without one it cannot be started). No row: nobody should, or the library is not preloaded.';
