// Registering and starting background workers, and what each of them does first and while it waits.
#pragma once

#include "postgres/types.hpp"

namespace postgres {

struct WorkerProgram {
    const char* function;  // exported by this library
    const char* type;      // as shown in pg_stat_activity.backend_type
};

// A worker that the postmaster starts after recovery and restarts five seconds after it ended. For _PG_init.
void register_static_worker(const WorkerProgram& program);

// Starts a worker with a number as its argument; the postmaster never restarts it and tells this process when it starts and
// ends. Null when no worker slot of the server is free. The handle lies in the current memory context.
BackgroundWorkerHandle* start_worker(const WorkerProgram& program, Oid argument);

// The same for who does not want to hear of it. Whether there was a slot.
bool start_worker_unwatched(const WorkerProgram& program, Oid argument);

// First thing in a worker's main: signals, then the connection; InvalidOid connects to no database.
void connect_worker(Oid database);

// Makes the session of a worker that is connected to a database independent of what server, database and role say about
// sessions.
void prepare_worker_session(const char* application_name);

// Sets a setting for this process, whatever the configuration says now and later.
void override_setting(const char* name, const char* value);

// For the top of a worker's turn: resets the latch, ends the process when it was asked to or the postmaster is gone, serves
// interrupts, reloads the configuration, empties `turn` and makes it the current memory context.
void begin_turn(MemoryContext turn);

// Waits until the latch is set, at most `milliseconds`. Whether it was set.
bool wait_for_latch(long milliseconds);

// Waits `milliseconds` whether the latch is set or not; who sets it meanwhile pays next to nothing.
void wait_without_latch(long milliseconds);

}  // namespace postgres
