// The retention merges old batches, a bounded number at a time, as a writer of the read side.
#include "worker/batch_retention.hpp"

#include <algorithm>
#include <exception>
#include <optional>

#include "error_codes.hpp"
#include "postgres/as_owner.hpp"
#include "postgres/error.hpp"
#include "postgres/own_table.hpp"
#include "postgres/transaction.hpp"
#include "projection/locks.hpp"
#include "runtime/installed.hpp"
#include "runtime/own_tables.hpp"
#include "runtime/settings.hpp"
#include "worker/failure.hpp"

#include "postgres/pg.hpp"

namespace worker {
namespace {

constexpr TimestampTz kShortestInterval = USECS_PER_SEC;
constexpr TimestampTz kLongestInterval = 60 * USECS_PER_SEC;
constexpr runtime::SteadyTime kIntervalOfObstacle = 5 * USECS_PER_SEC;

// The result of an attempt.
struct MergeResult {
    bool has_more = false;
    std::optional<postgres::ErrorReport> obstacle;  // why nothing could be merged
};

// Merges as the owner. This is a function of its own so that AsOwner ends before the transaction does.
bool merge_as_owner(feed::Merging& merging, TimestampTz cutoff) {
    const runtime::Installed installed = runtime::installed();
    const postgres::AsOwner as_owner(installed.owner);
    postgres::guarded([] { postgres::refuse_statement_obstacle(runtime::kBatchTable); });
    return merging.merge_some(installed.event, cutoff);
}

MergeResult merge_older_than(feed::Merging& merging, TimestampTz cutoff) {
    postgres::Transaction transaction;
    const bool is_there = postgres::guarded([] {
        if (!projection::hold_extension()) return false;
        projection::take_apply_lock();
        PushActiveSnapshot(GetTransactionSnapshot());
        return true;
    });
    if (!is_there) return {};
    MergeResult merged;
    try {
        merged.has_more = merge_as_owner(merging, cutoff);
        transaction.commit();
    } catch (const std::exception&) {
        merging = {};  // the destructor of `transaction` rolls back what it has found out
        const postgres::ErrorReport report = postgres::describe_current_exception();
        if (report.sqlstate != error_codes::kTableCarriesObstacle) throw;
        merged.obstacle = report;
    }
    return merged;
}

void log_obstacle(const std::optional<postgres::ErrorReport>& obstacle) {
    postgres::guarded([obstacle = obstacle ? &*obstacle : nullptr] {
        if (obstacle == nullptr)
            ereport(LOG, (errmsg("telemetry_cqrs projector merges old batches again")));
        else
            ereport(LOG, (errcode(obstacle->sqlstate),
                          errmsg("telemetry_cqrs projector keeps old batches: %s", obstacle->message.c_str()),
                          errdetail_internal("%s", obstacle->detail.c_str()), errhint("%s", obstacle->hint.c_str())));
    });
}

}  // namespace

void BatchRetention::merge_when_due() {
    const runtime::SteadyTime now = runtime::steady_time();
    if (now < due_at_ && retention_setting_ == runtime::settings().batch_retention) return;
    retention_setting_ = runtime::settings().batch_retention;
    const TimestampTz retention = retention_setting_ * USECS_PER_SEC;
    due_at_ = now + (retention == 0 ? kLongestInterval : std::clamp(retention / 10, kShortestInterval, kLongestInterval));
    if (retention == 0) return;
    const MergeResult merged = merge_older_than(merging_, GetCurrentTimestamp() - retention);
    if (merged.has_more) due_at_ = now;
    if (merged.obstacle) due_at_ = now + kIntervalOfObstacle;
    if (merged.obstacle.has_value() != is_obstructed_) log_obstacle(merged.obstacle);
    is_obstructed_ = merged.obstacle.has_value();
}

}  // namespace worker
