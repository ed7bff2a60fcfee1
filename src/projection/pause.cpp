// SQL functions pause_projection() and resume_projection().

#include <string_view>
#include <vector>

#include "event_log/epoch.hpp"
#include "feed/progress.hpp"
#include "postgres/as_owner.hpp"
#include "postgres/entry_point.hpp"
#include "postgres/error.hpp"
#include "postgres/spi.hpp"
#include "postgres/sql_function.hpp"
#include "postgres/text.hpp"
#include "read_model/registry.hpp"
#include "runtime/installed.hpp"
#include "runtime/wake.hpp"

#include "postgres/pg.hpp"

namespace projection {
namespace {

constexpr postgres::Statement kPause{
    postgres::SqlCommand::kInsert,
    "INSERT INTO telemetry.pause (projection, paused_at, paused_by) VALUES ($1, pg_catalog.clock_timestamp(), $2) "
    "ON CONFLICT DO NOTHING",
    2,
    {TEXTOID, TEXTOID},
    nullptr};
constexpr postgres::Statement kResume{
    postgres::SqlCommand::kDelete,
    "DELETE FROM telemetry.pause WHERE projection OPERATOR(pg_catalog.=) $1 AND $2 IS NOT NULL",
    2,
    {TEXTOID, TEXTOID},
    nullptr};

// Takes the argument of one of the two functions, where the function may write.
std::string_view projection_to_change(FunctionCallInfo fcinfo, const char* function) {
    const std::string_view projection = postgres::text_argument(fcinfo, 0);
    read_model::require_projection(projection, postgres::guarded([] { return GetActiveSnapshot(); }));
    postgres::guarded([function] { postgres::require_writable(function); });
    return projection;
}

// Runs one of the two statements as the extension's owner. True: it changed a row.
bool change(const postgres::Statement& statement, std::string_view projection) {
    const postgres::AsOwner as_owner(runtime::hold_installed().owner);
    return postgres::guarded([&statement, projection] {
        Datum values[] = {postgres::text_datum(projection), postgres::text_datum(GetUserNameFromId(GetSessionUserId(), false))};
        const postgres::StatementScope statements = postgres::open_statements();
        const bool is_changed = postgres::execute(statement, values).row_count > 0;
        postgres::close_statements(statements);
        return is_changed;
    });
}

// Opens a restored log, which no pass writes before an administrator or a command opens it. True: it was such a log.
bool open_restored_log() {
    const postgres::AsOwner as_owner(runtime::hold_installed().owner);
    // The latest snapshot also shows what an earlier call in the same statement wrote.
    const ::Snapshot snapshot = postgres::guarded([] {
        PushActiveSnapshot(GetLatestSnapshot());
        return GetActiveSnapshot();
    });
    const std::vector<feed::EpochProgress> epochs = feed::read_progress(snapshot).epochs;
    postgres::guarded([] { PopActiveSnapshot(); });
    if (epochs.empty() || epochs.back().is_local(runtime::current_place())) return false;
    event_log::open_for_writing();
    return true;
}

}  // namespace
}  // namespace projection

TELEMETRY_FUNCTION(telemetry_pause_projection) {
    const std::string_view projection = projection::projection_to_change(fcinfo, "pause_projection()");
    PG_RETURN_BOOL(projection::change(projection::kPause, projection));
}

TELEMETRY_FUNCTION(telemetry_resume_projection) {
    const std::string_view projection = projection::projection_to_change(fcinfo, "resume_projection()");
    const bool is_opened = projection::open_restored_log();
    const bool is_resumed = projection::change(projection::kResume, projection);
    if (is_opened || is_resumed) runtime::wake_at_commit(runtime::Role::kProjector);
    PG_RETURN_BOOL(is_opened || is_resumed);
}
