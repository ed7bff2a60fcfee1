// Mends the extension's triggers where a log was opened anew. A restore of data with --disable-triggers leaves triggers that
// do not fire while session_replication_role is replica, or do not fire at all.
#pragma once

namespace projection {

// Runs the statements that telemetry.trigger_defects() names, as the current user and in a subtransaction. It waits for no
// lock. False: a lock is not free or a statement failed, so nothing was changed, and telemetry.health() shows what is left. The
// locks of a mended table keep its writers waiting until the transaction ends.
bool mend_triggers();

}  // namespace projection
