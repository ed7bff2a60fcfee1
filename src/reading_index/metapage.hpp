// Reads and changes the metapage. This file is written wholly in P.
#pragma once

#include "reading_index/layout.hpp"

#include "postgres/types.hpp"

namespace reading_index {

// Writes the first page of an empty index.
void write_metapage(Relation index, ForkNumber fork);

// Copies the metapage. XX002: the index is none of this access method.
void read_meta(Relation index, Meta& meta);

// Copies what only a settler changes: the runs, the merge and the room.
void copy_runs(Meta& to, const Meta& from);

// Lets `change` change the metapage, as one WAL record. `change` raises no error.
template <typename Change>
void change_meta(Relation index, Change change) {
    Buffer buffer = ReadBuffer(index, 0);
    LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
    GenericXLogState* log = GenericXLogStart(index);
    change(*meta_of(GenericXLogRegisterBuffer(log, buffer, 0)));
    GenericXLogFinish(log);
    UnlockReleaseBuffer(buffer);
}

}  // namespace reading_index
