// The lock that makes a worker the only one of its role in its database. It is a session lock, held as long as the worker
// lives.
#pragma once

#include "runtime/role.hpp"

namespace runtime {

// For a worker, in a transaction of its own. False: another process holds the lock.
bool take_role_lock(Role role);

// For a worker that leaves, outside any transaction, so that a successor can take the lock at once.
void release_role_lock(Role role);

}  // namespace runtime
