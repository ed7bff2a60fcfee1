// One SipHash over the canonical form of the request.
#include "model/request_digest.hpp"

#include "model/reading_hash.hpp"

namespace model {

constexpr unsigned kRequestDigestVersion = 1;  // stored digests are compared with new ones: never changes

std::int64_t request_digest(const Secret& secret, const Reading& reading) noexcept {
    auto hash = begin_hash(secret, HashPurpose::kRequest, kRequestDigestVersion);
    hash_values(hash, reading);
    hash.update(std::uint64_t{reading.region.has_value()});
    if (reading.region) hash.update_prefixed(*reading.region);
    return static_cast<std::int64_t>(hash.finish());
}

}  // namespace model
