// Rows of telemetry.batch. Each says what one pass consumed, so that a client can read the same events again.
#pragma once

#include <cstdint>
#include <optional>

#include "model/identifiers.hpp"
#include "model/snapshot.hpp"
#include "postgres/types.hpp"

namespace event_log {

struct Batch {
    model::BatchId batch_id;
    model::Epoch epoch;
    model::Position from;
    model::Position to;
    std::int64_t events = 0;
    model::Micros created_at = 0;
};

// Finds the batch as `snapshot` shows it; nothing: there is none.
std::optional<Batch> find_batch(model::BatchId batch_id, ::Snapshot snapshot);

// Writes the row, and makes the transaction's commit wait for the disk of this server. If a crash took back a batch that a
// client could read, its number would come again with other events.
void write_batch(const Batch& batch, ::Snapshot snapshot);

}  // namespace event_log
