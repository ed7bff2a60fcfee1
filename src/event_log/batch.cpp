// Reads and writes rows of telemetry.batch.
#include "event_log/batch.hpp"

#include <string>

#include "event_log/position.hpp"
#include "model/snapshot_text.hpp"
#include "postgres/catalog.hpp"
#include "postgres/error.hpp"
#include "postgres/keyed_table.hpp"
#include "postgres/memory.hpp"
#include "runtime/own_tables.hpp"

#include "postgres/pg.hpp"

namespace event_log {
namespace {

enum BatchColumn {
    kBatchId,
    kEpochOfBatch,
    kFromSnapshot,
    kFromPartialXid,
    kFromPartialEventId,
    kToSnapshot,
    kToPartialXid,
    kToPartialEventId,
    kEventCount,
    kCreatedAt,
    kBatchColumns
};

// A position without destructors, for guarded blocks.
struct PlainPosition {
    const char* snapshot;
    bool has_partial;
    std::uint64_t partial_xid;
    std::int64_t partial_event_id;
};

struct PlainBatch {
    bool is_found;
    std::int32_t epoch;
    PlainPosition from, to;
    std::int32_t events;
    TimestampTz created_at;
};

PlainPosition plain(const model::Position& position, const std::string& snapshot) {
    PlainPosition result{snapshot.c_str(), position.partial.has_value(), 0, 0};
    if (position.partial) {
        result.partial_xid = position.partial->xid.value;
        result.partial_event_id = position.partial->event_id.value;
    }
    return result;
}

model::Position position_of(const PlainPosition& row) {
    const auto snapshot = model::parse_snapshot(row.snapshot);
    if (!snapshot) throw postgres::Error(ERRCODE_DATA_CORRUPTED, "malformed snapshot in telemetry.batch", row.snapshot);
    model::Position position{.snapshot = *snapshot, .partial = {}};
    if (row.has_partial) position.partial = model::Partial{model::Xid{row.partial_xid}, model::EventId{row.partial_event_id}};
    return position;
}

// P. `column` is the one of the position's snapshot. The next two columns hold its partial.
PlainPosition read_position(TupleTableSlot* slot, int column) {
    const Datum* value = slot->tts_values;
    PlainPosition position{};
    position.snapshot = DatumGetCString(DirectFunctionCall1(pg_snapshot_out, value[column]));
    position.has_partial = !slot->tts_isnull[column + 1];
    if (position.has_partial) {
        position.partial_xid = U64FromFullTransactionId(DatumGetFullTransactionId(value[column + 1]));
        position.partial_event_id = DatumGetInt64(value[column + 2]);
    }
    return position;
}

// P.
void set_position(postgres::KeyedTable& table, int column, const PlainPosition& position) {
    postgres::set_value(table, column, DirectFunctionCall1(pg_snapshot_in, CStringGetDatum(position.snapshot)));
    if (!position.has_partial) return;
    postgres::set_value(table, column + 1, FullTransactionIdGetDatum(FullTransactionIdFromU64(position.partial_xid)));
    postgres::set_value(table, column + 2, Int64GetDatum(position.partial_event_id));
}

// P.
PlainBatch read_row(std::int64_t batch_id, ::Snapshot snapshot) {
    PlainBatch batch{};
    postgres::KeyLookup lookup;
    postgres::open_lookup(lookup, postgres::require_relation("batch"), kBatchColumns, snapshot, AccessShareLock);
    const Datum key = Int64GetDatum(batch_id);
    if (postgres::find_row(lookup, &key)) {
        const Datum* value = lookup.found->tts_values;
        batch.is_found = true;
        batch.epoch = DatumGetInt32(value[kEpochOfBatch]);
        batch.from = read_position(lookup.found, kFromSnapshot);
        batch.to = read_position(lookup.found, kToSnapshot);
        batch.events = DatumGetInt32(value[kEventCount]);
        batch.created_at = DatumGetTimestampTz(value[kCreatedAt]);
    }
    postgres::close_lookup(lookup);
    return batch;
}

}  // namespace

std::optional<Batch> find_batch(model::BatchId batch_id, ::Snapshot snapshot) {
    const postgres::ScopedMemory memory("telemetry_cqrs batch");
    const PlainBatch row = postgres::guarded([&memory, batch_id, snapshot] {
        const MemoryContext caller = MemoryContextSwitchTo(memory.get());
        const PlainBatch found = read_row(batch_id.value, snapshot);
        MemoryContextSwitchTo(caller);
        return found;
    });
    if (!row.is_found) return std::nullopt;
    return Batch{.batch_id = batch_id,
                 .epoch = model::Epoch{row.epoch},
                 .from = position_of(row.from),
                 .to = position_of(row.to),
                 .events = row.events,
                 .created_at = row.created_at};
}

void write_batch(const Batch& batch, ::Snapshot snapshot) {
    const std::string from_snapshot = model::to_text(batch.from.snapshot);
    const std::string to_snapshot = model::to_text(batch.to.snapshot);
    const PlainPosition from = plain(batch.from, from_snapshot);
    const PlainPosition to = plain(batch.to, to_snapshot);
    const postgres::ScopedMemory memory("telemetry_cqrs batch");
    postgres::guarded([&] {
        const MemoryContext caller = MemoryContextSwitchTo(memory.get());
        postgres::KeyedTable table;
        postgres::open_table(table, runtime::kBatchTable, snapshot);
        postgres::start_row(table);
        postgres::set_value(table, kBatchId, Int64GetDatum(batch.batch_id.value));
        postgres::set_value(table, kEpochOfBatch, Int32GetDatum(batch.epoch.value));
        set_position(table, kFromSnapshot, from);
        set_position(table, kToSnapshot, to);
        postgres::set_value(table, kEventCount, Int32GetDatum(static_cast<std::int32_t>(batch.events)));
        postgres::set_value(table, kCreatedAt, TimestampTzGetDatum(batch.created_at));
        postgres::insert_row(table);
        ForceSyncCommit();
        postgres::close_table(table);
        MemoryContextSwitchTo(caller);
    });
}

}  // namespace event_log
