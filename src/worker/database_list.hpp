// What the launcher reads: which databases there are, and whether one of them is being changed as a whole.
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

// The databases a worker may serve: everybody may connect, no template, not half dropped. In a transaction of its own.
std::vector<Database> list_databases();

// Watches for DROP, RENAME, SET TABLESPACE and a copy of a database: a worker would stand in the way, or die. The server waits
// five seconds for everybody to leave, and one transaction holds the lock all the time. A command without the right takes the
// same lock, but its error releases it within moments. So a lock counts when a second look finds that the same transaction
// holds it.
class DatabaseLockWatch {
public:
    enum class Sight {
        kNobody,  // holds the lock
        kFirst,   // somebody holds it, and the look before found nobody: look again after kSecondLookDelay
        kSame,    // a transaction that held it at the look before: the command is at work
        kOthers   // hold it than at the look before: commands that come and go
    };
    static constexpr runtime::SteadyTime kSecondLookDelay = 100 * 1000;

    Sight look(Oid database);
    // Whether the last look found somebody.
    bool has_holders() const { return !holders_.empty(); }

private:
    std::vector<VirtualTransactionId> holders_;
};

}  // namespace worker
