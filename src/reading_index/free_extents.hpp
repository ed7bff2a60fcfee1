// Gives out the room of an index, and takes it back. This file is written wholly in P.
#pragma once

#include "reading_index/layout.hpp"

#include "postgres/pg.hpp"

namespace reading_index {

// Takes room for a run: from a free extent, or at the end.
Extent take_room(Meta& meta, uint32 pages);

// The extent, which may be empty, becomes free. Neighbours join, so there is always an item left for it.
void give_back(Meta& meta, Extent place);

// Cuts the place down to its first pages. The others become free.
void cut(Meta& meta, Extent& place, uint32 pages);

}  // namespace reading_index
