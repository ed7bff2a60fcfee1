// Chooses and performs passes.
#include "projection/target.hpp"  // before the server's headers, as fold.hpp

#include "projection/applier.hpp"

#include <algorithm>
#include <utility>

#include "error_codes.hpp"
#include "event_log/epoch.hpp"
#include "feed/covering.hpp"
#include "feed/position.hpp"
#include "model/batch_number.hpp"
#include "postgres/as_owner.hpp"
#include "postgres/catalog.hpp"
#include "postgres/error.hpp"
#include "postgres/injection_point.hpp"
#include "postgres/subtransaction.hpp"
#include "postgres/transaction.hpp"
#include "projection/baseline.hpp"
#include "projection/catch_up.hpp"
#include "projection/consumer.hpp"
#include "projection/failure.hpp"
#include "projection/handler.hpp"
#include "projection/locks.hpp"
#include "projection/notification.hpp"
#include "projection/parked_events.hpp"
#include "projection/parking.hpp"
#include "projection/slices.hpp"
#include "projection/triggers.hpp"
#include "read_model/registry.hpp"
#include "runtime/installed.hpp"
#include "runtime/own_tables.hpp"
#include "runtime/pass_scope.hpp"
#include "runtime/wake.hpp"

#include "postgres/pg.hpp"

namespace projection {
namespace {

using feed::BatcherState;
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

// TC204 if something on a table would be bypassed. This comes before the pass reads what it could not write. The table is
// locked.
void refuse_obstacles(const postgres::OwnTable& own) {
    postgres::guarded([&own] {
        Relation table = table_open(postgres::require_relation(own.name), RowExclusiveLock);
        postgres::refuse_native_obstacle(table, own);
        table_close(table, NoLock);
    });
}

// Adds the batch to the list, and its notification to the pass.
void close_batch(const feed::Batch& batch, ::Snapshot snapshot, Pass& pass) {
    std::string notification = notification_of(batch, snapshot);
    feed::write_batch(batch, snapshot);
    if (!notification.empty()) pass.notifications.push_back(std::move(notification));
}

bool has_open_batch(const Progress& progress) noexcept {
    return std::any_of(progress.epochs.begin(), progress.epochs.end(),
                       [](const EpochProgress& each) { return each.batcher.open_events > 0; });
}

// Is more than one epoch not read to its end? Then no batch stays open, because a projection that leaves the others gets only
// one number.
bool has_several_to_read(const Progress& progress) noexcept {
    return std::count_if(progress.epochs.begin(), progress.epochs.end(),
                         [](const EpochProgress& each) { return !each.batcher.drained; }) > 1;
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

// Runs a step for one consumer. In a careful pass the failure of the step is that consumer's alone. False: it failed so.
template <typename Body>
bool Applier::attempt(std::string_view consumer, Pass& pass, Body&& body) {
    if (!is_careful_) {
        body();
        return true;
    }
    try {
        postgres::in_subtransaction(body);
        return true;
    } catch (const std::exception&) {
        if (is_interruption()) throw;
        pass.failures.push_back({std::string(consumer), std::current_exception()});
        return false;
    }
}

// A dropped log says nothing about its successor, so the applier forgets everything that it saw there.
void Applier::forget_other_installation(Oid log) {
    if (log_ == log) return;
    log_ = log;
    seen_empty_.clear();
}

void Applier::write_targets(const Targets& targets, const feed::Reach& reach, const Progress& progress, ::Snapshot snapshot,
                            Pass& pass) {
    targets.for_each(reach, snapshot, [&](const Target& target, auto&& write) {
        Cursor cursor = progress.cursor_of(target.projection());
        const bool is_written = attempt(target.projection(), pass, [&] {
            write();
            if (cursor.is_stored) return;
            cursor.generation = target.generation();
            feed::write_cursor(target.projection(), cursor);
        });
        if (is_written)
            pass.succeeded.push_back(target.projection());
        else
            pass.failures.back().parks = target.parks() && may_be_poison(pass.failures.back().cause);
    });
    TELEMETRY_INJECTION_POINT("state_written");
}

void Applier::finish(Pass& pass, ::Snapshot snapshot) {
    if (may_have_failed_) may_have_failed_ = clear_failures(pass.succeeded, snapshot);
    TELEMETRY_INJECTION_POINT("pass_written");
    for (const std::string& each : pass.succeeded) runtime::tell_waiters_at_commit(each);
    pass.outcome = PassOutcome::kApplied;
}

Applier::FarEnd Applier::far_end_of(const Progress& progress, std::size_t epoch, const PassContext& context) {
    if (!progress.epochs[epoch].is_local(context.here)) return {feed::everything(), true};
    for (std::size_t later = epoch + 1; later < progress.epochs.size(); ++later) {
        if (!progress.epochs[later].is_local(context.here)) continue;
        const model::Xid opening = progress.epochs[later].opened_xid;
        return {feed::truncated(context.present, opening), context.present.xmin > opening};
    }
    return {context.present, false};
}

// Reads on in an epoch, for the list of batches and for the projections that follow. Nothing: there was nothing to do.
std::optional<Pass> Applier::read_epoch(const Progress& progress, std::size_t number, const PassContext& context,
                                        const PassOptions& options) {
    const EpochProgress& epoch = progress.epochs[number];
    const BatcherState& before = epoch.batcher;
    const FarEnd far_end = far_end_of(progress, number, context);
    model::Position from = before.read_to;
    for (const SeenEmpty& seen : seen_empty_)
        if (seen.epoch == epoch.epoch && seen.read_to == before.read_to) from = model::position_at(seen.far_end);

    Pass pass;
    refuse_obstacles(runtime::kBatcherTable);
    std::vector<std::string> leaving;
    Targets targets(&memory_);
    for (const Consumer& each : context.consumers) {
        if (!each.follows()) continue;
        if (schedule_.is_left_out(each) || each.is_lazy())
            leaving.push_back(each.name);
        else
            attempt(each.name, pass, [&] { targets.open(*each.definition, each.cursor.generation, context.snapshot); });
    }
    ReadSlices read = read_slices(model::window_between(from, far_end.snapshot), epoch.epoch, context.snapshot,
                                  before.open_events, options.slice, targets);

    const std::int64_t events = read.events();
    const bool becomes_drained = read.is_complete && far_end.drains;
    const bool is_full = !read.full.empty() || before.open_events >= options.slice;
    const bool wants_batch = options.with_batches && !schedule_.is_suspended(kBatches);
    const bool must_batch = (becomes_drained || is_full || has_several_to_read(progress)) && before.open_events + events > 0;
    const bool has_moved = events > 0 || !read.is_complete || becomes_drained;
    if (!has_moved && !(before.open_events > 0 && (wants_batch || must_batch))) {
        std::erase_if(seen_empty_, [&](const SeenEmpty& seen) { return seen.epoch == epoch.epoch; });
        seen_empty_.push_back({epoch.epoch, before.read_to, far_end.snapshot});
        return std::nullopt;
    }

    const auto end_of = [&](const Stretch& stretch) {
        return model::position_after(from, far_end.snapshot, *stretch.last_row, stretch.is_whole);
    };
    BatcherState now = before;
    if (read.is_complete && epoch.is_local(context.here))
        now.read_to = model::position_at(far_end.snapshot);
    else if (read.rest.last_row)
        now.read_to = end_of(read.rest);
    else if (!read.full.empty())
        now.read_to = end_of(read.full.back());
    now.events += events;
    now.open_events += events;
    now.drained = becomes_drained;
    if (read.is_complete) now.as_of = context.taken_at;
    pass.events = events;
    // If no event comes after the last full slice, the batch of that slice ends where the pass does.
    if (read.rest.events == 0 && !read.full.empty()) {
        read.rest = read.full.back();
        read.full.pop_back();
    }

    feed::Reach reach;
    if (targets.keep_counters()) {
        reach = feed::Reach(progress, Cursor{}, context.snapshot);
        reach.set(epoch.epoch, now.position());
    }
    write_targets(targets, reach, progress, context.snapshot, pass);
    for (const ConsumerFailure& failure : pass.failures) leaving.push_back(failure.consumer);

    model::BatchId last_batch = progress.last_batch();
    const auto close = [&](const model::Position& to, std::int64_t batch_events) {
        const feed::Batch batch{.batch_id = model::next_batch(last_batch, progress.epochs.back().epoch),
                                .epoch = epoch.epoch,
                                .from = now.batched_to,
                                .to = to,
                                .events = batch_events,
                                .created_at = context.taken_at};
        close_batch(batch, context.snapshot, pass);
        last_batch = batch.batch_id;
    };
    const auto has_closed = [&now](const model::Position& to, model::Micros as_of, std::int64_t batch_events) {
        now.batched_to = to;
        now.batched_as_of = as_of;
        now.open_events -= batch_events;
    };
    const bool parts = !leaving.empty() && events > 0;
    std::int64_t open_before = before.open_events;
    if (parts && open_before > 0) {
        // The projections that leave have consumed the open batch up to here, so it ends here.
        close(before.read_to, open_before);
        has_closed(before.read_to, before.as_of, std::exchange(open_before, 0));
    }
    for (const std::string& each : leaving) {
        Cursor cursor = progress.cursor_of(each);
        // One without a row has consumed nothing, and needs none now.
        if (!parts || !cursor.is_stored) continue;
        cursor.place = Cursor::Place::kBatch;
        cursor.batch = last_batch;
        cursor.events = progress.events_read();
        cursor.as_of = before.as_of;
        feed::write_cursor(each, cursor);
    }
    for (const Stretch& each : read.full) {
        const std::int64_t batch_events = std::exchange(open_before, 0) + each.events;
        close(end_of(each), batch_events);
        has_closed(end_of(each), before.as_of, batch_events);
    }
    const auto close_rest = [&] { close(now.read_to, now.open_events); };
    bool is_closed = false;
    if (must_batch) {
        close_rest();
        is_closed = true;
    } else if (wants_batch && now.open_events > 0) {
        is_closed = attempt(kBatches, pass, close_rest);
    }
    if (is_closed) {
        has_closed(now.read_to, now.as_of, now.open_events);
        pass.succeeded.emplace_back(kBatches);
    }
    if (last_batch != progress.last_batch()) now.last_batch = last_batch;
    feed::write_batcher(epoch.epoch, before, now, context.snapshot);

    finish(pass, context.snapshot);
    const bool is_newest = number + 1 == progress.epochs.size();
    mend_triggers_of_new_epoch(is_newest && !before.tid);
    pass.has_open_batch = now.open_events > 0;
    pass.has_more = !read.is_complete || !is_newest;
    return pass;
}

std::optional<Pass> Applier::read_on(const Progress& progress, const PassContext& context, const PassOptions& options) {
    for (std::size_t number = 0; number < progress.epochs.size(); ++number) {
        if (progress.epochs[number].batcher.drained) continue;
        if (auto pass = read_epoch(progress, number, context, options)) return pass;
    }
    return std::nullopt;
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
    bool is_done = attempt(served.front()->name, pass, [&] {
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
        is_done = attempt(served.front()->name, pass, [&] {
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
            const bool is_done = attempt(each->name, pass, [&] { has_tried = replay_some(*each, progress, context.snapshot); });
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
    registry_ = read_model::read_registry(context.snapshot);
    has_begun_ = true;
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
    if (!pass.has_more) memory_.release();
    is_careful_ = false;
    return pass;
}

}  // namespace projection
