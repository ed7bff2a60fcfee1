// Makes the entries of the rows of a table's blocks. This file is written wholly in P.
#pragma once

#include "reading_index/layout.hpp"

#include "postgres/pg.hpp"

namespace reading_index {

// Entries in memory, in no order.
struct Entries {
    Entry* items;
    uint32 count, room;
};

// Blocks that must go on to be read whole, because a row's device is so long that it is stored apart.
struct UnreadBlocks {
    BlockNumber* items;
    uint32 count, room;
};

struct TableReader {
    Relation table, index;
    BufferAccessStrategy strategy;
    Entries entries;
    UnreadBlocks unread;
};

TableReader make_reader(Relation table, Relation index);

// Adds an entry of each row on the block, whatever has become of its transaction. So it asks for no snapshot, and a standby
// with older snapshots finds its rows as well.
void read_block(TableReader& reader, BlockNumber block);

}  // namespace reading_index
