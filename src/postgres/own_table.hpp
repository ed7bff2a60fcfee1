// Describes a table of ours as its writers need it, and finds the objects that are in their way.
// This file is written wholly in P.
#pragma once

#include "postgres/obstacle.hpp"
#include "postgres/types.hpp"

namespace postgres {

struct OwnTable {
    const char* name;        // in schema telemetry
    unsigned native_writes;  // what KeyedTable does to it: kOnInsert, kOnUpdate
    unsigned sql_writes;     // what statements do to it
    bool has_on_conflict;    // one of them says ON CONFLICT
    int key_column_count;    // of the primary key, for native writes
    TableShape shape;        // native writes: all; otherwise those that are read natively
};

// Both find the first obstacle on a table that the caller has locked. False: there is none. For native writes, everything that
// SQL would do besides writing the row is an obstacle. For statements three things are: a deferred trigger, a rule where a
// statement says ON CONFLICT, and another type of a column that is read natively.
bool find_native_obstacle(Relation table, const OwnTable& own, Obstacle& found);
bool find_statement_obstacle(Relation table, const OwnTable& own, Obstacle& found);

// Raise TC204 where they find one.
void refuse_native_obstacle(Relation table, const OwnTable& own);
void refuse_changed_columns(Relation table, const OwnTable& own);
void refuse_statement_obstacle(const OwnTable& own);

}  // namespace postgres
