// What the launcher reads: which databases there are, and whether one of them is being changed as a whole.
#pragma once

#include <string>
#include <vector>

#include "postgres/pg.hpp"

namespace worker {

struct Database {
    Oid oid;
    std::string name;
};

// The databases a worker may serve: everybody may connect, no template, not half dropped. In a transaction of its own.
std::vector<Database> list_databases();

// Whether somebody drops, renames, moves or copies the database now: a worker would stand in the way, or die. He waits five
// seconds for everybody to leave.
bool is_database_locked(Oid database);

}  // namespace worker
