// A table of our own, read and written natively by its primary key, all its indexes maintained.
// This file is written wholly in P. After an error the transaction's abort frees everything.
//
// Nothing but the row and its index entries is written. So a table that carries what SQL would do besides (triggers, rules, row
// security, constraints, columns with defaults) is refused when it is opened: TC204. Privileges are passed by. Rows found are
// those of the snapshot given to open; rows written by this KeyedTable are not found again.
#pragma once

#include "postgres/key_lookup.hpp"
#include "postgres/own_table.hpp"
#include "postgres/pg.hpp"

namespace postgres {

struct KeyedTable : KeyLookup {
    EState* executor;
    ResultRelInfo* result_relation;  // with the primary key as the last of its indexes
    IndexInfo* key_index_info;
    TupleTableSlot* written;  // virtual; tts_values and tts_isnull are the row to be written
};

// Takes RowExclusiveLock. Further columns than the extension made are carried along.
void open_table(KeyedTable& table, const OwnTable& own, Snapshot snapshot);
void close_table(KeyedTable& table);

// Starts the row to be written: as found, or all NULL.
void copy_found_row(KeyedTable& table);
void start_row(KeyedTable& table);

inline void set_value(KeyedTable& table, int column, Datum value) {
    table.written->tts_values[column] = value;
    table.written->tts_isnull[column] = false;
}
inline void set_null(KeyedTable& table, int column) {
    table.written->tts_isnull[column] = true;
}

// Writes the row over the one found, or as a new one.
void update_row(KeyedTable& table);
void insert_row(KeyedTable& table);

}  // namespace postgres
