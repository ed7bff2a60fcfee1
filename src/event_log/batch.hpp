// Rows of telemetry.batch: what each step of the projector consumed, so that others can read the same events again.
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

// The batch as `snapshot` shows it.
std::optional<Batch> find_batch(model::BatchId batch_id, ::Snapshot snapshot);

// The transaction's commit waits for the disk of this server: a batch that somebody could read must not be lost in a crash, as
// its number would come again with other events.
void write_batch(const Batch& batch, ::Snapshot snapshot);

}  // namespace event_log
