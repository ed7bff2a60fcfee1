// Lists the databases of the server, and tells whether a statement is changing one of them as a whole.
#pragma once

#include <string>
#include <vector>

#include "runtime/steady_time.hpp"

#include "postgres/pg.hpp"

namespace worker {

struct Database {
    Oid oid;
    std::string name;
};

// Lists the databases that a worker may serve, in a transaction of its own. It leaves out templates, databases that allow no
// connections, and databases that are half dropped.
std::vector<Database> list_databases();

// Watches for a statement that drops, renames, moves or copies a database. A worker would stand in its way, or die.
//
// The statement's transaction locks the database and then waits five seconds for every session to leave. A role without the
// right takes the same lock, but its error releases it within moments. So a lock counts only when a second look finds that the
// same transaction still holds it.
class DatabaseLockWatch {
public:
    enum class Sight {
        kNobody,  // no transaction holds the lock
        kFirst,   // one holds it, and the look before found none; look again after kSecondLookDelay
        kSame,    // one holds it that also held it at the look before, so the statement is at work
        kOthers   // other transactions hold it; those of the look before have released it
    };
    static constexpr runtime::SteadyTime kSecondLookDelay = 250 * 1000;  // on a busy machine a moment can be 100 ms

    Sight look(Oid database);
    // True if the last look found a holder.
    bool has_holders() const { return !holders_.empty(); }

private:
    std::vector<VirtualTransactionId> holders_;
};

}  // namespace worker
