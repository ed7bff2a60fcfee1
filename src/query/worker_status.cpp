// SQL function worker_status: tells how the projector of this database fares.
//
// It reads the database's slot in shared memory. Without shared memory it finds the projector in the lock table, reads what
// the process shows in pg_stat_activity, and reads the record of attempts to start one.
#include <string_view>

#include "postgres/entry_point.hpp"
#include "postgres/error.hpp"
#include "postgres/sql_function.hpp"
#include "postgres/text.hpp"
#include "runtime/projector_process.hpp"
#include "runtime/shared_state.hpp"
#include "runtime/start_record.hpp"

#include "postgres/pg.hpp"

namespace query {
namespace {

constexpr int kAttemptsUntilFailing = 3;  // after fewer attempts, a worker may still be on its way
constexpr const char* kReasonNoneCame = "Every worker that was started ended before it could work. The server log says why.";

struct StatusRow {
    int pid = 0;
    runtime::WorkerState state = runtime::WorkerState::kNone;
    TimestampTz since = 0;
    const char* error = nullptr;  // palloc'd
    TimestampTz error_at = 0;     // 0: not known
};

StatusRow status_in_shared_memory() {
    const runtime::WorkerStatus known = runtime::worker_status(MyDatabaseId, runtime::Role::kProjector);
    StatusRow status{known.pid, known.state, known.since, nullptr, known.error.at};
    if (known.error.at != 0) status.error = postgres::guarded([&known] { return pstrdup(known.error.text); });
    return status;
}

StatusRow status_of_process(int pid) {
    const char* activity = postgres::guarded([pid] { return pgstat_get_backend_current_activity(pid, false); });
    const std::string_view failing = runtime::kActivityOfFailing;
    StatusRow status;
    status.pid = pid;
    status.state = *activity == '\0' ? runtime::WorkerState::kStarting : runtime::WorkerState::kRunning;
    if (!std::string_view(activity).starts_with(failing)) return status;
    status.state = runtime::WorkerState::kFailing;
    status.error = activity + failing.size();
    return status;
}

StatusRow status_without_shared_memory() {
    if (const int pid = runtime::find_projector().pid; pid != 0) return status_of_process(pid);
    const runtime::StartRecord record = runtime::read_start_record();
    StatusRow status;
    const bool has_come_to_nothing = record.failed_at == 0 && record.attempts_in_vain >= kAttemptsUntilFailing;
    if (record.failed_at == 0 && !has_come_to_nothing) return status;
    status.state = runtime::WorkerState::kFailing;
    status.since = status.error_at = has_come_to_nothing ? record.tried_at : record.failed_at;
    status.error =
        postgres::guarded([reason = has_come_to_nothing ? kReasonNoneCame : record.reason] { return pstrdup(reason); });
    return status;
}

}  // namespace
}  // namespace query

TELEMETRY_FUNCTION(telemetry_get_worker_status) {
    const bool is_preloaded = runtime::shared_state() != nullptr;
    const query::StatusRow status = is_preloaded ? query::status_in_shared_memory() : query::status_without_shared_memory();
    return postgres::guarded([&] {
        Datum values[] = {BoolGetDatum(is_preloaded),
                          Int32GetDatum(status.pid),
                          postgres::text_datum(runtime::name_of(status.state)),
                          TimestampTzGetDatum(status.since),
                          postgres::text_datum(status.error ? status.error : ""),
                          TimestampTzGetDatum(status.error_at)};
        bool nulls[] = {false, status.pid == 0, false, status.since == 0, status.error == nullptr, status.error_at == 0};
        return postgres::row_of(fcinfo, values, nulls);
    });
}
