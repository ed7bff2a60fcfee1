// Waking other processes when this transaction commits: the projector of this database, or the launcher.
//
// Both are hints, and both are cheap and may be called as often as one likes; no error, no exception, nothing happens before
// the commit, and nothing at all on rollback. COMMIT PREPARED does not wake (the preparing session's wish is dropped):
// the projector's poll finds such events. Without preloading there is nobody to wake.
#pragma once

namespace runtime {

// For commands, after they appended. Where no projector serves the database, the launcher is asked to look (once a second).
void wake_projector_at_commit() noexcept;

// For CREATE EXTENSION: the launcher looks at this database.
void wake_launcher_at_commit() noexcept;

// Called once, by _PG_init: processes forked later have it.
void watch_commits();

}  // namespace runtime
