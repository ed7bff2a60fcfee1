// The open batch: events that the batcher has read, and that are in no row of telemetry.batch yet.
#pragma once

#include <optional>

#include "model/identifiers.hpp"
#include "model/snapshot.hpp"
#include "postgres/types.hpp"

namespace feed {

struct OpenBatch {
    model::Epoch epoch;
    model::Position from;
    model::Position to;  // up to which the batcher has read
};

// The open batch that follows this batch (0: the first one will), as `snapshot` shows it. Nothing: none follows it, or it has
// no event yet. Its `to` never moves back while the server lives, and the batch that it becomes ends there or later.
std::optional<OpenBatch> open_batch_after(model::BatchId batch, ::Snapshot snapshot);

}  // namespace feed
