// Finds rows of a table of our own by its primary key. This file is written wholly in P. After an error the transaction's abort
// frees everything.
//
// A row that is written over and over has many versions as long as any session holds an old snapshot. The newest version lies
// at the end of the table, and so at the end of its key's entries in the index. The look-up of one row goes backwards and
// therefore finds it at once.
#pragma once

#include <cstdint>

#include "postgres/server_versions.hpp"

#include "postgres/pg.hpp"

namespace postgres {

constexpr int kMaxKeyColumns = 4;

struct KeyLookup {
    Relation relation;
    Relation key_index;
    IndexScanDesc scan;
    ScanKeyData keys[kMaxKeyColumns];
    int key_count;
    Snapshot snapshot;
    LOCKMODE lock;
    TupleTableSlot* found;  // the row of the last find_row, complete
    MemoryContext memory;   // the scan's
};

// Opens the index of the table's primary key, which must consist of the first `key_count` columns. Raises TC202 where the table
// has another primary key, or none. Further columns that the key INCLUDEs do no harm.
Relation open_key_index(Relation table, LOCKMODE lock, int key_count);

// Opens a look-up. `column_count` is the number of columns that the caller knows; a table with fewer is an error. Raises TC202
// unless the first `key_count` columns are the primary key.
void open_lookup(KeyLookup& lookup, Oid table, int column_count, Snapshot snapshot, LOCKMODE lock, int key_count = 1);

// Closes the look-up and keeps the lock.
void close_lookup(KeyLookup& lookup);

// Looks for the row with these key values and fills in `found`. False: there is none.
bool find_row(KeyLookup& lookup, const Datum* key_values);

// For a table whose last key column but one is a timestamptz: looks for the rows whose time lies between that of `key_values`
// and `last`, both included, and whose columns before it are equal. True: the first one by key is in `found`. Each call of
// find_row_after goes on to the next one. That costs far less than to look for each row by itself. But it goes forward, and so
// meets every old version that a snapshot keeps.
bool find_rows(KeyLookup& lookup, const Datum* key_values, Datum last);
bool find_row_after(KeyLookup& lookup);

// For a table whose key is one bigint: look for the row with the least key above this one, or with the greatest key up to this
// one, and fill in `found`. False: there is none.
bool find_next_row(KeyLookup& lookup, std::int64_t key);
bool find_previous_row(KeyLookup& lookup, std::int64_t key);

// Opens a walk backwards through all rows of such a table. It looks each key up from its end. So a new snapshot finds
// each row at once, whatever number of old versions it has. `close_lookup` closes it.
void open_walk(KeyLookup& lookup, Oid table, int column_count, Snapshot snapshot, int key_count);

// Goes on to the row with the greatest key below that of `found`, at first to the one with the greatest key, and fills in
// `found`. False: there is none.
bool find_row_before(KeyLookup& lookup);

// Fetches the row at a tid where this snapshot has found it before, and fills in `found`. False: there is none.
bool find_row_at(KeyLookup& lookup, ItemPointer tid);

// Did the current transaction write this version of a heap row? A subtransaction counts unless it was rolled back.
inline bool is_of_this_transaction(TupleTableSlot* row) {
    return TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(ExecFetchSlotHeapTuple(row, false, nullptr)->t_data));
}

BlockNumber page_count_of(Oid table);

// Calls `body(slot)` for each row of a table that the snapshot shows.
template <typename Body>
void for_each_row(Oid table, Snapshot snapshot, Body&& body) {
    Relation relation = table_open(table, AccessShareLock);
    TableScanDesc scan = table_beginscan(relation, snapshot, 0, nullptr);
    TupleTableSlot* slot = table_slot_create(relation, nullptr);
    while (table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
        slot_getallattrs(slot);
        body(slot);
    }
    ExecDropSingleTupleTableSlot(slot);
    table_endscan(scan);
    table_close(relation, AccessShareLock);
}

// Calls `body(slot)` for each row that an index of the table has and the snapshot shows, in the order of the index.
template <typename Body>
void for_each_row_of_index(Oid table, Oid index, Snapshot snapshot, Body&& body) {
    Relation relation = table_open(table, AccessShareLock);
    Relation ordered = index_open(index, AccessShareLock);
    IndexScanDesc scan = begin_index_scan(relation, ordered, snapshot, 0);
    index_rescan(scan, nullptr, 0, nullptr, 0);
    TupleTableSlot* slot = table_slot_create(relation, nullptr);
    while (index_getnext_slot(scan, ForwardScanDirection, slot)) {
        slot_getallattrs(slot);
        body(slot);
    }
    ExecDropSingleTupleTableSlot(slot);
    index_endscan(scan);
    index_close(ordered, AccessShareLock);
    table_close(relation, AccessShareLock);
}

}  // namespace postgres
