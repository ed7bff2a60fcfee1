// Takes and releases the locks of roles.
#include "runtime/role_lock.hpp"

#include "postgres/error.hpp"
#include "postgres/transaction.hpp"
#include "runtime/own_lock.hpp"

#include "postgres/pg.hpp"

namespace runtime {

bool take_role_lock(Role role) {
    postgres::Transaction transaction;
    const bool is_ours = postgres::guarded(
        [tag = tag_of(lock_of(role))] { return LockAcquire(&tag, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL; });
    transaction.commit();
    return is_ours;
}

void release_role_lock(Role role) {
    postgres::Transaction transaction;
    postgres::guarded([tag = tag_of(lock_of(role))] { LockRelease(&tag, ExclusiveLock, true); });
    transaction.commit();
}

}  // namespace runtime
