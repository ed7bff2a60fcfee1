// What every door into the write side does first.
#pragma once

#include "postgres/as_owner.hpp"
#include "postgres/error.hpp"
#include "runtime/installed.hpp"

#include "postgres/pg.hpp"

namespace ingest {

// Refuses read-only and parallel use (25006, 25000), then acts as the extension's owner for the scope of the object:
// EXECUTE on the function was the permission.
class Door {
public:
    explicit Door(const char* command) : owner_(admit(command)) {}

private:
    static Oid admit(const char* command) {
        postgres::guarded([command] {
            PreventCommandIfReadOnly(command);
            PreventCommandIfParallelMode(command);
        });
        return runtime::hold_installed().owner;
    }

    postgres::AsOwner owner_;
};

}  // namespace ingest
