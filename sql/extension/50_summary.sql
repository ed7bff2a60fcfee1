-- These functions return the parts of a telemetry.summary.
CREATE FUNCTION telemetry.sample_count(telemetry.summary) RETURNS bigint
    AS 'MODULE_PATHNAME', 'telemetry_get_sample_count' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION telemetry.sample_count(telemetry.summary) IS 'Returns the number of values.';
CREATE FUNCTION telemetry.avg(telemetry.summary) RETURNS double precision
    AS 'MODULE_PATHNAME', 'telemetry_get_avg' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION telemetry.avg(telemetry.summary) IS 'Returns the arithmetic mean, in the unit of the metric.';
CREATE FUNCTION telemetry.stddev(telemetry.summary) RETURNS double precision
    AS 'MODULE_PATHNAME', 'telemetry_get_stddev' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION telemetry.stddev(telemetry.summary) IS 'Returns the sample standard deviation sqrt(M2 / (count - 1)), in the unit of the metric; NULL below two values and where the variance exceeds double precision. Summaries are merged by the formula of Chan, Golub and LeVeque (1979).';
CREATE FUNCTION telemetry.minimum(telemetry.summary) RETURNS double precision
    AS 'MODULE_PATHNAME', 'telemetry_get_minimum' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION telemetry.minimum(telemetry.summary) IS 'Returns the smallest value.';
CREATE FUNCTION telemetry.maximum(telemetry.summary) RETURNS double precision
    AS 'MODULE_PATHNAME', 'telemetry_get_maximum' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION telemetry.maximum(telemetry.summary) IS 'Returns the greatest value.';
CREATE FUNCTION telemetry.first_value(telemetry.summary) RETURNS double precision
    AS 'MODULE_PATHNAME', 'telemetry_get_first_value' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION telemetry.first_value(telemetry.summary) IS 'Returns the value that was measured first; of several at that time the smallest.';
CREATE FUNCTION telemetry.first_at(telemetry.summary) RETURNS timestamptz
    AS 'MODULE_PATHNAME', 'telemetry_get_first_at' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION telemetry.first_at(telemetry.summary) IS 'Returns when the first value was measured.';
CREATE FUNCTION telemetry.last_value(telemetry.summary) RETURNS double precision
    AS 'MODULE_PATHNAME', 'telemetry_get_last_value' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION telemetry.last_value(telemetry.summary) IS 'Returns the value that was measured last, whenever it arrived; of several at that time the greatest.';
CREATE FUNCTION telemetry.last_at(telemetry.summary) RETURNS timestamptz
    AS 'MODULE_PATHNAME', 'telemetry_get_last_at' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION telemetry.last_at(telemetry.summary) IS 'Returns when the last value was measured.';
