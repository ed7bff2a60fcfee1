// Says how many devices readings may still register (telemetry_cqrs.max_devices).
//
// A session counts the registry only when a reading brings an unknown device, and only if the table has pages enough for that
// many devices. Devices that open transactions are registering count as well. It keeps the count for a second, or for a hundred
// times as long as counting took. In between it adds what it has registered itself. So sessions that register at the same time
// may exceed the setting by what they register meanwhile.
#pragma once

#include <cstdint>

#include "postgres/types.hpp"

namespace device {

// P. Up to `wanted`.
std::uint64_t room_for_devices(Oid registry, std::uint64_t wanted);

// This session is about to register so many devices.
void take_room_for_devices(std::uint64_t count) noexcept;

}  // namespace device
