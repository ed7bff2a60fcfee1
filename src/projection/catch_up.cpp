// Chooses batches, and folds and writes them.
#include "projection/target.hpp"  // before the server's headers, as fold.hpp

#include "projection/catch_up.hpp"

#include <limits>
#include <string>

#include "error_codes.hpp"
#include "event_log/window_reader.hpp"
#include "feed/batch.hpp"
#include "feed/reach.hpp"
#include "postgres/error.hpp"
#include "postgres/injection_point.hpp"
#include "postgres/transaction.hpp"
#include "postgres/types.hpp"
#include "projection/parked_events.hpp"

namespace projection {
namespace {

using feed::Cursor;
using Purpose = feed::Cursor::Purpose;
using feed::EpochProgress;
using feed::Progress;

// The batches that a projection reads next, and what lies open behind them if it fits.
struct CatchUp {
    std::optional<feed::BatchRun> run;
    const EpochProgress* open = nullptr;  // the epoch whose open batch it reads as well
    bool reaches_batcher = false;         // it has then consumed all that the batcher has read

    model::Epoch epoch() const noexcept { return run ? run->epoch : open->epoch; }
    model::Position from() const { return run ? run->from : open->batcher.batched_to; }
    model::Position to() const { return open != nullptr ? open->batcher.read_to : run->to; }
};

CatchUp next_batches(const Progress& progress, model::BatchId cursor, bool with_open_batch, std::int64_t most_events) {
    CatchUp next{.run = feed::batches_after(cursor, most_events)};
    if ((next.run && !next.run->is_newest) || !with_open_batch) return next;
    next.reaches_batcher = true;
    for (const EpochProgress& each : progress.epochs) {
        if (each.batcher.open_events == 0) continue;
        const bool fits =
            !next.run || (next.run->epoch == each.epoch && next.run->events + each.batcher.open_events <= most_events);
        // A second open batch is left from before its epoch ended. The next pass closes it.
        if (!fits || next.open != nullptr) return {.run = next.run};
        next.open = &each;
    }
    return next;
}

}  // namespace

std::optional<Consumed> consume_batches(const std::vector<const Consumer*>& served, const Progress& progress,
                                        ::Snapshot snapshot, std::int64_t most_events, std::pmr::memory_resource* memory) {
    Targets targets(memory);
    for (const Consumer* each : served) targets.open(*each->definition, each->cursor.generation, snapshot);
    const bool has_closed_only = served.front()->reads_closed_batches();
    const CatchUp next = next_batches(progress, served.front()->cursor.batch, !has_closed_only, most_events);
    if (!next.run && !next.reaches_batcher && !has_closed_only) return std::nullopt;
    Consumed consumed;
    feed::Reach reach;
    if (targets.keep_counters()) reach = feed::Reach(progress, served.front()->cursor, snapshot);
    if (next.run || next.open != nullptr) {
        // What is written before the window is read lacks some of these events. A bucket that has such is written again.
        reach.set(next.epoch(), next.to());
        event_log::WindowReader reader(model::window_between(next.from(), next.to()), next.epoch(), snapshot);
        for (;;) {
            const event_log::Block block = reader.read(std::numeric_limits<std::int64_t>::max());
            if (block.rows == 0) break;
            consumed.events += block.events;
            targets.add(block.given);
            // So the memory of a pass is bounded although a batch may have very many metrics.
            if (targets.are_full()) targets.spill(reach, snapshot);
        }
        reader.close();
    }
    const bool keeps_up = consumed.keeps_up = has_closed_only ? !next.run || next.run->is_newest : next.reaches_batcher;
    const std::int64_t events_there_are = progress.events_read() - (has_closed_only ? progress.open_events() : 0);
    auto consumer = served.begin();
    targets.for_each(reach, snapshot, [&](const Target& target, auto&& write) {
        write();
        const Consumer& each = **consumer++;
        Cursor to = each.cursor;
        to.generation = target.generation();
        to.events += consumed.events;
        if (next.run) to.batch = next.run->last;
        if (keeps_up && to.events != events_there_are)
            throw postgres::Error(error_codes::kLogWasAltered, "the log does not hold what the projector has read",
                                  "Projection " + each.name + " has consumed " + std::to_string(to.events) + " events of " +
                                      std::to_string(events_there_are) + ".",
                                  "Somebody deleted events, or changed rows of telemetry.batch, telemetry.batcher or "
                                  "telemetry.cursor.");
        const bool becomes_current = each.is(Purpose::kCurrent) || each.is(Purpose::kRebuild);
        if (keeps_up && becomes_current) {
            to.is_filled = true;
            to.purpose = Purpose::kCurrent;
            if (has_closed_only)
                to.as_of = progress.as_of(feed::kBatchList).value_or(to.as_of);
            else
                to.place = Cursor::Place::kBatcher;
        }
        if (keeps_up && each.is(Purpose::kRebuild)) {
            feed::write_new_current(each.projection(), to);
            forget_gone_generations(each.projection());
            consumed.has_replaced = true;
        } else {
            feed::write_cursor(each.projection(), to);
        }
    });
    TELEMETRY_INJECTION_POINT("state_written");
    return consumed;
}

feed::Cursor cursor_after(const feed::Batch& batch, const Consumer& consumer, const feed::Progress& progress) {
    Cursor to = consumer.cursor;
    to.batch = batch.batch_id;
    to.events += batch.events;
    if (consumer.is_lazy() && consumer.is(Purpose::kCurrent) && to.batch == progress.last_batch()) {
        to.is_filled = true;
        to.as_of = progress.as_of(feed::kBatchList).value_or(to.as_of);
    }
    return to;
}

}  // namespace projection
