// Hashes the canonical form of the request with SipHash.
#include "model/request_digest.hpp"

#include "model/reading_hash.hpp"

namespace model {

constexpr unsigned kRequestDigestVersion = 1;  // never changes: new digests are compared with stored ones

std::int64_t request_digest(const Secret& secret, const Reading& reading) noexcept {
    auto hash = begin_hash(secret, HashPurpose::kRequest, kRequestDigestVersion);
    hash_values(hash, reading);
    hash.update(std::uint64_t{reading.region.has_value()});
    if (reading.region) hash.update_prefixed(*reading.region);
    return static_cast<std::int64_t>(hash.finish());
}

}  // namespace model
