-- These functions show and settle indexes of access method telemetry_readings.

CREATE FUNCTION telemetry.reading_index_status(index regclass, OUT table_blocks bigint, OUT tail_blocks bigint, OUT noted_blocks bigint, OUT entries bigint, OUT runs bigint, OUT free_pages bigint)
    AS 'MODULE_PATHNAME', 'telemetry_show_reading_index' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION telemetry.reading_index_status(regclass) IS 'Shows an index of access method telemetry_readings: the blocks of its table; those from the first one that is not settled on, and those that got rows late, which each query reads whole; the entries and the runs that hold them; and free pages of the index. 42809 for another index.';

CREATE FUNCTION telemetry.settle_readings(index regclass) RETURNS void
    AS 'MODULE_PATHNAME', 'telemetry_settle_readings' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION telemetry.settle_readings(regclass) IS 'Enters the rows that the table has now into an index of access method telemetry_readings. The projector and VACUUM do this as well, so it is of use only where no projector runs. 42809 for another index. 25006 on a standby.';
