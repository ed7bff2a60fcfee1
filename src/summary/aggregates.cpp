// The functions behind the aggregates summary(value, at), counter_summary(value, at) and merge(summary), which share one kind
// of state.
#include <cmath>
#include <string>

#include "postgres/entry_point.hpp"
#include "postgres/error.hpp"
#include "summary/transition.hpp"

#include "postgres/pg.hpp"

namespace summary {
namespace {

// P. The state in an argument that is not NULL.
Transition& state_argument(FunctionCallInfo fcinfo, int number) {
    return *reinterpret_cast<Transition*>(PG_GETARG_POINTER(number));
}

// P. The state in the first argument; a new one, which lives as long as the group, where that is NULL.
Transition& state_to_change(FunctionCallInfo fcinfo) {
    MemoryContext memory;
    if (AggCheckCallContext(fcinfo, &memory) == 0) elog(ERROR, "a function of an aggregate was called by itself");
    return PG_ARGISNULL(0) ? *new_transition(memory) : state_argument(fcinfo, 0);
}

// P. The first argument as it is.
Datum unchanged_state(FunctionCallInfo fcinfo) {
    if (PG_ARGISNULL(0)) PG_RETURN_NULL();
    return PG_GETARG_DATUM(0);
}

[[noreturn]] void refuse_value(const char* value) {
    throw postgres::Error(
        ERRCODE_INVALID_PARAMETER_VALUE, "value is not a finite number", std::string("The value is ") + value + ".",
        "Leave such values out: summary(value, at) FILTER (WHERE value NOT IN ('NaN', 'Infinity', '-Infinity')).");
}

void check(double value, TimestampTz at) {
    if (std::isnan(value)) refuse_value("NaN");
    if (std::isinf(value)) refuse_value(value > 0 ? "Infinity" : "-Infinity");
    if (TIMESTAMP_NOT_FINITE(at))
        throw postgres::Error(ERRCODE_INVALID_PARAMETER_VALUE, "time of a value is not finite",
                              std::string("The time is ") + (at > 0 ? "infinity" : "-infinity") + ".",
                              "Give the time at which the value was measured.");
}

Datum add_argument(FunctionCallInfo fcinfo, bool is_counter) {
    if (PG_ARGISNULL(1) || PG_ARGISNULL(2)) return unchanged_state(fcinfo);
    const double value = PG_GETARG_FLOAT8(1);
    const TimestampTz at = PG_GETARG_TIMESTAMPTZ(2);
    check(value, at);
    return postgres::guarded([fcinfo, value, at, is_counter] {
        Transition& state = state_to_change(fcinfo);
        add_value(state, value, at, is_counter);
        return PointerGetDatum(&state);
    });
}

}  // namespace
}  // namespace summary

TELEMETRY_FUNCTION(telemetry_add_value) {
    return summary::add_argument(fcinfo, false);
}

TELEMETRY_FUNCTION(telemetry_add_counter_value) {
    return summary::add_argument(fcinfo, true);
}

TELEMETRY_FUNCTION(telemetry_add_summary) {
    if (PG_ARGISNULL(1)) return summary::unchanged_state(fcinfo);
    return postgres::guarded([fcinfo] {
        summary::Transition& state = summary::state_to_change(fcinfo);
        summary::add_stored(state, PG_GETARG_DATUM(1));
        return PointerGetDatum(&state);
    });
}

TELEMETRY_FUNCTION(telemetry_combine_states) {
    if (PG_ARGISNULL(1)) return summary::unchanged_state(fcinfo);
    return postgres::guarded([fcinfo] {
        summary::Transition& state = summary::state_to_change(fcinfo);
        summary::add_transition(state, summary::state_argument(fcinfo, 1));
        return PointerGetDatum(&state);
    });
}

TELEMETRY_FUNCTION(telemetry_store_state) {
    return postgres::guarded([fcinfo] { return summary::stored_transition(summary::state_argument(fcinfo, 0)); });
}

TELEMETRY_FUNCTION(telemetry_pack_state) {
    return postgres::guarded([fcinfo] { return summary::packed_transition(summary::state_argument(fcinfo, 0)); });
}

TELEMETRY_FUNCTION(telemetry_unpack_state) {
    return postgres::guarded(
        [fcinfo] { return PointerGetDatum(summary::unpacked_transition(CurrentMemoryContext, PG_GETARG_DATUM(0))); });
}
