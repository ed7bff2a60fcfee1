// Reads and writes a table of our own natively, by its primary key, and maintains all its indexes.
// This file is written wholly in P. After an error the transaction's abort frees everything.
//
// A native write writes the row and its index entries, and nothing else. So `open_table` refuses a table that carries an object
// on which SQL would act and a native write does not (a trigger, a rule, row security, a constraint, a column with a default):
// TC204. Privileges are not checked. `find_row` finds the rows of the snapshot that `open_table` was given. It does not find
// rows that this KeyedTable has written.
#pragma once

#include "postgres/key_lookup.hpp"
#include "postgres/own_table.hpp"
#include "postgres/pg.hpp"

namespace postgres {

struct KeyedTable : KeyLookup {
    EState* executor;
    ResultRelInfo* result_relation;  // with the primary key as the last of its indexes
    IndexInfo* key_index_info;
    TupleTableSlot* written;    // virtual; tts_values and tts_isnull are the row to be written
    TupleTableSlot** new_rows;  // that are not stored yet; null: `insert_row` stores each at once
    int new_row_count;
};

// Takes RowExclusiveLock. Columns beyond those that the extension made are carried along.
void open_table(KeyedTable& table, const OwnTable& own, Snapshot snapshot);

// Stores what was gathered.
void close_table(KeyedTable& table);

// Start the row to be written: `copy_found_row` with the values that were found, `start_row` with NULL in every column.
void copy_found_row(KeyedTable& table);
void start_row(KeyedTable& table);

inline void set_value(KeyedTable& table, int column, Datum value) {
    table.written->tts_values[column] = value;
    table.written->tts_isnull[column] = false;
}
inline void set_null(KeyedTable& table, int column) {
    table.written->tts_isnull[column] = true;
}

// Lets `insert_row` gather rows, and store many at a time. That costs less for each: one lock and one record of WAL for a page.
void gather_new_rows(KeyedTable& table);

// Write the row that was started: `update_row` over the row that was found, `insert_row` as a new one.
void update_row(KeyedTable& table);
void insert_row(KeyedTable& table);

}  // namespace postgres
