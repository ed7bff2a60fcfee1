// SQL function is_background_worker: tells whether a process occupies one of the server's worker slots (max_worker_processes).
#include "postgres/entry_point.hpp"
#include "postgres/error.hpp"
#include "postgres/sql_function.hpp"

#include "postgres/pg.hpp"

TELEMETRY_FUNCTION(telemetry_is_background_worker) {
    const bool is_worker =
        postgres::guarded([pid = PG_GETARG_INT32(0)] { return GetBackgroundWorkerTypeByPid(pid) != nullptr; });
    return BoolGetDatum(is_worker);
}
