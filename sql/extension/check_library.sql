-- The script and the library of the server must be of one version: a library that was preloaded stays until a restart.
DO $check$
BEGIN
    CREATE OR REPLACE FUNCTION telemetry.library_version() RETURNS text
        AS 'MODULE_PATHNAME', 'telemetry_get_library_version' LANGUAGE C STABLE PARALLEL SAFE;
    IF telemetry.library_version() <> '@VERSION@' THEN
        RAISE undefined_function;
    END IF;
EXCEPTION WHEN undefined_function THEN
    RAISE EXCEPTION 'the loaded library of telemetry_cqrs is not of version @VERSION@' USING
        ERRCODE = 'TC301',
        DETAIL = 'A library that was preloaded or used by this session stays loaded when its file is replaced.',
        HINT = 'Restart the server if shared_preload_libraries has telemetry_cqrs, otherwise start a new session; then repeat the command.';
END $check$;
COMMENT ON FUNCTION telemetry.library_version() IS 'Version of the library this session has loaded; ALTER EXTENSION telemetry_cqrs UPDATE brings the extension to it.';
