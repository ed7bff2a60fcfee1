// Reads and writes rows of telemetry.batch.
#include "feed/batch.hpp"

#include <algorithm>
#include <cstring>
#include <string>

#include "feed/stored_position.hpp"
#include "postgres/catalog.hpp"
#include "postgres/error.hpp"
#include "postgres/keyed_table.hpp"
#include "postgres/memory.hpp"
#include "postgres/spi.hpp"
#include "runtime/own_tables.hpp"

#include "postgres/pg.hpp"

namespace feed {
namespace {

enum BatchColumn { kBatchId, kEpochOfBatch, kFrom, kTo = kFrom + 3, kEventCount = kTo + 3, kCreatedAt, kBatchColumns };

// A row without destructors, for guarded blocks.
struct BatchRow {
    bool is_found;
    std::int64_t batch_id;
    std::int32_t epoch;
    StoredPosition from, to;
    std::int32_t events;
    TimestampTz created_at;
};

// P.
BatchRow row_of(TupleTableSlot* slot) {
    const Datum* value = slot->tts_values;
    return {.is_found = true,
            .batch_id = DatumGetInt64(value[kBatchId]),
            .epoch = DatumGetInt32(value[kEpochOfBatch]),
            .from = read_position(slot, kFrom),
            .to = read_position(slot, kTo),
            .events = DatumGetInt32(value[kEventCount]),
            .created_at = DatumGetTimestampTz(value[kCreatedAt])};
}

// Finds the row for which `find_row(lookup)` looks; that function is written in P.
template <typename Find>
std::optional<Batch> find(::Snapshot snapshot, Find&& find_row) {
    const postgres::ScopedMemory memory("telemetry_cqrs batch");
    const BatchRow row = postgres::guarded([&memory, snapshot, &find_row] {
        const MemoryContext caller = MemoryContextSwitchTo(memory.get());
        postgres::KeyLookup lookup;
        postgres::open_lookup(lookup, postgres::require_relation("batch"), kBatchColumns, snapshot, AccessShareLock);
        const BatchRow found = find_row(lookup) ? row_of(lookup.found) : BatchRow{};
        postgres::close_lookup(lookup);
        MemoryContextSwitchTo(caller);
        return found;
    });
    if (!row.is_found) return std::nullopt;
    return Batch{.batch_id = model::BatchId{row.batch_id},
                 .epoch = model::Epoch{row.epoch},
                 .from = position_of(row.from, "batch"),
                 .to = position_of(row.to, "batch"),
                 .events = row.events,
                 .created_at = row.created_at};
}

// The rows after a cursor, in their order, with the positions as texts that can be compared.
constexpr int kMostRows = 5000;
postgres::Statement select_after{
    postgres::SqlCommand::kSelect,
    "SELECT batch_id, epoch, events, (from_snapshot, from_partial_xid, from_partial_event_id)::text, "
    "(to_snapshot, to_partial_xid, to_partial_event_id)::text, from_snapshot, from_partial_xid, from_partial_event_id, "
    "to_snapshot, to_partial_xid, to_partial_event_id "
    "FROM telemetry.batch WHERE batch_id > $1 AND batch_id <= $2 ORDER BY batch_id LIMIT $3",
    3,
    {INT8OID, INT8OID, INT4OID},
    nullptr};
enum SelectedColumn {
    kSelectedId = 1,
    kSelectedEpoch,
    kSelectedEvents,
    kFromText,
    kToText,
    kSelectedFrom,
    kSelectedTo = kSelectedFrom + 3
};

struct RunOfRows {
    int batches;
    bool is_newest;
    std::int32_t epoch;
    std::int64_t last, events;
    StoredPosition from, to;
};

// P.
std::int64_t integer_of(const postgres::StatementResult& rows, std::uint64_t row, int column) {
    bool is_null = false;
    const Datum value = postgres::value_of(rows, row, column, &is_null);
    return column == kSelectedId ? DatumGetInt64(value) : DatumGetInt32(value);
}

// P. The texts are in memory that outlives the statements.
StoredPosition selected_position(const postgres::StatementResult& rows, std::uint64_t row, int column, MemoryContext memory) {
    StoredPosition position{};
    position.snapshot = MemoryContextStrdup(memory, postgres::printed_value_of(rows, row, column));
    bool is_whole = false;
    const Datum xid = postgres::value_of(rows, row, column + 1, &is_whole);
    position.has_partial = !is_whole;
    if (is_whole) return position;
    position.partial_xid = U64FromFullTransactionId(DatumGetFullTransactionId(xid));
    position.partial_event_id = DatumGetInt64(postgres::value_of(rows, row, column + 2, &is_whole));
    return position;
}

// P.
RunOfRows run_of(const postgres::StatementResult& rows, std::int64_t most_events, int most_rows, MemoryContext memory) {
    RunOfRows run{};
    std::uint64_t row = 0;
    for (; row < rows.row_count; ++row) {
        const auto epoch = static_cast<std::int32_t>(integer_of(rows, row, kSelectedEpoch));
        const std::int64_t events = integer_of(rows, row, kSelectedEvents);
        const bool follows = row == 0 || (epoch == run.epoch && strcmp(postgres::printed_value_of(rows, row - 1, kToText),
                                                                       postgres::printed_value_of(rows, row, kFromText)) == 0);
        if (row > 0 && (!follows || run.events + events > most_events)) break;
        run.epoch = epoch;
        run.events += events;
        run.last = integer_of(rows, row, kSelectedId);
        ++run.batches;
    }
    run.is_newest = row == rows.row_count && rows.row_count < static_cast<std::uint64_t>(most_rows);
    if (run.batches == 0) return run;
    run.from = selected_position(rows, 0, kSelectedFrom, memory);
    run.to = selected_position(rows, row - 1, kSelectedTo, memory);
    return run;
}

}  // namespace

std::optional<Batch> find_batch(model::BatchId batch_id, ::Snapshot snapshot) {
    return find(snapshot, [key = Int64GetDatum(batch_id.value)](postgres::KeyLookup& lookup) {
        return postgres::find_row(lookup, &key);
    });
}

std::optional<Batch> find_batch_after(model::BatchId batch_id, ::Snapshot snapshot) {
    return find(snapshot, [batch_id](postgres::KeyLookup& lookup) { return postgres::find_next_row(lookup, batch_id.value); });
}

std::optional<Batch> find_last_batch_of(model::Epoch epoch, model::BatchId at_most, ::Snapshot snapshot) {
    return find(snapshot, [epoch, at_most](postgres::KeyLookup& lookup) {
        for (std::int64_t key = at_most.value; postgres::find_previous_row(lookup, key);) {
            CHECK_FOR_INTERRUPTS();
            if (DatumGetInt32(lookup.found->tts_values[kEpochOfBatch]) == epoch.value) return true;
            key = DatumGetInt64(lookup.found->tts_values[kBatchId]) - 1;
        }
        return false;
    });
}

void write_batch(const Batch& batch, ::Snapshot snapshot) {
    std::string from_snapshot, to_snapshot;
    const StoredPosition from = stored(batch.from, from_snapshot);
    const StoredPosition to = stored(batch.to, to_snapshot);
    const postgres::ScopedMemory memory("telemetry_cqrs batch");
    postgres::guarded([&] {
        const MemoryContext caller = MemoryContextSwitchTo(memory.get());
        postgres::KeyedTable table;
        postgres::open_table(table, runtime::kBatchTable, snapshot);
        postgres::start_row(table);
        postgres::set_value(table, kBatchId, Int64GetDatum(batch.batch_id.value));
        postgres::set_value(table, kEpochOfBatch, Int32GetDatum(batch.epoch.value));
        set_position(table, kFrom, from);
        set_position(table, kTo, to);
        postgres::set_value(table, kEventCount, Int32GetDatum(static_cast<std::int32_t>(batch.events)));
        postgres::set_value(table, kCreatedAt, TimestampTzGetDatum(batch.created_at));
        postgres::insert_row(table);
        ForceSyncCommit();
        postgres::close_table(table);
        MemoryContextSwitchTo(caller);
    });
}

std::optional<BatchRun> batches_after(model::BatchId batch, std::int64_t most_events, model::BatchId at_most) {
    const postgres::ScopedMemory memory("telemetry_cqrs batches");
    // Each batch has an event at least.
    const int most_rows = static_cast<int>(std::clamp<std::int64_t>(most_events, 1, kMostRows - 1)) + 1;
    const RunOfRows run = postgres::guarded([&memory, batch, most_events, at_most, most_rows] {
        Datum values[] = {Int64GetDatum(batch.value), Int64GetDatum(at_most.value), Int32GetDatum(most_rows)};
        const postgres::StatementScope statements = postgres::open_statements();
        const RunOfRows result = run_of(postgres::execute_kept(select_after, values), most_events, most_rows, memory.get());
        postgres::close_statements(statements);
        return result;
    });
    if (run.batches == 0) return std::nullopt;
    return BatchRun{.epoch = model::Epoch{run.epoch},
                    .from = position_of(run.from, "batch"),
                    .to = position_of(run.to, "batch"),
                    .last = model::BatchId{run.last},
                    .events = run.events,
                    .is_newest = run.is_newest};
}

}  // namespace feed
