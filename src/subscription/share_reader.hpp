// Reads the events of a share from the log, from a place on.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "feed/batch.hpp"
#include "model/event.hpp"
#include "model/snapshot.hpp"
#include "postgres/types.hpp"
#include "subscription/share.hpp"

namespace subscription {

struct ReadLimits {
    std::int64_t most_events;                      // that `take` gets
    std::int64_t most_scanned;                     // about so many events are read for them at most
    model::BatchId at_most = feed::kNoBatchLimit;  // the last batch that is read
    std::optional<Place> end;                      // if there is one, reading ends there
};

// The position of a consumer of the window from `from` to `to` that has consumed it, in its order, up to this event.
model::Position position_inside(const model::Position& from, const model::Position& to, const model::Partial& last);

// Gets wanted events of a block, in order, and the epoch in which they were written. They live during the call.
using Take = std::function<void(std::span<const model::LoggedEvent* const>, model::Epoch)>;

struct ReadStretch {
    Place end;             // never inside a batch unless `most_events` were given
    std::int64_t scanned;  // events that were read, whether wanted or not
};

// Gives the wanted events after `start` to `take`, as `snapshot` shows them. Returns what it has read.
ReadStretch read_share(const Place& start, const Filter& filter, const ReadLimits& limits, ::Snapshot snapshot,
                       const Take& take);

// A window of which at most so many wanted events are read.
struct BoundedWindow {
    model::Epoch epoch;
    const model::Window& window;
    std::int64_t most_events;
};

struct WindowRead {
    std::int64_t scanned = 0;
    std::int64_t given = 0;                // events
    std::optional<model::Partial> cut_at;  // the last event that was given, where there are more; nothing: all were read
};

// Gives the wanted events of a window to `take`.
WindowRead read_window(const BoundedWindow& window, const Filter& filter, ::Snapshot snapshot, const Take& take);

}  // namespace subscription
