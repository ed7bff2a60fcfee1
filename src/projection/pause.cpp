// SQL functions pause_projection() and resume_projection(), and the look at their rows that each pass takes.
#include "projection/pause.hpp"

#include <string>
#include <string_view>
#include <vector>

#include "event_log/epoch.hpp"
#include "postgres/as_owner.hpp"
#include "postgres/catalog.hpp"
#include "postgres/entry_point.hpp"
#include "postgres/error.hpp"
#include "postgres/key_lookup.hpp"
#include "postgres/memory.hpp"
#include "postgres/spi.hpp"
#include "postgres/sql_function.hpp"
#include "postgres/text.hpp"
#include "runtime/installed.hpp"
#include "runtime/wake.hpp"

#include "postgres/pg.hpp"

namespace projection {
namespace {

using event_log::Consumer;

constexpr int kColumns = 3;  // projection, paused_at, paused_by

constexpr postgres::Statement kPause{
    postgres::SqlCommand::kInsert,
    "INSERT INTO telemetry.projection (projection, paused_at, paused_by) VALUES ($1, pg_catalog.clock_timestamp(), $2) "
    "ON CONFLICT DO NOTHING",
    2,
    {TEXTOID, TEXTOID},
    nullptr};
constexpr postgres::Statement kResume{
    postgres::SqlCommand::kDelete,
    "DELETE FROM telemetry.projection WHERE projection OPERATOR(pg_catalog.=) $1 AND $2 IS NOT NULL",
    2,
    {TEXTOID, TEXTOID},
    nullptr};

// Takes the argument of one of the two functions, where the function may write.
Consumer projection_to_change(FunctionCallInfo fcinfo, const char* function) {
    const Consumer projection = event_log::projection_named(postgres::text_argument(fcinfo, 0));
    postgres::guarded([function] { postgres::require_writable(function); });
    return projection;
}

// Runs one of the two statements as the extension's owner. True: it changed a row.
bool change(const postgres::Statement& statement, Consumer projection) {
    const postgres::AsOwner as_owner(runtime::hold_installed().owner);
    return postgres::guarded([&statement, name = event_log::name_of(projection)] {
        Datum values[] = {postgres::text_datum(name), postgres::text_datum(GetUserNameFromId(GetSessionUserId(), false))};
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
    const std::vector<event_log::EpochProgress> progress = event_log::read_progress(snapshot);
    postgres::guarded([] { PopActiveSnapshot(); });
    if (progress.empty() || progress.back().is_local(runtime::current_place())) return false;
    event_log::open_for_writing();
    return true;
}

// P.
ConsumerSet read_rows(Oid table, ::Snapshot snapshot) {
    ConsumerSet paused{};
    postgres::KeyLookup lookup;
    postgres::open_lookup(lookup, table, kColumns, snapshot, AccessShareLock);
    for (const Consumer consumer : event_log::kConsumers) {
        if (consumer == Consumer::kBatch) continue;
        const Datum key = postgres::text_datum(event_log::name_of(consumer));
        paused[static_cast<std::size_t>(consumer)] = postgres::find_row(lookup, &key);
    }
    postgres::close_lookup(lookup);
    return paused;
}

}  // namespace

ConsumerSet paused_consumers(::Snapshot snapshot) {
    const postgres::ScopedMemory memory("telemetry_cqrs paused projections");
    return postgres::guarded([&memory, snapshot] {
        // An older version of the extension has no such table, and could not pause.
        const Oid table = postgres::find_relation(postgres::require_schema(), "projection");
        if (!OidIsValid(table)) return ConsumerSet{};
        const MemoryContext caller = MemoryContextSwitchTo(memory.get());
        const ConsumerSet paused = read_rows(table, snapshot);
        MemoryContextSwitchTo(caller);
        return paused;
    });
}

}  // namespace projection

TELEMETRY_FUNCTION(telemetry_pause_projection) {
    const event_log::Consumer projection = projection::projection_to_change(fcinfo, "pause_projection()");
    PG_RETURN_BOOL(projection::change(projection::kPause, projection));
}

TELEMETRY_FUNCTION(telemetry_resume_projection) {
    const event_log::Consumer projection = projection::projection_to_change(fcinfo, "resume_projection()");
    const bool is_opened = projection::open_restored_log();
    const bool is_resumed = projection::change(projection::kResume, projection);
    if (is_opened || is_resumed) runtime::wake_projector_at_commit();
    PG_RETURN_BOOL(is_opened || is_resumed);
}
