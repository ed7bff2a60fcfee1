CREATE FUNCTION telemetry.inbox_receipt() RETURNS telemetry.batch_receipt
    AS 'MODULE_PATHNAME', 'telemetry_inbox_receipt' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION telemetry.inbox_receipt() IS
'Returns the receipt of the last INSERT or COPY into telemetry.inbox or telemetry.inbox_text that has ended in this session: received = accepted + duplicates + conflicts + rejected, and the token for wait_for() and batch_verdicts(). NULL: there was none, it was rolled back, or its transaction was prepared. Through a connection pool, ask in the transaction of the statement.';
