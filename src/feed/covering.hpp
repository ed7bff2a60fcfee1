// Finds parts of the log that the list of batches lacks, and adds batches for them. Version 1.0 deleted old batches, and
// somebody may have deleted rows.
#pragma once

#include <cstdint>
#include <optional>

#include "feed/batch.hpp"
#include "feed/progress.hpp"

namespace feed {

struct Gap {
    model::Epoch epoch;
    model::Position from;
    model::Position to;
    std::optional<Batch> before;  // the last batch before it, of any epoch
    std::optional<Batch> after;   // the next batch after it, of any epoch
};

// Finds the gap between the batch of a cursor (0: the beginning of the log) and the next batch. Nothing: the two adjoin. TC202
// if the cursor's own batch is missing, because nothing else says where the cursor stands.
std::optional<Gap> find_gap(const Progress& progress, model::BatchId cursor, ::Snapshot snapshot);

// Reads at most so many rows of the gap, and adds a batch for them. So the gap becomes smaller, or is gone. The batches take
// numbers that lie between those of their neighbours; TC202 if none is free. The caller has held the apply lock since before it
// took `snapshot`.
void cover(const Gap& gap, std::int64_t most_rows, ::Snapshot snapshot);

}  // namespace feed
