// Tells the indexes of a segment apart by their definitions, not by their names. This file is written wholly in P.
//
// The append needs two: the unique index on (fingerprint), and the index on (xid, event_id). There may be several of each,
// because REINDEX CONCURRENTLY builds a second one. Then some sessions take the older one for the valid one, and others the
// newer one. So a reading is new only if every unique index on fingerprints that is ready for entries says so, valid or not.
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
    IndexSet xids;          // on (xid, event_id), likewise
    bool has_valid_xids;
    IndexSet readings;       // of the access method telemetry_readings (src/reading_index)
    ResultRelInfo* further;  // all others; null: there are none
    EState* executor;        // for their expressions and predicates; null without further ones
    int settings_level;      // under which the owner's settings hold; 0: no index may run code of users
};

// Has the index exactly the extension's definition: columns, access method, operator classes, order, no predicate?
bool is_fingerprint_index(Relation index);
bool is_xid_index(Relation index);

// Opens the first valid index that `fits`, under `lock`; null: there is none.
Relation open_valid_index(Relation segment, bool (*fits)(Relation), LOCKMODE lock);

// Opens all indexes of a segment that is locked for writing.
void open_indexes(SegmentIndexes& opened, Relation segment);
void close_indexes(SegmentIndexes& opened);

// Enters a stored row into the further indexes. 23505 or 23P01: it violates a user's index.
void insert_further(SegmentIndexes& opened, TupleTableSlot* row);

}  // namespace event_log
