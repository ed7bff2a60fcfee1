// The loop of a database's worker. It steps while there is more to do, rests, and waits.
#include "worker/database_worker.hpp"

#include <algorithm>

#include "error_codes.hpp"
#include "postgres/kept_memory.hpp"
#include "postgres/server_versions.hpp"
#include "postgres/transaction.hpp"
#include "runtime/library_version.hpp"
#include "runtime/presence_by_lock.hpp"
#include "runtime/seat_lock.hpp"
#include "runtime/settings.hpp"
#include "runtime/shared_state.hpp"
#include "runtime/start_on_demand.hpp"
#include "runtime/start_record.hpp"
#include "runtime/presence.hpp"

#include "postgres/pg.hpp"

namespace worker {
namespace {

// The interval between looks whether a statement wants the whole database. It is shorter than kLongestWait, so a look follows
// each long wait. After a look that found a holder the next one comes sooner, or at the next turn of a busy worker.
constexpr runtime::SteadyTime kGiveWayInterval = 400 * 1000;
constexpr long kLongestWait = 2000;  // milliseconds

// The callback at process exit reads it.
runtime::WorkerEnd worker_end = runtime::WorkerEnd::kDied;

void leave(int, Datum seat_index) noexcept {
    runtime::worker_presence().leave(runtime::seat_at(DatumGetInt32(seat_index)), worker_end);
}

[[noreturn]] void leave_because(runtime::WorkerEnd reason) {
    worker_end = reason;
    proc_exit(0);
}

// True for the one process that has this seat in this database.
bool take_seat(runtime::Seat seat) {
    postgres::guarded([seat] { before_shmem_exit(leave, Int32GetDatum(runtime::ordinal_of(seat))); });
    return runtime::worker_presence().take(seat);
}

// The launcher's view of the server's configuration. The launcher may hear of a reload later than this process.
bool is_server_read_only() {
    runtime::SharedState* shared = runtime::shared_state();
    return shared != nullptr && pg_atomic_read_u32(&shared->server_read_only) != 0;
}

// A rename gives the database a new worker.
std::string name_of_database() {
    postgres::Transaction transaction;
    const NameData name = postgres::guarded([] {
        NameData found{};
        if (const char* text = get_database_name(MyDatabaseId)) namestrcpy(&found, text);
        return found;
    });
    transaction.commit();
    return NameStr(name);
}

bool is_cancellation(const postgres::ErrorReport& failure) {
    return failure.sqlstate == ERRCODE_QUERY_CANCELED;
}

}  // namespace

// Ends the process if the database has no extension. The launcher starts no other one until a session pokes it.
void DatabaseWorker::leave_if_absent() {
    if (extension_.state != ExtensionState::kAbsent) return;
    runtime::worker_presence().report_arrived(seat_);
    leave_because(runtime::WorkerEnd::kAbsent);
}

// For servers where sessions start projectors: "Another version, without preloading" in src/worker/README.md. This process
// leaves in any case, because it has stepped down.
void DatabaseWorker::leave_to_other_library(const postgres::ErrorReport& reason) {
    const auto error = error_of([&] {
        runtime::release_seat_lock(seat_);
        if (has_matched_) {
            log(reason);
        } else {
            runtime::StartRecord record = runtime::read_start_record();
            if (runtime::note_failure(record, reason.message.c_str())) log(reason);
            runtime::write_start_record(record);
            if (look_up_extension().state != ExtensionState::kMatching) return;
        }
        runtime::start_successor();
    });
    if (error) log(*error);
    leave_because(runtime::WorkerEnd::kDied);
}

void DatabaseWorker::give_way_if_wanted() {
    const runtime::SteadyTime now = runtime::steady_time();
    if (now < next_look_at_) return;
    if (database_lock_.look(MyDatabaseId) == DatabaseLockWatch::Sight::kSame) leave_because(runtime::WorkerEnd::kGaveWay);
    next_look_at_ = now + (database_lock_.has_holders() ? DatabaseLockWatch::kSecondLookDelay : kGiveWayInterval);
}

// Returns how long the worker may wait before it must look again whether to give way, in milliseconds.
long DatabaseWorker::longest_wait() const {
    return database_lock_.has_holders() ? static_cast<long>(DatabaseLockWatch::kSecondLookDelay / 1000) : kLongestWait;
}

bool DatabaseWorker::wait_for_latch(long milliseconds) {
    for (long left = milliseconds; left > 0;) {
        const long piece = std::min(left, longest_wait());
        if (postgres::wait_for_latch(piece)) return true;
        left -= piece;
        postgres::guarded([] { pgstat_report_stat(true); });
        give_way_if_wanted();
    }
    return false;
}

void DatabaseWorker::wait_ignoring_latch(long milliseconds) {
    for (long left = milliseconds; left > 0;) {
        const long piece = std::min(left, longest_wait());
        postgres::wait_without_latch(piece);
        left -= piece;
        give_way_if_wanted();
    }
}

postgres::EventLoop::WaitEnd DatabaseWorker::wait_in(postgres::EventLoop& loop, long milliseconds) {
    using WaitEnd = postgres::EventLoop::WaitEnd;
    for (long left = milliseconds; left > 0;) {
        const long piece = std::min(left, longest_wait());
        const WaitEnd end = loop.wait(piece);
        give_way_if_wanted();
        if (end != WaitEnd::kTime) return end;
        left -= piece;
    }
    return WaitEnd::kTime;
}

bool DatabaseWorker::has_reason_to_work() const {
    return tries_again_ || is_server_read_only() || completed_before_turn_ != postgres::completed_transactions();
}

// Writes a line to the server log for the first failure with an SQLSTATE, then once a minute while such failures last. The log
// gets none of the others: worker_status() shows the newest failure, and telemetry.projection_failure the newest one of each
// consumer. The words do not count, because each error of a full disk names another file.
void DatabaseWorker::log(const postgres::ErrorReport& failure) {
    if (!log_throttle_.may_log(failure.sqlstate, runtime::steady_time())) return;
    has_logged_failure_ = true;
    postgres::guarded([&failure, program = runtime::program_of(seat_.role).type] {
        ereport(LOG, (errcode(failure.sqlstate), errmsg("%s waits: %s", program, failure.message.c_str()),
                      failure.detail.empty() ? 0 : errdetail_internal("%s", failure.detail.c_str()),
                      failure.hint.empty() ? 0 : errhint("%s", failure.hint.c_str()),
                      failure.context.empty() ? 0 : (errcontext("%s", failure.context.c_str()))));
    });
}

// Shows and logs why something cannot be done now.
void DatabaseWorker::hold(const postgres::ErrorReport& reason) {
    runtime::worker_presence().report_failing(seat_, reason.message.c_str());
    is_running_ = false;
    waiting_reason_ = runtime::kActivityOfFailing + reason.message;
    log(reason);
}

void DatabaseWorker::report_working() {
    backoff_.succeeded();
    if (has_logged_failure_) {
        has_logged_failure_ = false;
        postgres::guarded([program = runtime::program_of(seat_.role).type] { ereport(LOG, (errmsg("%s goes on", program))); });
    }
    waiting_reason_.clear();
    if (is_running_) return;
    runtime::worker_presence().report_running(seat_);
    is_running_ = true;
}

bool DatabaseWorker::may_work() {
    const runtime::SteadyTime now = runtime::steady_time();
    if (!is_running_ || now - looked_up_at_ >= runtime::settings().poll_interval * runtime::SteadyTime{1000}) {
        extension_ = look_up_extension();
        looked_up_at_ = now;
    }
    leave_if_absent();
    if (extension_.state == ExtensionState::kOtherVersion) {
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
    if (!is_running_) runtime::worker_presence().report_arrived(seat_);
    if (work_.writes() && is_server_read_only()) {
        hold({ERRCODE_READ_ONLY_SQL_TRANSACTION,
              "the server is read-only",
              "default_transaction_read_only is on for the whole server.",
              "The worker goes on when it is off again.",
              {}});
        return false;
    }
    return true;
}

// False: nothing can be done.
bool DatabaseWorker::work() {
    if (!runtime::is_wanted_in(database_.c_str(), seat_)) leave_because(runtime::WorkerEnd::kUnwanted);
    give_way_if_wanted();
    completed_before_turn_ = postgres::completed_transactions();
    if (!may_work()) return false;
    const WorkDone done = work_.do_some();
    if (done.is_absent) leave_because(runtime::WorkerEnd::kAbsent);
    tries_again_ = done.tries_again;
    if (done.failure)
        hold(*done.failure);
    else if (!tries_again_)
        report_working();
    return true;
}

// If the extension was dropped during the turn, the error only came from that. The process leaves and logs nothing.
void DatabaseWorker::handle_failure(const postgres::ErrorReport& failure) {
    extension_ = look_up_extension();
    leave_if_absent();
    hold(failure);
}

// Between turns pg_stat_activity shows why nothing can be done, or the activity of the last turn.
void DatabaseWorker::report_idle() {
    const char* activity = waiting_reason_.empty() ? nullptr : waiting_reason_.c_str();
    postgres::guarded([activity] {
        pgstat_report_stat(false);
        pgstat_report_activity(STATE_IDLE, activity);
    });
}

void DatabaseWorker::turn() {
    postgres::begin_turn(turn_context_);
    work_.begin_turn();
    if (work()) return work_.rest(*this);
    report_idle();
    wait_ignoring_latch(runtime::settings().poll_interval);
}

// A cancellation is no failure, so it is neither shown nor logged.
void DatabaseWorker::recover_from(const postgres::ErrorReport& error) {
    if (!is_cancellation(error)) handle_failure(error);
    report_idle();
    wait_ignoring_latch(static_cast<long>(backoff_.failed() / 1000));
}

// Runs the body and returns the error that ended it, if one did. After an error no transaction is open, and the turn's memory
// context is current again.
template <typename Body>
std::optional<postgres::ErrorReport> DatabaseWorker::error_of(Body body) {
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

// An error while the worker handles another one ends the process. The launcher brings it back.
void DatabaseWorker::run() {
    for (;;) {
        const auto error = error_of([this] { turn(); });
        if (!error) continue;
        const auto another = error_of([&] { recover_from(*error); });
        if (another && !is_cancellation(*another))
            throw postgres::Error(another->sqlstate, another->message, another->detail, another->hint);
    }
}

void serve_database(runtime::Role role, Datum argument, std::unique_ptr<Work> (*make_work)()) {
    postgres::keep_freed_memory();
    const postgres::WorkerArgument told = postgres::worker_argument(argument);
    const runtime::Seat seat(role, told.number);
    postgres::connect_worker(told.database);
    postgres::prepare_worker_session(runtime::program_of(role).type);
    if (!take_seat(seat)) return;
    const MemoryContext turn_context = postgres::guarded(
        [] { return AllocSetContextCreate(TopMemoryContext, "telemetry_cqrs turn", ALLOCSET_DEFAULT_SIZES); });
    const std::string database = name_of_database();
    const std::unique_ptr<Work> work = make_work();
    DatabaseWorker(seat, database, *work, turn_context).run();
}

}  // namespace worker
