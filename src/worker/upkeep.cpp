// Each step is a transaction of its own, and does a bounded part of the work.
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
#include "feed/progress.hpp"
#include "liveness/changes.hpp"
#include "postgres/as_owner.hpp"
#include "postgres/error.hpp"
#include "postgres/own_table.hpp"
#include "postgres/spi.hpp"
#include "postgres/text.hpp"
#include "postgres/transaction.hpp"
#include "projection/failure.hpp"
#include "projection/locks.hpp"
#include "read_model/registry.hpp"
#include "reading_index/settle.hpp"
#include "runtime/installed.hpp"
#include "runtime/own_tables.hpp"
#include "runtime/settings.hpp"

#include "postgres/pg.hpp"

namespace worker {
namespace {

constexpr TimestampTz kShortestInterval = USECS_PER_SEC;
constexpr TimestampTz kLongestInterval = 60 * USECS_PER_SEC;
constexpr runtime::SteadyTime kIntervalOfObstacle = 5 * USECS_PER_SEC;

constexpr TimestampTz kIntervalOfClearing = 30 * USECS_PER_SEC;
constexpr runtime::SteadyTime kLongestUncleared = 600 * USECS_PER_SEC;
constexpr runtime::SteadyTime kIntervalOfAudit = USECS_PER_SEC;
constexpr runtime::SteadyTime kBetweenComparisons = 100'000;
constexpr std::int64_t kTailOfAudit = 500;  // batches that a comparison may have to read

// A look at the devices may come so much later than it is due, because passes and other upkeep come before it.
constexpr TimestampTz kGapOfLooks = 10 * USECS_PER_SEC;

// The interval between looks for rows to settle when no event comes, and the delay after events, in which more gather. While
// events wait, that delay is also the one between two steps. So settling takes about a twentieth of the time at most.
constexpr runtime::SteadyTime kIntervalOfSettling = 60 * USECS_PER_SEC;
constexpr runtime::SteadyTime kDelayOfSettling = USECS_PER_SEC / 5;
constexpr reading_index::StepLimits kSettlingLimits{16, 1024, 256};  // some ten milliseconds

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
constexpr postgres::Statement kMarkLost{
    postgres::SqlCommand::kSelect, "SELECT telemetry.mark_lost_subscriptions()", 0, {}, nullptr};
constexpr postgres::Statement kClearGenerations{
    postgres::SqlCommand::kSelect, "SELECT telemetry.clear_generations($1)", 1, {TEXTOID}, nullptr};
constexpr postgres::Statement kClearBuckets{postgres::SqlCommand::kSelect,
                                            "SELECT telemetry.clear_buckets($1, $2, $3, $4)",
                                            4,
                                            {TEXTOID, INT4OID, TEXTOID, TIMESTAMPTZOID},
                                            nullptr};
constexpr postgres::Statement kClearQuarantine{
    postgres::SqlCommand::kSelect,
    "SELECT telemetry.clear_quarantine(pg_catalog.make_interval(secs => nullif($1, 0)), nullif($2, 0))",
    2,
    {INT4OID, INT4OID},
    nullptr};
constexpr postgres::Statement kClearVerdicts{postgres::SqlCommand::kSelect,
                                             "SELECT telemetry.clear_verdicts(pg_catalog.make_interval(secs => nullif($1, 0)))",
                                             1,
                                             {INT4OID},
                                             nullptr};
constexpr postgres::Statement kBeginAudit{
    postgres::SqlCommand::kSelect, "SELECT telemetry.begin_audit(pg_catalog.make_interval(secs => $1))", 1, {INT4OID}, nullptr};
constexpr postgres::Statement kCompareAudit{
    postgres::SqlCommand::kSelect, "SELECT telemetry.compare_audit($1, $2)", 2, {TEXTOID, TEXTOID}, nullptr};
constexpr postgres::Statement kEndAudits{postgres::SqlCommand::kSelect, "SELECT telemetry.end_audits()", 0, {}, nullptr};

// P.
bool is_true(const postgres::Statement& statement, Datum* values) {
    bool is_null = false;
    return DatumGetBool(postgres::value_of(postgres::execute(statement, values), 0, 1, &is_null));
}

bool clear_generations(const std::string& projection) {
    return postgres::guarded([&projection] {
        Datum name = postgres::text_datum(std::string_view(projection));
        return is_true(kClearGenerations, &name);
    });
}

// Returns the key with which the next call begins. Nothing: no key is left.
std::optional<std::string> next_key(const postgres::Statement& statement, Datum* values) {
    const char* next = postgres::guarded([&statement, values] {
        return static_cast<const char*>(postgres::printed_value_of(postgres::execute(statement, values), 0, 1));
    });
    return next == nullptr ? std::nullopt : std::optional<std::string>(next);
}

std::optional<std::string> clear_buckets(const feed::StoredCursor& of, const std::string& first_key, TimestampTz cutoff) {
    Datum values[4];
    postgres::guarded([&of, &first_key, &values, cutoff] {
        values[0] = postgres::text_datum(std::string_view(of.projection));
        values[1] = Int32GetDatum(of.cursor.generation);
        values[2] = postgres::text_datum(std::string_view(first_key));
        values[3] = TimestampTzGetDatum(cutoff);
    });
    return next_key(kClearBuckets, values);
}

std::optional<std::string> compare_audit(const std::string& projection, const std::string& first_key) {
    Datum values[2];
    postgres::guarded([&projection, &first_key, &values] {
        values[0] = postgres::text_datum(std::string_view(projection));
        values[1] = postgres::text_datum(std::string_view(first_key));
    });
    return next_key(kCompareAudit, values);
}

// P. Does a part of the work. True: more is left.
bool clear_refused(const RefusedLimits& limits) {
    const postgres::StatementScope statements = postgres::open_statements();
    bool has_more = false;
    if (limits.retention != 0 || limits.rows != 0) {
        postgres::refuse_statement_obstacle(runtime::kRejectedReadingsTable);
        Datum values[] = {Int32GetDatum(limits.retention), Int32GetDatum(limits.rows)};
        has_more = is_true(kClearQuarantine, values);
    }
    if (limits.verdict_retention != 0) {
        postgres::refuse_statement_obstacle(runtime::kBatchVerdictTable);
        Datum retention = Int32GetDatum(limits.verdict_retention);
        has_more = is_true(kClearVerdicts, &retention) || has_more;
    }
    postgres::close_statements(statements);
    return has_more;
}

// How a generation is called in memory.
std::string name_of(const feed::StoredCursor& each) {
    return each.projection + " " + std::to_string(each.cursor.generation);
}

// `recovered` and `obstructed` say what the projector does without and with the obstacle.
void log_obstacle(const char* recovered, const char* obstructed, const std::optional<postgres::ErrorReport>& obstacle) {
    postgres::guarded([recovered, obstructed, obstacle = obstacle ? &*obstacle : nullptr] {
        if (obstacle == nullptr)
            ereport(LOG, (errmsg("telemetry_cqrs projector %s", recovered)));
        else
            ereport(LOG, (errcode(obstacle->sqlstate),
                          errmsg("telemetry_cqrs projector %s: %s", obstructed, obstacle->message.c_str()),
                          errdetail_internal("%s", obstacle->detail.c_str()), errhint("%s", obstacle->hint.c_str())));
    });
}

}  // namespace

runtime::SteadyTime Upkeep::due_at() const noexcept {
    return std::min(
        {merging_due_at_, clearing_due_at_, clearing_refused_due_at_, audit_due_at_, liveness_due_at_, settling_due_at_});
}

void Upkeep::do_when_due() {
    merge_when_due();
    clear_when_due();
    clear_refused_when_due();
    audit_when_due();
    tell_liveness_when_due();
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
    if (merged.obstacle.has_value() != is_obstructed_)
        log_obstacle("clears old batches again", "keeps old batches", merged.obstacle);
    is_obstructed_ = merged.obstacle.has_value();
}

// Does a part of the work for each projection. True: more is left. While no generation comes or goes, there are no rows of
// others to be found. One may have come and gone between two looks, so the upkeep looks for such rows now and then anyway.
bool Upkeep::clear_some() {
    const ::Snapshot snapshot = postgres::guarded([] { return GetActiveSnapshot(); });
    const std::vector<read_model::Definition> registry = read_model::read_registry(snapshot);
    const std::vector<feed::StoredCursor> cursors = feed::read_cursors(snapshot);
    std::string generations;
    for (const feed::StoredCursor& each : cursors) generations += name_of(each) + "\n";
    for (const read_model::Definition& each : registry) generations += each.name + "\n";
    const bool has_new = generations != cleared_generations_ || cleared_at_ + kLongestUncleared < runtime::steady_time();
    bool has_more = false;
    const postgres::StatementScope statements = postgres::guarded([has_new] {
        const postgres::StatementScope scope = postgres::open_statements();
        if (has_new) postgres::execute(kAdopt, nullptr);
        postgres::execute(kMarkLost, nullptr);
        return scope;
    });
    for (const read_model::Definition& each : registry)
        if (has_new && !each.is_handler() && clear_generations(each.name)) has_more = true;
    for (const feed::StoredCursor& each : cursors) {
        const auto definition = std::find_if(registry.begin(), registry.end(),
                                             [&each](const auto& candidate) { return candidate.name == each.projection; });
        if (definition == registry.end() || definition->retention == 0) continue;
        if (auto next = clear_buckets(each, next_keys_[name_of(each)], GetCurrentTimestamp() - definition->retention)) {
            next_keys_[name_of(each)] = std::move(*next);
            has_more = true;
        } else {
            next_keys_.erase(name_of(each));
        }
    }
    postgres::guarded([&statements] { postgres::close_statements(statements); });
    if (!has_more && has_new) {
        cleared_generations_ = std::move(generations);
        cleared_at_ = runtime::steady_time();
    }
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
    log_obstacle("clears old statistics again", "keeps old statistics", cleared.obstacle);
}

void Upkeep::clear_refused_when_due() {
    const runtime::SteadyTime now = runtime::steady_time();
    const runtime::Settings& settings = runtime::settings();
    const RefusedLimits limits{settings.quarantine_retention, settings.quarantine_rows, settings.verdict_retention};
    if (now < clearing_refused_due_at_ && limits == refused_limits_) return;
    refused_limits_ = limits;
    const StepResult cleared = run_step(
        [this](const runtime::Installed&) { return postgres::guarded([this] { return clear_refused(refused_limits_); }); },
        true);
    clearing_refused_due_at_ = cleared.has_more ? now : now + kIntervalOfClearing;
    if (cleared.obstacle.has_value() == is_clearing_refused_obstructed_) return;
    is_clearing_refused_obstructed_ = cleared.obstacle.has_value();
    log_obstacle("clears old rejected readings again", "keeps old rejected readings", cleared.obstacle);
}

void Upkeep::settle_soon() noexcept {
    settling_due_at_ = std::min(settling_due_at_, runtime::steady_time() + kDelayOfSettling);
}

void Upkeep::settle_when_due(bool has_more_events) {
    const runtime::SteadyTime now = runtime::steady_time();
    if (now < settling_due_at_) return;
    const StepResult settled = run_step(
        [](const runtime::Installed& installed) {
            const reading_index::Progress progress = postgres::guarded(
                [segment = installed.segment] { return reading_index::settle_table(segment, kSettlingLimits); });
            return progress.has_blocks || progress.has_merging;
        },
        true);
    if (!settled.has_more)
        settling_due_at_ = now + kIntervalOfSettling;
    else
        settling_due_at_ = has_more_events ? runtime::steady_time() + kDelayOfSettling : now;
    if (settled.obstacle.has_value() == is_settling_obstructed_) return;
    is_settling_obstructed_ = settled.obstacle.has_value();
    log_obstacle("settles readings again", "settles no readings", settled.obstacle);
}

// Does a part of an audit: it begins one, compares some keys, or waits until the audit has nearly caught up. True: more is
// left.
bool Upkeep::audit_some(int interval) {
    const ::Snapshot snapshot = postgres::guarded([] { return GetActiveSnapshot(); });
    const std::vector<feed::StoredCursor> cursors = feed::read_cursors(snapshot);
    const auto audit = std::find_if(cursors.begin(), cursors.end(), [](const feed::StoredCursor& each) {
        return each.cursor.purpose == feed::Cursor::Purpose::kAudit;
    });
    had_audits_ = audit != cursors.end();
    const postgres::StatementScope statements = postgres::guarded([] { return postgres::open_statements(); });
    bool has_more = false;
    const auto is_paused = [&audit](const read_model::Definition& each) {
        return each.name == audit->projection && each.is_paused;
    };
    const std::vector<read_model::Definition> registry = read_model::read_registry(snapshot);
    if (interval == 0 || (had_audits_ && std::any_of(registry.begin(), registry.end(), is_paused))) {
        if (had_audits_) postgres::guarded([] { postgres::execute(kEndAudits, nullptr); });
        had_audits_ = false;
    } else if (!had_audits_) {
        had_audits_ = postgres::guarded([interval] {
            Datum seconds = Int32GetDatum(interval);
            return is_true(kBeginAudit, &seconds);
        });
        clear_soon();
    } else if (audit->cursor.is_copied &&
               audit->cursor.batch.value >= feed::read_progress(snapshot).last_batch().value - kTailOfAudit) {
        if (audited_ != name_of(*audit)) next_audit_key_.clear();
        audited_ = name_of(*audit);
        const auto next = compare_audit(audit->projection, next_audit_key_);
        has_more = next.has_value();
        next_audit_key_ = next.value_or("");
        if (!has_more) clear_soon();
    }
    postgres::guarded([&statements] { postgres::close_statements(statements); });
    return has_more;
}

void Upkeep::audit_when_due() {
    const runtime::SteadyTime now = runtime::steady_time();
    const int interval = runtime::settings().audit_interval;
    if (now < audit_due_at_) return;
    audit_due_at_ = now + (interval == 0 ? kLongestInterval : kIntervalOfAudit);
    if (interval == 0 && !had_audits_) return;
    const StepResult audited = run_step([this, interval](const runtime::Installed&) { return audit_some(interval); }, true);
    if (audited.has_more) audit_due_at_ = now + kBetweenComparisons;
    if (audited.obstacle.has_value() == is_audit_obstructed_) return;
    is_audit_obstructed_ = audited.obstacle.has_value();
    log_obstacle("audits again", "does not audit", audited.obstacle);
}

// While this process does not look, the server may receive nothing: it may be down, read-only or suspended. So after a gap
// nobody counts as offline before he has been silent for long enough since.
void Upkeep::tell_liveness_when_due() {
    const runtime::SteadyTime now = runtime::steady_time();
    const int interval = runtime::settings().liveness_interval;
    if (now < liveness_due_at_ && liveness_setting_ == interval) return;
    liveness_setting_ = interval;
    liveness_due_at_ = now + (interval == 0 ? kLongestInterval : interval * USECS_PER_SEC);
    if (interval == 0) return;
    const TimestampTz look_at = GetCurrentTimestamp();
    const TimestampTz longest_gap =
        interval * USECS_PER_SEC + runtime::settings().poll_interval * TimestampTz{1000} + kGapOfLooks;
    if (look_at - liveness_told_at_ > longest_gap) watching_since_ = look_at;
    liveness_told_at_ = look_at;
    const StepResult told =
        run_step([this](const runtime::Installed&) { return liveness::tell_some_changes(watching_since_); }, true);
    if (told.has_more) liveness_due_at_ = now;
    if (told.obstacle.has_value() == is_liveness_obstructed_) return;
    is_liveness_obstructed_ = told.obstacle.has_value();
    log_obstacle("tells again which devices are offline", "does not tell which devices are offline", told.obstacle);
}

}  // namespace worker
