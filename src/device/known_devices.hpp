// Remembers active devices for the session, so that a device that it has seen before costs no look into the registry.
//
// It holds committed rows only. It forgets everything when any session commits a change to an existing row of telemetry.device.
// A trigger sends a relcache invalidation of that table, which the server delivers with the commit (also with COMMIT PREPARED).
// The memory is plain data in a context of its own, and bounded.
#pragma once

#include <optional>
#include <string_view>

namespace device {

// P. Takes in what other sessions changed. A command calls this before its first `recall`.
void refresh_known_devices();

// P. True: the device is remembered, and `region` becomes a copy in the current context, or nothing.
bool recall(std::string_view device_id, std::optional<std::string_view>& region);

// P. Remembers an active device, perhaps in place of another one.
void remember(std::string_view device_id, std::optional<std::string_view> region);

}  // namespace device
