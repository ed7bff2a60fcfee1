// The indexes of a segment, told apart by what they are and not by their names. This file is written wholly in P.
//
// The append needs two: the unique one on (fingerprint), and the one on (xid, event_id). There may be several of each: REINDEX
// CONCURRENTLY builds a second one, and sessions that take the older for the valid one work beside sessions that take the newer
// one. Every unique index on fingerprints therefore has a say in what is new, valid or not, once it is ready for entries.
#pragma once

#include "postgres/pg.hpp"

namespace event_log {

struct IndexSet {
    Relation* indexes;
    IndexInfo** infos;
    int count;
};

struct SegmentIndexes {
    IndexSet fingerprints;  // ready for entries, in the order of their oids: the same in each session
    int probed_number;      // the number of the valid one among them; -1: none
    IndexSet xids;          // the same on (xid, event_id)
    bool has_valid_xids;
    ResultRelInfo* further;  // all others; null: there are none
    EState* executor;        // for their expressions and predicates; null without further ones
};

// Indexes of a segment of exactly the extension's definition: columns, access method, operator classes, order, no predicate.
bool is_fingerprint_index(Relation index);
bool is_xid_index(Relation index);

// Opens the first valid index that `fits`, under `lock`; null: there is none.
Relation open_valid_index(Relation segment, bool (*fits)(Relation), LOCKMODE lock);

// Opens all indexes of a segment that is locked for writing.
void open_indexes(SegmentIndexes& opened, Relation segment);
void close_indexes(SegmentIndexes& opened);

// Enters a stored row into the further indexes: 23505 and 23P01 are those of a user's index.
void insert_further(SegmentIndexes& opened, TupleTableSlot* row);

}  // namespace event_log
