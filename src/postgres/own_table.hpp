// A table of ours as its writers need it, and what is in their way. This file is written wholly in P.
#pragma once

#include "postgres/obstacle.hpp"
#include "postgres/types.hpp"

namespace postgres {

struct OwnTable {
    const char* name;        // in schema telemetry
    unsigned native_writes;  // what KeyedTable does to it: kOnInsert, kOnUpdate
    unsigned sql_writes;     // what statements do to it
    bool has_on_conflict;    // one of them says ON CONFLICT
    int key_column_count;    // native writes: columns of the primary key
    TableShape shape;        // native writes: all; otherwise those that are read natively
};

// Find the first obstacle on a table that is locked; false if there is none. All that SQL would do besides writing the row is
// one for native writes. For statements it is a deferred trigger, a rule where they say ON CONFLICT, and another type of a
// column that is read natively.
bool find_native_obstacle(Relation table, const OwnTable& own, Obstacle& found);
bool find_statement_obstacle(Relation table, const OwnTable& own, Obstacle& found);

// TC204 where one is found.
void refuse_native_obstacle(Relation table, const OwnTable& own);
void refuse_changed_columns(Relation table, const OwnTable& own);
void refuse_statement_obstacle(const OwnTable& own);

}  // namespace postgres
