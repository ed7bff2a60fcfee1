// Writes parked events by SQL, so that whatever a user put on the table works.
#include "projection/parked_events.hpp"

#include <algorithm>

#include "postgres/catalog.hpp"
#include "postgres/error.hpp"
#include "postgres/growing_array.hpp"
#include "postgres/key_lookup.hpp"
#include "postgres/memory.hpp"
#include "postgres/spi.hpp"
#include "postgres/text.hpp"
#include "runtime/own_tables.hpp"

#include "postgres/pg.hpp"

namespace projection {
namespace {

enum ParkedColumn { kProjection, kGeneration, kEventId };

postgres::Statement insert{
    postgres::SqlCommand::kInsert,
    "INSERT INTO telemetry.parked_event (projection, generation, event_id, batch_id, sqlstate, message, failed_at, failures, "
    "is_due) VALUES ($1, $2, $3, $4, $5, $6, $7, 1, false)",
    7,
    {TEXTOID, INT4OID, INT8OID, INT8OID, TEXTOID, TEXTOID, TIMESTAMPTZOID},
    nullptr};
postgres::Statement fail_again{
    postgres::SqlCommand::kUpdate,
    "UPDATE telemetry.parked_event SET sqlstate = $4, message = $5, failed_at = $6, failures = failures + 1, "
    "is_due = false WHERE projection = $1 AND generation = $2 AND event_id = $3",
    6,
    {TEXTOID, INT4OID, INT8OID, TEXTOID, TEXTOID, TIMESTAMPTZOID},
    nullptr};
postgres::Statement remove{postgres::SqlCommand::kDelete,
                           "DELETE FROM telemetry.parked_event WHERE projection = $1 AND generation = $2 AND event_id = $3",
                           3,
                           {TEXTOID, INT4OID, INT8OID},
                           nullptr};
postgres::Statement remove_of_gone{postgres::SqlCommand::kDelete,
                                   "DELETE FROM telemetry.parked_event WHERE projection = $1 AND generation NOT IN "
                                   "(SELECT c.generation FROM telemetry.cursor c WHERE c.projection = $1)",
                                   1,
                                   {TEXTOID},
                                   nullptr};
postgres::Statement find_due{
    postgres::SqlCommand::kSelect,
    "SELECT event_id, batch_id FROM telemetry.parked_event WHERE projection = $1 AND generation = $2 AND is_due "
    "AND batch_id = (SELECT min(p.batch_id) FROM telemetry.parked_event p WHERE p.projection = $1 AND p.generation = $2 "
    "AND p.is_due) ORDER BY event_id LIMIT $3",
    3,
    {TEXTOID, INT4OID, INT8OID},
    nullptr};
postgres::Statement clear_request{postgres::SqlCommand::kUpdate,
                                  "UPDATE telemetry.projection_setting SET replays = false WHERE projection = $1",
                                  1,
                                  {TEXTOID},
                                  nullptr};

// P.
void execute(postgres::Statement& statement, Datum* values) {
    postgres::refuse_statement_obstacle(runtime::kParkedEventTable);
    const postgres::StatementScope statements = postgres::open_statements();
    postgres::execute_kept(statement, values);
    postgres::close_statements(statements);
}

using Ids = postgres::GrowingArray<model::EventId>;

}  // namespace

void park_event(const Generation& generation, model::BatchId batch, const Poison& poison) {
    postgres::guarded([&] {
        Datum values[] = {postgres::text_datum(generation.projection),
                          Int32GetDatum(generation.number),
                          Int64GetDatum(poison.event.value),
                          Int64GetDatum(batch.value),
                          postgres::text_datum(unpack_sql_state(poison.sqlstate)),
                          postgres::text_datum(std::string_view(poison.message)),
                          TimestampTzGetDatum(GetCurrentTimestamp())};
        execute(insert, values);
    });
}

void keep_parked(const Generation& generation, const Poison& poison) {
    postgres::guarded([&] {
        Datum values[] = {postgres::text_datum(generation.projection),
                          Int32GetDatum(generation.number),
                          Int64GetDatum(poison.event.value),
                          postgres::text_datum(unpack_sql_state(poison.sqlstate)),
                          postgres::text_datum(std::string_view(poison.message)),
                          TimestampTzGetDatum(GetCurrentTimestamp())};
        execute(fail_again, values);
    });
}

void unpark_event(const Generation& generation, model::EventId event) {
    postgres::guarded([&] {
        Datum values[] = {postgres::text_datum(generation.projection), Int32GetDatum(generation.number),
                          Int64GetDatum(event.value)};
        execute(remove, values);
    });
}

DueEvents find_due_events(const Generation& generation, std::int64_t most) {
    struct Found {
        std::int64_t batch;
        Ids events;
    };
    const postgres::ScopedMemory memory("telemetry_cqrs due events");
    const Found found = postgres::guarded([&] {
        Datum values[] = {postgres::text_datum(generation.projection), Int32GetDatum(generation.number), Int64GetDatum(most)};
        Found result{};
        const postgres::StatementScope statements = postgres::open_statements();
        const postgres::StatementResult rows = postgres::execute_kept(find_due, values);
        const MemoryContext caller = MemoryContextSwitchTo(memory.get());
        for (std::uint64_t row = 0; row < rows.row_count; ++row) {
            bool is_null = false;
            postgres::append(result.events, model::EventId{DatumGetInt64(postgres::value_of(rows, row, 1, &is_null))});
            result.batch = DatumGetInt64(postgres::value_of(rows, row, 2, &is_null));
        }
        MemoryContextSwitchTo(caller);
        postgres::close_statements(statements);
        return result;
    });
    return {model::BatchId{found.batch}, {found.events.begin(), found.events.end()}};
}

void end_replay(std::string_view projection) {
    postgres::guarded([projection] {
        Datum name = postgres::text_datum(projection);
        execute(clear_request, &name);
    });
}

void forget_gone_generations(std::string_view projection) {
    postgres::guarded([projection] {
        Datum name = postgres::text_datum(projection);
        execute(remove_of_gone, &name);
    });
}

std::vector<model::EventId> find_parked_events(const Generation& generation, ::Snapshot snapshot) {
    const postgres::ScopedMemory memory("telemetry_cqrs parked events");
    const Ids ids = postgres::guarded([&] {
        const MemoryContext caller = MemoryContextSwitchTo(memory.get());
        Ids found{};
        postgres::for_each_row(postgres::require_relation("parked_event"), snapshot, [&](TupleTableSlot* row) {
            if (DatumGetInt32(row->tts_values[kGeneration]) == generation.number &&
                postgres::view_of(row->tts_values[kProjection]) == generation.projection)
                postgres::append(found, model::EventId{DatumGetInt64(row->tts_values[kEventId])});
        });
        MemoryContextSwitchTo(caller);
        return found;
    });
    std::vector<model::EventId> events(ids.begin(), ids.end());
    std::sort(events.begin(), events.end());
    return events;
}

}  // namespace projection
