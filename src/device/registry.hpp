// The registry of devices: who may send, and which region a reading without one belongs to.
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

struct Entry {
    text* device_id;
    text* proposed_region;  // what a new device is registered with; null: none
    Standing standing;      // answer
    text* region;           // answer: the registry's region, palloc'd in the caller's context; null: none
};

// Fills in the answers. With `auto_register` unknown devices are registered in the caller's transaction. Never waits for
// another session: while one is registering the same device, its region is answered and its row is left to it (should it roll
// back, the device's next reading registers it). `entries` are distinct.
void resolve(Entry* entries, std::uint32_t count, bool auto_register);

// Registers one device; false if it is known already. `expected_interval` and `attributes` may be null.
bool register_one(text* device_id, text* region, Interval* expected_interval, Jsonb* attributes);

}  // namespace device
