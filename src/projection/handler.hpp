// Lets a handler consume a batch.
#pragma once

#include <optional>

#include "feed/progress.hpp"
#include "postgres/types.hpp"
#include "projection/catch_up.hpp"
#include "projection/consumer.hpp"

namespace projection {

// Calls the handler with the number of its next batch, as the role that made the projection, and moves the cursor. If the
// handler fails, the error is thrown. The caller has held the apply lock since before it took `snapshot`.
std::optional<Consumed> handle_batch(const Consumer& consumer, const feed::Progress& progress, ::Snapshot snapshot);

}  // namespace projection
