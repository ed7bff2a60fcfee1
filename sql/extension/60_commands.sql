-- Commands: what changes something on the write side.

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
'Stores one reading exactly once, in the caller''s transaction. Call it as SELECT * FROM telemetry.ingest_telemetry(...); (telemetry.ingest_telemetry(...)).* calls once a column, which a reading without identity is stored by each time.
temperature in °C, humidity in %RH, metrics: further numeric metrics as a JSON object. measured_at NULL: the time of receipt; region NULL: the registry''s.
The idempotency key is scoped by device: the same request again gives status duplicate and the first receipt, another request TC009. Without a key the reading (device, measured_at, values) is its own identity; without measured_at too there is none and every call stores.
Waits for another session that is storing the same key (bounded by lock_timeout: TC101). Errors: TC001 to TC009; 40001 above READ COMMITTED when the first delivery is not visible to the transaction.';

CREATE FUNCTION telemetry.ingest_telemetry_batch(
    device_ids       text[],
    measured_ats     timestamptz[],
    temperatures     double precision[],
    humidities       double precision[],
    idempotency_keys text[] = NULL,
    metrics          jsonb[] = NULL,
    regions          text[] = NULL,
    on_error         text = 'quarantine'
) RETURNS telemetry.batch_receipt
    AS 'MODULE_PATHNAME', 'telemetry_ingest_batch' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.ingest_telemetry_batch(text[], timestamptz[], double precision[], double precision[], text[], jsonb[], text[], text) IS
'Stores many readings, each exactly once, in the caller''s transaction: one-dimensional arrays of one length, a reading an index; device_ids is required, any other array that is NULL means NULL for each reading. Units and rules as in ingest_telemetry.
on_error quarantine: a refused or conflicting reading is kept in telemetry.rejected_readings with SQLSTATE and reason, the others are stored; abort: the first one raises its error and nothing is stored. TC010 for arrays that do not fit or an unknown on_error; TC011 for more readings than telemetry_cqrs.max_batch_readings.';

CREATE FUNCTION telemetry.register_device(
    device_id         text,
    region            text = NULL,
    expected_interval interval = NULL,
    attributes        jsonb = NULL
) RETURNS boolean
    AS 'MODULE_PATHNAME', 'telemetry_register_device' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.register_device(text, text, interval, jsonb) IS
'Registers a device: true if it is new, false (and nothing changed) if it is known already. region is what readings without a region get. Errors: TC001, TC007.';
