// Waking other processes when this transaction commits: the projector of this database, or the launcher.
//
// Both are hints, and both are cheap and may be called as often as one likes; nothing happens before the commit, and nothing at
// all on rollback. COMMIT PREPARED does not wake (the preparing session's wish is dropped): the projector's poll finds such
// events. Without shared memory of ours there is no launcher to wake, and the projector is found by its lock.
#pragma once

namespace runtime {

// For commands, after they appended. Where no projector serves the database, the launcher is asked to look; where there is no
// launcher, a projector is started here and now. Both once a second at most. May throw PgError where the server is out of
// memory; that no projector can be started is no error.
void wake_projector_at_commit();

// For who waits for the projector: starts one where there is none and no launcher that would. As rarely, and as harmlessly.
void start_missing_projector();

// For a pass that served this consumer of the log, by its number: the sessions that wait for it look again.
void tell_waiters_at_commit(int consumer) noexcept;

// Called once, by _PG_init: processes forked later have it.
void watch_commits();

}  // namespace runtime
