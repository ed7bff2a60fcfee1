// Lets projections that are behind consume batches.
#pragma once

#include <cstdint>
#include <memory_resource>
#include <optional>
#include <vector>

#include "feed/batch.hpp"
#include "feed/progress.hpp"
#include "postgres/types.hpp"
#include "projection/consumer.hpp"

namespace projection {

struct Consumed {
    std::int64_t events = 0;
    bool keeps_up = false;      // nothing is left for the consumers now
    bool has_replaced = false;  // a rebuild has become what readers see
};

// Reads the next batches for consumers that stand at one batch, writes their read models and moves their cursors. The batches
// have at most so many events together, or it is one batch. A rebuild that has consumed everything becomes what readers see.
// Returns how many events were read. Nothing: the next batch is not closed yet. All of the consumers read closed batches only,
// or none does. The readings lie in `memory` meanwhile. The caller has held the apply lock since before it took `snapshot`.
std::optional<Consumed> consume_batches(const std::vector<const Consumer*>& served, const feed::Progress& progress,
                                        ::Snapshot snapshot, std::int64_t most_events, std::pmr::memory_resource* memory);

// Where a consumer stands after it has consumed the batch that comes next, if that one alone was served to it.
feed::Cursor cursor_after(const feed::Batch& batch, const Consumer& consumer, const feed::Progress& progress);

}  // namespace projection
