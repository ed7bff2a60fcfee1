// A writer's part: it notes the blocks that got a row after a settler claimed them. This file is written wholly in P.
#pragma once

#include "reading_index/layout.hpp"

#include "postgres/pg.hpp"

namespace reading_index {

// Is the relation an index of this access method?
bool is_reading_index(Relation index);

// aminsert. The value false says that the row violates nothing.
bool insert(Relation index, Datum* values, bool* isnull, ItemPointer row, Relation table, IndexUniqueCheck check,
            bool is_unchanged, IndexInfo* info);

// A row on a block below this number must be noted. The writer asks after it has put the row there.
BlockNumber claimed_blocks(Relation index);

// A writer calls this after it has put a row on the block, and before its transaction ends.
void note(Relation index, BlockNumber block);

// The same within a change of the metapage.
void enter_note(Meta& meta, BlockNumber block);

}  // namespace reading_index
