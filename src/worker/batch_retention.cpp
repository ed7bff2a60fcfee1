// Deleting expired batches, oldest first and a bounded number at a time, as a writer of the read side.
#include "worker/batch_retention.hpp"

#include <algorithm>

#include "postgres/as_owner.hpp"
#include "postgres/error.hpp"
#include "postgres/transaction.hpp"
#include "projection/locks.hpp"
#include "runtime/installed.hpp"
#include "runtime/settings.hpp"

#include "postgres/pg.hpp"

namespace worker {
namespace {

constexpr int kChunk = 1000;
constexpr TimestampTz kShortestInterval = USECS_PER_SEC;
constexpr TimestampTz kLongestInterval = 60 * USECS_PER_SEC;

// Looks at the kChunk oldest only, so that the cost does not depend on how many there are.
constexpr const char* kDelete =
    "WITH oldest AS MATERIALIZED (SELECT batch_id, created_at FROM telemetry.batch ORDER BY batch_id LIMIT $1) "
    "DELETE FROM telemetry.batch b USING oldest o "
    "WHERE b.batch_id = o.batch_id AND o.created_at < $2 "
    "AND o.batch_id < (SELECT min(c.last_batch_id) FROM telemetry.checkpoint c WHERE NOT c.drained)";

uint64 delete_older_than(TimestampTz cutoff) {
    postgres::Transaction transaction;
    const bool is_there = postgres::guarded([] {
        if (!projection::hold_extension()) return false;
        projection::take_apply_lock();
        PushActiveSnapshot(GetTransactionSnapshot());
        return true;
    });
    if (!is_there) return 0;
    uint64 deleted = 0;
    {
        const postgres::AsOwner as_owner(runtime::installed().owner);
        deleted = postgres::guarded([cutoff] {
            Oid types[] = {INT4OID, TIMESTAMPTZOID};
            Datum values[] = {Int32GetDatum(kChunk), TimestampTzGetDatum(cutoff)};
            SPI_connect();
            if (SPI_execute_with_args(kDelete, 2, types, values, nullptr, false, 0) != SPI_OK_DELETE)
                elog(ERROR, "cannot delete from telemetry.batch");
            const uint64 count = SPI_processed;
            SPI_finish();
            return count;
        });
    }
    transaction.commit();
    return deleted;
}

}  // namespace

void BatchRetention::delete_when_due() {
    const TimestampTz now = GetCurrentTimestamp();
    if (now < due_ && retention_ == runtime::settings().batch_retention) return;
    retention_ = runtime::settings().batch_retention;
    const TimestampTz retention = retention_ * USECS_PER_SEC;
    due_ = now + (retention == 0 ? kLongestInterval : std::clamp(retention / 10, kShortestInterval, kLongestInterval));
    if (retention != 0 && delete_older_than(now - retention) == kChunk) due_ = now;
}

}  // namespace worker
