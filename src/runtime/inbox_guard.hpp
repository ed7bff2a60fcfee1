// Refuses inserts into the inboxes in sessions with session_replication_role = replica.
//
// In such a session the server does not fire the triggers of the inboxes, and the rows would be lost without a word. Triggers
// that fire always would not do, because pg_upgrade cannot restore those of a view. The guard works in sessions that have
// loaded the library. Where the library is preloaded, these are all sessions.
#pragma once

namespace runtime {

// Called once, by _PG_init.
void guard_inboxes();

}  // namespace runtime
