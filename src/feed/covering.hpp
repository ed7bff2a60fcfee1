// Finds parts of the log that the list of batches lacks, and adds batches for them. Version 1.0 deleted old batches, and
// somebody may have deleted rows.
#pragma once

#include <cstdint>
#include <optional>

#include "feed/batch.hpp"
#include "feed/progress.hpp"
#include "postgres/types.hpp"

namespace feed {

struct Gap {
    model::Epoch epoch;
    model::Position from;
    model::Position to;
    model::BatchId after;      // numbers above this one,
    model::BatchId below;      // and below this one are free
    model::Micros created_at;  // of the batches that follow, so that the new ones count as old as those
};

// Finds the gap between a cursor and the next batch, or the end of the list. Nothing: the two adjoin. TC202 if the cursor's own
// batch is missing, because nothing else says where the cursor stands.
std::optional<Gap> find_gap(const Progress& progress, const Cursor& cursor, ::Snapshot snapshot);

// Reads at most so many rows of the gap, and adds a batch for them. So the gap becomes smaller, or is gone. The batches take
// numbers that lie between those of their neighbours; TC202 if none is free. The caller has held the apply lock since before it
// took `snapshot`.
void cover(const Gap& gap, std::int64_t most_rows, ::Snapshot snapshot);

}  // namespace feed
