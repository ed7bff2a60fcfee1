// Runs the launcher's loop. src/worker/README.md has the states of a database. The launcher keeps what it has learned in its
// own memory. The shared slots have what other processes must see.
#include "worker/launcher.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "postgres/background_worker.hpp"
#include "postgres/entry_point.hpp"
#include "postgres/server_versions.hpp"
#include "runtime/backoff.hpp"
#include "runtime/log_throttle.hpp"
#include "runtime/quotas.hpp"
#include "runtime/settings.hpp"
#include "runtime/shared_state.hpp"
#include "runtime/start_on_demand.hpp"
#include "runtime/steady_time.hpp"
#include "worker/database_list.hpp"

#include "postgres/pg.hpp"

namespace worker {
namespace {

constexpr postgres::WorkerProgram kLauncher{"telemetry_launcher_main", "telemetry_cqrs launcher"};

constexpr runtime::SteadyTime kHealthyAge = 60 * USECS_PER_SEC;  // a worker that lived so long has no failures on record
constexpr runtime::SteadyTime kFirstDelay = USECS_PER_SEC;
constexpr runtime::SteadyTime kLongestDelay = 60 * USECS_PER_SEC;
constexpr runtime::SteadyTime kLockedDelay = 200 * 1000;  // between looks at a database that a statement is changing as a whole
constexpr runtime::SteadyTime kNoSlotDelay = 2 * USECS_PER_SEC;
constexpr runtime::SteadyTime kAbsentDelay = 30 * USECS_PER_SEC;  // on a standby, where no session pokes
constexpr int kMaxProbes = 3;                                     // workers that are finding out whether the extension is there

enum class Phase { kUnknown, kLive, kEnded, kAbsent };

struct ServedWorker {
    runtime::Seat seat = runtime::Role::kProjector;
    Phase phase = Phase::kUnknown;
    BackgroundWorkerHandle* handle = nullptr;  // of the live worker; null if an earlier launcher started it
    TimestampTz started_at = 0;
    runtime::SteadyTime live_since = 0;
    runtime::SteadyTime due_at = 0;  // in kUnknown and kEnded: no start before this
    int failure_count = 0;           // in a row
    bool was_asked_to_end = false;
    DatabaseLockWatch lock_watch;  // while it waits to be started
};

// The projector's worker finds out whether the database has the extension. Workers of other roles are started beside it. On a
// standby there is no projector, and the first worker of HTTP finds out.
struct ServedDatabase {
    std::string name;
    ServedWorker workers[runtime::kSeatCount];

    ServedDatabase() {
        for (int i = 0; i < runtime::kSeatCount; ++i) workers[i].seat = runtime::seat_at(i);
    }
    const ServedWorker& worker_of(runtime::Seat seat) const { return workers[runtime::ordinal_of(seat)]; }
    const ServedWorker& first_worker(bool is_standby) const {
        return worker_of(is_standby ? runtime::Role::kHttp : runtime::Role::kProjector);
    }
};

class Launcher {
public:
    Launcher(MemoryContext turn_context, MemoryContext handles_context)
        : turn_context_(turn_context), handles_context_(handles_context) {}

    // Looks at everything once. Returns for how many milliseconds nothing will be due.
    long look();

private:
    void take_over(const std::vector<Database>& databases);
    void adopt(Oid oid, ServedDatabase& served) const;
    bool has_let_go(Oid oid, ServedDatabase& served);
    void watch(Oid oid, ServedWorker& worker);
    void let_go(Oid oid, ServedWorker& worker);
    void has_ended(Oid oid, ServedWorker& worker);
    bool may_start(Oid oid, const ServedDatabase& served, const ServedWorker& worker) const;
    void start(Oid oid, const std::string& database, ServedWorker& worker);
    bool is_live(Oid oid, const ServedWorker& worker) const;
    int count_probes() const;
    void log_missing_slot(const std::string& database, const char* reason);

    MemoryContext turn_context_;
    MemoryContext handles_context_;
    std::map<Oid, ServedDatabase> served_;
    runtime::SteadyTime now_ = 0;
    bool is_standby_ = false;
    double total_rate_ = runtime::settings().total_rate;  // for which the buckets count
    runtime::LogThrottle log_throttle_;                   // of missing slots
};

bool Launcher::is_live(Oid oid, const ServedWorker& worker) const {
    if (worker.handle == nullptr) return runtime::worker_status(oid, worker.seat).pid != 0;
    return postgres::guarded([handle = worker.handle] {
        pid_t pid;
        return GetBackgroundWorkerPid(handle, &pid) != BGWH_STOPPED;
    });
}

bool is_starting(Oid oid, const ServedWorker& worker) {
    return worker.phase == Phase::kLive && runtime::worker_status(oid, worker.seat).state == runtime::WorkerState::kStarting;
}

int Launcher::count_probes() const {
    return static_cast<int>(std::count_if(served_.begin(), served_.end(), [this](const auto& entry) {
        return is_starting(entry.first, entry.second.first_worker(is_standby_));
    }));
}

// Finds the workers that an earlier launcher has started.
void Launcher::adopt(Oid oid, ServedDatabase& served) const {
    for (ServedWorker& worker : served.workers) {
        if (runtime::worker_status(oid, worker.seat).pid == 0) continue;
        worker.phase = Phase::kLive;
        worker.started_at = GetCurrentTimestamp();
        worker.live_since = now_;
    }
}

// For a database that has left the list. True: no worker of it is left.
bool Launcher::has_let_go(Oid oid, ServedDatabase& served) {
    bool has_none = true;
    for (ServedWorker& worker : served.workers) {
        if (worker.phase == Phase::kLive && is_live(oid, worker)) {
            let_go(oid, worker);
            has_none = false;
        } else if (worker.handle != nullptr) {
            pfree(worker.handle);
            worker.handle = nullptr;
            worker.phase = Phase::kEnded;
        }
    }
    return has_none;
}

// Takes over the list of databases. If a database has left the list, the launcher asks its workers to end, and the entry stays
// until they have ended.
void Launcher::take_over(const std::vector<Database>& databases) {
    for (const Database& database : databases) {
        const auto [entry, is_new] = served_.try_emplace(database.oid);
        entry->second.name = database.name;
        if (is_new) adopt(database.oid, entry->second);
    }
    for (auto entry = served_.begin(); entry != served_.end();) {
        const Oid oid = entry->first;
        const bool is_listed =
            std::any_of(databases.begin(), databases.end(), [oid](const Database& each) { return each.oid == oid; });
        if (is_listed || !has_let_go(oid, entry->second)) {
            ++entry;
        } else {
            runtime::forget_database(oid);
            entry = served_.erase(entry);
        }
    }
    // A session may have poked for a database that the launcher does not serve. Its slot is freed.
    runtime::SharedState* shared = runtime::shared_state();
    for (int i = 0; i < shared->slot_count; ++i) {
        const Oid oid = pg_atomic_read_u32(&shared->slots[i].database);
        if (OidIsValid(oid) && served_.find(oid) == served_.end()) runtime::forget_database(oid);
    }
}

void Launcher::let_go(Oid oid, ServedWorker& worker) {
    if (worker.was_asked_to_end) return;
    worker.was_asked_to_end = true;
    if (worker.handle != nullptr) {
        postgres::guarded([handle = worker.handle] { TerminateBackgroundWorker(handle); });
    } else if (const int pid = runtime::worker_status(oid, worker.seat).pid; pid != 0) {
        kill(pid, SIGTERM);
    }
}

void Launcher::has_ended(Oid oid, ServedWorker& worker) {
    if (worker.handle != nullptr) pfree(worker.handle);
    worker.handle = nullptr;
    worker.was_asked_to_end = false;
    const runtime::WorkerStatus status = runtime::worker_status(oid, worker.seat);
    if (status.pid != 0) return;  // an earlier launcher's worker was there first, and is the one to watch
    if (status.last_end == runtime::WorkerEnd::kAbsent) {
        worker.failure_count = 0;
        worker.due_at = is_standby_ ? now_ + kAbsentDelay : 0;
        const bool is_forgotten = runtime::forget_unless_poked(oid);
        worker.phase = worker.seat != runtime::Role::kProjector ? Phase::kEnded
                       : is_forgotten                           ? Phase::kAbsent
                                                                : Phase::kUnknown;
        return;
    }
    if (now_ - worker.live_since >= kHealthyAge) worker.failure_count = 0;
    worker.phase = Phase::kEnded;
    worker.due_at = now_;
    if (status.last_end == runtime::WorkerEnd::kGaveWay || status.last_end == runtime::WorkerEnd::kUnwanted) return;
    if (worker.failure_count > 0) {
        worker.due_at += runtime::delay_after(worker.failure_count, kFirstDelay, kLongestDelay);
        const std::string reason =
            "the worker ended " + std::to_string(worker.failure_count + 1) + " times in a row; the server log says why";
        runtime::report_not_started(oid, worker.seat, reason.c_str(), worker.started_at);
    }
    ++worker.failure_count;
}

void Launcher::watch(Oid oid, ServedWorker& worker) {
    if (worker.phase == Phase::kLive && !is_live(oid, worker)) has_ended(oid, worker);
    if (worker.phase == Phase::kAbsent && runtime::is_poked(oid)) worker.phase = Phase::kUnknown;
}

// Logs at most once a minute, because the server is short of slots for all databases alike.
void Launcher::log_missing_slot(const std::string& database, const char* reason) {
    if (!log_throttle_.may_log(0, now_)) return;
    postgres::guarded([name = database.c_str(), reason] { runtime::log_missing_slot(name, reason); });
}

// The first worker of a database is on its own account. It needs a free probe while nobody knows whether the extension is
// there. It needs no time to wait for one, because the end of a probe wakes the launcher. Another worker needs a first one that
// has found the extension, and the report of that one wakes the launcher, too. On a standby only HTTP has workers.
bool Launcher::may_start(Oid oid, const ServedDatabase& served, const ServedWorker& worker) const {
    if (is_standby_ && worker.seat.role != runtime::Role::kHttp) return false;
    if (!runtime::is_wanted_in(served.name.c_str(), worker.seat)) return false;
    const ServedWorker& first = served.first_worker(is_standby_);
    if (&worker == &first) return worker.phase != Phase::kUnknown || count_probes() < kMaxProbes;
    return first.phase == Phase::kLive && !is_starting(oid, first);
}

void Launcher::start(Oid oid, const std::string& database, ServedWorker& worker) {
    const DatabaseLockWatch::Sight sight = worker.lock_watch.look(oid);
    if (sight == DatabaseLockWatch::Sight::kFirst || sight == DatabaseLockWatch::Sight::kSame) {
        worker.due_at = now_ + (sight == DatabaseLockWatch::Sight::kFirst ? DatabaseLockWatch::kSecondLookDelay : kLockedDelay);
        return;
    }
    if (!runtime::report_starting(oid, worker.seat)) {
        worker.due_at = now_ + kNoSlotDelay;
        log_missing_slot(database, "More databases have the extension than the server can run workers.");
        return;
    }
    MemoryContextSwitchTo(handles_context_);
    BackgroundWorkerHandle* handle = postgres::start_worker(runtime::program_of(worker.seat.role), {oid, worker.seat.number});
    MemoryContextSwitchTo(turn_context_);
    if (handle == nullptr) {
        worker.due_at = now_ + kNoSlotDelay;
        runtime::report_not_started(oid, worker.seat, runtime::kNoWorkerSlot, PG_INT64_MAX);
        log_missing_slot(database, runtime::kNoWorkerSlot);
        return;
    }
    worker.handle = handle;
    worker.lock_watch = {};
    worker.phase = Phase::kLive;
    worker.started_at = GetCurrentTimestamp();
    worker.live_since = now_;
}

long Launcher::look() {
    now_ = runtime::steady_time();
    is_standby_ = RecoveryInProgress();
    // This is the server's own setting. The settings of databases and roles do not reach the launcher.
    pg_atomic_write_u32(&runtime::shared_state()->server_read_only, DefaultXactReadOnly ? 1 : 0);
    if (total_rate_ != runtime::settings().total_rate) runtime::fill_total_buckets();
    total_rate_ = runtime::settings().total_rate;
    const bool looks_everywhere = runtime::take_look_everywhere();
    take_over(list_databases());
    runtime::SteadyTime next_due_at = now_ + runtime::settings().launcher_interval * runtime::SteadyTime{1000};
    for (auto& [oid, served] : served_) {
        for (ServedWorker& worker : served.workers) {
            watch(oid, worker);
            if (looks_everywhere && worker.phase == Phase::kAbsent) worker.phase = Phase::kUnknown;
            const bool is_waiting = worker.phase == Phase::kUnknown || worker.phase == Phase::kEnded;
            if (is_waiting && worker.due_at <= now_ && may_start(oid, served, worker)) start(oid, served.name, worker);
            if (is_waiting && worker.due_at > now_) next_due_at = std::min(next_due_at, worker.due_at);
        }
    }
    return std::max<long>(1, static_cast<long>((next_due_at - now_ + 999) / 1000));
}

void leave(int, Datum) noexcept {
    pg_atomic_write_u32(&runtime::shared_state()->launcher_procno, runtime::kNoProcess);
}

[[noreturn]] void run() {
    postgres::connect_worker(InvalidOid);
    postgres::override_setting("lock_timeout", "0");
    MemoryContext handles_context = nullptr;
    MemoryContext turn_context = nullptr;
    postgres::guarded([&handles_context, &turn_context] {
        handles_context = AllocSetContextCreate(TopMemoryContext, "telemetry_cqrs launcher", ALLOCSET_SMALL_SIZES);
        turn_context = AllocSetContextCreate(TopMemoryContext, "telemetry_cqrs turn", ALLOCSET_DEFAULT_SIZES);
        before_shmem_exit(leave, 0);
    });
    pg_atomic_write_u32(&runtime::shared_state()->launcher_procno, postgres::number_of_process(MyProc));
    Launcher launcher(turn_context, handles_context);
    for (;;) {
        postgres::begin_turn(turn_context);
        const long milliseconds = launcher.look();
        postgres::guarded([] { pgstat_report_stat(false); });
        postgres::wait_for_latch(milliseconds);
    }
}

}  // namespace

void register_launcher() {
    if (!IsBinaryUpgrade) postgres::register_static_worker(kLauncher);
}

}  // namespace worker

extern "C" PGDLLEXPORT void telemetry_launcher_main(Datum) {
    postgres::entry_point([] { worker::run(); });
}
