// The identity of a reading in 16 bytes, as the unique index of the event log holds it. It is a pure function of device and
// key.
//
//   byte 0       class of the key (KeyClass): classes do not interleave
//   bytes 1-7    locality (key_locality.hpp), big-endian; for an opaque key 56 further bits of hash
//   bytes 8-15   64 bits of SipHash with the installation's secret, over version, salt, device and key or values
//
// Equal fingerprints are not yet equal identities. A writer that finds a fingerprint taken compares the stored device and key
// (or values), and goes on to the next salt when they differ. One version made every stored fingerprint, so a change of
// anything here makes a new version.
#pragma once

#include <array>
#include <compare>
#include <string_view>

#include "model/reading.hpp"
#include "model/sip_hash.hpp"

namespace model {

inline constexpr unsigned kFingerprintVersion = 1;

struct Fingerprint {
    std::array<unsigned char, 16> bytes{};
    friend auto operator<=>(const Fingerprint&, const Fingerprint&) = default;  // as memcmp and the server's uuid order
};

Fingerprint keyed_fingerprint(const Secret& secret, std::string_view device_id, std::string_view key, unsigned salt) noexcept;

// For a reading without a key: device, measured_at (which must be present) and values identify it. The region does not.
Fingerprint derived_fingerprint(const Secret& secret, const Reading& reading, unsigned salt) noexcept;

// The secret with which events of a type are hashed that are no readings. So their fingerprints are not those of readings with
// the same device and key, and no client can hold one in an open transaction.
Secret secret_of_type(const Secret& secret, std::string_view type) noexcept;

}  // namespace model
