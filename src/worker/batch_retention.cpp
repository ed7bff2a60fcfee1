// The retention deletes expired batches, oldest first and a bounded number at a time, as a writer of the read side.
#include "worker/batch_retention.hpp"

#include <algorithm>
#include <optional>

#include "error_codes.hpp"
#include "event_log/checkpoint.hpp"
#include "postgres/as_owner.hpp"
#include "postgres/error.hpp"
#include "postgres/spi.hpp"
#include "postgres/text.hpp"
#include "postgres/transaction.hpp"
#include "projection/locks.hpp"
#include "runtime/installed.hpp"
#include "runtime/own_tables.hpp"
#include "runtime/settings.hpp"
#include "worker/failure.hpp"

#include "postgres/pg.hpp"

namespace worker {
namespace {

constexpr int kMaxDeleted = 1000;
constexpr TimestampTz kShortestInterval = USECS_PER_SEC;
constexpr TimestampTz kLongestInterval = 60 * USECS_PER_SEC;
constexpr runtime::SteadyTime kIntervalOfObstacle = 5 * USECS_PER_SEC;

// The statement looks only at the kMaxDeleted oldest batches, so its cost does not depend on how many there are.
//
// $3 has the names of the consumers. A consumer without a checkpoint has passed no batch; one that was paused before the first
// event has none. A consumer whose epochs are all drained has passed their last batch.
constexpr postgres::Statement kDelete{
    postgres::SqlCommand::kDelete,
    "WITH oldest AS MATERIALIZED (SELECT batch_id, created_at FROM telemetry.batch ORDER BY batch_id LIMIT $1) "
    "DELETE FROM telemetry.batch b USING oldest o "
    "WHERE b.batch_id = o.batch_id AND o.created_at < $2 "
    "AND o.batch_id < (SELECT min(coalesce(c.unfinished, c.last, 0)) FROM ("
    "SELECT min(k.last_batch_id) FILTER (WHERE NOT k.drained) AS unfinished, max(k.last_batch_id) AS last "
    "FROM unnest($3) AS n (name) LEFT JOIN telemetry.checkpoint k ON k.consumer = n.name COLLATE \"C\" GROUP BY n.name) AS c)",
    3,
    {INT4OID, TIMESTAMPTZOID, TEXTARRAYOID},
    nullptr};

// P.
Datum names_of_consumers() {
    Datum names[event_log::kConsumers.size()];
    int count = 0;
    for (const event_log::Consumer consumer : event_log::kConsumers)
        names[count++] = postgres::text_datum(event_log::name_of(consumer));
    return postgres::text_array_datum(names, count);
}

// The result of an attempt.
struct DeleteResult {
    uint64 batches = 0;
    std::optional<postgres::ErrorReport> obstacle;  // why nothing could be deleted
};

// Deletes as the owner. This is a function of its own so that AsOwner ends before the transaction does.
uint64 delete_as_owner(TimestampTz cutoff) {
    const postgres::AsOwner as_owner(runtime::installed().owner);
    return postgres::guarded([cutoff] {
        postgres::refuse_statement_obstacle(runtime::kBatchTable);
        Datum values[] = {Int32GetDatum(kMaxDeleted), TimestampTzGetDatum(cutoff), names_of_consumers()};
        const postgres::StatementScope statements = postgres::open_statements();
        const std::uint64_t count = postgres::execute(kDelete, values).row_count;
        postgres::close_statements(statements);
        return count;
    });
}

DeleteResult delete_older_than(TimestampTz cutoff) {
    postgres::Transaction transaction;
    const bool is_there = postgres::guarded([] {
        if (!projection::hold_extension()) return false;
        projection::take_apply_lock();
        PushActiveSnapshot(GetTransactionSnapshot());
        return true;
    });
    if (!is_there) return {};
    DeleteResult deleted;
    try {
        deleted.batches = delete_as_owner(cutoff);
        transaction.commit();
    } catch (const postgres::PgError& error) {
        if (error.sqlstate() != error_codes::kTableCarriesObstacle) throw;
        deleted.obstacle = postgres::describe_current_exception();  // the destructor of `transaction` rolls back
    }
    return deleted;
}

void log_obstacle(const std::optional<postgres::ErrorReport>& obstacle) {
    postgres::guarded([obstacle = obstacle ? &*obstacle : nullptr] {
        if (obstacle == nullptr)
            ereport(LOG, (errmsg("telemetry_cqrs projector deletes old batches again")));
        else
            ereport(LOG, (errcode(obstacle->sqlstate),
                          errmsg("telemetry_cqrs projector keeps old batches: %s", obstacle->message.c_str()),
                          errdetail_internal("%s", obstacle->detail.c_str()), errhint("%s", obstacle->hint.c_str())));
    });
}

}  // namespace

void BatchRetention::delete_when_due() {
    const runtime::SteadyTime now = runtime::steady_time();
    if (now < due_at_ && retention_setting_ == runtime::settings().batch_retention) return;
    retention_setting_ = runtime::settings().batch_retention;
    const TimestampTz retention = retention_setting_ * USECS_PER_SEC;
    due_at_ = now + (retention == 0 ? kLongestInterval : std::clamp(retention / 10, kShortestInterval, kLongestInterval));
    if (retention == 0) return;
    const DeleteResult deleted = delete_older_than(GetCurrentTimestamp() - retention);
    if (deleted.batches == kMaxDeleted) due_at_ = now;
    if (deleted.obstacle) due_at_ = now + kIntervalOfObstacle;
    if (deleted.obstacle.has_value() != is_obstructed_) log_obstacle(deleted.obstacle);
    is_obstructed_ = deleted.obstacle.has_value();
}

}  // namespace worker
