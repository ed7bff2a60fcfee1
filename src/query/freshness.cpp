// SQL functions as_of, projection_tail and batch_tail: how far a projection or the list of batches is behind the log.
//
// Each of them answers for the caller's own snapshot.
#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "error_codes.hpp"
#include "feed/tail.hpp"
#include "postgres/entry_point.hpp"
#include "postgres/error.hpp"
#include "postgres/sql_function.hpp"
#include "read_model/registry.hpp"
#include "runtime/settings.hpp"

#include "postgres/pg.hpp"

namespace query {
namespace {

// Where a projection stands, as the caller's snapshot shows it.
struct Standing {
    ::Snapshot snapshot;
    feed::Progress progress;
    feed::Cursor cursor;
};

// Error(22023) if there is no such projection.
Standing standing_of(std::string_view projection) {
    const ::Snapshot snapshot = postgres::guarded(postgres::callers_snapshot);
    feed::Progress progress = feed::read_progress(snapshot);
    const feed::Cursor cursor = progress.cursor_of(projection);
    // A projection with a cursor is in the registry, which takes three tables to read.
    if (!cursor.is_stored) read_model::require_projection(projection, snapshot);
    return {snapshot, std::move(progress), cursor};
}

// A moment before the server took the caller's snapshot, so the snapshot shows every transaction that committed until then. It
// is the start of the caller's transaction, because the statement may be a FETCH or an Execute long after the snapshot.
//
// There is no such moment in two cases. A snapshot that serves the whole transaction can be imported, and is then older than
// the transaction. The snapshot of a standby shows less, because the standby lags.
std::optional<TimestampTz> time_before_callers_snapshot() {
    return postgres::guarded([]() -> std::optional<TimestampTz> {
        if (IsolationUsesXactSnapshot() || RecoveryInProgress()) return std::nullopt;
        return GetCurrentTransactionStartTimestamp();
    });
}

std::optional<TimestampTz> as_of_tail(bool has_events, std::optional<TimestampTz> as_of) {
    if (has_events) return as_of;
    // No event waits. Both moments lie before the snapshot, so the later one counts; nullopt is less than any moment.
    return std::max(time_before_callers_snapshot(), as_of);
}

// Error(TC103) if the session does not want to read a projection that is so old. Where no event waits and the snapshot is one
// of now, the projection is not old, whenever the last pass was.
void refuse_stale(std::string_view projection, bool has_events, std::optional<TimestampTz> as_of) {
    const TimestampTz longest = runtime::settings().max_staleness * TimestampTz{1000};
    if (longest == 0 || (!has_events && time_before_callers_snapshot())) return;
    const TimestampTz now = GetCurrentTimestamp();
    if (as_of && now - *as_of <= longest) return;
    const std::string age =
        as_of ? "It is complete up to " + std::to_string((now - *as_of) / 1000) + " ms ago; " : "Its age is not known; ";
    throw postgres::Error(error_codes::kStale, "projection \"" + std::string(projection) + "\" is too old",
                          age + "telemetry_cqrs.max_staleness is " + std::to_string(longest / 1000) + " ms.",
                          "Try again later, read the live view, or set telemetry_cqrs.max_staleness to 0. "
                          "telemetry.projection_status says why the projection is behind.");
}

}  // namespace
}  // namespace query

TELEMETRY_FUNCTION(telemetry_get_as_of) {
    const std::string_view projection = postgres::text_argument(fcinfo, 0);
    const query::Standing standing = query::standing_of(projection);
    const feed::TailStart tail = feed::look_at_tail(standing.progress, standing.cursor, standing.snapshot);
    const auto as_of = query::as_of_tail(tail.has_events, tail.as_of);
    query::refuse_stale(projection, tail.has_events, as_of);
    if (!as_of) PG_RETURN_NULL();
    PG_RETURN_TIMESTAMPTZ(*as_of);
}

TELEMETRY_FUNCTION(telemetry_measure_tail) {
    const query::Standing standing = query::standing_of(postgres::text_argument(fcinfo, 0));
    const feed::Tail tail = feed::measure_tail(standing.progress, standing.cursor, standing.snapshot);
    return postgres::guarded([&] {
        Datum values[] = {Int64GetDatum(tail.events), TimestampTzGetDatum(tail.oldest_received_at.value_or(0))};
        bool nulls[] = {false, !tail.oldest_received_at.has_value()};
        return postgres::row_of(fcinfo, values, nulls);
    });
}

TELEMETRY_FUNCTION(telemetry_measure_batch_tail) {
    const ::Snapshot snapshot = postgres::guarded(postgres::callers_snapshot);
    const feed::Tail tail = feed::measure_tail(feed::read_progress(snapshot), feed::kBatchList, snapshot);
    const auto as_of = query::as_of_tail(tail.events > 0, tail.as_of);
    return postgres::guarded([&] {
        Datum values[] = {Int64GetDatum(tail.events), TimestampTzGetDatum(tail.oldest_received_at.value_or(0)),
                          TimestampTzGetDatum(as_of.value_or(0))};
        bool nulls[] = {false, !tail.oldest_received_at.has_value(), !as_of.has_value()};
        return postgres::row_of(fcinfo, values, nulls);
    });
}
