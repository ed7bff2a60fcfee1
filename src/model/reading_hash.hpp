// Hashes identities and requests, with one secret for several purposes and one canonical form of a reading's values.
#pragma once

#include <cstdint>

#include "model/reading.hpp"
#include "model/sip_hash.hpp"

namespace model {

// Keeps hashes for different purposes apart although they share the secret. Stored hashes depend on these numbers.
enum class HashPurpose : std::uint64_t {
    kKey = 1,      // fingerprint of a device and its key
    kScatter = 2,  // further bits where that key shows no order
    kValues = 3,   // fingerprint of a reading without a key
    kRequest = 4,  // request digest
    kType = 5,     // secret of the events of a type
};

// Begins a message with its purpose and its version (below 2^32).
SipHash begin_hash(const Secret& secret, HashPurpose purpose, unsigned version) noexcept;

// Adds measured_at, temperature, humidity and metrics: whether each was sent, and its value. Values are finite.
void hash_values(SipHash& hash, const Reading& reading) noexcept;

}  // namespace model
