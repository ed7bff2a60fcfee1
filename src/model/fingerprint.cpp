// Puts a fingerprint together from a locality and a hash.
#include "model/fingerprint.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "model/key_locality.hpp"
#include "model/reading_hash.hpp"

namespace model {

namespace {

constexpr std::int64_t kSecondsFrom1970To2000 = 946684800;
constexpr std::uint64_t kLocalityMask = (std::uint64_t{1} << 56) - 1;

std::uint64_t hash_of_key(const Secret& secret, HashPurpose purpose, std::string_view device_id, std::string_view key,
                          unsigned salt) noexcept {
    auto hash = begin_hash(secret, purpose, kFingerprintVersion);
    hash.update(std::uint64_t{salt});
    hash.update_prefixed(device_id);
    hash.update_prefixed(key);
    return hash.finish();
}

Fingerprint put_together(KeyClass key_class, std::uint64_t locality, std::uint64_t hash) noexcept {
    Fingerprint fingerprint;
    const auto leading = std::uint64_t{static_cast<unsigned char>(key_class)} << 56 | (locality & kLocalityMask);
    for (std::size_t i = 0; i < 8; ++i) {
        fingerprint.bytes[i] = static_cast<unsigned char>(leading >> (56 - 8 * i));
        fingerprint.bytes[8 + i] = static_cast<unsigned char>(hash >> (56 - 8 * i));
    }
    return fingerprint;
}

}  // namespace

Fingerprint keyed_fingerprint(const Secret& secret, std::string_view device_id, std::string_view key, unsigned salt) noexcept {
    const auto [key_class, found] = locality_of(key);
    const auto locality =
        key_class == KeyClass::kOpaque ? hash_of_key(secret, HashPurpose::kScatter, device_id, key, salt) : found;
    return put_together(key_class, locality, hash_of_key(secret, HashPurpose::kKey, device_id, key, salt));
}

Fingerprint derived_fingerprint(const Secret& secret, const Reading& reading, unsigned salt) noexcept {
    auto hash = begin_hash(secret, HashPurpose::kValues, kFingerprintVersion);
    hash.update(std::uint64_t{salt});
    hash.update_prefixed(reading.device_id);
    hash_values(hash, reading);
    const auto seconds = *reading.measured_at / 1'000'000 + kSecondsFrom1970To2000;  // validation refuses times before 1970
    return put_together(KeyClass::kDerived, static_cast<std::uint64_t>(std::max<std::int64_t>(seconds, 0)), hash.finish());
}

Secret secret_of_type(const Secret& secret, std::string_view type) noexcept {
    Secret made;
    for (std::size_t half = 0; half < 2; ++half) {
        auto hash = begin_hash(secret, HashPurpose::kType, kFingerprintVersion);
        hash.update(std::uint64_t{half});
        hash.update_prefixed(type);
        const std::uint64_t word = hash.finish();
        for (std::size_t i = 0; i < 8; ++i) made.bytes[8 * half + i] = static_cast<unsigned char>(word >> (8 * i));
    }
    return made;
}

}  // namespace model
