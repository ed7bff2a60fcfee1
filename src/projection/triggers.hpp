// Mending the extension's triggers where a log was opened anew: a restore of data with --disable-triggers leaves them so that
// they do not fire in a session of a replica, or not at all.
#pragma once

namespace projection {

// Runs the commands that telemetry.trigger_defects() names, as the current user and in a subtransaction. Waits for no lock:
// false where one is not to be had or something else is in the way, and nothing is changed then. telemetry.health() tells
// of what is left. The locks of a mended table keep its writers waiting until the transaction ends.
bool mend_triggers();

}  // namespace projection
