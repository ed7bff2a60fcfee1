// Records and clears failures by SQL, so that whatever a user put on the table works.
#include "projection/failure.hpp"

#include "postgres/array.hpp"
#include "postgres/as_owner.hpp"
#include "postgres/catalog.hpp"
#include "postgres/error.hpp"
#include "postgres/key_lookup.hpp"
#include "postgres/memory.hpp"
#include "postgres/spi.hpp"
#include "postgres/text.hpp"
#include "postgres/transaction.hpp"
#include "projection/locks.hpp"
#include "runtime/installed.hpp"
#include "runtime/own_tables.hpp"

#include "postgres/pg.hpp"

namespace projection {
namespace {

enum FailureColumn { kProjection, kSqlstate, kMessage, kFailedAt, kFailures };

// The writer holds the apply lock, so no other session writes between these two statements.
postgres::Statement count_another{
    postgres::SqlCommand::kUpdate,
    "UPDATE telemetry.projection_failure SET sqlstate = $2, message = $3, failed_at = $4, failures = failures + 1 "
    "WHERE projection = $1",
    4,
    {TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID},
    nullptr};
postgres::Statement count_first{
    postgres::SqlCommand::kInsert,
    "INSERT INTO telemetry.projection_failure (projection, sqlstate, message, failed_at, failures) VALUES ($1, $2, $3, $4, 1)",
    4,
    {TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID},
    nullptr};
postgres::Statement end_failures{
    postgres::SqlCommand::kUpdate,
    "UPDATE telemetry.projection_failure SET failures = 0 WHERE projection = ANY ($1) AND failures > 0",
    1,
    {TEXTARRAYOID},
    nullptr};

// P.
void count_failure(std::string_view consumer, int sqlstate, std::string_view message) {
    postgres::refuse_statement_obstacle(runtime::kProjectionFailureTable);
    Datum values[] = {postgres::text_datum(consumer), postgres::text_datum(unpack_sql_state(sqlstate)),
                      postgres::text_datum(message), TimestampTzGetDatum(GetCurrentTimestamp())};
    const postgres::StatementScope statements = postgres::open_statements();
    if (postgres::execute_kept(count_another, values).row_count == 0) postgres::execute_kept(count_first, values);
    postgres::close_statements(statements);
}

// P.
void end_failures_of(Datum names) {
    postgres::refuse_statement_obstacle(runtime::kProjectionFailureTable);
    const postgres::StatementScope statements = postgres::open_statements();
    postgres::execute_kept(end_failures, &names);
    postgres::close_statements(statements);
}

struct Failing {
    Datum succeeded;  // text[]; 0: none of them failed before
    bool some_fail;   // others still fail
};

// P. Looks which consumers failed last.
Failing look(const std::string* consumers, std::size_t count, ::Snapshot snapshot) {
    Failing failing{};
    Datum* names = static_cast<Datum*>(palloc(sizeof(Datum) * (count + 1)));
    int found = 0;
    postgres::for_each_row(postgres::require_relation("projection_failure"), snapshot, [&](TupleTableSlot* row) {
        if (DatumGetInt64(row->tts_values[kFailures]) == 0) return;
        const std::string_view name = postgres::view_of(row->tts_values[kProjection]);
        bool has_succeeded = false;
        for (std::size_t i = 0; i < count; ++i) has_succeeded = has_succeeded || name == consumers[i];
        failing.some_fail = failing.some_fail || !has_succeeded;
        if (has_succeeded) names[found++] = postgres::text_datum(name);
    });
    if (found > 0) failing.succeeded = postgres::array_datum(names, found, TEXTOID);
    return failing;
}

}  // namespace

ProjectionFailure failure_of(std::string_view consumer, const std::exception_ptr& cause) {
    try {
        std::rethrow_exception(cause);
    } catch (...) {
        const postgres::ErrorReport report = postgres::describe_current_exception();
        return {std::string(consumer), report.sqlstate, report.message};
    }
}

bool is_interruption() {
    try {
        throw;
    } catch (const postgres::PgError& error) {
        return error.sqlstate() == ERRCODE_QUERY_CANCELED || error.sqlstate() == ERRCODE_ADMIN_SHUTDOWN;
    } catch (...) {
        return false;
    }
}

void record_failure(const ProjectionFailure& failure) {
    postgres::Transaction transaction;
    if (!postgres::guarded([] { return hold_extension(); })) return;
    {
        const postgres::AsOwner as_owner(runtime::installed().owner);
        postgres::guarded([&] {
            take_apply_lock();
            PushActiveSnapshot(GetTransactionSnapshot());
            count_failure(failure.consumer, failure.sqlstate, failure.message);
        });
    }
    transaction.commit();
}

bool clear_failures(std::span<const std::string> consumers, ::Snapshot snapshot) {
    const postgres::ScopedMemory memory("telemetry_cqrs failures");
    return postgres::guarded([&memory, consumers, snapshot] {
        const MemoryContext caller = MemoryContextSwitchTo(memory.get());
        Failing failing = look(consumers.data(), consumers.size(), snapshot);
        if (failing.succeeded != 0) end_failures_of(failing.succeeded);
        MemoryContextSwitchTo(caller);
        return failing.some_fail;
    });
}

}  // namespace projection
