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

// A place as plain data, so that a guarded block may return it.
struct StoredPlace {
    std::int64_t batch;
    bool is_partial;
    std::uint64_t xid;
    std::int64_t event_id;
};

inline Place place_of(const StoredPlace& stored) noexcept {
    Place place{model::BatchId{stored.batch}, std::nullopt};
    if (stored.is_partial) place.partial = model::Partial{model::Xid{stored.xid}, model::EventId{stored.event_id}};
    return place;
}

inline constexpr std::int16_t kLastLane = 255;  // the first one is 0

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
