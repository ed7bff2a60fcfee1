-- The access method of the index by device and time (src/reading_index/README.md), and the index.

CREATE FUNCTION telemetry.handle_reading_index(internal) RETURNS index_am_handler
    AS 'MODULE_PATHNAME', 'telemetry_handle_reading_index' LANGUAGE C;
COMMENT ON FUNCTION telemetry.handle_reading_index(internal) IS 'Describes the access method telemetry_readings to the server. Internal.';
CREATE ACCESS METHOD telemetry_readings TYPE INDEX HANDLER telemetry.handle_reading_index;
COMMENT ON ACCESS METHOD telemetry_readings IS 'Index by device and time that costs a writer almost nothing. The projector, VACUUM or telemetry.settle_readings() fills it. It takes a column of type text and one of type timestamptz, and finds rows by =, and by =, <, <=, > and >= with timestamptz, timestamp or date.';

CREATE OPERATOR CLASS telemetry.device_ops DEFAULT FOR TYPE text USING telemetry_readings AS
    OPERATOR 3 = (text, text);
COMMENT ON OPERATOR CLASS telemetry.device_ops USING telemetry_readings IS 'The first column of an index of access method telemetry_readings.';

CREATE OPERATOR CLASS telemetry.time_ops DEFAULT FOR TYPE timestamptz USING telemetry_readings AS
    OPERATOR 1 < (timestamptz, timestamptz), OPERATOR 2 <= (timestamptz, timestamptz), OPERATOR 3 = (timestamptz, timestamptz),
    OPERATOR 4 >= (timestamptz, timestamptz), OPERATOR 5 > (timestamptz, timestamptz),
    OPERATOR 1 < (timestamptz, date), OPERATOR 2 <= (timestamptz, date), OPERATOR 3 = (timestamptz, date),
    OPERATOR 4 >= (timestamptz, date), OPERATOR 5 > (timestamptz, date),
    OPERATOR 1 < (timestamptz, timestamp), OPERATOR 2 <= (timestamptz, timestamp), OPERATOR 3 = (timestamptz, timestamp),
    OPERATOR 4 >= (timestamptz, timestamp), OPERATOR 5 > (timestamptz, timestamp);
COMMENT ON OPERATOR CLASS telemetry.time_ops USING telemetry_readings IS 'The second column of an index of access method telemetry_readings.';

-- This takes no longer on a large log: the projector fills the index.
CREATE INDEX event_1_readings ON telemetry.event_1 USING telemetry_readings (device_id, measured_at);
COMMENT ON INDEX telemetry.event_1_readings IS 'Finds the readings of a device in a range of time.';
