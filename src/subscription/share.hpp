// A share of a subscription: the devices of some lanes, and how far their events have been consumed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/event.hpp"
#include "model/identifiers.hpp"
#include "model/snapshot.hpp"

namespace subscription {

// Where a consumer stands: it has consumed the batches up to `batch`, and of the next batch the events up to and including
// `partial`, in the order in which a window is read.
struct Place {
    model::BatchId batch;
    std::optional<model::Partial> partial;
    friend bool operator==(const Place&, const Place&) = default;
};

// The lane of a device. It never changes, because shares are stored.
std::int16_t lane_of(std::string_view device_id) noexcept;

// Which events a share wants. An empty list wants all.
struct Filter {
    std::int16_t first_lane = 0;
    std::int16_t last_lane = 0;
    std::vector<std::string> devices, regions, types;

    bool wants(const model::LoggedEvent& event) const noexcept;
};

}  // namespace subscription
