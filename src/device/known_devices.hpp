// The session's memory of active devices, so that a device seen before costs no look into the registry.
//
// It holds committed rows only and forgets everything when any session commits a change to an existing row of telemetry.device:
// a trigger sends a relcache invalidation of that table, which the server delivers with the commit (COMMIT PREPARED included).
// All functions are P. The memory is plain data in a context of its own, and bounded.
#pragma once

#include "postgres/types.hpp"

namespace device {

// To be called before a command's first `recall`: takes in what other sessions changed.
void refresh_known_devices();

// True if the device is remembered; `region` is then a copy in the current context, or null.
bool recall(text* device_id, text** region);

// Remembers an active device, perhaps in place of another one.
void remember(text* device_id, text* region);

}  // namespace device
