// The projector's loop: it steps while there is more to do, sends notifications, rests, and waits.
//
// - There is one projector for each database. It takes the database's slot in shared memory, and a lock of its own class, which
//   also works without shared memory.
// - It waits in the server's way and never inside a transaction.
// - An error ends a turn, and FATAL ends the process. A cancellation ends only the turn.
// - It gives way to a statement that drops, renames, moves or copies the database. If the statement fails, the launcher brings
//   the projector back; without preloading the next command does. A statement of a role without the right makes no projector
//   leave.
//
// README.md in this folder has the states and the protocols.
#include <algorithm>
#include <optional>
#include <string>

#include "error_codes.hpp"
#include "postgres/entry_point.hpp"
#include "postgres/error.hpp"
#include "postgres/server_versions.hpp"
#include "postgres/transaction.hpp"
#include "runtime/library_version.hpp"
#include "runtime/processor_time.hpp"
#include "runtime/projector_process.hpp"
#include "runtime/rest.hpp"
#include "runtime/settings.hpp"
#include "runtime/shared_state.hpp"
#include "runtime/start_record.hpp"
#include "runtime/steady_time.hpp"
#include "worker/database_list.hpp"
#include "worker/extension.hpp"
#include "worker/failure.hpp"
#include "worker/projection_work.hpp"
#include "worker/upkeep.hpp"

#include "postgres/pg.hpp"

namespace worker {
namespace {

constexpr int kBusyBatch = 10;  // events; after a smaller step `coalesce` would only cost freshness
// After a step that applied events the projector rests this many times as long as it has used a processor, within bounds. So a
// stream of small commits costs it a tenth of a processor, and one step serves several of them.
constexpr runtime::SteadyTime kRestPerWork = 9;
constexpr runtime::SteadyTime kShortestRest = 2 * 1000;
constexpr runtime::SteadyTime kLongestRest = 10 * 1000;
// The interval between looks whether a statement wants the whole database. It is shorter than kLongestWait, so a look follows
// each long wait. After a look that found a holder the next one comes sooner, or at the next turn of a busy projector.
constexpr runtime::SteadyTime kGiveWayInterval = 400 * 1000;
constexpr long kLongestWait = 2000;  // milliseconds

// The callback at process exit reads it.
runtime::WorkerEnd worker_end = runtime::WorkerEnd::kDied;

void leave(int, Datum) noexcept {
    runtime::detach_worker(worker_end);
}

[[noreturn]] void leave_because(runtime::WorkerEnd reason) {
    worker_end = reason;
    proc_exit(0);
}

// True for the one process that is the projector of this database.
bool become_the_projector() {
    postgres::guarded([] { before_shmem_exit(leave, 0); });
    if (runtime::shared_state() != nullptr && !runtime::attach_worker()) return false;
    postgres::Transaction transaction;
    const bool is_ours = postgres::guarded(runtime::become_only_projector);
    transaction.commit();
    return is_ours;
}

// The launcher's view of the server's configuration. The launcher may hear of a reload later than this process.
bool is_server_read_only() {
    runtime::SharedState* shared = runtime::shared_state();
    return shared != nullptr && pg_atomic_read_u32(&shared->server_read_only) != 0;
}

// 0 stands for a time that never comes.
bool is_in_future(runtime::SteadyTime at) {
    return at == 0 || runtime::steady_time() < at;
}

bool is_cancellation(const postgres::ErrorReport& failure) {
    return failure.sqlstate == ERRCODE_QUERY_CANCELED;
}

// Whole milliseconds, because the server waits in these. Part of one counts as one.
long milliseconds_of(runtime::SteadyTime time) {
    return time <= 0 ? 0 : static_cast<long>((time + 999) / 1000);
}

// The projector's rest after a turn without an error.
enum class Pace {
    kAtOnce,  // there is more to do
    kRest,    // events were applied, so others may follow
    kGather,  // many events were applied, so more gather
    kWait,    // nothing is left
    kHold     // nothing can be done
};

class Projector {
public:
    explicit Projector(MemoryContext turn_context) : turn_context_(turn_context) {}
    [[noreturn]] void run();

private:
    Pace work();
    bool may_work();
    void leave_if_absent();
    [[noreturn]] void leave_to_other_library(const postgres::ErrorReport& reason);
    void give_way_if_wanted();
    long longest_wait() const;
    long time_to_poll() const;
    void hold(const postgres::ErrorReport& reason);
    void report_working();
    void turn();
    void handle_failure(const postgres::ErrorReport& failure);
    void recover_from(const postgres::ErrorReport& error);
    void report_idle();
    long rest_after(Pace pace) const;
    void rest(Pace pace);
    void wait_ignoring_latch(long milliseconds);
    void wait_for_work();
    template <typename Body>
    std::optional<postgres::ErrorReport> error_of(Body body);

    MemoryContext turn_context_;
    FailureThrottle failure_throttle_;
    ProjectionWork projection_work_;
    Upkeep upkeep_;
    uint64 completed_before_turn_ = 0;
    runtime::SteadyTime used_before_turn_ = 0;  // processor time
    DatabaseLockWatch database_lock_;
    runtime::SteadyTime next_look_at_ = 0;  // earliest time of the next look at the lock of the database
    runtime::SteadyTime looked_up_at_ = 0;  // when the extension was looked up last
    Extension extension_{Presence::kAbsent, {}};
    std::string waiting_reason_;  // pg_stat_activity shows it; empty while the projector works
    bool is_running_ = false;     // shared memory says so
    bool has_matched_ = false;    // the extension has once been of this library's version
    bool tries_again_ = false;    // something failed and is due again later
};

// Ends the process if the database has no extension. The launcher starts no other one until a session pokes it.
void Projector::leave_if_absent() {
    if (extension_.presence != Presence::kAbsent) return;
    runtime::remove_start_record();
    leave_because(runtime::WorkerEnd::kAbsent);
}

// For servers where sessions start projectors: "Another version, without preloading" in src/worker/README.md. This process
// leaves in any case, because it has stepped down.
void Projector::leave_to_other_library(const postgres::ErrorReport& reason) {
    const auto error = error_of([&] {
        runtime::step_down();
        if (has_matched_) {
            failure_throttle_.log(reason);
        } else {
            runtime::StartRecord record = runtime::read_start_record();
            if (runtime::note_failure(record, reason.message.c_str())) failure_throttle_.log(reason);
            runtime::write_start_record(record);
            if (look_up_extension().presence != Presence::kMatching) return;
        }
        runtime::start_successor();
    });
    if (error) failure_throttle_.log(*error);
    leave_because(runtime::WorkerEnd::kDied);
}

void Projector::give_way_if_wanted() {
    const runtime::SteadyTime now = runtime::steady_time();
    if (now < next_look_at_) return;
    if (database_lock_.look(MyDatabaseId) == DatabaseLockWatch::Sight::kSame) leave_because(runtime::WorkerEnd::kGaveWay);
    next_look_at_ = now + (database_lock_.has_holders() ? DatabaseLockWatch::kSecondLookDelay : kGiveWayInterval);
}

// Returns how long the projector may wait before it must look again whether to give way, in milliseconds.
long Projector::longest_wait() const {
    return database_lock_.has_holders() ? static_cast<long>(DatabaseLockWatch::kSecondLookDelay / 1000) : kLongestWait;
}

// Waits whatever the latch says, in pieces, and may give way between them.
void Projector::wait_ignoring_latch(long milliseconds) {
    for (long left = milliseconds; left > 0;) {
        const long piece = std::min(left, longest_wait());
        postgres::wait_without_latch(piece);
        left -= piece;
        give_way_if_wanted();
    }
}

// How long the projector waits for a commit before it polls, in milliseconds.
long Projector::time_to_poll() const {
    const long longest = runtime::settings().poll_interval;
    const runtime::SteadyTime projections_due_at = projection_work_.due_at();
    runtime::SteadyTime due_at = upkeep_.settling_due_at();
    if (projections_due_at != 0) due_at = std::min(due_at, projections_due_at);
    return std::clamp(static_cast<long>((due_at - runtime::steady_time()) / 1000 + 1), 1L, longest);
}

// Waits until the latch is set or the poll finds a reason to work. The reasons are that something is to be tried again, that
// the server has become read-only, that a transaction has ended since the last turn began, or that old batches or lazy
// projections are due.
void Projector::wait_for_work() {
    do {
        for (long left = time_to_poll(); left > 0;) {
            const long piece = std::min(left, longest_wait());
            if (postgres::wait_for_latch(piece)) return;
            left -= piece;
            postgres::guarded([] { pgstat_report_stat(true); });
            give_way_if_wanted();
        }
    } while (!tries_again_ && !is_server_read_only() && completed_before_turn_ == postgres::completed_transactions() &&
             is_in_future(upkeep_.due_at()) && is_in_future(projection_work_.due_at()));
}

// Shows and logs why something cannot be done now.
void Projector::hold(const postgres::ErrorReport& reason) {
    runtime::report_failing(reason.message.c_str());
    is_running_ = false;
    waiting_reason_ = runtime::kActivityOfFailing + reason.message;
    failure_throttle_.log(reason);
}

void Projector::report_working() {
    failure_throttle_.recovered();
    waiting_reason_.clear();
    if (is_running_) return;
    runtime::report_running();
    is_running_ = true;
}

bool Projector::may_work() {
    const runtime::SteadyTime now = runtime::steady_time();
    if (!is_running_ || now - looked_up_at_ >= runtime::settings().poll_interval * runtime::SteadyTime{1000}) {
        extension_ = look_up_extension();
        looked_up_at_ = now;
    }
    leave_if_absent();
    if (extension_.presence == Presence::kOtherVersion) {
        const postgres::ErrorReport reason{
            error_codes::kNotInstalled,
            "extension version " + extension_.version + " does not belong to library version " + runtime::kLibraryVersion,
            "The worker has loaded another version of the library than the one that the extension needs.",
            runtime::kOtherVersionHint,
            {}};
        if (runtime::shared_state() == nullptr) leave_to_other_library(reason);
        hold(reason);
        return false;
    }
    has_matched_ = true;
    if (!is_running_) runtime::remove_start_record();
    if (is_server_read_only()) {
        hold({ERRCODE_READ_ONLY_SQL_TRANSACTION,
              "the server is read-only",
              "default_transaction_read_only is on for the whole server.",
              "The projector applies readings when it is off again.",
              {}});
        return false;
    }
    return true;
}

Pace Projector::work() {
    if (!runtime::settings().start_worker) leave_because(runtime::WorkerEnd::kUnwanted);
    give_way_if_wanted();
    completed_before_turn_ = postgres::completed_transactions();
    if (!may_work()) return Pace::kHold;
    postgres::guarded([] { pgstat_report_activity(STATE_RUNNING, "applying events"); });
    const WorkDone done = projection_work_.do_some();
    if (done.is_absent) leave_because(runtime::WorkerEnd::kAbsent);
    tries_again_ = done.tries_again;
    if (done.failure)
        hold(*done.failure);
    else if (!tries_again_)
        report_working();
    if (done.events > 0) upkeep_.settle_soon();
    if (done.has_replaced) upkeep_.clear_soon();
    if (done.is_open) upkeep_.do_when_due();
    upkeep_.settle_when_due(done.has_more);
    if (done.has_more) return Pace::kAtOnce;
    if (done.events == 0) return Pace::kWait;
    return done.events < kBusyBatch ? Pace::kRest : Pace::kGather;
}

// If the extension was dropped during the turn, the error only came from that. The process leaves and logs nothing.
void Projector::handle_failure(const postgres::ErrorReport& failure) {
    extension_ = look_up_extension();
    leave_if_absent();
    hold(failure);
}

// Between turns pg_stat_activity shows why nothing can be done, or the activity of the last turn.
void Projector::report_idle() {
    const char* activity = waiting_reason_.empty() ? nullptr : waiting_reason_.c_str();
    postgres::guarded([activity] {
        pgstat_report_stat(false);
        pgstat_report_activity(STATE_IDLE, activity);
    });
}

// Returns how long to rest after a turn that applied events, in milliseconds. The rest ends when the open batch is due.
long Projector::rest_after(Pace pace) const {
    runtime::SteadyTime rest =
        std::clamp(kRestPerWork * (runtime::processor_time() - used_before_turn_), kShortestRest, kLongestRest);
    if (const auto due_at = projection_work_.batch_due_at()) rest = std::min(rest, *due_at - runtime::steady_time());
    const long least = pace == Pace::kGather ? runtime::settings().coalesce : 0;
    return std::max(milliseconds_of(rest), least);
}

void Projector::rest(Pace pace) {
    if (pace == Pace::kAtOnce) {
        postgres::guarded([] { pgstat_report_stat(false); });
        return;
    }
    report_idle();
    if (pace == Pace::kHold) return wait_ignoring_latch(runtime::settings().poll_interval);
    if (pace != Pace::kWait) {
        const long milliseconds = rest_after(pace);
        if (!runtime::rest_until_wanted(milliseconds)) wait_ignoring_latch(milliseconds);
    }
    if (const auto due_at = projection_work_.batch_due_at())
        (void)postgres::wait_for_latch(milliseconds_of(*due_at - runtime::steady_time()));
    else
        wait_for_work();
}

void Projector::turn() {
    postgres::begin_turn(turn_context_);
    runtime::begin_listening();
    used_before_turn_ = runtime::processor_time();
    rest(work());
}

// A cancellation is no failure, so it is neither shown nor logged.
void Projector::recover_from(const postgres::ErrorReport& error) {
    if (!is_cancellation(error)) handle_failure(error);
    report_idle();
    wait_ignoring_latch(failure_throttle_.next_delay());
}

// Runs the body and returns the error that ended it, if one did. After an error no transaction is open, and the turn's memory
// context is current again.
template <typename Body>
std::optional<postgres::ErrorReport> Projector::error_of(Body body) {
    std::optional<postgres::ErrorReport> error;
    try {
        body();
        return error;
    } catch (...) {
        error = postgres::describe_current_exception();
    }
    postgres::guarded([turn_context = turn_context_] {
        AbortOutOfAnyTransaction();
        MemoryContextSwitchTo(turn_context);
    });
    return error;
}

// An error while the projector handles another one ends the process. The launcher brings it back.
void Projector::run() {
    for (;;) {
        const auto error = error_of([this] { turn(); });
        if (!error) continue;
        const auto another = error_of([&] { recover_from(*error); });
        if (another && !is_cancellation(*another))
            throw postgres::Error(another->sqlstate, another->message, another->detail, another->hint);
    }
}

void run_projector(Oid database) {
    postgres::connect_worker(database);
    postgres::prepare_worker_session(runtime::kProjectorProgram.type);
    if (!become_the_projector()) return;
    const MemoryContext turn_context = postgres::guarded(
        [] { return AllocSetContextCreate(TopMemoryContext, "telemetry_cqrs turn", ALLOCSET_DEFAULT_SIZES); });
    Projector(turn_context).run();
}

}  // namespace
}  // namespace worker

extern "C" PGDLLEXPORT void telemetry_projector_main(Datum database) {
    postgres::entry_point([database] { worker::run_projector(DatumGetObjectId(database)); });
}
