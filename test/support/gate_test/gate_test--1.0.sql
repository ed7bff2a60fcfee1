\echo Use "CREATE EXTENSION gate_test" to load this file. \quit

-- Runs a command through a guarded block: a server error becomes a C++ exception and a server error again.
CREATE FUNCTION gate_run(command text) RETURNS void LANGUAGE c STRICT AS 'MODULE_PATHNAME';

-- The same with `depth` further entry points, each called inside a guarded block of the one before.
CREATE FUNCTION gate_run_deep(command text, depth integer) RETURNS void LANGUAGE c STRICT AS 'MODULE_PATHNAME';

-- Throws a C++ exception of a kind below `frames` guarded blocks: error, runtime_error, bad_alloc, number.
CREATE FUNCTION gate_throw(kind text, frames integer DEFAULT 0) RETURNS void LANGUAGE c STRICT AS 'MODULE_PATHNAME';

-- Catches a server error `times` times, each in a subtransaction of its own, within one call.
CREATE FUNCTION gate_catch(times integer) RETURNS void LANGUAGE c STRICT AS 'MODULE_PATHNAME';

-- Asks for memory that no machine has: palloc or new.
CREATE FUNCTION gate_ask_too_much(how text) RETURNS void LANGUAGE c STRICT AS 'MODULE_PATHNAME';

-- Uses up the memory that a limit of this process leaves, to the last bytes, and asks for more: by palloc, by new, or by
-- palloc after new (both), where nothing is left to copy the error with. Lifts the limit afterwards.
CREATE FUNCTION gate_exhaust(how text) RETURNS void LANGUAGE c STRICT AS 'MODULE_PATHNAME';

-- Waits to be cancelled: in a server function inside a guarded block, or in a C++ loop that looks for interrupts.
CREATE FUNCTION gate_sleep() RETURNS void LANGUAGE c STRICT AS 'MODULE_PATHNAME';
CREATE FUNCTION gate_spin() RETURNS void LANGUAGE c STRICT AS 'MODULE_PATHNAME';

-- Returns a count of this session, by name: constructed, destroyed, destroyed_twice, stacks_changed, context_calls; bytes now:
-- resident, contexts.
CREATE FUNCTION gate_counter(name text) RETURNS bigint LANGUAGE c STRICT VOLATILE AS 'MODULE_PATHNAME';

-- Every field of the error that a command raises.
CREATE FUNCTION gate_report(command text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    state text; message text; detail text; hint text; context text;
    schema_name text; table_name text; column_name text; datatype_name text; constraint_name text;
BEGIN
    EXECUTE command;
    RETURN '"no error"';
EXCEPTION WHEN OTHERS OR query_canceled THEN
    GET STACKED DIAGNOSTICS
        state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT,
        context = PG_EXCEPTION_CONTEXT, schema_name = SCHEMA_NAME, table_name = TABLE_NAME, column_name = COLUMN_NAME,
        datatype_name = PG_DATATYPE_NAME, constraint_name = CONSTRAINT_NAME;
    RETURN jsonb_build_object('sqlstate', state, 'message', message, 'detail', detail, 'hint', hint, 'context', context,
        'schema', schema_name, 'table', table_name, 'column', column_name, 'datatype', datatype_name,
        'constraint', constraint_name);
END
$$;

-- Runs a command that fails `times` times, each in a subtransaction of its own.
CREATE FUNCTION gate_repeat(command text, times integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. times LOOP
        BEGIN
            EXECUTE command;
            RAISE 'the command did not fail: %', command USING ERRCODE = 'assert_failure';
        EXCEPTION WHEN OTHERS THEN
            NULL;
        END;
    END LOOP;
END
$$;
