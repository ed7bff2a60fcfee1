// Finds groups of batches, and merges each group by SQL.
#include "feed/merging.hpp"

#include <algorithm>

#include "feed/cursor.hpp"
#include "model/batch_number.hpp"
#include "postgres/error.hpp"
#include "postgres/growing_array.hpp"
#include "postgres/server_versions.hpp"
#include "postgres/spi.hpp"
#include "runtime/own_lock.hpp"

#include "postgres/pg.hpp"

namespace feed {
namespace {

constexpr int kMostRows = 1000;

postgres::Statement select_old{postgres::SqlCommand::kSelect,
                               "SELECT batch_id, events, created_at < $2, epoch = lag(epoch) OVER numbers AND "
                               "(from_snapshot, from_partial_xid, from_partial_event_id)::text = "
                               "lag((to_snapshot, to_partial_xid, to_partial_event_id)::text) OVER numbers "
                               "FROM (SELECT * FROM telemetry.batch WHERE batch_id > $1 ORDER BY batch_id LIMIT $3) AS b "
                               "WINDOW numbers AS (ORDER BY batch_id) ORDER BY batch_id",
                               3,
                               {INT8OID, TIMESTAMPTZOID, INT4OID},
                               nullptr};
postgres::Statement extend_last{
    postgres::SqlCommand::kUpdate,
    "UPDATE telemetry.batch AS l SET from_snapshot = f.from_snapshot, from_partial_xid = f.from_partial_xid, "
    "from_partial_event_id = f.from_partial_event_id, events = $3 "
    "FROM telemetry.batch AS f WHERE f.batch_id = $1 AND l.batch_id = $2",
    3,
    {INT8OID, INT8OID, INT4OID},
    nullptr};
postgres::Statement delete_others{postgres::SqlCommand::kDelete,
                                  "DELETE FROM telemetry.batch WHERE batch_id >= $1 AND batch_id < $2",
                                  2,
                                  {INT8OID, INT8OID},
                                  nullptr};

// Besides cursors, leases and places of required subscriptions end at these batches. A batch of which a share has consumed a
// part stays as it is for every subscription: in a larger batch the events would have another order, and the place would mean
// other events. A lost subscription waits for nothing.
postgres::Statement select_subscribed{
    postgres::SqlCommand::kSelect,
    "SELECT p.batch_id FROM telemetry.subscription s JOIN telemetry.subscription_share h USING (subscription) CROSS JOIN "
    "LATERAL "
    "(SELECT h.batch_id WHERE s.required UNION ALL SELECT h.lease_batch_id WHERE s.required AND h.lease IS NOT NULL UNION ALL "
    "SELECT pg_catalog.min(b.batch_id) FROM telemetry.batch b WHERE b.batch_id > h.batch_id AND h.partial_xid IS NOT NULL "
    "UNION ALL "
    "SELECT pg_catalog.min(b.batch_id) FROM telemetry.batch b WHERE b.batch_id > h.lease_batch_id AND h.lease_partial_xid IS "
    "NOT NULL) "
    "AS p (batch_id) WHERE s.lost_at IS NULL AND p.batch_id IS NOT NULL",
    0,
    {},
    nullptr};

struct OldBatch {
    model::BatchId batch_id;
    std::int32_t events;
    bool is_old;
    bool continues;  // it begins where the one before it ends
};

struct OldBatches {
    OldBatch rows[kMostRows];
    int count;
};

// P.
Datum value_at(const postgres::StatementResult& result, std::uint64_t row, int column, Datum null_value) {
    bool is_null = false;
    const Datum value = postgres::value_of(result, row, column, &is_null);
    return is_null ? null_value : value;
}

// P.
void read_old(model::BatchId after, TimestampTz made_before, OldBatches& old) {
    Datum values[] = {Int64GetDatum(after.value), TimestampTzGetDatum(made_before), Int32GetDatum(kMostRows)};
    const postgres::StatementScope statements = postgres::open_statements();
    const postgres::StatementResult result = postgres::execute_kept(select_old, values);
    old.count = static_cast<int>(result.row_count);
    for (int i = 0; i < old.count; ++i) {
        const auto row = static_cast<std::uint64_t>(i);
        old.rows[i] = {model::BatchId{DatumGetInt64(value_at(result, row, 1, 0))}, DatumGetInt32(value_at(result, row, 2, 0)),
                       DatumGetBool(value_at(result, row, 3, 0)), DatumGetBool(value_at(result, row, 4, 0))};
    }
    postgres::close_statements(statements);
}

// P. Under a snapshot that shows every lease that was committed before this transaction took the lock of merging.
postgres::GrowingArray<model::BatchId> read_subscribed() {
    postgres::GrowingArray<model::BatchId> batches{};
    const MemoryContext caller = CurrentMemoryContext;
    PushActiveSnapshot(GetLatestSnapshot());
    const postgres::StatementScope statements = postgres::open_statements();
    const postgres::StatementResult rows = postgres::execute_kept(select_subscribed, nullptr);
    const MemoryContext of_statements = MemoryContextSwitchTo(caller);
    for (std::uint64_t row = 0; row < rows.row_count; ++row)
        postgres::append(batches, model::BatchId{DatumGetInt64(value_at(rows, row, 1, 0))});
    MemoryContextSwitchTo(of_statements);
    postgres::close_statements(statements);
    PopActiveSnapshot();
    return batches;
}

// The batches at which consumers stand, ascending.
std::vector<model::BatchId> read_places() {
    std::vector<model::BatchId> places;
    for (const auto& [projection, cursor] : read_cursors(postgres::guarded([] { return GetActiveSnapshot(); })))
        if (cursor.is_behind()) places.push_back(cursor.batch);
    const auto subscribed = postgres::guarded(read_subscribed);
    places.insert(places.end(), subscribed.begin(), subscribed.end());
    std::sort(places.begin(), places.end());
    return places;
}

void merge(model::BatchId first, model::BatchId last, std::int64_t events) {
    postgres::guarded([&] {
        Datum values[] = {Int64GetDatum(first.value), Int64GetDatum(last.value),
                          Int32GetDatum(static_cast<std::int32_t>(events))};
        const postgres::StatementScope statements = postgres::open_statements();
        postgres::execute_kept(extend_last, values);
        postgres::execute_kept(delete_others, values);
        postgres::close_statements(statements);
    });
}

}  // namespace

bool Merging::merge_some(Oid log, TimestampTz made_before) {
    if (!postgres::guarded([] { return postgres::try_lock(runtime::tag_of(runtime::OwnLock::kMerging), ExclusiveLock); }))
        return false;
    std::vector<model::BatchId> places = read_places();
    if (places != places_ || log != log_) settled_ = {};
    log_ = log;
    places_ = std::move(places);
    OldBatches batches;
    postgres::guarded([&] { read_old(settled_, made_before, batches); });

    const auto can_join = [&](int i, std::int64_t events) {
        const OldBatch &batch = batches.rows[i], &before = batches.rows[i - 1];
        return batch.continues && model::is_same_range(batch.batch_id, before.batch_id) &&
               events + batch.events <= kMostMergedEvents &&
               !std::binary_search(places_.begin(), places_.end(), before.batch_id);
    };
    int end = 0;
    while (end < batches.count && batches.rows[end].is_old) {
        const int first = end;
        std::int64_t events = batches.rows[end++].events;
        while (end < batches.count && batches.rows[end].is_old && can_join(end, events)) events += batches.rows[end++].events;
        const OldBatch& last = batches.rows[end - 1];
        if (end - first > 1) merge(batches.rows[first].batch_id, last.batch_id, events);
        if (end < batches.count && batches.rows[end].is_old) settled_ = last.batch_id;
    }
    return end == kMostRows;
}

}  // namespace feed
