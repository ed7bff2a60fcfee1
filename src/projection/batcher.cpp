// Reads a window of an epoch, and writes what came of it.
#include "projection/target.hpp"  // before the server's headers, as fold.hpp

#include "projection/batcher.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "feed/batch.hpp"
#include "feed/cursor.hpp"
#include "feed/position.hpp"
#include "feed/reach.hpp"
#include "model/batch_number.hpp"
#include "postgres/error.hpp"
#include "postgres/injection_point.hpp"
#include "projection/notification.hpp"
#include "projection/parking.hpp"
#include "projection/slices.hpp"
#include "runtime/wake.hpp"

namespace projection {
namespace {

using feed::BatcherState;
using feed::Cursor;
using feed::EpochProgress;
using feed::Progress;

// Is more than one epoch not read to its end? Then no batch stays open, because a projection that leaves the others gets only
// one number.
bool has_several_to_read(const Progress& progress) noexcept {
    return std::count_if(progress.epochs.begin(), progress.epochs.end(),
                         [](const EpochProgress& each) { return !each.batcher.drained; }) > 1;
}

// Where the batcher's window in an epoch ends.
struct FarEnd {
    model::Snapshot snapshot;
    bool drains;  // nothing of the epoch comes after it
};

FarEnd far_end_of(const Progress& progress, std::size_t epoch, const PassContext& context) {
    if (!progress.epochs[epoch].is_local(context.here)) return {feed::everything(), true};
    for (std::size_t later = epoch + 1; later < progress.epochs.size(); ++later) {
        if (!progress.epochs[later].is_local(context.here)) continue;
        const model::Xid opening = progress.epochs[later].opened_xid;
        return {feed::truncated(context.present, opening), context.present.xmin > opening};
    }
    return {context.present, false};
}

// Opens the targets of the projections that follow. Returns the names of those that this pass does not serve.
std::vector<std::string> open_targets(Targets& targets, const PassContext& context, const Schedule& schedule, Pass& pass) {
    std::vector<std::string> left_out;
    for (const Consumer& each : context.consumers) {
        if (!each.follows()) continue;
        if (schedule.is_left_out(each) || each.is_lazy())
            left_out.push_back(each.name);
        else
            attempt(context, each.name, pass,
                    [&] { targets.open(*each.definition, each.cursor.generation, context.snapshot); });
    }
    return left_out;
}

void write_targets(const Targets& targets, const feed::Reach& reach, const Progress& progress, const PassContext& context,
                   Pass& pass) {
    targets.for_each(reach, context.snapshot, [&](const Target& target, auto&& write) {
        Cursor cursor = progress.cursor_of(target.projection());
        const bool is_written = attempt(context, target.projection(), pass, [&] {
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

// The open batch of an epoch. Closing it writes a row of telemetry.batch, and moves the batcher's state on.
class OpenBatch {
public:
    OpenBatch(const Progress& progress, const EpochProgress& epoch, BatcherState& state, const PassContext& context, Pass& pass)
        : newest_epoch_(progress.epochs.back().epoch),
          epoch_(epoch.epoch),
          last_batch_(progress.last_batch()),
          state_(state),
          context_(context),
          pass_(pass) {}

    // The batch ends at `to`, which covers every reading that was committed before `as_of`. It has so many events.
    void close(const model::Position& to, model::Micros as_of, std::int64_t events) {
        const feed::Batch batch{.batch_id = model::next_batch(last_batch_, newest_epoch_),
                                .epoch = epoch_,
                                .from = state_.batched_to,
                                .to = to,
                                .events = events,
                                .created_at = context_.taken_at};
        std::string notification = notification_of(batch, context_.snapshot);
        feed::write_batch(batch, context_.snapshot);
        if (!notification.empty()) pass_.notifications.push_back(std::move(notification));
        last_batch_ = state_.last_batch = batch.batch_id;
        state_.batched_to = to;
        state_.batched_as_of = as_of;
        state_.open_events -= events;
    }

    model::BatchId last_batch() const noexcept { return last_batch_; }

private:
    model::Epoch newest_epoch_, epoch_;
    model::BatchId last_batch_;
    BatcherState& state_;
    const PassContext& context_;
    Pass& pass_;
};

// These projections have consumed what was read before the pass, and nothing of what it reads.
void part_from(const std::vector<std::string>& leaving, model::BatchId last_batch, const BatcherState& before,
               const Progress& progress) {
    for (const std::string& each : leaving) {
        Cursor cursor = progress.cursor_of(each);
        // One without a row has consumed nothing, and needs none now.
        if (!cursor.is_stored) continue;
        cursor.place = Cursor::Place::kBatch;
        cursor.batch = last_batch;
        cursor.events = progress.events_read();
        cursor.as_of = before.as_of;
        feed::write_cursor(each, cursor);
    }
}

}  // namespace

model::Position Batcher::where_to_begin(const EpochProgress& epoch) const {
    for (const SeenEmpty& seen : seen_empty_)
        if (seen.epoch == epoch.epoch && seen.read_to == epoch.batcher.read_to) return model::position_at(seen.far_end);
    return epoch.batcher.read_to;
}

void Batcher::remember_empty(const EpochProgress& epoch, const model::Snapshot& far_end) {
    std::erase_if(seen_empty_, [&epoch](const SeenEmpty& seen) { return seen.epoch == epoch.epoch; });
    seen_empty_.push_back({epoch.epoch, epoch.batcher.read_to, far_end});
}

std::optional<Pass> Batcher::read_epoch(const Progress& progress, std::size_t number, const PassContext& context,
                                        const PassOptions& options, const Schedule& schedule,
                                        std::pmr::memory_resource& memory) {
    const EpochProgress& epoch = progress.epochs[number];
    const BatcherState& before = epoch.batcher;
    const FarEnd far_end = far_end_of(progress, number, context);
    const model::Position from = where_to_begin(epoch);

    Pass pass;
    Targets targets(&memory);
    std::vector<std::string> leaving = open_targets(targets, context, schedule, pass);
    ReadSlices read = read_slices(model::window_between(from, far_end.snapshot), epoch.epoch, context.snapshot,
                                  before.open_events, options.slice, targets);

    const std::int64_t events = read.events();
    const bool becomes_drained = read.is_complete && far_end.drains;
    const bool is_full = !read.full.empty() || before.open_events >= options.slice;
    const bool wants_batch = options.with_batches && !schedule.is_suspended(kBatches);
    const bool must_batch = (becomes_drained || is_full || has_several_to_read(progress)) && before.open_events + events > 0;
    const bool has_moved = events > 0 || !read.is_complete || becomes_drained;
    if (!has_moved && !(before.open_events > 0 && (wants_batch || must_batch))) {
        remember_empty(epoch, far_end.snapshot);
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
    if (read.rest.events == 0 && !read.full.empty()) read.full.pop_back();

    feed::Reach reach;
    if (targets.keep_counters()) {
        reach = feed::Reach(progress, Cursor{}, context.snapshot);
        reach.set(epoch.epoch, now.position());
    }
    write_targets(targets, reach, progress, context, pass);
    for (const ConsumerFailure& failure : pass.failures) leaving.push_back(failure.consumer);

    OpenBatch batch(progress, epoch, now, context, pass);
    std::int64_t open_before = before.open_events;
    if (!leaving.empty() && events > 0) {
        // The projections that leave have consumed the open batch up to here, so it ends here.
        if (open_before > 0) batch.close(before.read_to, before.as_of, std::exchange(open_before, 0));
        part_from(leaving, batch.last_batch(), before, progress);
    }
    for (const Stretch& each : read.full) batch.close(end_of(each), before.as_of, std::exchange(open_before, 0) + each.events);
    const auto close_rest = [&] { batch.close(now.read_to, now.as_of, now.open_events); };
    bool is_closed = must_batch;
    if (must_batch)
        close_rest();
    else if (wants_batch && now.open_events > 0)
        is_closed = attempt(context, kBatches, pass, close_rest);
    if (is_closed) pass.succeeded.emplace_back(kBatches);
    feed::write_batcher(epoch.epoch, before, now, context.snapshot);
    runtime::wake_at_commit(runtime::Role::kRelay);
    runtime::wake_at_commit(runtime::Role::kHttp);

    pass.has_open_batch = now.open_events > 0;
    pass.has_more = !read.is_complete || number + 1 < progress.epochs.size();
    return pass;
}

std::optional<Batcher::Reading> Batcher::read_on(const Progress& progress, const PassContext& context,
                                                 const PassOptions& options, const Schedule& schedule,
                                                 std::pmr::memory_resource& memory) {
    for (std::size_t number = 0; number < progress.epochs.size(); ++number) {
        const BatcherState& before = progress.epochs[number].batcher;
        if (before.drained) continue;
        if (auto pass = read_epoch(progress, number, context, options, schedule, memory))
            return Reading{*std::move(pass), number + 1 == progress.epochs.size() && !before.tid};
    }
    return std::nullopt;
}

}  // namespace projection
