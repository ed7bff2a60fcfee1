// Looks up and registers devices. The registry says which devices may send, and to which region a reading without one belongs.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "postgres/pg.hpp"

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

// What became of a registration. Of a device that was known it says what the registry holds otherwise than it was sent. A value
// that was not sent does not differ.
struct Registration {
    bool is_new = false;
    bool has_other_region = false, has_other_interval = false, has_other_attributes = false;
    std::optional<std::string_view> region{};  // of the registry, in the caller's memory context
};

// Registers one device, or changes nothing if it is known. `region`, `expected_interval` and `attributes` may be null.
Registration register_one(text* device_id, text* region, Interval* expected_interval, Jsonb* attributes);

enum class Relocation : std::uint8_t { kUnknownDevice, kSameRegion, kRelocated };

// Changes the region of a device, for its later readings without one. Null: it has none.
Relocation relocate(text* device_id, text* region);

// Sets how often a device is expected to send; null: nothing is said of it. False: no such device is registered.
bool set_expected_interval(text* device_id, Interval* expected_interval);

}  // namespace device
