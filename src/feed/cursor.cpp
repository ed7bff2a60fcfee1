// Reads and writes rows of telemetry.cursor. They change only while a projection is behind.
#include "feed/cursor.hpp"

#include "error_codes.hpp"
#include "postgres/catalog.hpp"
#include "postgres/error.hpp"
#include "postgres/growing_array.hpp"
#include "postgres/keyed_table.hpp"
#include "postgres/memory.hpp"
#include "postgres/spi.hpp"
#include "postgres/text.hpp"
#include "postgres/transaction.hpp"
#include "runtime/own_tables.hpp"

#include "postgres/pg.hpp"

namespace feed {
namespace {

enum CursorColumn {
    kProjection,
    kGeneration,
    kPurpose,
    kIsFilled,
    kIsCopied,
    kBatchId,
    kEvents,
    kAsOf,
    kUntilBatch,
    kCursorColumns
};

using Purpose = Cursor::Purpose;
constexpr const char* kPurposes[] = {"current", "rebuild", "baseline", "audit"};

postgres::Statement drop_others{
    postgres::SqlCommand::kDelete,
    "DELETE FROM telemetry.cursor WHERE projection = $1 AND generation <> $2 AND purpose <> 'baseline'",
    2,
    {TEXTOID, INT4OID},
    nullptr};

// A row without destructors, for guarded blocks.
struct CursorRow {
    const char* projection;
    Cursor cursor;
};

// P.
Purpose purpose_of(std::string_view text) {
    for (std::size_t i = 0; i < lengthof(kPurposes); ++i)
        if (text == kPurposes[i]) return static_cast<Purpose>(i);
    ereport(ERROR, (errcode(error_codes::kLogWasAltered), errmsg("telemetry.cursor has a generation of unknown purpose"),
                    errdetail("The purpose is \"%.*s\".", static_cast<int>(text.size()), text.data()),
                    errhint("Somebody changed rows of telemetry.cursor.")));
}

// P.
CursorRow cursor_row_of(TupleTableSlot* slot) {
    CursorRow row{};
    row.projection = postgres::c_string_of(slot->tts_values[kProjection]);
    row.cursor.generation = DatumGetInt32(slot->tts_values[kGeneration]);
    row.cursor.is_stored = true;
    row.cursor.purpose = purpose_of(postgres::view_of(slot->tts_values[kPurpose]));
    row.cursor.is_filled = DatumGetBool(slot->tts_values[kIsFilled]);
    row.cursor.is_copied = DatumGetBool(slot->tts_values[kIsCopied]);
    if (!slot->tts_isnull[kUntilBatch]) row.cursor.until = model::BatchId{DatumGetInt64(slot->tts_values[kUntilBatch])};
    if (slot->tts_isnull[kBatchId]) return row;
    row.cursor.place = Cursor::Place::kBatch;
    row.cursor.batch = model::BatchId{DatumGetInt64(slot->tts_values[kBatchId])};
    row.cursor.events = DatumGetInt64(slot->tts_values[kEvents]);
    row.cursor.as_of = DatumGetTimestampTz(slot->tts_values[kAsOf]);
    return row;
}

constexpr int kKeyColumns = 2;
constexpr BlockNumber kShortTable = 8;  // pages

// P. A short table is scanned, for that is quickest. A long one consists of old versions that a session's snapshot keeps, and
// then each row is looked up from its key's end.
void read_rows(Oid table, ::Snapshot snapshot, postgres::GrowingArray<CursorRow>& rows) {
    if (postgres::page_count_of(table) <= kShortTable)
        return postgres::for_each_row(table, snapshot,
                                      [&rows](TupleTableSlot* slot) { postgres::append(rows, cursor_row_of(slot)); });
    postgres::KeyLookup lookup;
    postgres::open_walk(lookup, table, kCursorColumns, snapshot, kKeyColumns);
    while (postgres::find_row_before(lookup)) postgres::append(rows, cursor_row_of(lookup.found));
    postgres::close_lookup(lookup);
}

}  // namespace

std::vector<StoredCursor> read_cursors(::Snapshot snapshot) {
    const postgres::ScopedMemory memory("telemetry_cqrs cursors");
    const postgres::GrowingArray<CursorRow> rows = postgres::guarded([&memory, snapshot] {
        const MemoryContext caller = MemoryContextSwitchTo(memory.get());
        postgres::GrowingArray<CursorRow> read{};
        // Version 1.0 has no such table.
        const Oid table = postgres::find_relation(postgres::require_schema(), "cursor");
        if (OidIsValid(table)) read_rows(table, snapshot, read);
        MemoryContextSwitchTo(caller);
        return read;
    });
    std::vector<StoredCursor> cursors;
    for (const CursorRow& each : rows) cursors.push_back({each.projection, each.cursor});
    return cursors;
}

void write_cursor(std::string_view projection, const Cursor& cursor) {
    const postgres::ScopedMemory memory("telemetry_cqrs cursor");
    postgres::guarded([&memory, projection, &cursor] {
        const MemoryContext caller = MemoryContextSwitchTo(memory.get());
        postgres::show_own_writes();
        postgres::KeyedTable table;
        postgres::open_table(table, runtime::kCursorTable, GetActiveSnapshot());
        const Datum key[] = {postgres::text_datum(projection), Int32GetDatum(cursor.generation)};
        const bool is_stored = postgres::find_row(table, key);
        if (is_stored) {
            postgres::copy_found_row(table);
        } else {
            postgres::start_row(table);
            postgres::set_value(table, kProjection, key[0]);
            postgres::set_value(table, kGeneration, key[1]);
            postgres::set_value(table, kIsCopied, BoolGetDatum(true));
        }
        postgres::set_value(table, kPurpose, postgres::text_datum(kPurposes[static_cast<std::size_t>(cursor.purpose)]));
        postgres::set_value(table, kIsFilled, BoolGetDatum(cursor.is_filled));
        if (cursor.is_behind()) {
            postgres::set_value(table, kBatchId, Int64GetDatum(cursor.batch.value));
            postgres::set_value(table, kEvents, Int64GetDatum(cursor.events));
            postgres::set_value(table, kAsOf, TimestampTzGetDatum(cursor.as_of));
        } else {
            for (const int column : {kBatchId, kEvents, kAsOf}) postgres::set_null(table, column);
        }
        if (is_stored)
            postgres::update_row(table);
        else
            postgres::insert_row(table);
        postgres::close_table(table);
        MemoryContextSwitchTo(caller);
    });
}

void write_new_current(std::string_view projection, const Cursor& cursor) {
    write_cursor(projection, cursor);
    postgres::guarded([projection, &cursor] {
        postgres::refuse_statement_obstacle(runtime::kCursorTable);
        Datum values[] = {postgres::text_datum(projection), Int32GetDatum(cursor.generation)};
        const postgres::StatementScope statements = postgres::open_statements();
        postgres::execute_kept(drop_others, values);
        postgres::close_statements(statements);
    });
}

}  // namespace feed
