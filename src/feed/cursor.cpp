// Reads and writes rows of telemetry.cursor. They change only while a projection is behind.
#include "feed/cursor.hpp"

#include "error_codes.hpp"
#include "postgres/catalog.hpp"
#include "postgres/error.hpp"
#include "postgres/growing_array.hpp"
#include "postgres/key_lookup.hpp"
#include "postgres/memory.hpp"
#include "postgres/spi.hpp"
#include "postgres/text.hpp"
#include "runtime/own_tables.hpp"

#include "postgres/pg.hpp"

namespace feed {
namespace {

enum CursorColumn { kProjection, kGeneration, kPurpose, kIsFilled, kIsCopied, kBatchId, kEvents, kAsOf, kUntilBatch };

using Purpose = Cursor::Purpose;
constexpr const char* kPurposes[] = {"current", "rebuild", "baseline", "audit"};

postgres::Statement move{
    postgres::SqlCommand::kInsert,
    "INSERT INTO telemetry.cursor (projection, generation, purpose, is_filled, is_copied, batch_id, events, as_of) "
    "VALUES ($1, $2, $3, $4, true, $5, $6, $7) "
    "ON CONFLICT (projection, generation) DO UPDATE SET purpose = excluded.purpose, is_filled = excluded.is_filled, "
    "batch_id = excluded.batch_id, events = excluded.events, as_of = excluded.as_of",
    7,
    {TEXTOID, INT4OID, TEXTOID, BOOLOID, INT8OID, INT8OID, TIMESTAMPTZOID},
    nullptr};

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

}  // namespace

std::vector<StoredCursor> read_cursors(::Snapshot snapshot) {
    const postgres::ScopedMemory memory("telemetry_cqrs cursors");
    const postgres::GrowingArray<CursorRow> rows = postgres::guarded([&memory, snapshot] {
        const MemoryContext caller = MemoryContextSwitchTo(memory.get());
        postgres::GrowingArray<CursorRow> read{};
        // Version 1.0 has no such table.
        const Oid table = postgres::find_relation(postgres::require_schema(), "cursor");
        if (OidIsValid(table))
            postgres::for_each_row(table, snapshot,
                                   [&read](TupleTableSlot* slot) { postgres::append(read, cursor_row_of(slot)); });
        MemoryContextSwitchTo(caller);
        return read;
    });
    std::vector<StoredCursor> cursors;
    for (const CursorRow& each : rows) cursors.push_back({each.projection, each.cursor});
    return cursors;
}

void write_cursor(std::string_view projection, const Cursor& cursor) {
    postgres::guarded([projection, &cursor] {
        postgres::refuse_statement_obstacle(runtime::kCursorTable);
        const char null = cursor.is_behind() ? ' ' : 'n';
        const char nulls[] = {' ', ' ', ' ', ' ', null, null, null};
        const std::string_view purpose = kPurposes[static_cast<std::size_t>(cursor.purpose)];
        Datum values[] = {postgres::text_datum(projection), Int32GetDatum(cursor.generation),  postgres::text_datum(purpose),
                          BoolGetDatum(cursor.is_filled),   Int64GetDatum(cursor.batch.value), Int64GetDatum(cursor.events),
                          TimestampTzGetDatum(cursor.as_of)};
        const postgres::StatementScope statements = postgres::open_statements();
        const std::uint64_t count = postgres::execute_kept(move, values, nulls).row_count;
        postgres::close_statements(statements);
        if (count != 1)
            ereport(ERROR, (errcode(error_codes::kTableCarriesObstacle), errmsg("a row of table telemetry.cursor was kept out"),
                            errdetail("A trigger or a rule on the table kept out the row that the projector wrote."),
                            errhint("The row says what a projection has consumed. Drop the trigger or rule.")));
    });
}

void write_new_current(std::string_view projection, const Cursor& cursor) {
    write_cursor(projection, cursor);
    postgres::guarded([projection, &cursor] {
        Datum values[] = {postgres::text_datum(projection), Int32GetDatum(cursor.generation)};
        const postgres::StatementScope statements = postgres::open_statements();
        postgres::execute_kept(drop_others, values);
        postgres::close_statements(statements);
    });
}

}  // namespace feed
