// Reads epochs, the batcher's rows and the cursors, and writes the batcher's rows.
#include "feed/progress.hpp"

#include <algorithm>
#include <string>

#include "error_codes.hpp"
#include "event_log/epoch.hpp"
#include "event_log/epoch_columns.hpp"
#include "feed/batch.hpp"
#include "feed/position.hpp"
#include "feed/stored_position.hpp"
#include "postgres/catalog.hpp"
#include "postgres/error.hpp"
#include "postgres/growing_array.hpp"
#include "postgres/keyed_table.hpp"
#include "postgres/memory.hpp"
#include "postgres/spi.hpp"
#include "postgres/transaction.hpp"
#include "runtime/own_tables.hpp"

#include "postgres/pg.hpp"

namespace feed {
namespace {

enum BatcherColumn {
    kEpoch,
    kReadTo,
    kBatchedTo = kReadTo + 3,
    kEvents = kBatchedTo + 3,
    kOpenEvents,
    kLastBatchId,
    kDrained,
    kAsOf,
    kBatchedAsOf,
    kBatcherColumns
};

// Rows without destructors, for guarded blocks. Their texts are palloc'd.
struct EpochRow {
    std::int32_t epoch;
    runtime::LogPlace place;
    std::uint64_t opened_xid;
    std::uint64_t first_xid;
    TimestampTz opened_at;
};
struct BatcherRow {
    std::int32_t epoch;
    StoredPosition read_to, batched_to;
    std::int64_t events, open_events, last_batch_id;
    bool drained;
    TimestampTz as_of, batched_as_of;
    ItemPointerData tid;
};
struct Rows {
    postgres::GrowingArray<EpochRow> epochs;
    postgres::GrowingArray<BatcherRow> batchers;
    bool has_checkpoints;
};

// P.
EpochRow epoch_row_of(TupleTableSlot* slot) {
    const Datum* value = slot->tts_values;
    EpochRow row{};
    row.epoch = DatumGetInt32(value[event_log::kEpochNumber]);
    row.place = event_log::place_of(slot);
    row.opened_xid = U64FromFullTransactionId(DatumGetFullTransactionId(value[event_log::kOpenedXid]));
    row.opened_at = DatumGetTimestampTz(value[event_log::kOpenedAt]);
    FullTransactionId first = FirstNormalFullTransactionId;
    event_log::read_first_xid(slot, first);
    row.first_xid = U64FromFullTransactionId(first);
    return row;
}

// P.
BatcherRow batcher_row_of(TupleTableSlot* slot) {
    const Datum* value = slot->tts_values;
    BatcherRow row{};
    row.epoch = DatumGetInt32(value[kEpoch]);
    row.read_to = read_position(slot, kReadTo);
    row.batched_to = read_position(slot, kBatchedTo);
    row.events = DatumGetInt64(value[kEvents]);
    row.open_events = DatumGetInt64(value[kOpenEvents]);
    row.last_batch_id = DatumGetInt64(value[kLastBatchId]);
    row.drained = DatumGetBool(value[kDrained]);
    row.as_of = DatumGetTimestampTz(value[kAsOf]);
    row.batched_as_of = DatumGetTimestampTz(value[kBatchedAsOf]);
    row.tid = slot->tts_tid;
    return row;
}

// P. Looks each row up by its key; `KeyLookup` says why it does not scan the table. Version 1.0 has no such table.
void read_batchers(Rows& rows, ::Snapshot snapshot) {
    const Oid table = postgres::find_relation(postgres::require_schema(), "batcher");
    if (!OidIsValid(table) || rows.epochs.count == 0) return;
    postgres::KeyLookup lookup;
    postgres::open_lookup(lookup, table, kBatcherColumns, snapshot, AccessShareLock);
    for (const EpochRow& each : rows.epochs) {
        const Datum key = Int32GetDatum(each.epoch);
        if (postgres::find_row(lookup, &key)) postgres::append(rows.batchers, batcher_row_of(lookup.found));
    }
    postgres::close_lookup(lookup);
}

// P.
bool has_rows(const char* table, ::Snapshot snapshot) {
    bool has_some = false;
    postgres::for_each_row(postgres::require_relation(table), snapshot, [&has_some](TupleTableSlot*) { has_some = true; });
    return has_some;
}

// P.
Rows read_rows(::Snapshot snapshot) {
    Rows rows{};
    postgres::for_each_row(postgres::require_relation("epoch"), snapshot,
                           [&rows](TupleTableSlot* slot) { postgres::append(rows.epochs, epoch_row_of(slot)); });
    read_batchers(rows, snapshot);
    if (rows.epochs.count > 0 && rows.batchers.count == 0) rows.has_checkpoints = has_rows("checkpoint", snapshot);
    return rows;
}

bool is_same_opening(const EpochProgress& a, const EpochProgress& b) noexcept {
    return runtime::is_same_log(a.place, b.place) && a.opened_xid == b.opened_xid;
}

std::vector<EpochProgress> epochs_of(const Rows& rows) {
    std::vector<EpochProgress> epochs;
    for (const EpochRow& row : rows.epochs) {
        epochs.push_back({.epoch = model::Epoch{row.epoch},
                          .place = row.place,
                          .opened_xid = model::Xid{row.opened_xid},
                          .first_xid = model::Xid{row.first_xid},
                          .opened_at = row.opened_at,
                          .is_mixed = false,
                          .batcher = {}});
    }
    // If several commands opened an epoch at the same time, each has written the same row.
    std::sort(epochs.begin(), epochs.end(), [](const auto& a, const auto& b) { return a.epoch < b.epoch; });
    for (std::size_t i = epochs.size(); i-- > 1;) {
        EpochProgress& each = epochs[i - 1];
        const EpochProgress& next = epochs[i];
        if (each.epoch != next.epoch) continue;
        each.is_mixed = next.is_mixed || !is_same_opening(each, next);
        // A session with the library of version 1.0 repeats the row without first_xid.
        each.first_xid = std::min(each.first_xid, next.first_xid);
    }
    epochs.erase(std::unique(epochs.begin(), epochs.end(), [](const auto& a, const auto& b) { return a.epoch == b.epoch; }),
                 epochs.end());
    return epochs;
}

BatcherState state_of(const BatcherRow& row) {
    return {.read_to = position_of(row.read_to, "batcher"),
            .batched_to = position_of(row.batched_to, "batcher"),
            .events = row.events,
            .open_events = row.open_events,
            .last_batch = model::BatchId{row.last_batch_id},
            .drained = row.drained,
            .as_of = row.as_of,
            .batched_as_of = row.batched_as_of,
            .tid = row.tid};
}

BatcherState state_at_start(const EpochProgress& epoch) {
    BatcherState state;
    state.read_to = state.batched_to = start_of_epoch(epoch.first_xid);
    state.as_of = state.batched_as_of = epoch.opened_at;
    return state;
}

constexpr postgres::Statement kTakeOver[] = {
    {postgres::SqlCommand::kInsert,
     "INSERT INTO telemetry.batcher (epoch, snapshot, partial_xid, partial_event_id, batched_snapshot, batched_partial_xid, "
     "batched_partial_event_id, events, open_events, last_batch_id, drained, as_of, batched_as_of) "
     "SELECT epoch, snapshot, partial_xid, partial_event_id, snapshot, partial_xid, partial_event_id, applied, 0, "
     "CASE WHEN applied > 0 THEN last_batch_id ELSE 0 END, "
     "drained, as_of, as_of FROM telemetry.checkpoint WHERE consumer = 'batch'",
     0,
     {},
     nullptr},
    {postgres::SqlCommand::kDelete, "DELETE FROM telemetry.checkpoint", 0, {}, nullptr},
    {postgres::SqlCommand::kDelete, "DELETE FROM telemetry.device_state", 0, {}, nullptr},
    {postgres::SqlCommand::kDelete, "DELETE FROM telemetry.device_metric_state", 0, {}, nullptr},
    {postgres::SqlCommand::kDelete, "DELETE FROM telemetry.region_state", 0, {}, nullptr},
    {postgres::SqlCommand::kDelete, "DELETE FROM telemetry.region_metric_state", 0, {}, nullptr},
};

constexpr postgres::Statement kIsTakenOver{
    postgres::SqlCommand::kSelect,
    "SELECT EXISTS (SELECT FROM telemetry.batcher) AND NOT EXISTS (SELECT FROM telemetry.checkpoint)",
    0,
    {},
    nullptr};

}  // namespace

model::BatchId Progress::last_batch() const noexcept {
    model::BatchId last{};
    for (const EpochProgress& epoch : epochs) last = std::max(last, epoch.batcher.last_batch);
    return last;
}

std::int64_t Progress::events_read() const noexcept {
    std::int64_t events = 0;
    for (const EpochProgress& epoch : epochs) events += epoch.batcher.events;
    return events;
}

std::int64_t Progress::open_events() const noexcept {
    std::int64_t events = 0;
    for (const EpochProgress& epoch : epochs) events += epoch.batcher.open_events;
    return events;
}

std::optional<model::Micros> Progress::read_as_of() const noexcept {
    std::optional<model::Micros> as_of;
    for (const EpochProgress& epoch : epochs)
        if (epoch.batcher.tid) as_of = std::max(as_of.value_or(epoch.batcher.as_of), epoch.batcher.as_of);
    return as_of;
}

Cursor Progress::cursor_of(std::string_view projection) const {
    Cursor cursor;
    for (const StoredCursor& each : cursors)
        if (each.projection == projection && each.cursor.is_current()) cursor = each.cursor;
    const auto is_read = [](const EpochProgress& each) { return each.batcher.tid.has_value(); };
    if (!cursor.is_stored && std::any_of(epochs.begin(), epochs.end(), is_read)) cursor.place = Cursor::Place::kBatch;
    if (!cursor.is_stored) cursor.is_filled = !cursor.is_behind();
    if (cursor.is_behind() && cursor.batch.value == 0 && !epochs.empty()) cursor.as_of = epochs.front().opened_at;
    return cursor;
}

std::optional<model::Micros> Progress::as_of(const Cursor& cursor) const noexcept {
    if (cursor.is_behind() && cursor.events < events_read()) return cursor.as_of;
    if (cursor.place != Cursor::Place::kBatchList) return read_as_of();
    std::optional<model::Micros> as_of;
    for (const EpochProgress& epoch : epochs)
        if (epoch.batcher.tid) as_of = std::max(as_of.value_or(epoch.batcher.batched_as_of), epoch.batcher.batched_as_of);
    return as_of;
}

Progress read_progress(::Snapshot snapshot) {
    const postgres::ScopedMemory memory("telemetry_cqrs progress");
    const Rows rows = postgres::guarded([&memory, snapshot] {
        const MemoryContext caller = MemoryContextSwitchTo(memory.get());
        const Rows read = read_rows(snapshot);
        MemoryContextSwitchTo(caller);
        return read;
    });
    Progress progress;
    progress.epochs = epochs_of(rows);
    for (EpochProgress& epoch : progress.epochs) {
        epoch.batcher = state_at_start(epoch);
        for (const BatcherRow& row : rows.batchers)
            if (row.epoch == epoch.epoch.value) epoch.batcher = state_of(row);
    }
    progress.is_of_version_1_0 = rows.has_checkpoints;
    progress.cursors = read_cursors(snapshot);
    return progress;
}

void write_batcher(model::Epoch epoch, const BatcherState& before, const BatcherState& now, ::Snapshot snapshot) {
    std::string read_snapshot, batched_snapshot;
    const StoredPosition read_to = stored(now.read_to, read_snapshot);
    const StoredPosition batched_to = stored(now.batched_to, batched_snapshot);
    ItemPointerData tid = before.tid.value_or(ItemPointerData{});
    const bool is_stored = before.tid.has_value(), is_batched = !is_stored || before.batched_to != now.batched_to;
    const postgres::ScopedMemory memory("telemetry_cqrs batcher");
    postgres::guarded([&] {
        const MemoryContext caller = MemoryContextSwitchTo(memory.get());
        postgres::KeyedTable table;
        postgres::open_table(table, runtime::kBatcherTable, snapshot);
        if (!is_stored)
            postgres::start_row(table);
        else if (postgres::find_row_at(table, &tid))
            postgres::copy_found_row(table);
        else
            elog(ERROR, "the row of epoch %d in telemetry.batcher is not where it was", epoch.value);
        postgres::set_value(table, kEpoch, Int32GetDatum(epoch.value));
        set_position(table, kReadTo, read_to);
        if (is_batched) set_position(table, kBatchedTo, batched_to);
        postgres::set_value(table, kEvents, Int64GetDatum(now.events));
        postgres::set_value(table, kOpenEvents, Int64GetDatum(now.open_events));
        postgres::set_value(table, kLastBatchId, Int64GetDatum(now.last_batch.value));
        postgres::set_value(table, kDrained, BoolGetDatum(now.drained));
        postgres::set_value(table, kAsOf, TimestampTzGetDatum(now.as_of));
        postgres::set_value(table, kBatchedAsOf, TimestampTzGetDatum(now.batched_as_of));
        if (is_stored)
            postgres::update_row(table);
        else
            postgres::insert_row(table);
        postgres::close_table(table);
        MemoryContextSwitchTo(caller);
    });
}

void take_over_version_1_0() {
    postgres::guarded([] {
        const postgres::StatementScope statements = postgres::open_statements();
        for (const postgres::Statement& statement : kTakeOver) postgres::execute(statement, nullptr);
        postgres::show_own_writes();
        bool is_null = false;
        if (!DatumGetBool(postgres::value_of(postgres::execute(kIsTakenOver, nullptr), 0, 1, &is_null)))
            ereport(ERROR, (errcode(error_codes::kTableCarriesObstacle),
                            errmsg("the positions of version 1.0 could not be taken over"),
                            errdetail("A trigger or a rule on a table of the extension kept rows in or out."),
                            errhint("telemetry.health() names such objects. Drop them.")));
        postgres::close_statements(statements);
    });
}

std::optional<model::Position> position_in(const EpochProgress& epoch, const Cursor& cursor, ::Snapshot snapshot) {
    const BatcherState& batcher = epoch.batcher;
    if (cursor.place == Cursor::Place::kBatchList && !batcher.drained) return batcher.batched_to;
    if (!cursor.is_behind()) return batcher.position();
    if (cursor.batch < batcher.last_batch) {
        const auto last = find_last_batch_of(epoch.epoch, cursor.batch, snapshot);
        return last ? last->to : start_of_epoch(epoch.first_xid);
    }
    // It has consumed all batches of the epoch. An epoch that is drained has no open batch.
    if (batcher.drained) return std::nullopt;
    return batcher.batched_to;
}

}  // namespace feed
