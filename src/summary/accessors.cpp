// The SQL functions that return one statistic of a summary.
#include <optional>

#include "postgres/entry_point.hpp"
#include "summary/argument.hpp"

#include "postgres/pg.hpp"

TELEMETRY_FUNCTION(telemetry_get_sample_count) {
    PG_RETURN_INT64(summary::statistics_argument(fcinfo).count);
}
TELEMETRY_FUNCTION(telemetry_get_avg) {
    PG_RETURN_FLOAT8(summary::statistics_argument(fcinfo).mean);
}
TELEMETRY_FUNCTION(telemetry_get_minimum) {
    PG_RETURN_FLOAT8(summary::statistics_argument(fcinfo).min);
}
TELEMETRY_FUNCTION(telemetry_get_maximum) {
    PG_RETURN_FLOAT8(summary::statistics_argument(fcinfo).max);
}
TELEMETRY_FUNCTION(telemetry_get_first_value) {
    PG_RETURN_FLOAT8(summary::statistics_argument(fcinfo).first_value);
}
TELEMETRY_FUNCTION(telemetry_get_last_value) {
    PG_RETURN_FLOAT8(summary::statistics_argument(fcinfo).last_value);
}
TELEMETRY_FUNCTION(telemetry_get_first_at) {
    PG_RETURN_TIMESTAMPTZ(summary::statistics_argument(fcinfo).first_at);
}
TELEMETRY_FUNCTION(telemetry_get_last_at) {
    PG_RETURN_TIMESTAMPTZ(summary::statistics_argument(fcinfo).last_at);
}

TELEMETRY_FUNCTION(telemetry_get_stddev) {
    const std::optional<double> value = summary::stddev(summary::statistics_argument(fcinfo));
    if (!value) PG_RETURN_NULL();
    PG_RETURN_FLOAT8(*value);
}
