// The command of SQL that is running.
#pragma once

#include "postgres/pg.hpp"

namespace postgres {

// P. The command id that the running command began with. Rows that it has written carry this one or a later one: a statement of
// ours inside it, as one of anybody else's function, begins a further one.
inline CommandId command_begun() {
    return ActiveSnapshotSet() ? GetActiveSnapshot()->curcid : GetCurrentCommandId(false);
}

}  // namespace postgres
