// Registers and starts background workers, prepares their sessions and lets them wait.
#pragma once

#include "postgres/types.hpp"

namespace postgres {

struct WorkerProgram {
    const char* function;  // exported by this library
    const char* type;      // as shown in pg_stat_activity.backend_type
};

// Registers a worker that the postmaster starts once it allows queries, on a standby too, and again five seconds after it
// ended. Only _PG_init may call this.
void register_static_worker(const WorkerProgram& program);

// The postmaster hands these to a worker that starts.
struct WorkerArgument {
    Oid database;
    int number;  // among the workers of its program
};
Datum datum_of(const WorkerArgument& argument) noexcept;
WorkerArgument worker_argument(Datum argument) noexcept;

// Starts a worker with `argument`. The postmaster never restarts the worker, and it tells this process when the worker starts
// and ends. Returns a handle in the current memory context, or null when the server has no free worker slot.
BackgroundWorkerHandle* start_worker(const WorkerProgram& program, const WorkerArgument& argument);

// Does the same, but the postmaster sends no news of the worker. Returns whether a slot was free.
bool start_worker_unwatched(const WorkerProgram& program, const WorkerArgument& argument);

// Sets up signals, then connects to the database; InvalidOid connects to none. A worker's main calls this first.
void connect_worker(Oid database);

// Makes the session of a worker independent of the settings of server, database and role. The worker is connected to a
// database.
void prepare_worker_session(const char* application_name);

// Sets a setting for this process. The configuration cannot change it any more.
void override_setting(const char* name, const char* value);

// Begins a worker's turn:
// 1. It makes `turn` the current memory context and empties it.
// 2. It resets the latch.
// 3. It ends the process when the worker was told to end, or when the postmaster is gone.
// 4. It serves interrupts, and reloads the configuration when the postmaster asked for that.
void begin_turn(MemoryContext turn);

// P. Ends a worker that was told to end. It writes no FATAL to the server log, because this is the ordinary way to end. With
// exit code 1 the postmaster starts a static worker again.
void leave_if_asked();

// Waits for the latch, at most `milliseconds`. Returns whether the latch was set.
bool wait_for_latch(long milliseconds);

// Waits `milliseconds`, whether the latch is set or not. A process that sets the latch meanwhile pays next to nothing.
void wait_without_latch(long milliseconds);

}  // namespace postgres
