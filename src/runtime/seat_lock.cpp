// Takes and releases the locks of seats.
#include "runtime/seat_lock.hpp"

#include "postgres/error.hpp"
#include "postgres/transaction.hpp"
#include "runtime/own_lock.hpp"

#include "postgres/pg.hpp"

namespace runtime {

bool take_seat_lock(Seat seat) {
    postgres::Transaction transaction;
    const bool is_ours = postgres::guarded(
        [tag = tag_of(lock_of(seat))] { return LockAcquire(&tag, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL; });
    transaction.commit();
    return is_ours;
}

void release_seat_lock(Seat seat) {
    postgres::Transaction transaction;
    postgres::guarded([tag = tag_of(lock_of(seat))] { LockRelease(&tag, ExclusiveLock, true); });
    transaction.commit();
}

}  // namespace runtime
