// The list of batches: telemetry.batch. A row says which events the batcher read from the log in one go, so that everybody can
// read the same events again.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>

#include "model/identifiers.hpp"
#include "model/snapshot.hpp"
#include "postgres/types.hpp"

namespace feed {

struct Batch {
    model::BatchId batch_id;
    model::Epoch epoch;
    model::Position from;
    model::Position to;
    std::int64_t events = 0;
    model::Micros created_at = 0;
};

// Both find a batch as `snapshot` shows it: the one with this number, the next one after it. Nothing: there is none.
std::optional<Batch> find_batch(model::BatchId batch_id, ::Snapshot snapshot);
std::optional<Batch> find_batch_after(model::BatchId batch_id, ::Snapshot snapshot);

// Finds the last batch of an epoch with a number up to this one.
std::optional<Batch> find_last_batch_of(model::Epoch epoch, model::BatchId at_most, ::Snapshot snapshot);

// Writes the row, and makes the transaction's commit wait for the disk of this server. If a crash took back a batch that a
// client could read, its number would come again with other events.
void write_batch(const Batch& batch, ::Snapshot snapshot);

inline constexpr model::BatchId kNoBatchLimit{std::numeric_limits<std::int64_t>::max()};

// Batches of one epoch of which each begins where the one before it ends. Together they hold the events between `from` and
// `to`.
struct BatchRun {
    model::Epoch epoch;
    model::Position from;
    model::Position to;
    model::BatchId last;
    std::int64_t events = 0;
    bool is_newest = false;  // no batch comes after the last one
};

// Returns the batches after `batch` (0: from the first one on) and up to `at_most` that adjoin and hold at most `most_events`
// together, or only the next batch if that one holds more. Nothing: none comes after. It reads under the active snapshot.
std::optional<BatchRun> batches_after(model::BatchId batch, std::int64_t most_events, model::BatchId at_most = kNoBatchLimit);

}  // namespace feed
