// Chooses and performs passes.
#include "projection/fold.hpp"  // before the server's headers: Boost cannot be compiled after them

#include "projection/applier.hpp"

#include <algorithm>
#include <tuple>

#include "error_codes.hpp"
#include "event_log/batch.hpp"
#include "event_log/epoch.hpp"
#include "event_log/position.hpp"
#include "model/batch_number.hpp"
#include "postgres/as_owner.hpp"
#include "postgres/catalog.hpp"
#include "postgres/error.hpp"
#include "postgres/injection_point.hpp"
#include "postgres/key_lookup.hpp"
#include "postgres/transaction.hpp"
#include "projection/failure.hpp"
#include "projection/locks.hpp"
#include "projection/notification.hpp"
#include "projection/triggers.hpp"
#include "read_model/state_tables.hpp"
#include "runtime/installed.hpp"
#include "runtime/own_tables.hpp"
#include "runtime/wake.hpp"

#include "postgres/pg.hpp"

namespace projection {
namespace {

using event_log::Checkpoint;
using event_log::Consumer;
using event_log::EpochProgress;
using event_log::kConsumers;

// A pass keeps its deltas in memory until it writes them, in less than 200 bytes each. So a slice ends at this many. Readings
// with many metrics reach it.
constexpr std::size_t kMostDeltas = 500000;

// The positions of one epoch are a chain: each covers all that those below it cover. This is the order of the chain.
bool is_behind(const model::Position& a, const model::Position& b) {
    const auto rank = [](const model::Position& position) {
        return std::tuple(position.snapshot.xmax, -static_cast<std::int64_t>(position.snapshot.in_progress.size()),
                          position.partial.has_value(), position.partial ? position.partial->event_id.value : 0);
    };
    return rank(a) < rank(b);
}

std::optional<model::Xid> next_local_opening(const std::vector<EpochProgress>& progress, std::size_t epoch,
                                             const runtime::LogPlace& here) {
    for (std::size_t i = epoch + 1; i < progress.size(); ++i)
        if (progress[i].is_local(here)) return progress[i].opened_xid;
    return std::nullopt;
}

model::BatchId last_batch(const std::vector<EpochProgress>& progress) {
    model::BatchId last{};
    for (const EpochProgress& epoch : progress)
        if (const auto& checkpoint = epoch.of(Consumer::kBatch)) last = std::max(last, checkpoint->last_batch);
    return last;
}

void refuse_mixed(const std::vector<EpochProgress>& progress) {
    for (const EpochProgress& each : progress)
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

// TC204 if something on a table would be bypassed. This comes before the pass reads what it could not write. The tables are
// locked.
void refuse_obstacles(bool with_batch, bool with_device, bool with_region) {
    postgres::guarded([=] {
        const auto refuse = [](const postgres::OwnTable& own) {
            Relation table = table_open(postgres::require_relation(own.name), RowExclusiveLock);
            postgres::refuse_native_obstacle(table, own);
            table_close(table, NoLock);
        };
        refuse(runtime::kCheckpointTable);
        if (with_batch) refuse(runtime::kBatchTable);
        if (with_device) refuse(runtime::kDeviceStateTable);
        if (with_device) refuse(runtime::kDeviceMetricStateTable);
        if (with_region) refuse(runtime::kRegionStateTable);
        if (with_region) refuse(runtime::kRegionMetricStateTable);
    });
}

}  // namespace

void Applier::suspend(Consumer consumer, bool is_suspended) noexcept {
    suspended_[static_cast<std::size_t>(consumer)] = is_suspended;
    may_have_failed_ = true;
}

bool Applier::is_served(Consumer consumer) const noexcept {
    return std::find(served_.begin(), served_.end(), consumer) != served_.end();
}

// A dropped log says nothing about its successor, so the applier forgets everything that it saw there.
void Applier::forget_other_installation(Oid log) {
    if (log_ == log) return;
    log_ = log;
    seen_empty_.clear();
}

std::optional<Applier::Task> Applier::choose(const std::vector<EpochProgress>& progress, std::size_t number,
                                             const PassContext& context) {
    const EpochProgress& epoch = progress[number];
    served_.clear();
    for (const Consumer consumer : kConsumers) {
        if (epoch.is_drained(consumer) || is_left_out(consumer)) continue;
        const model::Position position = epoch.position_of(consumer);
        if (!served_.empty() && is_behind(position, epoch.position_of(served_.front()))) served_.clear();
        if (served_.empty() || position == epoch.position_of(served_.front())) served_.push_back(consumer);
    }
    if (served_.empty()) return std::nullopt;

    Task task{.epoch = &epoch,
              .stored = epoch.position_of(served_.front()),
              .from = {},
              .far_end = {},
              .next_position = {},
              .next_checkpoint = {},
              .drains = false,
              .is_newest = number + 1 == progress.size(),
              .has_others_waiting = false};
    if (separate_passes_ > 0) {
        --separate_passes_;
        task.has_others_waiting = served_.size() > 1;
        served_.resize(1);
    }
    for (const Consumer consumer : kConsumers) {
        if (epoch.is_drained(consumer)) continue;
        const model::Position position = epoch.position_of(consumer);
        if (!is_behind(task.stored, position)) continue;
        task.has_others_waiting = true;
        if (task.next_position && !is_behind(position, *task.next_position)) continue;
        task.next_position = position;
        task.next_checkpoint = epoch.of(consumer);
    }
    task.from = task.stored;
    if (task.next_position) {
        // A position can cut only one transaction. So this pass goes up to the cut one, and the next pass reads its part.
        if (task.next_position->partial && task.stored.snapshot != task.next_position->snapshot) {
            task.next_position->partial.reset();
            task.next_checkpoint.reset();
        }
        task.far_end = task.next_position->snapshot;
        return task;
    }
    if (!epoch.is_local(context.here)) {
        task.far_end = event_log::everything();
        task.drains = true;
        return task;
    }
    task.far_end = context.present;
    if (const auto opening = next_local_opening(progress, number, context.here)) {
        task.far_end = event_log::truncated(context.present, *opening);
        task.drains = context.present.xmin > *opening;
    }
    for (const SeenEmpty& seen : seen_empty_)
        if (seen.epoch == epoch.epoch && seen.stored == task.stored) task.from = model::position_at(seen.far_end);
    return task;
}

std::optional<Pass> Applier::perform(const Task& task, const std::vector<EpochProgress>& progress, const PassContext& context,
                                     const PassOptions& options) {
    const model::Window window = task.next_position ? model::window_between(task.from, *task.next_position)
                                                    : model::window_between(task.from, task.far_end);
    const bool with_batch = is_served(Consumer::kBatch), with_device = is_served(Consumer::kDevice),
               with_region = is_served(Consumer::kRegion);
    refuse_obstacles(with_batch, with_device, with_region);
    event_log::WindowReader reader(window, task.epoch->epoch, context.snapshot);

    Fold devices(Grain::kDevice), regions(Grain::kRegion);
    const model::BatchId batch_id = model::next_batch(last_batch(progress), progress.back().epoch);
    Pass pass;
    std::int64_t rows = 0;
    while (rows < options.slice && devices.size() + regions.size() < kMostDeltas) {
        const event_log::Block block = reader.read(options.slice - rows);
        if (block.rows == 0) break;
        rows += block.rows;
        pass.events += block.events;
        if (with_device) devices.add(block.readings);
        if (with_region) regions.add(block.readings);
        // Readings that fit into a notification fit into a block, so only the first block is worth a try.
        if (with_batch && pass.events > 0 && reader.at_end() && rows == block.rows)
            pass.notification = notification_of(batch_id, task.epoch->epoch, pass.events, block.readings);
    }
    const bool is_complete = reader.at_end();
    const auto last_row = reader.last_row();
    const bool is_whole = reader.is_at_transaction_end();
    reader.close();

    const bool becomes_drained = is_complete && task.drains;
    if (pass.events == 0 && is_complete && !task.next_position && !becomes_drained) {
        std::erase_if(seen_empty_, [&](const SeenEmpty& seen) { return seen.epoch == task.epoch->epoch; });
        seen_empty_.push_back({task.epoch->epoch, task.stored, task.far_end});
        return std::nullopt;
    }

    Checkpoint reached;
    if (is_complete && task.next_position)
        reached.position = *task.next_position;
    else if (is_complete && task.epoch->is_local(context.here))
        reached.position = model::position_at(task.far_end);
    else if (!last_row)
        reached.position = task.stored;
    else if (task.next_position && task.from.snapshot == task.next_position->snapshot)
        reached.position = {.snapshot = task.next_position->snapshot, .partial = last_row};
    else
        reached.position = model::position_after(task.from, task.far_end, *last_row, is_whole);

    read_model::add_groups(read_model::kDeviceGroups, devices.groups(), context.snapshot);
    read_model::add_metrics(runtime::kDeviceMetricStateTable, devices.metrics(), context.snapshot);
    read_model::add_groups(read_model::kRegionGroups, regions.groups(), context.snapshot);
    read_model::add_metrics(runtime::kRegionMetricStateTable, regions.metrics(), context.snapshot);
    TELEMETRY_INJECTION_POINT("state_written");

    if (with_batch && pass.events > 0) {
        event_log::write_batch({.batch_id = batch_id,
                                .epoch = task.epoch->epoch,
                                .from = task.stored,
                                .to = reached.position,
                                .events = pass.events,
                                .created_at = context.taken_at},
                               context.snapshot);
        pass.batch = batch_id;
        if (pass.notification.empty()) pass.notification = notification_of(batch_id, task.epoch->epoch, pass.events, {});
    }

    std::vector<event_log::CheckpointMove> moves;
    for (const Consumer consumer : served_) {
        const auto& before = task.epoch->of(consumer);
        const auto& batches = task.epoch->of(Consumer::kBatch);
        Checkpoint to = reached;
        to.drained = becomes_drained;
        to.applied = (before ? before->applied : 0) + pass.events;
        to.as_of = before ? before->as_of : task.epoch->opened_at;
        if (is_complete && !task.next_position) to.as_of = context.taken_at;
        if (is_complete && task.next_checkpoint) to.as_of = task.next_checkpoint->as_of;
        to.last_batch = before ? before->last_batch : model::BatchId{};
        if (pass.batch) to.last_batch = batch_id;
        if (!with_batch && batches && !is_behind(reached.position, batches->position)) to.last_batch = batches->last_batch;
        // Numbers of batches go on through all epochs, so the first checkpoint of an epoch begins where the last one ended.
        if (with_batch && !before && !pass.batch) to.last_batch = last_batch(progress);
        moves.push_back({consumer, task.epoch->epoch, before, to});
    }
    // If the list of batches has caught up with a consumer, that consumer has passed this batch, too.
    for (const Consumer consumer : kConsumers) {
        const auto& before = task.epoch->of(consumer);
        if (!pass.batch || !before || is_served(consumer) || before->position != reached.position) continue;
        Checkpoint to = *before;
        to.last_batch = batch_id;
        moves.push_back({consumer, task.epoch->epoch, before, to});
    }
    event_log::write_checkpoints(moves, context.snapshot);
    if (may_have_failed_) may_have_failed_ = clear_failures(served_, context.snapshot);
    TELEMETRY_INJECTION_POINT("pass_written");

    for (const Consumer consumer : served_) runtime::tell_waiters_at_commit(event_log::number_of(consumer));
    mend_triggers_of_new_epoch(task);
    pass.outcome = PassOutcome::kApplied;
    pass.has_more = !is_complete || task.has_others_waiting || !task.is_newest;
    // While projections are paused, consumers ahead of the list may stand at several positions. This pass reached only the
    // next one.
    const auto is_ahead = [&](Consumer consumer) {
        return !task.epoch->is_drained(consumer) && is_behind(reached.position, task.epoch->position_of(consumer));
    };
    pass.owes_batches =
        with_batch ? !is_complete || !task.is_newest || std::ranges::any_of(kConsumers, is_ahead) : pass.events > 0;
    return pass;
}

// The pass does this last, because its locks keep writers waiting until the commit.
void Applier::mend_triggers_of_new_epoch(const Task& task) {
    constexpr int kAttempts = 10;
    const auto& checkpoints = task.epoch->checkpoints;
    const bool is_first_pass =
        std::none_of(checkpoints.begin(), checkpoints.end(), [](const auto& each) { return each.has_value(); });
    if (is_first_pass && task.is_newest) attempts_to_mend_ = kAttempts;
    if (attempts_to_mend_ > 0) attempts_to_mend_ = mend_triggers() ? 0 : attempts_to_mend_ - 1;
}

Pass Applier::run_as_owner(const PassOptions& options) {
    PassContext context{};
    context.here = runtime::current_place();
    postgres::guarded([&context] {
        context.taken_at = GetCurrentTimestamp();
        postgres::push_snapshot_of_now();
        context.snapshot = GetActiveSnapshot();
    });
    Pass pass;
    const std::vector<EpochProgress> progress = event_log::read_progress(context.snapshot);
    refuse_mixed(progress);
    if (progress.empty() || !progress.back().is_local(context.here)) {
        pass.outcome = PassOutcome::kUnopened;
    } else if (progress.back().place.timeline != context.here.timeline) {
        // A standby was promoted, or the log was recovered to an earlier moment. It may have lost batches, and their numbers
        // must not come again. So this place opens an epoch of its own before it writes a batch.
        event_log::open_for_writing();
        pass.outcome = PassOutcome::kApplied;
        pass.has_more = true;
    } else {
        context.present = event_log::snapshot_of(context.snapshot);
        paused_ = paused_consumers(context.snapshot);
        // If every consumer is left out, the pass does not read the log, and the list of batches may be behind.
        pass.owes_batches = std::ranges::all_of(kConsumers, [this](Consumer consumer) { return is_left_out(consumer); });
        for (std::size_t epoch = 0; epoch < progress.size(); ++epoch) {
            const auto task = choose(progress, epoch, context);
            if (!task) continue;
            if (const auto done = perform(*task, progress, context, options)) {
                pass = *done;
                break;
            }
        }
    }
    postgres::guarded([] { PopActiveSnapshot(); });
    return pass;
}

Pass Applier::run(const PassOptions& options) {
    served_.clear();
    with_batches_ = options.with_batches;
    const bool is_there = postgres::guarded([] {
        if (!hold_extension()) return false;
        take_apply_lock();
        return true;
    });
    if (!is_there) {
        Pass pass;
        pass.outcome = PassOutcome::kAbsent;
        return pass;
    }
    const runtime::Installed installed = runtime::installed();
    forget_other_installation(installed.event);
    postgres::AsOwner as_owner(installed.owner);
    if (options.lock_timeout > 0) as_owner.set("lock_timeout", std::to_string(options.lock_timeout).c_str());
    hold_tables();
    return run_as_owner(options);
}

}  // namespace projection
