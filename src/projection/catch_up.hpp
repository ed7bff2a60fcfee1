// Lets projections that are behind consume batches.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "feed/progress.hpp"
#include "postgres/types.hpp"
#include "read_model/registry.hpp"

namespace projection {

// Reads the next batches for projections with one cursor, writes their read models and moves their cursors. The batches have at
// most so many events together, or it is one batch. Returns how many events that were. Nothing: the next batch is not closed
// yet. All of the projections are lazy, or none is; lazy ones do not read the open batch. The caller has held the apply lock
// since before it took `snapshot`.
std::optional<std::int64_t> consume_batches(const std::vector<const read_model::Definition*>& served,
                                            const feed::Progress& progress, ::Snapshot snapshot, std::int64_t most_events);

}  // namespace projection
