-- The inboxes are views: an insert stores readings in the log, and a query finds nothing. Their triggers gather the rows of a
-- statement and store them at batch speed.
CREATE VIEW telemetry.inbox AS
    SELECT NULL::text AS device_id, NULL::timestamptz AS measured_at, NULL::double precision AS temperature,
           NULL::double precision AS humidity, NULL::text AS idempotency_key, NULL::jsonb AS metrics, NULL::text AS region
    WHERE false;

CREATE FUNCTION telemetry.begin_intake() RETURNS trigger AS 'MODULE_PATHNAME', 'telemetry_begin_intake' LANGUAGE C;
COMMENT ON FUNCTION telemetry.begin_intake() IS 'Trigger function: begins an insert into an inbox. Internal.';
CREATE FUNCTION telemetry.take_inbox_row() RETURNS trigger AS 'MODULE_PATHNAME', 'telemetry_take_inbox_row' LANGUAGE C;
COMMENT ON FUNCTION telemetry.take_inbox_row() IS 'Trigger function: takes a row that is inserted into telemetry.inbox. Internal.';
CREATE FUNCTION telemetry.end_intake() RETURNS trigger AS 'MODULE_PATHNAME', 'telemetry_end_intake' LANGUAGE C;
COMMENT ON FUNCTION telemetry.end_intake() IS 'Trigger function: ends an insert into an inbox. Internal.';

CREATE TRIGGER begin_intake BEFORE INSERT ON telemetry.inbox FOR EACH STATEMENT EXECUTE FUNCTION telemetry.begin_intake();
CREATE TRIGGER take_row INSTEAD OF INSERT ON telemetry.inbox FOR EACH ROW EXECUTE FUNCTION telemetry.take_inbox_row();
CREATE TRIGGER end_intake AFTER INSERT ON telemetry.inbox FOR EACH STATEMENT EXECUTE FUNCTION telemetry.end_intake();

COMMENT ON VIEW telemetry.inbox IS
'Takes readings by INSERT and COPY, and stores each exactly once, in the transaction of the statement. A query finds no row. Units and rules are those of ingest_telemetry.
A reading that is refused or conflicts is kept in telemetry.rejected_readings with SQLSTATE and reason, and the others are stored. telemetry.inbox_receipt() says what became of the last statement, and telemetry.batch_verdicts() of each of its rows. A value that is not of its column''s type ends the statement; telemetry.inbox_text keeps such a row instead. The readings are stored in portions of 10,000 or 8 MB, and at the end of the statement. Two longer statements that bring the same readings in different orders at the same time can meet in a deadlock: one of them ends with 40P01, stores nothing, and can be sent again. The count that COPY and INSERT report has all rows. RETURNING gives the rows as sent. ON CONFLICT DO NOTHING makes no difference; DO UPDATE and MERGE are errors.';
COMMENT ON COLUMN telemetry.inbox.device_id IS 'The device. Required.';
COMMENT ON COLUMN telemetry.inbox.measured_at IS 'The device''s clock. NULL: the time of receipt.';
COMMENT ON COLUMN telemetry.inbox.temperature IS 'In °C.';
COMMENT ON COLUMN telemetry.inbox.humidity IS 'In % relative humidity.';
COMMENT ON COLUMN telemetry.inbox.idempotency_key IS 'Names the request, for the device. NULL: the reading itself is its identity.';
COMMENT ON COLUMN telemetry.inbox.metrics IS 'Further metrics: an object of numbers.';
COMMENT ON COLUMN telemetry.inbox.region IS 'Where it was measured. NULL: the region of the registry.';

CREATE VIEW telemetry.inbox_text AS
    SELECT NULL::text AS device_id, NULL::text AS measured_at, NULL::text AS temperature, NULL::text AS humidity,
           NULL::text AS idempotency_key, NULL::text AS metrics, NULL::text AS region
    WHERE false;
CREATE FUNCTION telemetry.take_inbox_text_row() RETURNS trigger AS 'MODULE_PATHNAME', 'telemetry_take_inbox_text_row' LANGUAGE C;
COMMENT ON FUNCTION telemetry.take_inbox_text_row() IS 'Trigger function: takes a row that is inserted into telemetry.inbox_text. Internal.';
CREATE TRIGGER begin_intake BEFORE INSERT ON telemetry.inbox_text FOR EACH STATEMENT EXECUTE FUNCTION telemetry.begin_intake();
CREATE TRIGGER take_row INSTEAD OF INSERT ON telemetry.inbox_text FOR EACH ROW EXECUTE FUNCTION telemetry.take_inbox_text_row();
CREATE TRIGGER end_intake AFTER INSERT ON telemetry.inbox_text FOR EACH STATEMENT EXECUTE FUNCTION telemetry.end_intake();
COMMENT ON VIEW telemetry.inbox_text IS
'Does the same as telemetry.inbox with columns that are all of type text. The server''s own rules turn them into times and numbers, and metrics are read as the JSON door reads them. A row with an unreadable value is kept in telemetry.rejected_readings (TC012, or TC003, TC004 and TC006) and does not end the statement.';
