// Admits a call to the write side. Each SQL function that writes for a client makes a Door first.
#pragma once

#include "postgres/as_owner.hpp"
#include "postgres/error.hpp"
#include "postgres/sql_function.hpp"
#include "postgres/types.hpp"
#include "runtime/installed.hpp"

namespace ingest {

// Refuses read-only transactions and parallel workers (25006, 25000). While the object lives, the session acts as the
// extension's owner, because EXECUTE on the function is the permission.
class Door {
public:
    explicit Door(const char* command) : owner_(admit(command)) {}

private:
    // Returns the extension's owner.
    static Oid admit(const char* command) {
        postgres::guarded([command] { postgres::require_writable(command); });
        return runtime::hold_installed().owner;
    }

    postgres::AsOwner owner_;
};

}  // namespace ingest
