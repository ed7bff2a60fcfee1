-- These functions tell how fresh a projection is, and wait until it holds a reading.

CREATE FUNCTION telemetry.as_of(projection text) RETURNS timestamptz
    AS 'MODULE_PATHNAME', 'telemetry_get_as_of' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION telemetry.as_of(text) IS 'Returns a time. The projection, as the caller''s snapshot shows it, holds every reading that was committed before that time. While readings wait, it is the time up to which the last pass found it complete. When none waits, it is that time or the start of the caller''s transaction, whichever is later. Under REPEATABLE READ and SERIALIZABLE and on a standby it is the time of the last pass, because the snapshot there may show less than was committed by the start of the transaction. The result is never later than the snapshot; it is NULL where the time is not known.';

-- Each view of statistics calls this, with the rights of its reader.
CREATE FUNCTION telemetry.shown_generation(projection text, is_guarded boolean) RETURNS integer
    AS 'MODULE_PATHNAME', 'telemetry_get_shown_generation' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION telemetry.shown_generation(text, boolean) IS 'Returns the generation of a projection''s rows that its views show to the caller''s snapshot; NULL where there is none yet. With is_guarded it raises TC103 if the projection is older than telemetry_cqrs.max_staleness. Everybody may call it. Internal.';

CREATE FUNCTION telemetry.projection_tail(projection text, OUT events bigint, OUT oldest_received_at timestamptz)
    AS 'MODULE_PATHNAME', 'telemetry_measure_tail' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION telemetry.projection_tail(text) IS 'Returns how many committed events a projection has not applied yet, and when the first of them was received. The time is NULL where none waits. It is also NULL where the log was restored and nothing was accepted here since, because those events were received at another place. The call costs as much as the projector is behind, however far behind the projection itself is: events that the projector has read are known without counting.';

CREATE FUNCTION telemetry.wait_for(token text, timeout interval = '10 s', projection text = 'device') RETURNS text
    AS 'MODULE_PATHNAME', 'telemetry_wait_for' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.wait_for(text, interval, text) IS
'Waits until a projection holds the readings that the transaction of a receipt''s token stored. Returns applied, timeout (not yet; with timeout 0 the call looks once) or rolled back (that transaction was). The token of a duplicate is that of the first delivery. The token of an array call is that of its own transaction. If the call stored nothing, wait_for() returns applied when everything is applied that was committed by the time it found that transaction committed.
A token stands for a transaction and knows nothing of a savepoint that was rolled back. Wait only after the server has confirmed the COMMIT. After a crash the server may give out again the number of a transaction whose COMMIT it did not confirm, or that it committed with synchronous_commit = off. Then the token is refused or stands for another transaction; send the reading again to learn whether it was stored.
The call looks at what is committed now, whatever the isolation level. After applied the next statement shows the reading under READ COMMITTED, the next transaction otherwise. On a standby the call also waits for the token''s transaction to arrive. It holds no lock while it waits and can be cancelled. Where transaction_timeout would end the session, it returns timeout shortly before; the caller''s snapshot is held as by any statement. NULL for a NULL argument.
Errors: TC102 for the caller''s own transaction while it is open; 22023 for an invalid token or one of another database, a negative timeout or an unknown projection.';
CREATE FUNCTION telemetry.wait_for(token text, seconds double precision, projection text = 'device') RETURNS text
    AS 'MODULE_PATHNAME', 'telemetry_wait_for_seconds' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.wait_for(text, double precision, text) IS 'Does the same as the form with an interval, and waits for so many seconds at most.';
CREATE FUNCTION telemetry.wait_for(token text, timeout text, projection text = 'device') RETURNS text
    AS 'MODULE_PATHNAME', 'telemetry_wait_for_text' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.wait_for(text, text, text) IS 'Does the same as the form with an interval. A client that sends no types gets this form; timeout is an interval such as 5 s, or a number of seconds.';
