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
CREATE FUNCTION telemetry.quantile(telemetry.summary, fraction double precision) RETURNS double precision
    AS 'MODULE_PATHNAME', 'telemetry_get_quantile' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION telemetry.quantile(telemetry.summary, double precision) IS 'Returns the value below or at which a fraction of the values lies (0.5: the median), in the unit of the metric. It is the value of percentile_disc within 1 %; fractions 0 and 1 give the exact least and greatest value. NULL for a summary without a sketch. A sketch (DDSketch: Masson, Rim and Lee, 2019) has at most 2,048 bins; values nearer to zero than those count as zeros. 22003 for a fraction outside of 0 to 1.';

CREATE FUNCTION telemetry.increase(telemetry.summary) RETURNS double precision
    AS 'MODULE_PATHNAME', 'telemetry_get_increase' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION telemetry.increase(telemetry.summary) IS 'Returns how much a counter grew from its first reading to its last one, in the unit of the metric. Where a value is less than the one measured before it, the counter was reset: it began again at 0, and has grown by the value. NULL for a summary of no counter, and for one that was merged from summaries that overlap in time, such as those of two devices. Sum the increase of each device instead.';
CREATE FUNCTION telemetry.resets(telemetry.summary) RETURNS bigint
    AS 'MODULE_PATHNAME', 'telemetry_get_resets' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION telemetry.resets(telemetry.summary) IS 'Returns how often a counter was reset between its first reading and its last one. NULL where telemetry.increase() is.';
CREATE FUNCTION telemetry.has_overlap(telemetry.summary) RETURNS boolean
    AS 'MODULE_PATHNAME', 'telemetry_has_overlap' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION telemetry.has_overlap(telemetry.summary) IS 'Says whether a summary of a counter was merged from summaries that overlap in time. Internal.';
CREATE FUNCTION telemetry.with_resets(counter telemetry.summary, counted telemetry.summary) RETURNS telemetry.summary
    AS 'MODULE_PATHNAME', 'telemetry_take_resets' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION telemetry.with_resets(telemetry.summary, telemetry.summary) IS 'Returns the first summary, with the resets of the second one if that has as many values. Internal.';
CREATE FUNCTION telemetry.with_known_resets(telemetry.summary) RETURNS telemetry.summary
    AS 'MODULE_PATHNAME', 'telemetry_take_known_resets' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION telemetry.with_known_resets(telemetry.summary) IS 'Returns a summary of a counter as if no other resets could have been than those that are known. Internal.';

-- These functions belong to the aggregates below.
CREATE FUNCTION telemetry.summary_add(internal, double precision, timestamptz) RETURNS internal
    AS 'MODULE_PATHNAME', 'telemetry_add_value' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION telemetry.summary_add(internal, double precision, timestamptz) IS 'Adds a value to the state of an aggregate. Internal.';
CREATE FUNCTION telemetry.summary_add_counter(internal, double precision, timestamptz) RETURNS internal
    AS 'MODULE_PATHNAME', 'telemetry_add_counter_value' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION telemetry.summary_add_counter(internal, double precision, timestamptz) IS 'Adds a value of a counter to the state of an aggregate. Internal.';
CREATE FUNCTION telemetry.summary_merge(internal, telemetry.summary) RETURNS internal
    AS 'MODULE_PATHNAME', 'telemetry_add_summary' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION telemetry.summary_merge(internal, telemetry.summary) IS 'Adds a summary to the state of an aggregate. Internal.';
CREATE FUNCTION telemetry.summary_combine(internal, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'telemetry_combine_states' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION telemetry.summary_combine(internal, internal) IS 'Adds one state of an aggregate to another. Internal.';
CREATE FUNCTION telemetry.summary_serialize(internal) RETURNS bytea
    AS 'MODULE_PATHNAME', 'telemetry_pack_state' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION telemetry.summary_serialize(internal) IS 'Packs the state of an aggregate for another process. Internal.';
CREATE FUNCTION telemetry.summary_deserialize(bytea, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'telemetry_unpack_state' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION telemetry.summary_deserialize(bytea, internal) IS 'Unpacks the state of an aggregate. TC302 for malformed bytes. Internal.';
CREATE FUNCTION telemetry.summary_final(internal) RETURNS telemetry.summary
    AS 'MODULE_PATHNAME', 'telemetry_store_state' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION telemetry.summary_final(internal) IS 'Makes a summary of the state of an aggregate. Internal.';

CREATE AGGREGATE telemetry.summary(value double precision, at timestamptz) (
    SFUNC = telemetry.summary_add, STYPE = internal, SSPACE = 2048, FINALFUNC = telemetry.summary_final,
    COMBINEFUNC = telemetry.summary_combine, SERIALFUNC = telemetry.summary_serialize, DESERIALFUNC = telemetry.summary_deserialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE telemetry.summary(double precision, timestamptz) IS 'Summarises values of any unit with the times at which they were measured, and keeps a quantile sketch. It skips rows whose value or time is NULL; the summary of nothing is NULL. Mean and M2 follow Welford (1962), the sketch is DDSketch (Masson, Rim and Lee, 2019). The order of the rows shows in the last digits of mean and M2 only. 22023 for NaN and infinities.';

CREATE AGGREGATE telemetry.counter_summary(value double precision, at timestamptz) (
    SFUNC = telemetry.summary_add_counter, STYPE = internal, SSPACE = 2048, FINALFUNC = telemetry.summary_final,
    COMBINEFUNC = telemetry.summary_combine, SERIALFUNC = telemetry.summary_serialize, DESERIALFUNC = telemetry.summary_deserialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE telemetry.counter_summary(double precision, timestamptz) IS 'Summarises values of one counter as telemetry.summary(value, at) does, and finds its increase and resets, whatever the order of the rows. Of several values of one time the greater counts as the later one. It keeps 56 bytes for each value until the end. 22023 for NaN and infinities.';

CREATE AGGREGATE telemetry.merge(telemetry.summary) (
    SFUNC = telemetry.summary_merge, STYPE = internal, SSPACE = 2048, FINALFUNC = telemetry.summary_final,
    COMBINEFUNC = telemetry.summary_combine, SERIALFUNC = telemetry.summary_serialize, DESERIALFUNC = telemetry.summary_deserialize,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE telemetry.merge(telemetry.summary) IS 'Merges summaries into that of all their values, by the formula of Chan, Golub and LeVeque (1979). It skips NULL; nothing merged is NULL. The result has a sketch if each of the summaries has one, and is of a counter if each of them is. Summaries of a counter that follow each other in time, as those of its buckets, are put together in their order, whatever the order of the rows, and a step between two of them counts; telemetry.increase() and telemetry.resets() of summaries that overlap are NULL. TC302 for a corrupt summary.';
