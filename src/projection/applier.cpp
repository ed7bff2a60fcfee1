// Chooses and performs passes.
#include "projection/applier.hpp"

#include <algorithm>
#include <utility>

#include "error_codes.hpp"
#include "event_log/epoch.hpp"
#include "feed/covering.hpp"
#include "feed/position.hpp"
#include "feed/tail.hpp"
#include "postgres/as_owner.hpp"
#include "postgres/error.hpp"
#include "postgres/injection_point.hpp"
#include "postgres/own_table.hpp"
#include "postgres/transaction.hpp"
#include "projection/baseline.hpp"
#include "projection/catch_up.hpp"
#include "projection/failure.hpp"
#include "projection/handler.hpp"
#include "projection/locks.hpp"
#include "projection/parked_events.hpp"
#include "projection/parking.hpp"
#include "projection/triggers.hpp"
#include "read_model/registry.hpp"
#include "runtime/installed.hpp"
#include "runtime/own_tables.hpp"
#include "runtime/pass_scope.hpp"
#include "runtime/settings.hpp"
#include "runtime/wake.hpp"

#include "postgres/pg.hpp"

namespace projection {
namespace {

using feed::Cursor;
using feed::EpochProgress;
using feed::Progress;
using read_model::Definition;

void refuse_mixed(const Progress& progress) {
    for (const EpochProgress& each : progress.epochs)
        if (each.is_mixed)
            throw postgres::Error(error_codes::kLogWasAltered, "two histories are mixed in the event log",
                                  "telemetry.epoch names two places for epoch " + std::to_string(each.epoch.value) + ".",
                                  "Restore a dump into a database in which no reading was accepted yet.");
}

// TC204 if something on the tables of positions would be bypassed. This comes before the pass reads what it could not write.
// The tables are locked.
void refuse_obstacles() {
    postgres::guarded([] {
        for (const postgres::OwnTable* own : {&runtime::kBatcherTable, &runtime::kCursorTable})
            postgres::refuse_native_obstacle(*own);
    });
}

void hold_tables() {
    try {
        postgres::guarded([] { lock_tables(); });
    } catch (const postgres::PgError& error) {
        if (error.sqlstate() != ERRCODE_LOCK_NOT_AVAILABLE) throw;
        throw postgres::Error(ERRCODE_LOCK_NOT_AVAILABLE, "a table of telemetry_cqrs is locked by another session",
                              "Commands store readings meanwhile. The projector applies them when the lock is gone.",
                              "pg_locks and pg_blocking_pids() show the session that holds it.");
    }
}

bool has_open_batch(const Progress& progress) noexcept {
    return std::any_of(progress.epochs.begin(), progress.epochs.end(),
                       [](const EpochProgress& each) { return each.batcher.open_events > 0; });
}

}  // namespace

void Applier::suspend(std::string_view consumer, bool is_suspended) {
    schedule_.suspend(consumer, is_suspended);
    may_have_failed_ = true;
}

std::vector<std::string> Applier::projections() const {
    std::vector<std::string> names;
    for (const Definition& each : registry_) names.push_back(each.name);
    return names;
}

bool Applier::be_careful() noexcept {
    may_have_failed_ = true;
    memory_.release();
    if (!has_begun_ || is_careful_) {
        is_careful_ = false;
        return false;
    }
    is_careful_ = true;
    return true;
}

// A dropped log says nothing about its successor, so the applier forgets everything that it saw there.
void Applier::forget_other_installation(Oid log) {
    if (log_ == log) return;
    log_ = log;
    batcher_.forget();
}

void Applier::finish(Pass& pass, ::Snapshot snapshot) {
    if (may_have_failed_) may_have_failed_ = clear_failures(pass.succeeded, snapshot);
    TELEMETRY_INJECTION_POINT("pass_written");
    for (const std::string& each : pass.succeeded) runtime::tell_waiters_at_commit(each);
    pass.outcome = PassOutcome::kApplied;
}

// Reads on in the log. Nothing: there was nothing to do.
std::optional<Pass> Applier::read_on(const Progress& progress, const PassContext& context, const PassOptions& options) {
    auto read = batcher_.read_on(progress, context, options, schedule_, memory_);
    report_.has_read_on = true;
    report_.is_complete = !read || !read->pass.has_more;
    if (read) report_.events = read->pass.events;
    if (!read) return std::nullopt;
    finish(read->pass, context.snapshot);
    mend_triggers_of_new_epoch(read->begins_epoch);
    return std::move(read->pass);
}

// Reads batches for consumers that are behind. Nothing: none is behind, or none is due.
std::optional<Pass> Applier::catch_up(const Progress& progress, const PassContext& context, const PassOptions& options) {
    std::vector<const Consumer*> served = schedule_.choose(context.consumers, progress, options);
    if (served.empty()) return std::nullopt;
    if (is_careful_) served.erase(served.begin() + 1, served.end());
    const runtime::SteadyTime begun_at = runtime::steady_time();
    const std::int64_t waiting = progress.events_read() - served.front()->cursor.events;
    std::int64_t most_events = kMostSlices * options.slice;
    if (served.front()->is(Cursor::Purpose::kAudit)) {
        most_events = options.slice;
    } else if (!options.serves_lazy) {
        if (const auto portion = portions_.portion_of(served.front()->name, waiting, options.slice, begun_at)) {
            most_events = *portion;
            served.erase(served.begin() + 1, served.end());
        }
    }

    Pass pass;
    bool must_wait = false, keeps_up = false, is_of_batch = false;
    bool is_done = attempt(context, served.front()->name, pass, [&] {
        if (!served.front()->cursor.is_copied) {
            copy_baseline(*served.front());
        } else if (const auto gap = feed::find_gap(progress, served.front()->cursor, context.snapshot)) {
            feed::cover(*gap, options.slice, context.snapshot);
        } else {
            is_of_batch = true;
            const auto consumed = served.front()->definition->is_handler()
                                      ? handle_batch(*served.front(), progress, context.snapshot)
                                      : consume_batches(served, progress, context.snapshot, most_events, &memory_);
            must_wait = !consumed;
            keeps_up = consumed && consumed->keeps_up;
            pass.events = consumed ? consumed->events : 0;
            pass.has_replaced = consumed && consumed->has_replaced;
        }
    });
    if (!is_done && is_of_batch && served.front()->definition->parks && may_be_poison(pass.failures.back().cause)) {
        pass.failures.pop_back();
        is_done = attempt(context, served.front()->name, pass, [&] {
            const auto consumed = consume_without_poison(*served.front(), progress, context.snapshot);
            must_wait = !consumed;
            pass.events = consumed ? consumed->events : 0;
        });
    }
    if (must_wait) return std::nullopt;
    for (const Consumer* each : served) {
        if (!is_done) continue;
        pass.succeeded.push_back(each->name);
        schedule_.has_served(*each, keeps_up);
        if (is_of_batch) portions_.has_served(each->name, pass.events, keeps_up, begun_at, runtime::steady_time());
    }
    finish(pass, context.snapshot);
    pass.has_open_batch = has_open_batch(progress);
    pass.has_more = true;
    return pass;
}

// Tries parked events of a projection again. Nothing: nobody asked for it, or nobody can be served now.
std::optional<Pass> Applier::replay(const Progress& progress, const PassContext& context) {
    const std::vector<Consumer>& all = context.consumers;
    for (auto first = all.begin(), end = first; first != all.end(); first = end) {
        end = std::find_if(first, all.end(), [first](const Consumer& each) { return each.definition != first->definition; });
        if (!first->definition->replays) continue;
        Pass pass;
        pass.has_more = true;
        // Each generation of the projection may lack events.
        bool has_tried = false, must_wait = false;
        for (auto each = first; !has_tried && each != end; ++each) {
            // A generation that is being copied gets the events that are due with the last rows.
            if (schedule_.is_left_out(*each) || each->stands_still || !each->cursor.is_copied) {
                must_wait = true;
                continue;
            }
            const bool is_done =
                attempt(context, each->name, pass, [&] { has_tried = replay_some(*each, progress, context.snapshot); });
            if (is_done) pass.succeeded.push_back(each->name);
            has_tried = has_tried || !is_done;
        }
        if (!has_tried && must_wait) continue;
        if (!has_tried) end_replay(first->projection());
        finish(pass, context.snapshot);
        return pass;
    }
    return std::nullopt;
}

// The pass does this last, because its locks keep writers waiting until the commit.
void Applier::mend_triggers_of_new_epoch(bool is_first_pass) {
    constexpr int kAttempts = 10;
    if (is_first_pass) attempts_to_mend_ = kAttempts;
    if (attempts_to_mend_ > 0) attempts_to_mend_ = mend_triggers() ? 0 : attempts_to_mend_ - 1;
}

Pass Applier::make_pass(const Progress& progress, PassContext& context, const PassOptions& options) {
    Pass pass;
    refuse_mixed(progress);
    if (progress.epochs.empty() || !progress.epochs.back().is_local(context.here)) {
        pass.outcome = PassOutcome::kUnopened;
        return pass;
    }
    pass.has_more = true;
    if (progress.epochs.back().place.timeline != context.here.timeline) {
        // A standby was promoted, or the log was recovered to an earlier moment. It may have lost batches, and their numbers
        // must not come again. So this place opens an epoch of its own before it writes a batch.
        event_log::open_for_writing();
        pass.outcome = PassOutcome::kApplied;
        return pass;
    }
    if (progress.is_of_version_1_0) {
        feed::take_over_version_1_0();
        pass.outcome = PassOutcome::kApplied;
        return pass;
    }
    // After a start of the server only the log knows how many events wait.
    if (runtime::settings().max_backlog > 0 && !runtime::knows_backlog())
        report_.measured = feed::measure_tail(progress, Cursor{}, context.snapshot).events;
    registry_ = read_model::read_registry(context.snapshot);
    has_begun_ = true;
    refuse_obstacles();
    context.consumers = consumers_of(registry_, progress);
    if (auto done = replay(progress, context)) {
        done->has_open_batch = has_open_batch(progress);
        return *done;
    }
    // Projections that are behind take turns with the others.
    for (const bool catches_up : {!was_catching_up_, was_catching_up_}) {
        auto done = catches_up ? catch_up(progress, context, options) : read_on(progress, context, options);
        if (!done) continue;
        was_catching_up_ = catches_up;
        const auto may_go_on = [&](const Consumer& each) { return schedule_.waits(each, progress, options); };
        done->has_more = done->has_more || std::any_of(context.consumers.begin(), context.consumers.end(), may_go_on);
        // Lazy projections may consume the batch that this pass has closed.
        done->has_more = done->has_more || (options.serves_lazy && !catches_up);
        done->due_at = schedule_.next_due(context.consumers, progress.events_read() + done->events);
        return *done;
    }
    pass.has_more = false;
    pass.due_at = schedule_.next_due(context.consumers, progress.events_read());
    pass.has_open_batch = has_open_batch(progress);
    return pass;
}

Pass Applier::run_as_owner(const PassOptions& options) {
    PassContext context{};
    context.here = runtime::current_place();
    context.is_careful = is_careful_;
    report_ = {};
    report_.committed_before = runtime::committed_events();
    report_.begun_at = runtime::steady_time();
    postgres::guarded([&context] {
        context.taken_at = GetCurrentTimestamp();
        postgres::push_snapshot_of_now();
        context.snapshot = GetActiveSnapshot();
    });
    context.present = feed::snapshot_of(context.snapshot);
    Pass pass = make_pass(feed::read_progress(context.snapshot), context, options);
    postgres::guarded([] { PopActiveSnapshot(); });
    return pass;
}

Pass Applier::run(const PassOptions& options) {
    has_begun_ = false;
    const bool is_there = postgres::guarded([] {
        if (!hold_extension()) return false;
        take_apply_lock();
        return true;
    });
    if (!is_there) {
        memory_.release();
        Pass pass;
        pass.outcome = PassOutcome::kAbsent;
        return pass;
    }
    const runtime::Installed installed = runtime::installed();
    forget_other_installation(installed.event);
    postgres::AsOwner as_owner(installed.owner);
    if (options.lock_timeout > 0) as_owner.set("lock_timeout", std::to_string(options.lock_timeout).c_str());
    hold_tables();
    const runtime::PassScope scope;
    Pass pass = run_as_owner(options);
    if (report_.has_read_on || report_.measured) runtime::report_read_at_commit(report_);
    if (!pass.has_more) memory_.release();
    is_careful_ = false;
    return pass;
}

}  // namespace projection
