// Feeds a reading into a hash without ambiguity: a word says which values are present, and every text stands after its length.
#include "model/reading_hash.hpp"

namespace model {

SipHash begin_hash(const Secret& secret, HashPurpose purpose, unsigned version) noexcept {
    SipHash hash(secret);
    hash.update(static_cast<std::uint64_t>(purpose) | std::uint64_t{version} << 32);
    return hash;
}

void hash_values(SipHash& hash, const Reading& reading) noexcept {
    hash.update(std::uint64_t{reading.measured_at.has_value()} | std::uint64_t{reading.temperature.has_value()} << 1 |
                std::uint64_t{reading.humidity.has_value()} << 2 | std::uint64_t{reading.metrics.size()} << 8);
    if (reading.measured_at) hash.update(static_cast<std::uint64_t>(*reading.measured_at));
    if (reading.temperature) hash.update(*reading.temperature);
    if (reading.humidity) hash.update(*reading.humidity);
    for (const Metric& metric : reading.metrics) {
        hash.update_prefixed(metric.name);
        hash.update(metric.value);
    }
}

}  // namespace model
