// Finding rows of a table of our own by its primary key. This file is written wholly in P. After an error the transaction's
// abort frees everything.
//
// Of a row that is written over and over, the versions pile up as long as somebody holds an old snapshot. The newest lies at
// the end of the table then, and so at the end of its key's entries in the index: the look-up goes backwards and finds it at
// once.
#pragma once

#include "postgres/pg.hpp"

namespace postgres {

constexpr int kMaxKeyColumns = 2;

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

// The index of the table's primary key, which is made of the first `keys` columns; TC202 where the table has another one, or
// none. A primary key that INCLUDEs further columns is one.
Relation open_key_index(Relation table, LOCKMODE lock, int key_count);

// `columns` is how many the caller knows; a table with fewer is an error. `keys` of them, which come first, are the primary
// key, or TC202.
void open_lookup(KeyLookup& lookup, Oid table, int column_count, Snapshot snapshot, LOCKMODE lock, int key_count = 1);

// Keeps the lock.
void close_lookup(KeyLookup& lookup);

// Looks for the row with these key values and fills `found`.
bool find_row(KeyLookup& lookup, const Datum* key_values);

// The same for the row at a place where it was found under this snapshot before.
bool find_row_at(KeyLookup& lookup, ItemPointer tid);

// Was this version of a heap row written by the current transaction, or a subtransaction of it that still stands?
inline bool is_of_this_transaction(TupleTableSlot* row) {
    return TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(ExecFetchSlotHeapTuple(row, false, nullptr)->t_data));
}

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

}  // namespace postgres
