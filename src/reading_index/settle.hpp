// Enters the rows of new and noted blocks into the runs, and merges runs. This file is written wholly in P.
#pragma once

#include "postgres/pg.hpp"

namespace reading_index {

// The most that one step does.
struct StepLimits {
    uint32 fewest_blocks;  // fewer are left for later
    uint32 blocks;         // of the tail
    uint32 pages;          // of the index that it writes for a merge
};

struct Progress {
    bool has_blocks;   // enough blocks were left when it ended
    bool has_merging;  // a merge is not finished, or due
};

// An index that no session may use yet, or any more, is left alone.
bool is_to_be_settled(Relation index);

// Makes one step. It waits for another settler. The caller holds AccessShareLock or more on the table, and RowExclusiveLock on
// the index.
Progress settle_step(Relation table, Relation index, const StepLimits& limits);

// Makes steps until the blocks that the table has now are settled, and no merge is left.
void settle_all(Relation table, Relation index);

// Makes a step in each reading index of a table that nobody locks against it. It waits for no lock.
Progress settle_table(Oid table, const StepLimits& limits);

}  // namespace reading_index
