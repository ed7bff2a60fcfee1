// A transaction wakes other processes when it commits: the projector of this database, the launcher, or waiting sessions.
//
// - Waking is a hint. It is cheap, and a transaction may ask for it as often as it likes.
// - The commit wakes. A rollback wakes no process.
// - COMMIT PREPARED wakes no process, because PREPARE TRANSACTION drops the wish. The projector's poll finds such events.
// - Without the extension's shared memory there is no launcher, and the projector is found by its lock.
#pragma once

#include <string_view>

namespace runtime {

// For commands, after they have appended events. If no projector serves the database, the commit asks the launcher to look.
// Without a launcher, this call starts a projector at once. The session does either once a second at most. May throw PgError if
// the server is out of memory. It is no error if no projector can be started.
void wake_projector_at_commit();

// For a session that waits for the projector. Starts one if there is neither a projector nor a launcher. As above, it does so
// once a second at most, and it is no error if none can be started.
void start_missing_projector();

// For a pass that served this projection. The sessions that wait for the projection look again.
void tell_waiters_at_commit(std::string_view projection) noexcept;

// Called once, by _PG_init. Processes that are forked later inherit the callback.
void watch_commits();

}  // namespace runtime
