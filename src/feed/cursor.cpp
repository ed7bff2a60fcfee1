// Reads and writes rows of telemetry.cursor. They change only while a projection is behind.
#include "feed/cursor.hpp"

#include "postgres/catalog.hpp"
#include "postgres/error.hpp"
#include "postgres/key_lookup.hpp"
#include "postgres/memory.hpp"
#include "postgres/spi.hpp"
#include "postgres/text.hpp"
#include "runtime/own_tables.hpp"

#include "postgres/pg.hpp"

namespace feed {
namespace {

enum CursorColumn { kProjection, kBatchId, kEvents, kAsOf, kCursorColumns };

postgres::Statement move{
    postgres::SqlCommand::kInsert,
    "INSERT INTO telemetry.cursor (projection, batch_id, events, as_of) VALUES ($1, $2, $3, $4) "
    "ON CONFLICT (projection) DO UPDATE SET batch_id = excluded.batch_id, events = excluded.events, as_of = excluded.as_of",
    4,
    {TEXTOID, INT8OID, INT8OID, TIMESTAMPTZOID},
    nullptr};

// P.
Cursor cursor_of(TupleTableSlot* row) {
    Cursor cursor;
    cursor.is_stored = true;
    cursor.follows = row->tts_isnull[kBatchId];
    if (cursor.follows) return cursor;
    cursor.batch = model::BatchId{DatumGetInt64(row->tts_values[kBatchId])};
    cursor.events = DatumGetInt64(row->tts_values[kEvents]);
    cursor.as_of = DatumGetTimestampTz(row->tts_values[kAsOf]);
    return cursor;
}

}  // namespace

PerConsumer<Cursor> read_cursors(::Snapshot snapshot) {
    const postgres::ScopedMemory memory("telemetry_cqrs cursors");
    return postgres::guarded([&memory, snapshot] {
        const MemoryContext caller = MemoryContextSwitchTo(memory.get());
        PerConsumer<Cursor> cursors;
        postgres::KeyLookup lookup;
        postgres::open_lookup(lookup, postgres::require_relation("cursor"), kCursorColumns, snapshot, AccessShareLock);
        for (const Consumer projection : kProjections) {
            const Datum key = postgres::text_datum(name_of(projection));
            if (postgres::find_row(lookup, &key)) cursors[projection] = cursor_of(lookup.found);
        }
        postgres::close_lookup(lookup);
        MemoryContextSwitchTo(caller);
        return cursors;
    });
}

void write_cursor(Consumer consumer, const Cursor& cursor) {
    postgres::guarded([consumer, &cursor] {
        postgres::refuse_statement_obstacle(runtime::kCursorTable);
        const char null = cursor.follows ? 'n' : ' ';
        const char nulls[] = {' ', null, null, null};
        Datum values[] = {postgres::text_datum(name_of(consumer)), Int64GetDatum(cursor.batch.value),
                          Int64GetDatum(cursor.events), TimestampTzGetDatum(cursor.as_of)};
        const postgres::StatementScope statements = postgres::open_statements();
        postgres::execute_kept(move, values, nulls);
        postgres::close_statements(statements);
    });
}

}  // namespace feed
