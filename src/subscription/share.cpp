// Decides whether a share wants an event.
#include "subscription/share.hpp"

#include <algorithm>

#include "model/sip_hash.hpp"

namespace subscription {
namespace {

bool has(const std::vector<std::string>& wanted, std::string_view value) noexcept {
    return wanted.empty() || std::find(wanted.begin(), wanted.end(), value) != wanted.end();
}

}  // namespace

// The hash has a key of zeros: it only spreads the devices, and is no secret.
std::int16_t lane_of(std::string_view device_id) noexcept {
    model::SipHash hash(model::Secret{});
    hash.update(device_id);
    return static_cast<std::int16_t>(hash.finish() % (kLastLane + 1));
}

bool Filter::wants(const model::LoggedEvent& event) const noexcept {
    if (!has(types, event.type) || !has(regions, event.region) || !has(devices, event.device_id)) return false;
    if (first_lane == 0 && last_lane == kLastLane) return true;
    const std::int16_t lane = lane_of(event.device_id);
    return first_lane <= lane && lane <= last_lane;
}

}  // namespace subscription
