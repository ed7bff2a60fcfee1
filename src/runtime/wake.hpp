// A transaction wakes other processes when it commits: workers of this database, the launcher, or waiting sessions.
//
// - Waking is a hint. It is cheap, and a transaction may ask for it as often as it likes.
// - The commit wakes. A rollback wakes no process.
// - COMMIT PREPARED wakes no process, because PREPARE TRANSACTION drops the wish. The worker's poll finds such events.
// - A worker that is not there cannot be woken. worker_presence.hpp says who starts it.
#pragma once

#include <string_view>

#include "runtime/role.hpp"

namespace runtime {

// For a transaction that leaves work for a worker. May throw PgError if the server is out of memory.
void wake_at_commit(Role role);

// For a pass that served this projection. The sessions that wait for the projection look again.
void tell_waiters_at_commit(std::string_view projection) noexcept;

// Called once, by _PG_init. Processes that are forked later inherit the callback.
void watch_commits();

}  // namespace runtime
