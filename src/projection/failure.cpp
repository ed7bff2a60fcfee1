// Recording and clearing failures.
#include "projection/failure.hpp"

#include <exception>
#include <new>

#include "postgres/as_owner.hpp"
#include "postgres/error.hpp"
#include "postgres/keyed_table.hpp"
#include "postgres/memory.hpp"
#include "postgres/transaction.hpp"
#include "projection/locks.hpp"
#include "runtime/installed.hpp"

#include "postgres/pg.hpp"

namespace projection {
namespace {

enum FailureColumn { kProjection, kSqlstate, kMessage, kFailedAt, kFailures, kFailureColumns };

void count_failure(postgres::KeyedTable& table, const char* consumer, int sqlstate, const char* message, ::Snapshot snapshot) {
    postgres::open_table(table, postgres::find_table("telemetry", "projection_failure"), kFailureColumns, snapshot);
    const Datum key = CStringGetTextDatum(consumer);
    const bool is_found = postgres::find_row(table, &key);
    const std::int64_t before = is_found ? DatumGetInt64(table.found->tts_values[kFailures]) : 0;
    if (is_found)
        postgres::copy_found_row(table);
    else
        postgres::start_row(table);
    postgres::set_value(table, kProjection, key);
    postgres::set_value(table, kSqlstate, CStringGetTextDatum(unpack_sql_state(sqlstate)));
    postgres::set_value(table, kMessage, CStringGetTextDatum(message));
    postgres::set_value(table, kFailedAt, TimestampTzGetDatum(GetCurrentTimestamp()));
    postgres::set_value(table, kFailures, Int64GetDatum(before + 1));
    if (is_found)
        postgres::update_row(table);
    else
        postgres::insert_row(table);
    postgres::close_table(table);
}

bool is_failing(postgres::KeyedTable& table, const char* consumer) {
    const Datum key = CStringGetTextDatum(consumer);
    return postgres::find_row(table, &key) && DatumGetInt64(table.found->tts_values[kFailures]) > 0;
}

}  // namespace

Failure failure_of(event_log::Consumer consumer) {
    try {
        throw;
    } catch (const postgres::PgError& error) {
        return {consumer, error.sqlstate(), error.what()};
    } catch (const postgres::Error& error) {
        return {consumer, error.sqlstate(), error.message()};
    } catch (const std::bad_alloc&) {
        return {consumer, ERRCODE_OUT_OF_MEMORY, "out of memory"};
    } catch (const std::exception& error) {
        return {consumer, ERRCODE_INTERNAL_ERROR, error.what()};
    }
}

bool is_cancellation() {
    try {
        throw;
    } catch (const postgres::PgError& error) {
        return error.sqlstate() == ERRCODE_QUERY_CANCELED || error.sqlstate() == ERRCODE_ADMIN_SHUTDOWN;
    } catch (...) {
        return false;
    }
}

void record_failure(const Failure& failure) {
    postgres::Transaction transaction;
    if (!postgres::guarded([] { return hold_extension(); })) return;
    {
        const postgres::AsOwner as_owner(runtime::installed().owner);
        const std::string consumer(event_log::name_of(failure.consumer));
        postgres::guarded([&] {
            take_apply_lock();
            PushActiveSnapshot(GetTransactionSnapshot());
            postgres::KeyedTable table;
            count_failure(table, consumer.c_str(), failure.sqlstate, failure.message.c_str(), GetActiveSnapshot());
        });
    }
    transaction.commit();
}

bool clear_failures(std::span<const event_log::Consumer> consumers, ::Snapshot snapshot) {
    const postgres::ScopedMemory memory("telemetry_cqrs failures");
    return postgres::guarded([&memory, consumers, snapshot] {
        const MemoryContext caller = MemoryContextSwitchTo(memory.get());
        postgres::KeyedTable table;
        postgres::open_table(table, postgres::find_table("telemetry", "projection_failure"), kFailureColumns, snapshot);
        bool some_fail = false;
        for (const event_log::Consumer each : event_log::kConsumers) {
            // Names are literals, so they end with NUL.
            if (!is_failing(table, event_log::name_of(each).data())) continue;
            bool has_succeeded = false;
            for (const event_log::Consumer consumer : consumers) has_succeeded = has_succeeded || consumer == each;
            some_fail = some_fail || !has_succeeded;
            if (!has_succeeded) continue;
            postgres::copy_found_row(table);
            postgres::set_value(table, kFailures, Int64GetDatum(0));
            postgres::update_row(table);
        }
        postgres::close_table(table);
        MemoryContextSwitchTo(caller);
        return some_fail;
    });
}

}  // namespace projection
