// The workers of this database, as its sessions and the workers themselves know them.
//
// There are two kinds of servers. Where the library is preloaded, workers have slots in shared memory, and the launcher starts
// them (presence_in_slots.cpp). Elsewhere a worker is known by the lock of its role, and sessions start the projector on demand
// (presence_by_lock.cpp). presence.hpp gives callers the kind that the server has.
#pragma once

#include "runtime/role.hpp"
#include "runtime/shared_state.hpp"

namespace runtime {

class WorkerPresence {
public:
    // For sessions. `prepare_to_wake` fetches what `wake` needs after a commit, where nothing can be looked up. Where sessions
    // start workers, it also starts a missing one. It may throw PgError if the server is out of memory.
    virtual void prepare_to_wake(Role role) const = 0;
    virtual void wake(Role role) const noexcept = 0;  // only after `prepare_to_wake`

    // For a session that waits for a worker. Where sessions start workers, it starts a missing one, once a second at most. It
    // is no error if none can be started.
    virtual void start_missing(Role role) const = 0;

    // For the commit of CREATE EXTENSION and ALTER EXTENSION UPDATE.
    virtual void tell_installed() const noexcept = 0;

    virtual WorkerStatus status(Seat seat) const = 0;

    // For a worker. `take` makes the process the one worker of its seat, in a transaction of its own. False: another one is.
    virtual bool take(Seat seat) const = 0;
    // The worker has found its extension, or has found that there is none.
    virtual void report_arrived(Seat seat) const noexcept = 0;
    virtual void report_running(Seat seat) const noexcept = 0;
    virtual void report_failing(Seat seat, const char* text) const noexcept = 0;
    virtual void leave(Seat seat, WorkerEnd end) const noexcept = 0;

protected:
    ~WorkerPresence() = default;
};

}  // namespace runtime
