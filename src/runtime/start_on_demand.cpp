// Starts projectors in the server's worker slots, with growing pauses.
#include "runtime/start_on_demand.hpp"

#include "postgres/error.hpp"
#include "postgres/server_versions.hpp"
#include "runtime/backoff.hpp"
#include "runtime/own_lock.hpp"
#include "runtime/role.hpp"
#include "runtime/settings.hpp"
#include "runtime/start_record.hpp"

#include "postgres/pg.hpp"

namespace runtime {
namespace {

// The pauses after an attempt, for all sessions of a database together. A worker that was started is on its way for a while.
// Each worker that does not come has left a FATAL in the log, so the pause doubles. After a failed start, it is fixed.
constexpr TimestampTz kFirstPause = 200 * 1000;
constexpr TimestampTz kLongestPause = 60 * USECS_PER_SEC;
constexpr int kMostAttempts = 10;  // that are counted; then the pause is the longest
constexpr TimestampTz kPauseAfterFailure = 2 * USECS_PER_SEC;

TimestampTz pause_after(const StartRecord& record) {
    if (record.failed_at != 0) return kPauseAfterFailure;
    return delay_after(record.attempts_in_vain + 1, kFirstPause, kLongestPause);
}

// Starts a projector unless the last attempt is too recent. The caller holds the starter's lock.
bool try_to_start() {
    const TimestampTz now = GetCurrentTimestamp();
    StartRecord record = read_start_record();
    if (record.tried_at <= now && now < record.tried_at + pause_after(record)) return record.failed_at == 0;
    record.attempts_in_vain =
        record.tried_at != 0 && record.failed_at == 0 ? Min(record.attempts_in_vain, kMostAttempts - 1) + 1 : 0;
    record.tried_at = now;
    record.failed_at = 0;
    write_start_record(record);  // before the worker can remove it
    if (postgres::start_worker_unwatched(program_of(Role::kProjector), {MyDatabaseId, 0})) return true;
    const bool may_log = note_failure(record, kNoWorkerSlot);
    write_start_record(record);
    if (may_log) {
        postgres::guarded([] {
            const char* name = get_database_name(MyDatabaseId);
            log_missing_slot(name != nullptr ? name : "?", kNoWorkerSlot);
        });
    }
    return false;
}

}  // namespace

void log_missing_slot(const char* database, const char* reason) {
    ereport(LOG, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
                  errmsg("telemetry_cqrs cannot start a worker for database \"%s\"", database), errdetail("%s", reason),
                  errhint("Increase max_worker_processes.")));
}

bool start_projector() {
    if (IsBinaryUpgrade || !IsUnderPostmaster || RecoveryInProgress()) return false;
    const LOCKTAG tag = tag_of(OwnLock::kStarter);
    // If another session has the lock, it is starting one. If the lock table is full, a later command tries again.
    const bool is_ours = postgres::guarded([&tag] { return postgres::try_lock(tag, ExclusiveLock); });
    if (!is_ours) return true;
    const bool is_started = try_to_start();
    postgres::guarded([&tag] { LockRelease(&tag, ExclusiveLock, false); });
    return is_started;
}

// A projector that a command started earlier could not see this transaction yet. So it has found no extension or another
// version, and has left. The client of that command may never send another one.
void start_projector_wanted_before(bool is_on_its_way) noexcept {
    if (!is_wanted(Role::kProjector)) return;
    const StartRecord record = read_start_record();
    if (!is_on_its_way && record.tried_at == 0) return;
    remove_start_record();
    const bool is_started = postgres::start_worker_unwatched(program_of(Role::kProjector), {MyDatabaseId, 0});
    if (!is_started && record.tried_at != 0) write_start_record(record);
}

// Sessions may start one at the same time. A session that has read the old record starts none, and a second successor finds the
// lock taken.
void start_successor() noexcept {
    remove_start_record();
    (void)postgres::start_worker_unwatched(program_of(Role::kProjector), {MyDatabaseId, 0});
}

}  // namespace runtime
