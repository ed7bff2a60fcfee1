// Looks up and registers devices. The registry says which devices may send, and to which region a reading without one belongs.
#pragma once

#include <cstdint>

#include "postgres/pg.hpp"

namespace device {

enum class Standing : std::uint8_t {
    kUnknown,
    kActive,
    kRetired,
    kRegistering,  // an open transaction of another session registers it
};

// A device to be looked up, with the answer.
struct Entry {
    text* device_id;
    text* proposed_region;  // what a new device is registered with; null: none
    Standing standing;      // answer
    text* region;           // answer: the registry's region, palloc'd in the caller's context; null: none
};

// Fills in the answers. With `auto_register` it registers unknown devices in the caller's transaction. It never waits for a
// session that is registering the same device: it answers that session's region and leaves the row to it. If that session rolls
// back, the device's next reading registers the device. `entries` are distinct.
void resolve(Entry* entries, std::uint32_t count, bool auto_register);

// Registers one device. False: it is known already. `region`, `expected_interval` and `attributes` may be null.
bool register_one(text* device_id, text* region, Interval* expected_interval, Jsonb* attributes);

// Sets how often a device is expected to send; null: nothing is said of it. False: no such device is registered.
bool set_expected_interval(text* device_id, Interval* expected_interval);

}  // namespace device
