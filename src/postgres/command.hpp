// Tells where the running statement began.
#pragma once

#include "postgres/pg.hpp"

namespace postgres {

// P. Returns the command id with which the client's statement began. Rows that it has written carry this id or a later one,
// because each statement inside it begins a further one, be it ours or one of a user's function.
inline CommandId command_begun() {
    return ActiveSnapshotSet() ? GetActiveSnapshot()->curcid : GetCurrentCommandId(false);
}

}  // namespace postgres
