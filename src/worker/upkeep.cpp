// Each step is a transaction of a writer of the read side, and does a bounded part of the work.
#include "worker/upkeep.hpp"

#include <algorithm>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "error_codes.hpp"
#include "feed/cursor.hpp"
#include "postgres/as_owner.hpp"
#include "postgres/error.hpp"
#include "postgres/own_table.hpp"
#include "postgres/spi.hpp"
#include "postgres/text.hpp"
#include "postgres/transaction.hpp"
#include "projection/failure.hpp"
#include "projection/locks.hpp"
#include "read_model/registry.hpp"
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

constexpr TimestampTz kIntervalOfClearing = 30 * USECS_PER_SEC;

// The result of an attempt.
struct StepResult {
    bool has_more = false;
    std::optional<postgres::ErrorReport> obstacle;  // why nothing could be done
};

// Runs the body as the owner, in a transaction that holds the apply lock. The body returns whether more is left to do. An error
// is thrown unless it is an obstacle on a table or is tolerated.
template <typename Body>
StepResult run_step(Body&& body, bool tolerates_errors = false) {
    postgres::Transaction transaction;
    const bool is_there = postgres::guarded([] {
        if (!projection::hold_extension()) return false;
        projection::take_apply_lock();
        PushActiveSnapshot(GetTransactionSnapshot());
        return true;
    });
    if (!is_there) return {};
    StepResult result;
    try {
        {
            const runtime::Installed installed = runtime::installed();
            postgres::AsOwner as_owner(installed.owner);  // it ends before the transaction does
            as_owner.set("lock_timeout", "500ms");
            result.has_more = body(installed);
        }
        transaction.commit();
    } catch (const std::exception&) {
        const postgres::ErrorReport report = postgres::describe_current_exception();
        const bool is_tolerated = tolerates_errors && !projection::is_interruption();
        if (!is_tolerated && report.sqlstate != error_codes::kTableCarriesObstacle) throw;
        result.obstacle = report;  // the destructor of `transaction` rolls the step back
    }
    return result;
}

constexpr postgres::Statement kAdopt{postgres::SqlCommand::kSelect, "SELECT telemetry.adopt_relations()", 0, {}, nullptr};
constexpr postgres::Statement kClearGenerations{
    postgres::SqlCommand::kSelect, "SELECT telemetry.clear_generations($1)", 1, {TEXTOID}, nullptr};
constexpr postgres::Statement kClearBuckets{postgres::SqlCommand::kSelect,
                                            "SELECT telemetry.clear_buckets($1, $2, $3)",
                                            3,
                                            {TEXTOID, TEXTOID, TIMESTAMPTZOID},
                                            nullptr};

bool clear_generations(const std::string& projection) {
    return postgres::guarded([&projection] {
        Datum name = postgres::text_datum(std::string_view(projection));
        bool is_null = false;
        return DatumGetBool(postgres::value_of(postgres::execute(kClearGenerations, &name), 0, 1, &is_null));
    });
}

// Returns the key with which the next call begins. Nothing: no key is left.
std::optional<std::string> clear_buckets(const std::string& projection, const std::string& first_key, TimestampTz cutoff) {
    const char* next = postgres::guarded([&projection, &first_key, cutoff] {
        Datum values[] = {postgres::text_datum(std::string_view(projection)), postgres::text_datum(std::string_view(first_key)),
                          TimestampTzGetDatum(cutoff)};
        return static_cast<const char*>(postgres::printed_value_of(postgres::execute(kClearBuckets, values), 0, 1));
    });
    return next == nullptr ? std::nullopt : std::optional<std::string>(next);
}

void log_obstacle(const char* what, const std::optional<postgres::ErrorReport>& obstacle) {
    postgres::guarded([what, obstacle = obstacle ? &*obstacle : nullptr] {
        if (obstacle == nullptr)
            ereport(LOG, (errmsg("telemetry_cqrs projector clears %s again", what)));
        else
            ereport(LOG, (errcode(obstacle->sqlstate),
                          errmsg("telemetry_cqrs projector keeps %s: %s", what, obstacle->message.c_str()),
                          errdetail_internal("%s", obstacle->detail.c_str()), errhint("%s", obstacle->hint.c_str())));
    });
}

}  // namespace

runtime::SteadyTime Upkeep::due_at() const noexcept {
    return std::min(merging_due_at_, clearing_due_at_);
}

void Upkeep::do_when_due() {
    merge_when_due();
    clear_when_due();
}

void Upkeep::merge_when_due() {
    const runtime::SteadyTime now = runtime::steady_time();
    if (now < merging_due_at_ && retention_setting_ == runtime::settings().batch_retention) return;
    retention_setting_ = runtime::settings().batch_retention;
    const TimestampTz retention = retention_setting_ * USECS_PER_SEC;
    merging_due_at_ =
        now + (retention == 0 ? kLongestInterval : std::clamp(retention / 10, kShortestInterval, kLongestInterval));
    if (retention == 0) return;
    const StepResult merged = run_step([this, cutoff = GetCurrentTimestamp() - retention](const runtime::Installed& installed) {
        postgres::guarded([] { postgres::refuse_statement_obstacle(runtime::kBatchTable); });
        return merging_.merge_some(installed.event, cutoff);
    });
    if (merged.has_more) merging_due_at_ = now;
    if (merged.obstacle) {
        merging_ = {};  // what it had found out is rolled back
        merging_due_at_ = now + kIntervalOfObstacle;
    }
    if (merged.obstacle.has_value() != is_obstructed_) log_obstacle("old batches", merged.obstacle);
    is_obstructed_ = merged.obstacle.has_value();
}

// Does a part of the work for each projection. True: more is left. While no generation comes or goes, there are no rows of
// others to be found.
bool Upkeep::clear_some() {
    const ::Snapshot snapshot = postgres::guarded([] { return GetActiveSnapshot(); });
    const std::vector<read_model::Definition> registry = read_model::read_registry(snapshot);
    std::string generations;
    for (const feed::StoredCursor& each : feed::read_cursors(snapshot))
        generations += each.projection + " " + std::to_string(each.cursor.generation) + "\n";
    for (const read_model::Definition& each : registry) generations += each.name + "\n";
    const bool has_new = generations != cleared_generations_;
    bool has_more = false;
    const postgres::StatementScope statements = postgres::guarded([has_new] {
        const postgres::StatementScope scope = postgres::open_statements();
        if (has_new) postgres::execute(kAdopt, nullptr);
        return scope;
    });
    for (const read_model::Definition& each : registry) {
        if (each.is_handler()) continue;
        if (has_new && clear_generations(each.name)) has_more = true;
        if (each.retention == 0) continue;
        if (auto next = clear_buckets(each.name, next_keys_[each.name], GetCurrentTimestamp() - each.retention)) {
            next_keys_[each.name] = std::move(*next);
            has_more = true;
        } else {
            next_keys_.erase(each.name);
        }
    }
    postgres::guarded([&statements] { postgres::close_statements(statements); });
    if (!has_more) cleared_generations_ = std::move(generations);
    return has_more;
}

void Upkeep::clear_when_due() {
    const runtime::SteadyTime now = runtime::steady_time();
    if (now < clearing_due_at_) return;
    // What hinders it may hinder one projection only, so the passes go on.
    const StepResult cleared = run_step([this](const runtime::Installed&) { return clear_some(); }, true);
    clearing_due_at_ = cleared.has_more ? now : now + kIntervalOfClearing;
    if (cleared.obstacle) cleared_generations_.clear();
    if (cleared.obstacle.has_value() == is_clearing_obstructed_) return;
    is_clearing_obstructed_ = cleared.obstacle.has_value();
    log_obstacle("old statistics", cleared.obstacle);
}

}  // namespace worker
