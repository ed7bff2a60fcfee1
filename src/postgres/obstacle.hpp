// Finds objects that a user added to a table of ours and that native writes would bypass. This file is written wholly in P.
#pragma once

#include "postgres/pg.hpp"

namespace postgres {

// One such object. Plain data.
struct Obstacle {
    char object[3 * NAMEDATALEN];    // as a message names it: trigger "mine"
    const char* reason;              // why it cannot stay: a clause without a full stop
    char command[10 * NAMEDATALEN];  // the SQL that mends it; empty: there is none
};

// Kinds of writes, as bits.
enum WriteKinds : unsigned { kOnInsert = 1U << 0, kOnUpdate = 1U << 1, kOnDelete = 1U << 2 };

struct KnownColumn {
    Oid type;  // InvalidOid: a type of the extension's own, whose oid differs from database to database
    bool is_not_null;
};

// A table as the extension makes it. The columns that the caller writes come first.
struct TableShape {
    const KnownColumn* columns;
    int column_count;
    const char* const* checks;  // names of the extension's own CHECK constraints
    int check_count;
    const char* const* triggers;  // names of the extension's own triggers of the watched kinds
    int trigger_count;
    bool may_carry_plain_columns;  // a further column that may be NULL and has no default is no obstacle
};

// Finds the first obstacle on `table`, which the caller has locked. False: there is none. A trigger counts when an ordinary
// session fires it on one of the `watched` writes, for each row or for the statement. Triggers of foreign keys and of
// deferrable constraints count too.
bool find_obstacle(Relation table, const TableShape& shape, unsigned watched, Obstacle& found);

// Finds the first known column that is missing or has another type. False: there is none. Reading needs this part as well.
bool find_changed_column(Relation table, const TableShape& shape, Obstacle& found);

// Finds the first rule that an ordinary session applies to one of the `watched` writes. False: there is none.
bool find_rule(Relation table, unsigned watched, Obstacle& found);

// Fills in `found`. It keeps the pointer to `reason`, and copies the other two. An empty `command` means that there is none.
void describe_obstacle(Obstacle& found, const char* object, const char* reason, const char* command);

// The table's name with its schema, as SQL takes it.
const char* sql_name_of(Relation table);

}  // namespace postgres
