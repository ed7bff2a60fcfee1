// Sessions remember the process that they have found, and look for it again when it is gone.
#include "runtime/presence_by_lock.hpp"

#include <string_view>

#include "postgres/error.hpp"
#include "postgres/server_versions.hpp"
#include "postgres/text.hpp"
#include "runtime/own_lock.hpp"
#include "runtime/seat_lock.hpp"
#include "runtime/start_on_demand.hpp"
#include "runtime/start_record.hpp"
#include "runtime/steady_time.hpp"

#include "postgres/pg.hpp"

namespace runtime {
namespace {

constexpr SteadyTime kLookInterval = USECS_PER_SEC;
constexpr int kAttemptsUntilFailing = 3;  // after fewer attempts, a worker may still be on its way
constexpr const char* kReasonNoneCame = "Every worker that was started ended before it could work. The server log says why.";

struct ProjectorProcess {
    uint32 procno;  // kNoProcess: none
    int pid;
};

ProjectorProcess known_projector{kNoProcess, 0};
bool is_projector_on_its_way = false;  // started, and not found yet
SteadyTime last_look_at = 0;

bool is_same(const LOCKTAG& left, const LOCKTAG& right) {
    return memcmp(&left, &right, sizeof(LOCKTAG)) == 0;
}

// Finds the process that holds the projector's lock in this database. It reads the whole lock table.
ProjectorProcess find_projector() {
    return postgres::guarded([] {
        ProjectorProcess found{kNoProcess, 0};
        const LOCKTAG tag = tag_of(lock_of(Role::kProjector));
        LockData* held = GetLockStatusData();
        for (int i = 0; i < held->nelements; ++i) {
            const LockInstanceData& each = held->locks[i];
            if (each.holdMask == 0 || !is_same(each.locktag, tag)) continue;
            const PGPROC* process = BackendPidGetProc(each.pid);
            if (process != nullptr) found = {postgres::number_of_process(process), each.pid};
        }
        pfree(held->locks);
        pfree(held);
        return found;
    });
}

// True while that process lives and serves this database. A process that ends leaves its pid in PGPROC but gives its latch
// back, so the latch tells whether it is there.
bool is_there(const ProjectorProcess& projector) noexcept {
    if (projector.procno == kNoProcess) return false;
    const PGPROC& process = ProcGlobal->allProcs[projector.procno];
    return process.procLatch.owner_pid == projector.pid && process.databaseId == MyDatabaseId &&
           postgres::is_background_worker(process);
}

// Sets the latch of every background worker of the database. The projector that was started is either among them or takes its
// first snapshot after the commit.
void wake_workers_of_database() noexcept {
    for (uint32 i = 0; i < ProcGlobal->allProcCount; ++i) {
        const PGPROC& process = ProcGlobal->allProcs[i];
        if (postgres::is_background_worker(process) && process.databaseId == MyDatabaseId) set_latch_of(i);
    }
}

// The status by what the process shows in pg_stat_activity.
WorkerStatus status_of_process(int pid) {
    const std::string_view activity = postgres::guarded([pid] { return pgstat_get_backend_current_activity(pid, false); });
    const std::string_view failing = kActivityOfFailing;
    WorkerStatus status{};
    status.pid = pid;
    status.state = activity.empty() ? WorkerState::kStarting : WorkerState::kRunning;
    if (!activity.starts_with(failing)) return status;
    status.state = WorkerState::kFailing;
    postgres::copy_cut(status.error.text, activity.data() + failing.size());
    return status;
}

// The status by the start record, where there is no process.
WorkerStatus status_of_attempts() {
    const StartRecord record = read_start_record();
    WorkerStatus status{};
    const bool has_come_to_nothing = record.failed_at == 0 && record.attempts_in_vain >= kAttemptsUntilFailing;
    if (record.failed_at == 0 && !has_come_to_nothing) return status;
    status.state = WorkerState::kFailing;
    status.since = status.error.at = has_come_to_nothing ? record.tried_at : record.failed_at;
    postgres::copy_cut(status.error.text, has_come_to_nothing ? kReasonNoneCame : record.reason);
    return status;
}

class PresenceByLock final : public WorkerPresence {
public:
    void prepare_to_wake(Role role) const override { start_missing(role); }

    void wake(Role role) const noexcept override {
        if (role != Role::kProjector) return;
        if (is_there(known_projector))
            set_latch_of(known_projector.procno);
        else if (is_projector_on_its_way)
            wake_workers_of_database();
    }

    void start_missing(Role role) const override {
        if (role != Role::kProjector || !is_wanted(role) || is_there(known_projector)) return;
        // A session that knew a projector which is gone looks at once.
        const SteadyTime now = steady_time();
        const bool is_soon = now - last_look_at < kLookInterval;
        if (known_projector.procno == kNoProcess && is_soon) return;
        last_look_at = now;
        known_projector = find_projector();
        is_projector_on_its_way = known_projector.procno == kNoProcess && start_projector();
    }

    void tell_installed() const noexcept override { start_projector_wanted_before(is_projector_on_its_way); }

    WorkerStatus status(Seat seat) const override {
        if (seat != Role::kProjector) return {};
        const int pid = find_projector().pid;
        return pid != 0 ? status_of_process(pid) : status_of_attempts();
    }

    bool take(Seat seat) const override { return take_seat_lock(seat); }
    void report_arrived(Seat) const noexcept override { remove_start_record(); }

    // The worker's activity tells, and the lock goes with the process.
    void report_running(Seat) const noexcept override {}
    void report_failing(Seat, const char*) const noexcept override {}
    void leave(Seat, WorkerEnd) const noexcept override {}
};

constinit const PresenceByLock kPresence;

}  // namespace

const WorkerPresence& presence_by_lock() noexcept {
    return kPresence;
}

}  // namespace runtime
