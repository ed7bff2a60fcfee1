// Finds the part of an idempotency key that is coarse and monotone, so that keys that arrive near each other get numbers near
// each other.
//
// Most real keys end in a timestamp or a running number, or are a UUIDv7 or a ULID. An index that begins with this part takes
// new entries in few places; an index on a hash alone takes them everywhere. A wrong guess costs speed, never correctness.
#pragma once

#include <cstdint>
#include <string_view>

namespace model {

// The order is that of the fingerprints, so that running numbers do not fall between times.
enum class KeyClass : unsigned char {
    kDerived = 1,   // no key: the measured time leads
    kTime = 2,      // the key holds a time: seconds since 1970
    kSequence = 3,  // the key ends in a running number: the number
    kOpaque = 4,    // nothing found
};

struct Locality {
    KeyClass key_class;
    std::uint64_t value;  // below 2^56; 0 for kOpaque
};

// Takes the first of these that fits:
//
//   a UUIDv7 or ULID as the whole key or its end: its time; a UUID of another version: opaque
//   an ISO 8601 time at the end, 2026-01-02T03:04[:05[.678]] or 20260102T0304[05[.678]], with Z, an offset or nothing
//   a decimal number at the end
//
// The size of a decimal number tells what it is: nanoseconds (from 1e17), microseconds (from 1e14) or milliseconds (from 1e11)
// since 1970, and below that a running number. Ten digits and a fraction (1767323045.678) are seconds. A number of more than 19
// digits is ordered by its first 14.
Locality locality_of(std::string_view key) noexcept;

}  // namespace model
