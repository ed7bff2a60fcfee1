// Describes a table of ours as its writers need it, and finds the objects that are in their way.
// This file is written wholly in P.
#pragma once

#include "postgres/obstacle.hpp"
#include "postgres/types.hpp"

namespace postgres {

struct OwnTable {
    const char* name;        // in schema telemetry
    unsigned native_writes;  // the kinds of writes that KeyedTable makes: kOnInsert, kOnUpdate
    unsigned sql_writes;     // the kinds of writes that our SQL statements make
    bool has_on_conflict;    // an SQL statement on the table has ON CONFLICT
    int key_column_count;    // of the primary key, for native writes
    TableShape shape;        // the columns that the extension writes natively, or else those that it reads natively
};

// Both find the first obstacle on a table that the caller has locked. False: there is none. For native writes, each object on
// which SQL would act and a native write does not is an obstacle. For statements three things are: a deferred trigger, a rule
// where a statement has ON CONFLICT, and another type of a column that the extension reads natively.
bool find_native_obstacle(Relation table, const OwnTable& own, Obstacle& found);
bool find_statement_obstacle(Relation table, const OwnTable& own, Obstacle& found);

// Raise TC204 where they find one. Without a relation they open the table, and keep the lock.
void refuse_native_obstacle(Relation table, const OwnTable& own);
void refuse_native_obstacle(const OwnTable& own);
void refuse_changed_columns(Relation table, const OwnTable& own);
void refuse_statement_obstacle(const OwnTable& own);

}  // namespace postgres
