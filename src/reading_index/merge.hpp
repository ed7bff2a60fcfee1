// Merges runs into larger ones, a bounded part at a time. This file is written wholly in P.
#pragma once

#include "postgres/pg.hpp"

namespace reading_index {

// Writes at most so many pages of the merge that is in progress, or begins one if one is due. Returns whether more is left. The
// caller holds the settler's lock.
bool merge_step(Relation index, uint32 max_pages);

}  // namespace reading_index
