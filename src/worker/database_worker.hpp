// Does for a worker of a database what its role does not. It takes the database's slot, looks up the extension and its version,
// gives way to statements that want the whole database, holds and backs off with a reason, and waits in the server's way.
//
// A role supplies the work, and says what to wait for. README.md in this folder has the states and the protocols.
//
// - It never waits inside a transaction.
// - An error ends a turn, and FATAL ends the process. A cancellation ends only the turn.
// - It gives way to a statement that drops, renames, moves or copies the database. If the statement fails, the launcher brings
//   the worker back; without preloading the next command does. A statement of a role without the right makes no worker leave.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "postgres/error.hpp"
#include "postgres/event_loop.hpp"
#include "postgres/types.hpp"
#include "runtime/backoff.hpp"
#include "runtime/log_throttle.hpp"
#include "runtime/role.hpp"
#include "runtime/steady_time.hpp"
#include "worker/database_list.hpp"
#include "worker/extension.hpp"

namespace worker {

// A role tells so what it has done in a turn.
struct WorkDone {
    bool is_absent = false;                        // the extension is gone
    bool tries_again = false;                      // something failed and is tried again later
    std::optional<postgres::ErrorReport> failure;  // of this turn; everything else was done
};

class DatabaseWorker;

// The work of a role. No transaction is open when the worker calls it, or when it returns or throws. An error ends the turn.
class Work {
public:
    Work() = default;
    Work(const Work&) = delete;
    Work& operator=(const Work&) = delete;
    virtual ~Work() = default;

    // Does the work write? Then the worker holds while the server is read-only.
    virtual bool writes() const { return true; }

    // A turn begins. The latch was reset just before.
    virtual void begin_turn() = 0;

    virtual WorkDone do_some() = 0;

    // Waits until there may be work again, by the functions of the worker.
    virtual void rest(DatabaseWorker& worker) = 0;
};

class DatabaseWorker {
public:
    DatabaseWorker(runtime::Seat seat, std::string database, Work& work, MemoryContext turn_context)
        : seat_(seat), database_(std::move(database)), work_(work), turn_context_(turn_context) {}
    [[noreturn]] void run();

    // Work::rest() uses the functions that follow.

    // Wait so many milliseconds, and give way meanwhile if a statement wants the database: for the latch (returns whether it
    // was set), or whatever the latch says.
    bool wait_for_latch(long milliseconds);
    void wait_ignoring_latch(long milliseconds);

    // Waits likewise while a loop works, and also until one of its callbacks ends the wait.
    postgres::EventLoop::WaitEnd wait_in(postgres::EventLoop& loop, long milliseconds);

    // pg_stat_activity shows that the worker waits, and why if it cannot work.
    void report_idle();

    runtime::Seat seat() const noexcept { return seat_; }
    const std::string& database() const noexcept { return database_; }

    // Is there work although nobody has set the latch? That is so if something is to be tried again, if the server has become
    // read-only, or if a transaction has ended since the turn began.
    bool has_reason_to_work() const;

private:
    bool may_work();
    bool work();
    void leave_if_absent();
    [[noreturn]] void leave_to_other_library(const postgres::ErrorReport& reason);
    void give_way_if_wanted();
    long longest_wait() const;
    void hold(const postgres::ErrorReport& reason);
    void log(const postgres::ErrorReport& failure);
    void report_working();
    void turn();
    void handle_failure(const postgres::ErrorReport& failure);
    void recover_from(const postgres::ErrorReport& error);
    template <typename Body>
    std::optional<postgres::ErrorReport> error_of(Body body);

    runtime::Seat seat_;
    std::string database_;  // its name
    Work& work_;
    MemoryContext turn_context_;
    runtime::LogThrottle log_throttle_;
    runtime::Backoff backoff_{100 * 1000, 10 * 1000 * 1000};
    bool has_logged_failure_ = false;
    std::uint64_t completed_before_turn_ = 0;
    DatabaseLockWatch database_lock_;
    runtime::SteadyTime next_look_at_ = 0;  // earliest time of the next look at the lock of the database
    runtime::SteadyTime looked_up_at_ = 0;  // when the extension was looked up last
    Extension extension_{ExtensionState::kAbsent, {}};
    std::string waiting_reason_;  // pg_stat_activity shows it; empty while the worker works
    bool is_running_ = false;     // shared memory says so
    bool has_matched_ = false;    // the extension has once been of this library's version
    bool tries_again_ = false;    // something failed and is due again later
};

// Connects the process to the database that the argument of its main function names, and serves it. Returns if another process
// has the seat there already. `make_work` makes the work of the role once the process has the seat.
void serve_database(runtime::Role role, Datum argument, std::unique_ptr<Work> (*make_work)());

}  // namespace worker
