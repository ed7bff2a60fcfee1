// Admits a call to the write side. Each SQL function that writes for a client makes a Door first.
#pragma once

#include <string>

#include "postgres/as_owner.hpp"
#include "postgres/error.hpp"
#include "postgres/sql_function.hpp"
#include "runtime/installed.hpp"
#include "runtime/pass_scope.hpp"

#include "postgres/pg.hpp"

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
        if (runtime::PassScope::is_open())
            throw postgres::Error(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                                  std::string(command) + " cannot be called in a handler",
                                  "The projector calls the handler in the transaction that reads the log.",
                                  "Write what is to be sent into a table, and send it from another session.");
        return runtime::hold_installed().owner;
    }

    postgres::ActingAs owner_;
};

}  // namespace ingest
