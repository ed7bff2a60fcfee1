// The lock that makes a worker the only one of its seat in its database. It is a session lock, held as long as the worker
// lives.
#pragma once

#include "runtime/role.hpp"

namespace runtime {

// For a worker, in a transaction of its own. False: another process holds the lock.
bool take_seat_lock(Seat seat);

// For a worker that leaves, outside any transaction, so that a successor can take the lock at once.
void release_seat_lock(Seat seat);

}  // namespace runtime
