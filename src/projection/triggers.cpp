// Runs the statements that mend triggers.
#include "projection/triggers.hpp"

#include <exception>

#include "postgres/catalog.hpp"
#include "postgres/error.hpp"
#include "postgres/spi.hpp"
#include "postgres/subtransaction.hpp"
#include "projection/failure.hpp"

#include "postgres/pg.hpp"

namespace projection {
namespace {

constexpr postgres::Statement kDefects{
    postgres::SqlCommand::kSelect, "SELECT \"table\", command FROM telemetry.trigger_defects()", 0, {}, nullptr};

// P. False: another session writes or changes the table.
bool lock_without_waiting(const char* table) {
    return ConditionalLockRelationOid(postgres::find_relation(postgres::require_schema(), table), ShareRowExclusiveLock);
}

// P.
bool run_commands() {
    const postgres::StatementScope statements = postgres::open_statements();
    postgres::set_for_statements("lock_timeout", "1ms");  // for statements that need a stronger lock
    PushActiveSnapshot(GetLatestSnapshot());
    const postgres::StatementResult defects = postgres::execute(kDefects, nullptr);
    PopActiveSnapshot();
    bool is_free = true;
    for (std::uint64_t i = 0; i < defects.row_count; ++i)
        is_free = is_free && lock_without_waiting(postgres::printed_value_of(defects, i, 1));
    for (std::uint64_t i = 0; is_free && i < defects.row_count; ++i)
        postgres::execute({postgres::SqlCommand::kUtility, postgres::printed_value_of(defects, i, 2), 0, {}, nullptr}, nullptr);
    postgres::close_statements(statements);
    return is_free;
}

}  // namespace

bool mend_triggers() {
    try {
        bool is_done = false;
        postgres::in_subtransaction([&is_done] {
            is_done = postgres::guarded([] { return run_commands(); });
            if (!is_done)
                throw postgres::Error(ERRCODE_LOCK_NOT_AVAILABLE, "a table is in use");  // the rollback releases the locks
        });
        return is_done;
    } catch (const std::exception&) {
        if (is_interruption()) throw;
        return false;
    }
}

}  // namespace projection
