// Running the commands that mend triggers.
#include "projection/triggers.hpp"

#include <exception>

#include "postgres/error.hpp"
#include "postgres/subtransaction.hpp"
#include "projection/failure.hpp"

#include "postgres/pg.hpp"

namespace projection {
namespace {

constexpr const char* kDefects = "SELECT \"table\", command FROM telemetry.trigger_defects()";

// P.
char* column(uint64 row, int number) {
    return SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, number);
}

// P. False where a table is being written or changed.
bool lock_without_waiting(const char* table) {
    return ConditionalLockRelationOid(get_relname_relid(table, get_namespace_oid("telemetry", false)), ShareRowExclusiveLock);
}

// P.
bool run_commands() {
    // A command that needs a stronger lock.
    (void)set_config_option("lock_timeout", "1ms", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
    if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
    PushActiveSnapshot(GetLatestSnapshot());
    if (SPI_execute(kDefects, true, 0) != SPI_OK_SELECT) elog(ERROR, "cannot look at the triggers of telemetry_cqrs");
    PopActiveSnapshot();
    const uint64 count = SPI_processed;
    auto** commands = static_cast<char**>(palloc(sizeof(char*) * (count + 1)));
    bool is_free = true;
    for (uint64 i = 0; i < count; ++i) {
        commands[i] = column(i, 2);
        is_free = is_free && lock_without_waiting(column(i, 1));
    }
    for (uint64 i = 0; is_free && i < count; ++i)
        if (SPI_execute(commands[i], false, 0) < 0) elog(ERROR, "cannot mend a trigger of telemetry_cqrs");
    SPI_finish();
    return is_free;
}

}  // namespace

bool mend_triggers() {
    try {
        bool is_done = false;
        postgres::in_subtransaction([&is_done] {
            is_done = postgres::guarded([] { return run_commands(); });
            if (!is_done) throw postgres::Error(ERRCODE_LOCK_NOT_AVAILABLE, "a table is in use");  // gives the locks back
        });
        return is_done;
    } catch (const std::exception&) {
        if (is_cancellation()) throw;
        return false;
    }
}

}  // namespace projection
