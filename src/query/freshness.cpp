// SQL functions as_of, shown_generation, projection_tail and batch_tail: how far a projection or the list of batches is behind
// the log.
//
// Each of them answers for the caller's own snapshot.
#include "query/freshness.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "error_codes.hpp"
#include "feed/standings.hpp"
#include "feed/tail.hpp"
#include "postgres/entry_point.hpp"
#include "postgres/error.hpp"
#include "postgres/sql_function.hpp"
#include "read_model/registry.hpp"
#include "runtime/settings.hpp"

#include "postgres/pg.hpp"

namespace query {
namespace {

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

// Error(22023) if there is no such projection.
feed::Cursor cursor_of(std::string_view projection, const feed::Standings& standings, ::Snapshot snapshot) {
    const feed::Cursor cursor = standings.progress().cursor_of(projection);
    // A projection with a cursor is in the registry.
    if (!cursor.is_stored) read_model::require_projection(projection, snapshot);
    return cursor;
}

// The projection's as_of. Error(TC103) as above.
std::optional<TimestampTz> fresh_as_of(std::string_view projection, feed::Standings& standings, ::Snapshot snapshot) {
    const feed::TailStart tail = standings.tail_of(projection, snapshot);
    const auto as_of = as_of_tail(tail.has_events, tail.as_of);
    refuse_stale(projection, tail.has_events, as_of);
    return as_of;
}

}  // namespace

std::optional<TimestampTz> as_of(std::string_view projection, ::Snapshot snapshot) {
    const feed::TailStart tail = feed::standings_shown_by(snapshot).tail_of(projection, snapshot);
    return as_of_tail(tail.has_events, tail.as_of);
}

}  // namespace query

TELEMETRY_FUNCTION(telemetry_get_as_of) {
    const std::string_view projection = postgres::text_argument(fcinfo, 0);
    const ::Snapshot snapshot = postgres::guarded(postgres::callers_snapshot);
    feed::Standings& standings = feed::standings_shown_by(snapshot);
    query::cursor_of(projection, standings, snapshot);
    const auto as_of = query::fresh_as_of(projection, standings, snapshot);
    if (!as_of) PG_RETURN_NULL();
    PG_RETURN_TIMESTAMPTZ(*as_of);
}

TELEMETRY_FUNCTION(telemetry_get_shown_generation) {
    const std::string_view projection = postgres::text_argument(fcinfo, 0);
    const bool is_guarded = PG_GETARG_BOOL(1);
    const ::Snapshot snapshot = postgres::guarded(postgres::callers_snapshot);
    feed::Standings& standings = feed::standings_shown_by(snapshot);
    const feed::Cursor cursor = query::cursor_of(projection, standings, snapshot);
    if (is_guarded && runtime::settings().max_staleness > 0) query::fresh_as_of(projection, standings, snapshot);
    if (!cursor.is_stored) PG_RETURN_NULL();
    PG_RETURN_INT32(cursor.generation);
}

TELEMETRY_FUNCTION(telemetry_measure_tail) {
    const std::string_view projection = postgres::text_argument(fcinfo, 0);
    const ::Snapshot snapshot = postgres::guarded(postgres::callers_snapshot);
    const feed::Standings& standings = feed::standings_shown_by(snapshot);
    const feed::Cursor cursor = query::cursor_of(projection, standings, snapshot);
    const feed::Tail tail = feed::measure_tail(standings.progress(), cursor, snapshot);
    return postgres::guarded([&] {
        Datum values[] = {Int64GetDatum(tail.events), TimestampTzGetDatum(tail.oldest_received_at.value_or(0))};
        bool nulls[] = {false, !tail.oldest_received_at.has_value()};
        return postgres::row_of(fcinfo, values, nulls);
    });
}

TELEMETRY_FUNCTION(telemetry_measure_batch_tail) {
    const ::Snapshot snapshot = postgres::guarded(postgres::callers_snapshot);
    const feed::Tail tail = feed::measure_tail(feed::standings_shown_by(snapshot).progress(), feed::kBatchList, snapshot);
    const auto as_of = query::as_of_tail(tail.events > 0, tail.as_of);
    return postgres::guarded([&] {
        Datum values[] = {Int64GetDatum(tail.events), TimestampTzGetDatum(tail.oldest_received_at.value_or(0)),
                          TimestampTzGetDatum(as_of.value_or(0))};
        bool nulls[] = {false, !tail.oldest_received_at.has_value(), !as_of.has_value()};
        return postgres::row_of(fcinfo, values, nulls);
    });
}
