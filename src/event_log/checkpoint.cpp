// Reads the rows of epochs and checkpoints, and writes those of checkpoints.
#include "event_log/checkpoint.hpp"

#include <algorithm>
#include <string>

#include "error_codes.hpp"
#include "event_log/epoch.hpp"
#include "event_log/epoch_columns.hpp"
#include "event_log/position.hpp"
#include "model/snapshot_text.hpp"
#include "model/validation.hpp"
#include "postgres/catalog.hpp"
#include "postgres/encoding.hpp"
#include "postgres/error.hpp"
#include "postgres/keyed_table.hpp"
#include "postgres/memory.hpp"
#include "postgres/text.hpp"
#include "runtime/own_tables.hpp"

#include "postgres/pg.hpp"

namespace event_log {
namespace {

enum CheckpointColumn {
    kConsumer,
    kEpochOfCheckpoint,
    kSnapshot,
    kPartialXid,
    kPartialEventId,
    kApplied,
    kLastBatchId,
    kDrained,
    kAsOf,
    kCheckpointColumns
};

// Rows without destructors, for guarded blocks. Their texts are palloc'd.
struct EpochRow {
    std::int32_t epoch;
    runtime::LogPlace place;
    std::uint64_t opened_xid;
    std::uint64_t first_xid;
    TimestampTz opened_at;
};
struct CheckpointRow {
    const char* consumer;
    std::int32_t epoch;
    const char* snapshot;
    bool has_partial;
    std::uint64_t partial_xid;
    std::int64_t partial_event_id;
    std::int64_t applied, last_batch_id;
    bool drained;
    TimestampTz as_of;
    bool is_stored;
    ItemPointerData tid;
};

template <typename Row>
struct PlainRows {
    Row* items = nullptr;
    int count = 0;
    int capacity = 0;
};

template <typename Row>
Row& add_row(PlainRows<Row>& rows) {
    if (rows.count == rows.capacity) {
        rows.capacity = rows.capacity == 0 ? 16 : 2 * rows.capacity;
        const std::size_t size = sizeof(Row) * static_cast<std::size_t>(rows.capacity);
        rows.items = static_cast<Row*>(rows.items == nullptr ? palloc(size) : repalloc(rows.items, size));
    }
    return rows.items[rows.count++];
}

// P.
PlainRows<EpochRow> read_epochs(::Snapshot snapshot) {
    PlainRows<EpochRow> rows;
    postgres::for_each_row(postgres::require_relation("epoch"), snapshot, [&rows](TupleTableSlot* slot) {
        const Datum* value = slot->tts_values;
        EpochRow& row = add_row(rows);
        row.epoch = DatumGetInt32(value[kEpochNumber]);
        row.place = place_of(slot);
        row.opened_xid = U64FromFullTransactionId(DatumGetFullTransactionId(value[kOpenedXid]));
        row.opened_at = DatumGetTimestampTz(value[kOpenedAt]);
        FullTransactionId first = FirstNormalFullTransactionId;
        read_first_xid(slot, first);
        row.first_xid = U64FromFullTransactionId(first);
    });
    return rows;
}

void read_row(TupleTableSlot* slot, CheckpointRow& row) {
    const Datum* value = slot->tts_values;
    row.consumer = postgres::c_string_of(value[kConsumer]);
    row.epoch = DatumGetInt32(value[kEpochOfCheckpoint]);
    row.snapshot = DatumGetCString(DirectFunctionCall1(pg_snapshot_out, value[kSnapshot]));
    row.has_partial = !slot->tts_isnull[kPartialXid];
    row.partial_xid = row.has_partial ? U64FromFullTransactionId(DatumGetFullTransactionId(value[kPartialXid])) : 0;
    row.partial_event_id = row.has_partial ? DatumGetInt64(value[kPartialEventId]) : 0;
    row.applied = DatumGetInt64(value[kApplied]);
    row.last_batch_id = DatumGetInt64(value[kLastBatchId]);
    row.drained = DatumGetBool(value[kDrained]);
    row.as_of = DatumGetTimestampTz(value[kAsOf]);
    row.is_stored = true;
    row.tid = slot->tts_tid;
}

// P. Looks each row up by its key; `KeyLookup` says why it does not scan the table.
PlainRows<CheckpointRow> read_checkpoints(const PlainRows<EpochRow>& epochs, ::Snapshot snapshot) {
    PlainRows<CheckpointRow> rows;
    postgres::KeyLookup lookup;
    postgres::open_lookup(lookup, postgres::require_relation("checkpoint"), kCheckpointColumns, snapshot, AccessShareLock, 2);
    for (const Consumer consumer : kConsumers) {
        const Datum name = postgres::text_datum(name_of(consumer));
        for (int i = 0; i < epochs.count; ++i) {
            const Datum key[] = {name, Int32GetDatum(epochs.items[i].epoch)};
            if (postgres::find_row(lookup, key)) read_row(lookup.found, add_row(rows));
        }
    }
    postgres::close_lookup(lookup);
    return rows;
}

// P.
void write_row(postgres::KeyedTable& table, CheckpointRow& row) {
    if (!row.is_stored)
        postgres::start_row(table);
    else if (postgres::find_row_at(table, &row.tid))
        postgres::copy_found_row(table);
    else
        elog(ERROR, "the checkpoint of \"%s\" is not where it was", row.consumer);
    postgres::set_value(table, kConsumer, postgres::text_datum(row.consumer));
    postgres::set_value(table, kEpochOfCheckpoint, Int32GetDatum(row.epoch));
    postgres::set_value(table, kSnapshot, DirectFunctionCall1(pg_snapshot_in, CStringGetDatum(row.snapshot)));
    postgres::set_null(table, kPartialXid);
    postgres::set_null(table, kPartialEventId);
    if (row.has_partial) {
        postgres::set_value(table, kPartialXid, FullTransactionIdGetDatum(FullTransactionIdFromU64(row.partial_xid)));
        postgres::set_value(table, kPartialEventId, Int64GetDatum(row.partial_event_id));
    }
    postgres::set_value(table, kApplied, Int64GetDatum(row.applied));
    postgres::set_value(table, kLastBatchId, Int64GetDatum(row.last_batch_id));
    postgres::set_value(table, kDrained, BoolGetDatum(row.drained));
    postgres::set_value(table, kAsOf, TimestampTzGetDatum(row.as_of));
    if (row.is_stored)
        postgres::update_row(table);
    else
        postgres::insert_row(table);
}

Checkpoint checkpoint_of(const CheckpointRow& row) {
    const auto snapshot = model::parse_snapshot(row.snapshot);
    if (!snapshot) throw postgres::Error(ERRCODE_DATA_CORRUPTED, "malformed snapshot in telemetry.checkpoint", row.snapshot);
    Checkpoint checkpoint{.position = {.snapshot = *snapshot, .partial = {}},
                          .applied = row.applied,
                          .last_batch = model::BatchId{row.last_batch_id},
                          .drained = row.drained,
                          .as_of = row.as_of,
                          .tid = row.tid};
    if (row.has_partial)
        checkpoint.position.partial = model::Partial{model::Xid{row.partial_xid}, model::EventId{row.partial_event_id}};
    return checkpoint;
}

bool is_same_opening(const EpochProgress& a, const EpochProgress& b) noexcept {
    return runtime::is_same_log(a.place, b.place) && a.opened_xid == b.opened_xid;
}

std::optional<Consumer> find_consumer(std::string_view name) noexcept {
    for (const Consumer consumer : kConsumers)
        if (name_of(consumer) == name) return consumer;
    return std::nullopt;
}

}  // namespace

std::string_view name_of(Consumer consumer) noexcept {
    switch (consumer) {
        case Consumer::kBatch:
            return "batch";
        case Consumer::kDevice:
            return "device";
        case Consumer::kRegion:
            return "region";
    }
    return {};
}

Consumer projection_named(std::string_view name) {
    const auto consumer = find_consumer(name);
    if (consumer && *consumer != Consumer::kBatch) return *consumer;
    std::string known;
    for (const Consumer each : kConsumers) {
        if (each == Consumer::kBatch) continue;
        known.append(known.empty() ? "" : ", ").append(name_of(each));
    }
    throw postgres::Error(ERRCODE_INVALID_PARAMETER_VALUE,
                          "there is no projection " + postgres::presentable(model::quoted_for_message(name)), {},
                          "Projections are: " + known + ".");
}

model::Position EpochProgress::position_of(Consumer consumer) const {
    const auto& checkpoint = of(consumer);
    return checkpoint ? checkpoint->position : start_of_epoch(first_xid);
}

bool EpochProgress::is_drained(Consumer consumer) const noexcept {
    const auto& checkpoint = of(consumer);
    return checkpoint && checkpoint->drained;
}

bool EpochProgress::is_local(const runtime::LogPlace& here) const noexcept {
    return runtime::is_same_log(place, here);
}

std::vector<EpochProgress> read_progress(::Snapshot snapshot) {
    const postgres::ScopedMemory memory("telemetry_cqrs progress");
    PlainRows<EpochRow> epochs;
    PlainRows<CheckpointRow> checkpoints;
    postgres::guarded([&] {
        const MemoryContext caller = MemoryContextSwitchTo(memory.get());
        epochs = read_epochs(snapshot);
        checkpoints = read_checkpoints(epochs, snapshot);
        MemoryContextSwitchTo(caller);
    });
    std::vector<EpochProgress> progress;
    for (int i = 0; i < epochs.count; ++i) {
        const EpochRow& row = epochs.items[i];
        progress.push_back({.epoch = model::Epoch{row.epoch},
                            .place = row.place,
                            .opened_xid = model::Xid{row.opened_xid},
                            .first_xid = model::Xid{row.first_xid},
                            .opened_at = row.opened_at,
                            .is_mixed = false,
                            .checkpoints = {}});
    }
    // If several commands opened an epoch at the same time, each has written the same row.
    std::sort(progress.begin(), progress.end(), [](const auto& a, const auto& b) { return a.epoch < b.epoch; });
    for (std::size_t i = progress.size(); i-- > 1;) {
        EpochProgress& each = progress[i - 1];
        const EpochProgress& next = progress[i];
        if (each.epoch != next.epoch) continue;
        each.is_mixed = next.is_mixed || !is_same_opening(each, next);
        // A session with the library of version 1.0 repeats the row without first_xid.
        each.first_xid = std::min(each.first_xid, next.first_xid);
    }
    progress.erase(
        std::unique(progress.begin(), progress.end(), [](const auto& a, const auto& b) { return a.epoch == b.epoch; }),
        progress.end());
    for (int i = 0; i < checkpoints.count; ++i) {
        const CheckpointRow& row = checkpoints.items[i];
        const auto consumer = find_consumer(row.consumer);
        for (EpochProgress& each : progress)
            if (consumer && each.epoch.value == row.epoch)
                each.checkpoints[static_cast<std::size_t>(*consumer)] = checkpoint_of(row);
    }
    return progress;
}

void write_checkpoints(std::span<const CheckpointMove> moves, ::Snapshot snapshot) {
    std::vector<std::string> texts;
    texts.reserve(moves.size() * 2);
    std::vector<CheckpointRow> rows;
    for (const CheckpointMove& move : moves) {
        CheckpointRow row{};
        row.consumer = texts.emplace_back(name_of(move.consumer)).c_str();
        row.epoch = move.epoch.value;
        row.snapshot = texts.emplace_back(model::to_text(move.to.position.snapshot)).c_str();
        if (const auto& partial = move.to.position.partial) {
            row.has_partial = true;
            row.partial_xid = partial->xid.value;
            row.partial_event_id = partial->event_id.value;
        }
        row.applied = move.to.applied;
        row.last_batch_id = move.to.last_batch.value;
        row.drained = move.to.drained;
        row.as_of = move.to.as_of;
        row.is_stored = move.from.has_value();
        if (move.from) row.tid = move.from->tid;
        rows.push_back(row);
    }
    const postgres::ScopedMemory memory("telemetry_cqrs checkpoints");
    postgres::guarded([&memory, snapshot, first = rows.data(), count = rows.size()] {
        const MemoryContext caller = MemoryContextSwitchTo(memory.get());
        postgres::KeyedTable table;
        postgres::open_table(table, runtime::kCheckpointTable, snapshot);
        for (std::size_t i = 0; i < count; ++i) write_row(table, first[i]);
        postgres::close_table(table);
        MemoryContextSwitchTo(caller);
    });
}

}  // namespace event_log
