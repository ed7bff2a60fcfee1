// Notes a block that got a row after a settler claimed it. This file is written wholly in P.
#include "reading_index/note.hpp"

#include "reading_index/metapage.hpp"

#include "postgres/pg.hpp"

namespace reading_index {
namespace {

bool must_note(const Meta& meta, BlockNumber block) {
    if (block >= meta.claimed) return false;
    for (uint32 i = 0; i < meta.noted_count; ++i)
        if (meta.noted[i] == block) return false;
    return true;
}

// The list is full: the tail begins at the last of the blocks instead, so that there is an item for each other one.
void lengthen_tail(Meta& meta, BlockNumber block) {
    uint32 last = 0;
    for (uint32 i = 1; i < kMaxNoted; ++i)
        if (meta.noted[i] > meta.noted[last]) last = i;
    BlockNumber first_of_tail = block;
    if (meta.noted[last] > block) {
        first_of_tail = meta.noted[last];
        meta.noted[last] = block;
    }
    if (meta.claimed > first_of_tail) meta.claimed = first_of_tail;
    if (meta.settled > first_of_tail) meta.settled = first_of_tail;
}

}  // namespace

void enter_note(Meta& meta, BlockNumber block) {
    if (!must_note(meta, block)) return;  // another writer has noted it meanwhile
    if (meta.noted_count < kMaxNoted)
        meta.noted[meta.noted_count++] = block;
    else
        lengthen_tail(meta, block);
}

bool is_reading_index(Relation index) {
    return index->rd_rel->relkind == RELKIND_INDEX && index->rd_indam->aminsert == insert;
}

bool insert(Relation index, Datum*, bool*, ItemPointer row, Relation, IndexUniqueCheck, bool, IndexInfo*) {
    note(index, ItemPointerGetBlockNumber(row));
    return false;
}

BlockNumber claimed_blocks(Relation index) {
    Buffer buffer = ReadBuffer(index, 0);
    LockBuffer(buffer, BUFFER_LOCK_SHARE);
    const BlockNumber claimed = meta_of(BufferGetPage(buffer))->claimed;
    UnlockReleaseBuffer(buffer);
    return claimed;
}

void note(Relation index, BlockNumber block) {
    Buffer buffer = ReadBuffer(index, 0);
    LockBuffer(buffer, BUFFER_LOCK_SHARE);
    const bool wanted = must_note(*meta_of(BufferGetPage(buffer)), block);
    UnlockReleaseBuffer(buffer);
    if (wanted) change_meta(index, [block](Meta& meta) { enter_note(meta, block); });
}

}  // namespace reading_index
