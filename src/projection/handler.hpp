// Lets a handler consume a batch.
#pragma once

#include <optional>

#include "feed/progress.hpp"
#include "postgres/types.hpp"
#include "projection/catch_up.hpp"
#include "projection/consumer.hpp"

namespace projection {

// Calls the handler with the number of a batch, as the role that made the projection. The function sees what this transaction
// has written before. Objects that it touches run as its role, too, and restricted.
void call_handler(const read_model::Definition& definition, model::BatchId batch);

// Calls the handler with the number of its next batch, and moves the cursor. If the
// handler fails, the error is thrown. The caller has held the apply lock since before it took `snapshot`.
std::optional<Consumed> handle_batch(const Consumer& consumer, const feed::Progress& progress, ::Snapshot snapshot);

}  // namespace projection
