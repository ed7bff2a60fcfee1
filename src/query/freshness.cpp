// SQL functions as_of, projection_tail and batch_tail: how far behind a projection, or the list of batches, is, for the
// caller's own snapshot.
#include <algorithm>
#include <optional>

#include "event_log/checkpoint.hpp"
#include "event_log/tail.hpp"
#include "postgres/entry_point.hpp"
#include "postgres/error.hpp"
#include "postgres/sql_function.hpp"

#include "postgres/pg.hpp"

namespace query {
namespace {

event_log::Consumer projection_argument(FunctionCallInfo fcinfo, int number) {
    return event_log::projection_named(postgres::text_argument(fcinfo, number));
}

::Snapshot callers_snapshot() {
    return postgres::guarded([] {
        if (!ActiveSnapshotSet()) elog(ERROR, "no active snapshot");
        return GetActiveSnapshot();
    });
}

// A moment before the caller's snapshot was taken: whatever was committed until then it shows. That is the start of the
// transaction, as the statement may be a FETCH or an Execute that came long after the snapshot. Nothing where the snapshot
// may be older than that or show less: it can be imported where it is the whole transaction's, and a standby lags behind.
std::optional<TimestampTz> time_before_callers_snapshot() {
    return postgres::guarded([]() -> std::optional<TimestampTz> {
        if (IsolationUsesXactSnapshot() || RecoveryInProgress()) return std::nullopt;
        return GetCurrentTransactionStartTimestamp();
    });
}

std::optional<TimestampTz> as_of_tail(const event_log::Tail& tail) {
    if (tail.events > 0) return tail.behind_since;
    // Nothing waits. Of two moments before the snapshot, the later one; nullopt is less than any.
    return std::max(time_before_callers_snapshot(), tail.stored_as_of);
}

}  // namespace
}  // namespace query

TELEMETRY_FUNCTION(telemetry_get_as_of) {
    const event_log::Consumer consumer = query::projection_argument(fcinfo, 0);
    const auto as_of = query::as_of_tail(event_log::measure_tail(consumer, query::callers_snapshot(), true));
    if (!as_of) PG_RETURN_NULL();
    PG_RETURN_TIMESTAMPTZ(*as_of);
}

TELEMETRY_FUNCTION(telemetry_measure_tail) {
    const event_log::Consumer consumer = query::projection_argument(fcinfo, 0);
    const event_log::Tail tail = event_log::measure_tail(consumer, query::callers_snapshot(), false);
    return postgres::guarded([&] {
        Datum values[] = {Int64GetDatum(tail.events), TimestampTzGetDatum(tail.oldest_received_at.value_or(0))};
        bool nulls[] = {false, !tail.oldest_received_at.has_value()};
        return postgres::row_of(fcinfo, values, nulls);
    });
}

TELEMETRY_FUNCTION(telemetry_measure_batch_tail) {
    const event_log::Tail tail = event_log::measure_tail(event_log::Consumer::kBatch, query::callers_snapshot(), false);
    const auto as_of = query::as_of_tail(tail);
    return postgres::guarded([&] {
        Datum values[] = {Int64GetDatum(tail.events), TimestampTzGetDatum(tail.oldest_received_at.value_or(0)),
                          TimestampTzGetDatum(as_of.value_or(0))};
        bool nulls[] = {false, !tail.oldest_received_at.has_value(), !as_of.has_value()};
        return postgres::row_of(fcinfo, values, nulls);
    });
}
