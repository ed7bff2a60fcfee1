-- Types of the public surface.

CREATE TYPE telemetry.receipt AS (
    event_id    bigint,
    status      text,
    received_at timestamptz,
    token       text
);
COMMENT ON TYPE telemetry.receipt IS 'Answer to one reading. status: accepted | duplicate; event_id and received_at are those of the stored event (of the first delivery for a duplicate); token names the transaction that stored it.';

CREATE TYPE telemetry.batch_receipt AS (
    received       integer,
    accepted       integer,
    duplicates     integer,
    conflicts      integer,
    rejected       integer,
    first_event_id bigint,
    last_event_id  bigint,
    token          text
);
COMMENT ON TYPE telemetry.batch_receipt IS 'Answer to a batch: received = accepted + duplicates + conflicts + rejected. first_event_id and last_event_id span the accepted readings (NULL if none; gaps are possible); token names the transaction that stored them.';

CREATE TYPE telemetry.summary;

CREATE FUNCTION telemetry.summary_in(cstring) RETURNS telemetry.summary
    AS 'MODULE_PATHNAME', 'telemetry_parse_summary' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION telemetry.summary_out(telemetry.summary) RETURNS cstring
    AS 'MODULE_PATHNAME', 'telemetry_print_summary' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION telemetry.summary_recv(internal) RETURNS telemetry.summary
    AS 'MODULE_PATHNAME', 'telemetry_receive_summary' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION telemetry.summary_send(telemetry.summary) RETURNS bytea
    AS 'MODULE_PATHNAME', 'telemetry_send_summary' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE TYPE telemetry.summary (
    INPUT = telemetry.summary_in,
    OUTPUT = telemetry.summary_out,
    RECEIVE = telemetry.summary_recv,
    SEND = telemetry.summary_send,
    INTERNALLENGTH = VARIABLE,
    ALIGNMENT = double,
    STORAGE = plain
);
COMMENT ON TYPE telemetry.summary IS 'Mergeable statistics of one metric: count, mean, M2 (sum of squared deviations), min, max, first and last value by measured time. Binary form starts with a version.';
COMMENT ON FUNCTION telemetry.summary_in(cstring) IS 'Input function of telemetry.summary; TC302 on malformed text.';
COMMENT ON FUNCTION telemetry.summary_out(telemetry.summary) IS 'Output function of telemetry.summary: JSON whose numbers read back bit for bit.';
COMMENT ON FUNCTION telemetry.summary_recv(internal) IS 'Binary input function of telemetry.summary; TC302 on an unknown version.';
COMMENT ON FUNCTION telemetry.summary_send(telemetry.summary) IS 'Binary output function of telemetry.summary.';
