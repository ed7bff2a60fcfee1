// Registers single devices, and changes what the registry holds of them, for administrators.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "postgres/pg.hpp"

namespace device {

// Says what became of a registration. Of a known device it says what the registry holds otherwise than it was sent. A value
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
