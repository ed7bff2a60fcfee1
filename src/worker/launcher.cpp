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
#include "runtime/projector_process.hpp"
#include "runtime/settings.hpp"
#include "runtime/shared_state.hpp"
#include "runtime/steady_time.hpp"
#include "worker/database_list.hpp"

#include "postgres/pg.hpp"

namespace worker {
namespace {

constexpr runtime::Role kRole = runtime::Role::kProjector;  // of the workers that it starts
constexpr postgres::WorkerProgram kLauncher{"telemetry_launcher_main", "telemetry_cqrs launcher"};

constexpr runtime::SteadyTime kHealthyAge = 60 * USECS_PER_SEC;  // a worker that lived so long has no failures on record
constexpr runtime::SteadyTime kFirstDelay = USECS_PER_SEC;
constexpr runtime::SteadyTime kLongestDelay = 60 * USECS_PER_SEC;
constexpr runtime::SteadyTime kLockedDelay = 200 * 1000;  // between looks at a database that a statement is changing as a whole
constexpr runtime::SteadyTime kNoSlotDelay = 2 * USECS_PER_SEC;
constexpr int kMaxProbes = 3;  // workers that are finding out whether the extension is there

enum class Phase { kUnknown, kLive, kEnded, kAbsent };

struct ServedDatabase {
    std::string name;
    Phase phase = Phase::kUnknown;
    BackgroundWorkerHandle* handle = nullptr;  // of the live worker; null if an earlier launcher started it
    TimestampTz started_at = 0;
    runtime::SteadyTime live_since = 0;
    runtime::SteadyTime due_at = 0;  // in kUnknown and kEnded: no start before this
    int failure_count = 0;           // in a row
    bool was_asked_to_end = false;
    DatabaseLockWatch lock_watch;  // while it waits to be started
};

class Launcher {
public:
    Launcher(MemoryContext turn_context, MemoryContext handles_context)
        : turn_context_(turn_context), handles_context_(handles_context) {}

    // Looks at everything once. Returns for how many milliseconds nothing will be due.
    long look();

private:
    void take_over(const std::vector<Database>& databases);
    void watch(Oid oid, ServedDatabase& served);
    void let_go(Oid oid, ServedDatabase& served);
    void has_ended(Oid oid, ServedDatabase& served);
    void start(Oid oid, ServedDatabase& served);
    bool is_live(Oid oid, const ServedDatabase& served) const;
    int count_probes() const;
    void log_missing_slot(const ServedDatabase& served, const char* reason);

    MemoryContext turn_context_;
    MemoryContext handles_context_;
    std::map<Oid, ServedDatabase> served_;
    runtime::SteadyTime now_ = 0;
    runtime::LogThrottle log_throttle_;  // of missing slots
};

bool Launcher::is_live(Oid oid, const ServedDatabase& served) const {
    if (served.handle == nullptr) return runtime::worker_status(oid, kRole).pid != 0;
    return postgres::guarded([handle = served.handle] {
        pid_t pid;
        return GetBackgroundWorkerPid(handle, &pid) != BGWH_STOPPED;
    });
}

int Launcher::count_probes() const {
    return static_cast<int>(std::count_if(served_.begin(), served_.end(), [](const auto& entry) {
        return entry.second.phase == Phase::kLive &&
               runtime::worker_status(entry.first, kRole).state == runtime::WorkerState::kStarting;
    }));
}

// Takes over the list of databases. If a database has left the list, the launcher asks its worker to end, and the entry stays
// until the worker has ended.
void Launcher::take_over(const std::vector<Database>& databases) {
    for (const Database& database : databases) {
        const auto [entry, is_new] = served_.try_emplace(database.oid);
        entry->second.name = database.name;
        if (is_new && runtime::worker_status(database.oid, kRole).pid != 0) {
            entry->second.phase = Phase::kLive;
            entry->second.started_at = GetCurrentTimestamp();
            entry->second.live_since = now_;
        }
    }
    for (auto entry = served_.begin(); entry != served_.end();) {
        const Oid oid = entry->first;
        const bool is_listed =
            std::any_of(databases.begin(), databases.end(), [oid](const Database& each) { return each.oid == oid; });
        if (!is_listed && entry->second.phase == Phase::kLive && is_live(oid, entry->second)) {
            let_go(oid, entry->second);
            ++entry;
        } else if (!is_listed) {
            if (entry->second.handle != nullptr) pfree(entry->second.handle);
            runtime::forget_database(oid);
            entry = served_.erase(entry);
        } else {
            ++entry;
        }
    }
    // A session may have poked for a database that the launcher does not serve. Its slot is freed.
    runtime::SharedState* shared = runtime::shared_state();
    for (int i = 0; i < shared->slot_count; ++i) {
        const Oid oid = pg_atomic_read_u32(&shared->slots[i].database);
        if (OidIsValid(oid) && served_.find(oid) == served_.end()) runtime::forget_database(oid);
    }
}

void Launcher::let_go(Oid oid, ServedDatabase& served) {
    if (served.was_asked_to_end) return;
    served.was_asked_to_end = true;
    if (served.handle != nullptr) {
        postgres::guarded([handle = served.handle] { TerminateBackgroundWorker(handle); });
    } else if (const int pid = runtime::worker_status(oid, kRole).pid; pid != 0) {
        kill(pid, SIGTERM);
    }
}

void Launcher::has_ended(Oid oid, ServedDatabase& served) {
    if (served.handle != nullptr) pfree(served.handle);
    served.handle = nullptr;
    served.was_asked_to_end = false;
    const runtime::WorkerStatus status = runtime::worker_status(oid, kRole);
    if (status.pid != 0) return;  // an earlier launcher's worker was there first, and is the one to watch
    if (status.last_end == runtime::WorkerEnd::kAbsent) {
        served.failure_count = 0;
        served.due_at = 0;
        served.phase = runtime::forget_unless_poked(oid) ? Phase::kAbsent : Phase::kUnknown;
        return;
    }
    if (now_ - served.live_since >= kHealthyAge) served.failure_count = 0;
    served.phase = Phase::kEnded;
    served.due_at = now_;
    if (status.last_end == runtime::WorkerEnd::kGaveWay || status.last_end == runtime::WorkerEnd::kUnwanted) return;
    if (served.failure_count > 0) {
        served.due_at += runtime::delay_after(served.failure_count, kFirstDelay, kLongestDelay);
        const std::string reason =
            "the worker ended " + std::to_string(served.failure_count + 1) + " times in a row; the server log says why";
        runtime::report_not_started(oid, kRole, reason.c_str(), served.started_at);
    }
    ++served.failure_count;
}

void Launcher::watch(Oid oid, ServedDatabase& served) {
    if (served.phase == Phase::kLive && !is_live(oid, served)) has_ended(oid, served);
    if (served.phase == Phase::kAbsent && runtime::is_poked(oid)) served.phase = Phase::kUnknown;
}

// Logs at most once a minute, because the server is short of slots for all databases alike.
void Launcher::log_missing_slot(const ServedDatabase& served, const char* reason) {
    if (!log_throttle_.may_log(0, now_)) return;
    postgres::guarded([name = served.name.c_str(), reason] { runtime::log_missing_slot(name, reason); });
}

void Launcher::start(Oid oid, ServedDatabase& served) {
    const DatabaseLockWatch::Sight sight = served.lock_watch.look(oid);
    if (sight == DatabaseLockWatch::Sight::kFirst || sight == DatabaseLockWatch::Sight::kSame) {
        served.due_at = now_ + (sight == DatabaseLockWatch::Sight::kFirst ? DatabaseLockWatch::kSecondLookDelay : kLockedDelay);
        return;
    }
    if (!runtime::report_starting(oid, kRole)) {
        served.due_at = now_ + kNoSlotDelay;
        log_missing_slot(served, "More databases have the extension than the server can run workers.");
        return;
    }
    MemoryContextSwitchTo(handles_context_);
    BackgroundWorkerHandle* handle = postgres::start_worker(runtime::program_of(kRole), oid);
    MemoryContextSwitchTo(turn_context_);
    if (handle == nullptr) {
        served.due_at = now_ + kNoSlotDelay;
        runtime::report_not_started(oid, kRole, runtime::kNoWorkerSlot, PG_INT64_MAX);
        log_missing_slot(served, runtime::kNoWorkerSlot);
        return;
    }
    served.handle = handle;
    served.lock_watch = {};
    served.phase = Phase::kLive;
    served.started_at = GetCurrentTimestamp();
    served.live_since = now_;
}

long Launcher::look() {
    now_ = runtime::steady_time();
    // This is the server's own setting. The settings of databases and roles do not reach the launcher.
    pg_atomic_write_u32(&runtime::shared_state()->server_read_only, DefaultXactReadOnly ? 1 : 0);
    const bool looks_everywhere = runtime::take_look_everywhere();
    take_over(list_databases());
    runtime::SteadyTime next_due_at = now_ + runtime::settings().launcher_interval * runtime::SteadyTime{1000};
    for (auto& [oid, served] : served_) {
        watch(oid, served);
        if (looks_everywhere && served.phase == Phase::kAbsent) served.phase = Phase::kUnknown;
        const bool is_waiting = served.phase == Phase::kUnknown || served.phase == Phase::kEnded;
        // A database that waits for a free probe needs no time of its own, because the end of a probe wakes the launcher.
        const bool may_start = served.phase != Phase::kUnknown || count_probes() < kMaxProbes;
        if (is_waiting && served.due_at <= now_ && may_start && runtime::settings().start_worker) start(oid, served);
        if (served.due_at > now_ && served.phase != Phase::kLive) next_due_at = std::min(next_due_at, served.due_at);
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
