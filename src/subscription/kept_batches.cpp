// Takes the lock of merging, shared.
#include "subscription/kept_batches.hpp"

#include "feed/batch.hpp"
#include "postgres/error.hpp"
#include "postgres/latest_snapshot.hpp"
#include "runtime/own_lock.hpp"
#include "runtime/settings.hpp"

#include "postgres/pg.hpp"

namespace subscription {

bool keep_from_merging(const Place& place) {
    // Batches that are younger by this much than those that may be merged stay for the length of the transaction.
    constexpr TimestampTz kSafeAge = 600 * USECS_PER_SEC;
    const TimestampTz retention = runtime::settings().batch_retention * USECS_PER_SEC;
    if (retention == 0) return false;
    const postgres::LatestSnapshot snapshot;
    const auto next = feed::find_batch_after(place.batch, snapshot.get());
    snapshot.pop();
    if (!next || next->created_at > GetCurrentTimestamp() - retention + kSafeAge) return false;
    postgres::guarded([] {
        const LOCKTAG tag = runtime::tag_of(runtime::OwnLock::kMerging);
        LockAcquire(&tag, ShareLock, false, false);
    });
    return true;
}

}  // namespace subscription
