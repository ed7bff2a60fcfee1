-- The script and the library of the server must be of one version. A preloaded library stays until the server restarts.
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
        HINT = 'If shared_preload_libraries has telemetry_cqrs, restart the server; otherwise start a new session. Then repeat the command.';
END $check$;
COMMENT ON FUNCTION telemetry.library_version() IS 'Returns the version of the library that this session has loaded. ALTER EXTENSION telemetry_cqrs UPDATE brings the extension to it.';
