// Reads a window and cuts it into slices. The events of each slice become a batch.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "model/identifiers.hpp"
#include "model/snapshot.hpp"
#include "postgres/types.hpp"

namespace projection {

class Targets;

// The events between two places in a window.
struct Stretch {
    std::int64_t events = 0;
    std::optional<model::Partial> last_row;  // nothing: it has no row
    bool is_whole = false;                   // the transaction of the last row has no further row
};

// The events that a pass has read of its window.
struct ReadSlices {
    std::vector<Stretch> full;  // each fills a batch; the first one together with the open batch
    Stretch rest;               // what came after them
    bool is_complete = false;

    std::int64_t events() const noexcept {
        std::int64_t sum = rest.events;
        for (const Stretch& each : full) sum += each.events;
        return sum;
    }
};

// Reads up to kMostSlices slices, and less if there is enough to write. The targets gather what it reads. `open_events` of the
// first slice were read before.
ReadSlices read_slices(const model::Window& window, model::Epoch epoch, ::Snapshot snapshot, std::int64_t open_events,
                       std::int64_t slice, Targets& targets);

}  // namespace projection
