-- The commands change the write side.

CREATE FUNCTION telemetry.ingest_telemetry(
    device_id       text,
    measured_at     timestamptz = NULL,
    temperature     double precision = NULL,
    humidity        double precision = NULL,
    idempotency_key text = NULL,
    metrics         jsonb = NULL,
    region          text = NULL
) RETURNS telemetry.receipt
    AS 'MODULE_PATHNAME', 'telemetry_ingest_reading' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.ingest_telemetry(text, timestamptz, double precision, double precision, text, jsonb, text) IS
'Stores one reading exactly once, in the caller''s transaction. Call it as SELECT * FROM telemetry.ingest_telemetry(...), because (telemetry.ingest_telemetry(...)).* calls it once for each column and stores a reading without identity each time.
temperature is in °C, humidity in %RH; metrics has further numeric metrics as a JSON object. Without measured_at the time of receipt counts, without region the registry''s.
The idempotency key is scoped by device: the same request again gets status duplicate and the first receipt, another request raises TC009. Without a key the reading (device, measured_at, values) is its own identity. Without key and measured_at it has no identity, and every call stores it.
The call waits for another session that is storing the same key, for at most lock_timeout (TC101). Errors: TC001 to TC009; 40001 above READ COMMITTED when the first delivery is not visible to the transaction.';

-- A device or a key of type uuid needs no cast. An untyped value is always a text, so these leave every other call what it is. With
-- defaults before the key a call without a key would fit two functions.
CREATE FUNCTION telemetry.ingest_telemetry(
    device_id       uuid,
    measured_at     timestamptz = NULL,
    temperature     double precision = NULL,
    humidity        double precision = NULL,
    idempotency_key text = NULL,
    metrics         jsonb = NULL,
    region          text = NULL
) RETURNS telemetry.receipt
    AS 'MODULE_PATHNAME', 'telemetry_ingest_reading_of_uuid' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.ingest_telemetry(uuid, timestamptz, double precision, double precision, text, jsonb, text) IS 'Does what telemetry.ingest_telemetry(text, ...) does, for a device whose id is a uuid. The id is stored in lower case with hyphens.';

CREATE FUNCTION telemetry.ingest_telemetry(
    device_id       text,
    measured_at     timestamptz,
    temperature     double precision,
    humidity        double precision,
    idempotency_key uuid,
    metrics         jsonb = NULL,
    region          text = NULL
) RETURNS telemetry.receipt
    AS 'MODULE_PATHNAME', 'telemetry_ingest_reading_with_uuid_key' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.ingest_telemetry(text, timestamptz, double precision, double precision, uuid, jsonb, text) IS 'Does what telemetry.ingest_telemetry(text, ...) does, for a key that is a uuid. A call gives all arguments up to the key, some of them perhaps as NULL. The key is stored in lower case with hyphens.';

CREATE FUNCTION telemetry.ingest_telemetry(
    device_id       uuid,
    measured_at     timestamptz,
    temperature     double precision,
    humidity        double precision,
    idempotency_key uuid,
    metrics         jsonb = NULL,
    region          text = NULL
) RETURNS telemetry.receipt
    AS 'MODULE_PATHNAME', 'telemetry_ingest_reading_of_uuid_with_uuid_key' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.ingest_telemetry(uuid, timestamptz, double precision, double precision, uuid, jsonb, text) IS 'Does what telemetry.ingest_telemetry(text, ...) does, for a device and a key that are both a uuid. A call gives all arguments up to the key, some of them perhaps as NULL.';

CREATE FUNCTION telemetry.ingest_telemetry_batch(
    device_ids       text[],
    measured_ats     timestamptz[] = NULL,
    temperatures     double precision[] = NULL,
    humidities       double precision[] = NULL,
    idempotency_keys text[] = NULL,
    metrics          jsonb[] = NULL,
    regions          text[] = NULL,
    on_error         text = 'quarantine'
) RETURNS telemetry.batch_receipt
    AS 'MODULE_PATHNAME', 'telemetry_ingest_batch' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.ingest_telemetry_batch(text[], timestamptz[], double precision[], double precision[], text[], jsonb[], text[], text) IS
'Stores many readings, each exactly once, in the caller''s transaction. The arrays have one dimension and one length, and each index stands for a reading. device_ids is required; any other array may be left out or NULL, which means NULL for each reading. Units and rules are those of ingest_telemetry.
With on_error quarantine the call keeps a refused or conflicting reading in telemetry.rejected_readings with SQLSTATE and reason, and stores the others. With abort it raises the error of the first such reading and stores nothing. Errors: TC010 for arrays that do not fit together or an unknown on_error; TC011 for more readings than telemetry_cqrs.max_batch_readings.';

CREATE FUNCTION telemetry.register_device(
    device_id         text,
    region            text = NULL,
    expected_interval interval = NULL,
    attributes        jsonb = NULL
) RETURNS boolean
    AS 'MODULE_PATHNAME', 'telemetry_register_device' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.register_device(text, text, interval, jsonb) IS 'Registers a device. Returns true if the device is new; returns false and changes nothing if it is known already. A NOTICE then says if the registry holds another region, expected_interval or attributes than the call gives; telemetry.relocate_device() changes the region. Readings without a region get the region of their device. expected_interval: how often it is expected to send (telemetry.device_liveness). Errors: TC001, TC007; 22023 for an expected_interval outside of 0 to 365 days.';

CREATE FUNCTION telemetry.ingest_telemetry_batch(readings json, on_error text = 'quarantine', time_unit text = NULL) RETURNS telemetry.batch_receipt
    AS 'MODULE_PATHNAME', 'telemetry_ingest_json' LANGUAGE C VOLATILE PARALLEL UNSAFE;
CREATE FUNCTION telemetry.ingest_telemetry_batch(readings jsonb, on_error text = 'quarantine', time_unit text = NULL) RETURNS telemetry.batch_receipt
    AS 'MODULE_PATHNAME', 'telemetry_ingest_jsonb' LANGUAGE C VOLATILE PARALLEL UNSAFE;
CREATE FUNCTION telemetry.ingest_telemetry_batch(readings text, on_error text = 'quarantine', time_unit text = NULL) RETURNS telemetry.batch_receipt
    AS 'MODULE_PATHNAME', 'telemetry_ingest_json' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.ingest_telemetry_batch(json, text, text) IS
'Stores the readings of a JSON text, each exactly once, in the caller''s transaction. The text is one object or an array of objects with the members device_id, measured_at, temperature (°C), humidity (%RH), idempotency_key, metrics (an object of numbers) and region; what is missing or null was not sent. Rules are those of ingest_telemetry. An object with any other member is refused (TC012).
measured_at is a text in ISO 8601 with a zone, or a number since 1970-01-01 00:00 UTC if time_unit says its unit: s, ms, us or ns. Numbers are read as the server reads them, digit by digit.
One bad item spoils no other. With on_error quarantine the call keeps a refused or conflicting item in telemetry.rejected_readings with SQLSTATE and reason, and stores the others. With abort it raises the error of the first such item and stores nothing. Errors: TC010 for a text that is no list of items, or an unknown option; TC011 for more items than telemetry_cqrs.max_batch_readings.';
COMMENT ON FUNCTION telemetry.ingest_telemetry_batch(jsonb, text, text) IS
'Does the same as the form with json. The server has read the value already: of members of one name it has kept the last, and it has refused \u0000.';
COMMENT ON FUNCTION telemetry.ingest_telemetry_batch(text, text, text) IS
'Does the same as the form with json, for a client that sends the text without a type. A text that is not JSON as a whole is TC010.';

CREATE FUNCTION telemetry.check_reading(
    device_id       text,
    measured_at     timestamptz = NULL,
    temperature     double precision = NULL,
    humidity        double precision = NULL,
    idempotency_key text = NULL,
    metrics         jsonb = NULL,
    region          text = NULL,
    OUT verdict     text,
    OUT sqlstate    text,
    OUT reason      text,
    OUT hint        text,
    OUT event_id    bigint
) AS 'MODULE_PATHNAME', 'telemetry_check_reading' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.check_reading(text, timestamptz, double precision, double precision, text, jsonb, text) IS
'Says what telemetry.ingest_telemetry() would make of the same reading now, and stores nothing: no reading, no device, no row of the quarantine. It takes no transaction number and no event id, and works in read-only transactions and on standbys.
verdict: accepted, clamped (accepted, with the time of receipt as measured_at), duplicate, conflict, rejected, or quarantined. sqlstate, reason and hint are those of the error or of the row in the quarantine. event_id: the event that is stored under this identity, of a duplicate or a conflict. A refused reading raises no error. A unique index or a trigger of a DBA can still refuse a reading that is accepted here, and so can the quotas and the brake (TC104, TC105), which count only what is sent.
Like ingest_telemetry it waits for a session that is storing the same reading, for at most lock_timeout (TC101); 40001 as there.';

CREATE FUNCTION telemetry.batch_verdicts(token text)
    RETURNS TABLE (item_index bigint, verdict text, sqlstate text, reason text, event_id bigint)
    AS 'MODULE_PATHNAME', 'telemetry_get_batch_verdicts' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.batch_verdicts(text) IS
'Tells what became of each reading of a batch, in order. token: of its receipt, unchanged. item_index counts from 1.
verdict: accepted, duplicate, conflict, rejected, or quarantined (kept there by policy, without an error). sqlstate and reason: of a reading that was not stored. event_id: the event that has the reading; of a conflict the event that is stored instead. It is NULL for readings that were refused, and for accepted ones whose events the log no longer has.
Members of the role that sent the batch may see its account, and roles that may read telemetry.rejected_readings. If all readings of a batch became events, the token itself is the account, and its holder may see it. It works in the transaction of the batch, in read-only transactions and on standbys. Errors: TC203 if there is no such batch: it was rolled back, or telemetry_cqrs.verdict_retention has passed it; 42501 for the batch of another role; 22023 for a token of another form.';

CREATE FUNCTION telemetry.redrive_rejected(
    sqlstates            text[] = NULL,
    device_ids           text[] = NULL,
    sources              text[] = NULL,
    tokens               text[] = NULL,
    since                timestamptz = NULL,
    max_readings         integer = 10000,
    after                bigint = 0,
    OUT examined         bigint,
    OUT accepted         bigint,
    OUT duplicates       bigint,
    OUT conflicts        bigint,
    OUT rejected         bigint,
    OUT skipped          bigint,
    OUT last_rejected_id bigint
) AS 'MODULE_PATHNAME', 'telemetry_redrive_rejected' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.redrive_rejected(text[], text[], text[], text[], timestamptz, integer, bigint) IS
'Sends readings of telemetry.rejected_readings again, in the order of rejected_id, in the caller''s transaction. It deletes the row of each reading that is accepted now or turns out to be a duplicate. Any other row gets the SQLSTATE and the reason of today, and its column redrives counts.
A filter that is NULL wants all; since is compared with the last delivery. It takes up to max_readings rows (1 to 1,000,000) after the row named after. last_rejected_id is the last row that it took, to be given as after to the next call; NULL: no further row matches. skipped counts rows that hold no whole reading (payload has a member truncated or item, or one that no reading has), and examined counts all.
A reading is judged as of the time at which it was received first, and where it has no measured_at, that time is measured_at. A row that another session has locked is passed over. Errors: 22023 for another max_readings; 22007 for a payload whose measured_at was edited to be no time; TC101, TC202, TC204 and 40001 as in a batch.';
