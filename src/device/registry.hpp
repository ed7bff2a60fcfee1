// Looks up and registers devices. The registry says which devices may send, and to which region a reading without one belongs.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace device {

enum class Standing : std::uint8_t {
    kUnknown,
    kActive,
    kRetired,
    kRegistering,  // an open transaction of another session registers it
    kNoRoom,       // unknown, and the registry holds telemetry_cqrs.max_devices
};

// A device to be looked up, with the answer.
struct Entry {
    std::string_view device_id;
    std::optional<std::string_view> proposed_region;  // what a new device is registered with
    std::uint32_t readings;                           // of the call
    Standing standing;                                // answer
    std::optional<std::string_view> region;           // answer: the registry's region, in the caller's memory context
};

// Fills in the answers. With `auto_register` it registers unknown devices in the caller's transaction. It never waits for a
// session that is registering the same device: it answers that session's region and leaves the row to it. If that session rolls
// back, the device's next reading registers the device. `entries` are distinct.
void resolve(Entry* entries, std::uint32_t count, bool auto_register);

// Tells of devices that `resolve` has left unknown whether the registry has room for each of them alone. If not, their standing
// becomes kNoRoom.
void mark_without_room(std::span<Entry> entries);

}  // namespace device
