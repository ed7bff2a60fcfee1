// The SQL functions that return one statistic of a summary.
#include <optional>

#include "postgres/entry_point.hpp"
#include "postgres/error.hpp"
#include "summary/argument.hpp"
#include "summary/stored_summary.hpp"

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

TELEMETRY_FUNCTION(telemetry_get_increase) {
    const summary::FoundSummary found = summary::found_argument(fcinfo, 0);
    const std::optional<double> value = summary::increase(found.statistics, found.counter);
    if (!found.is_counter || !value) PG_RETURN_NULL();
    PG_RETURN_FLOAT8(*value);
}
TELEMETRY_FUNCTION(telemetry_get_resets) {
    const summary::FoundSummary found = summary::found_argument(fcinfo, 0);
    if (!found.is_counter || found.counter.overlaps) PG_RETURN_NULL();
    PG_RETURN_INT64(found.counter.resets);
}
TELEMETRY_FUNCTION(telemetry_has_overlap) {
    PG_RETURN_BOOL(summary::found_argument(fcinfo, 0).counter.overlaps);
}

TELEMETRY_FUNCTION(telemetry_take_resets) {
    const summary::FoundSummary taker = summary::found_argument(fcinfo, 0);
    const summary::FoundSummary counted = summary::found_argument(fcinfo, 1);
    if (!counted.is_counter || counted.statistics.count != taker.statistics.count) return PG_GETARG_DATUM(0);
    return postgres::guarded([&taker, &counted] { return summary::with_counter(taker, counted.counter); });
}

TELEMETRY_FUNCTION(telemetry_take_known_resets) {
    const summary::FoundSummary found = summary::found_argument(fcinfo, 0);
    if (!found.counter.overlaps) return PG_GETARG_DATUM(0);
    summary::Counter counter = found.counter;
    counter.overlaps = false;
    return postgres::guarded([&found, &counter] { return summary::with_counter(found, counter); });
}
