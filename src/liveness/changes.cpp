// The SQL functions find the changes and note them. The events go the way of readings into the log.
#include "liveness/changes.hpp"

#include <cstdint>
#include <string_view>
#include <vector>

#include "event_log/append.hpp"
#include "model/event.hpp"
#include "model/fingerprint.hpp"
#include "postgres/error.hpp"
#include "postgres/own_table.hpp"
#include "postgres/spi.hpp"
#include "postgres/sql_function.hpp"
#include "postgres/text.hpp"
#include "runtime/own_tables.hpp"
#include "runtime/wake.hpp"

#include "postgres/pg.hpp"

namespace liveness {
namespace {

constexpr int kMostChanges = 10000;  // in one transaction

constexpr postgres::Statement kNoteOnline{
    postgres::SqlCommand::kSelect,
    "SELECT device_id, region, since, idempotency_key, details FROM telemetry.note_online_devices($1)",
    1,
    {INT4OID},
    nullptr};
constexpr postgres::Statement kNoteOffline{
    postgres::SqlCommand::kSelect,
    "SELECT device_id, region, since, idempotency_key, details FROM telemetry.note_offline_devices($1, $2)",
    2,
    {INT4OID, TIMESTAMPTZOID},
    nullptr};

// The values lie in the transaction's memory.
struct Change {
    text* device_id;
    text* region;  // null: none
    TimestampTz since;
    text* idempotency_key;
    Jsonb* details;
};

struct Changes {
    Change* items;
    std::uint32_t count;
};

// P.
Changes note(const postgres::Statement& statement, Datum* values) {
    const MemoryContext caller = CurrentMemoryContext;
    const postgres::StatementScope statements = postgres::open_statements();
    postgres::set_for_statements("telemetry_cqrs.max_staleness", "0");  // the functions read a view that can refuse
    const postgres::StatementResult noted = postgres::execute(statement, values);
    const MemoryContext inside = MemoryContextSwitchTo(caller);
    Changes changes{static_cast<Change*>(palloc(sizeof(Change) * (noted.row_count + 1))),
                    static_cast<std::uint32_t>(noted.row_count)};
    for (std::uint32_t i = 0; i < changes.count; ++i) {
        bool is_null;
        const auto value_of = [&](int column) { return postgres::value_of(noted, i, column, &is_null); };
        Change& change = changes.items[i];
        change.device_id = postgres::copied_text(value_of(1));
        const Datum region = value_of(2);
        change.region = is_null ? nullptr : postgres::copied_text(region);
        change.since = DatumGetTimestampTz(value_of(3));
        change.idempotency_key = postgres::copied_text(value_of(4));
        change.details = DatumGetJsonbPCopy(value_of(5));
    }
    MemoryContextSwitchTo(inside);
    postgres::close_statements(statements);
    return changes;
}

// The identity of a change decides alone whether it is stored, so all have one digest.
constexpr std::int64_t kDigest = 0;

event_log::Candidate candidate_of(const Change& change, std::uint32_t number, const model::Secret& secret) {
    event_log::Candidate candidate{};
    candidate.reading.device_id = postgres::view_of(change.device_id);
    candidate.reading.idempotency_key = postgres::view_of(change.idempotency_key);
    candidate.region = postgres::optional_view_of(change.region);
    candidate.metrics = change.details;
    candidate.measured_at = change.since;
    candidate.has_identity = true;
    candidate.fingerprint =
        model::keyed_fingerprint(secret, candidate.reading.device_id, *candidate.reading.idempotency_key, 0);
    candidate.request_digest = kDigest;
    candidate.input_index = number;
    return candidate;
}

void store(const Changes& changes, std::string_view type) {
    if (changes.count == 0) return;
    event_log::Stamp stamp{event_log::open_for_writing(), GetCurrentTimestamp(), type, model::kLivenessVersion};
    stamp.opened.secret = model::secret_of_type(stamp.opened.secret, type);
    std::vector<event_log::Candidate> candidates;
    candidates.reserve(changes.count);
    for (std::uint32_t i = 0; i < changes.count; ++i)
        candidates.push_back(candidate_of(changes.items[i], i, stamp.opened.secret));
    event_log::append(candidates.data(), changes.count, stamp);
    runtime::wake_at_commit(runtime::Role::kProjector);
}

}  // namespace

bool tell_some_changes(model::Micros watching_since) {
    const Changes online = postgres::guarded([] {
        postgres::refuse_statement_obstacle(runtime::kOfflineDeviceTable);
        Datum most = Int32GetDatum(kMostChanges);
        return note(kNoteOnline, &most);
    });
    store(online, model::kDeviceOnline);
    const Changes offline = postgres::guarded([watching_since] {
        Datum values[] = {Int32GetDatum(kMostChanges), TimestampTzGetDatum(watching_since)};
        return note(kNoteOffline, values);
    });
    store(offline, model::kDeviceOffline);
    return online.count == kMostChanges || offline.count == kMostChanges;
}

}  // namespace liveness
