// Counts the tail.
#include "feed/tail.hpp"

#include <algorithm>
#include <vector>

#include "event_log/window_reader.hpp"
#include "feed/batch.hpp"
#include "feed/position.hpp"
#include "feed/progress.hpp"
#include "postgres/error.hpp"
#include "postgres/memory.hpp"
#include "runtime/installed.hpp"

#include "postgres/pg.hpp"

namespace feed {
namespace {

struct Counted {
    std::int64_t events;
    TimestampTz oldest_received_at;
};

// P. 0: the transaction has no number.
std::uint64_t own_transaction() {
    const FullTransactionId xid = GetTopFullTransactionIdIfAny();
    return FullTransactionIdIsValid(xid) ? U64FromFullTransactionId(xid) : 0;
}

// P.
Counted count_rows(const event_log::ScanPlan& plan, ::Snapshot snapshot, bool stop_at_first) {
    Counted counted{};
    const std::uint64_t own = own_transaction();
    event_log::WindowScan scan;
    event_log::open_window(scan, plan, snapshot);
    for (; scan.current != nullptr; event_log::advance(scan)) {
        CHECK_FOR_INTERRUPTS();
        if (!event_log::is_part_of_window(scan) || scan.current->xid == own) continue;
        const TimestampTz received_at = DatumGetTimestampTz(event_log::value_of(scan, event_log::kReceivedAt));
        if (counted.events == 0 || received_at < counted.oldest_received_at) counted.oldest_received_at = received_at;
        ++counted.events;
        if (stop_at_first) break;
    }
    event_log::close_window(scan);
    return counted;
}

Counted count(const model::Window& window, model::Epoch epoch, ::Snapshot snapshot, bool stop_at_first) {
    const event_log::OwnedScanPlan plan(window, epoch);
    const postgres::ScopedMemory memory("telemetry_cqrs tail");
    return postgres::guarded([&memory, &plan, snapshot, stop_at_first] {
        const MemoryContext caller = MemoryContextSwitchTo(memory.get());
        const Counted result = count_rows(plan.view(), snapshot, stop_at_first);
        MemoryContextSwitchTo(caller);
        return result;
    });
}

// Returns the far end of an epoch: where a later local epoch begins, or else after everything that `snapshot` shows.
model::Snapshot far_end_of(const std::vector<EpochProgress>& epochs, std::size_t epoch, const runtime::LogPlace& here,
                           ::Snapshot snapshot, const model::Snapshot* far_end) {
    if (!epochs[epoch].is_local(here)) return everything();
    for (std::size_t later = epoch + 1; later < epochs.size(); ++later)
        if (epochs[later].is_local(here)) return truncated(everything(), epochs[later].opened_xid);
    return far_end != nullptr ? *far_end : everything_shown_by(snapshot);
}

// The far end after everything that `snapshot` shows, the caller's own transaction included.
model::Snapshot everything_seen_by(::Snapshot snapshot) {
    model::Snapshot seen = everything_shown_by(snapshot);
    const model::Xid own{postgres::guarded([] { return own_transaction(); })};
    if (own >= seen.xmax) seen.xmin = seen.xmax = model::Xid{own.value + 1};
    return seen;
}

// Calls body(epoch, counted) for each epoch in which events come after `position_in(epoch)`. If it returns false, that was the
// last call.
template <typename PositionIn, typename Body>
void for_each_waiting(const Progress& progress, ::Snapshot snapshot, bool stop_at_first, const model::Snapshot* far_end,
                      PositionIn&& position_in, Body&& body) {
    const runtime::LogPlace here = runtime::current_place();
    for (std::size_t i = 0; i < progress.epochs.size(); ++i) {
        const EpochProgress& epoch = progress.epochs[i];
        const std::optional<model::Position> from = position_in(epoch);
        if (!from) continue;
        const model::Window window = model::window_between(*from, far_end_of(progress.epochs, i, here, snapshot, far_end));
        const Counted counted = count(window, epoch.epoch, snapshot, stop_at_first);
        if (counted.events > 0 && !body(epoch, counted)) return;
    }
}

// Up to when the consumer is complete if the first event that waits is of this epoch.
model::Micros as_of_before(const EpochProgress& epoch, const Cursor& cursor) {
    if (cursor.is_behind()) return cursor.as_of;
    return cursor.place == Cursor::Place::kBatchList ? epoch.batcher.batched_as_of : epoch.batcher.as_of;
}

void add(Tail& tail, const Counted& counted) {
    tail.events += counted.events;
    tail.oldest_received_at =
        std::min(tail.oldest_received_at.value_or(counted.oldest_received_at), counted.oldest_received_at);
}

// Adds the events that the batcher has read and a projection that is behind has not consumed.
void add_read_events(Tail& tail, const Progress& progress, const Cursor& cursor, ::Snapshot snapshot) {
    const std::int64_t waiting = progress.events_read() - cursor.events;
    if (waiting == 0) return;
    if (const auto batch = find_batch_after(cursor.batch, snapshot)) {
        add(tail, count(model::window_between(batch->from, batch->to), batch->epoch, snapshot, true));
    } else {
        for (const EpochProgress& epoch : progress.epochs) {
            if (epoch.batcher.open_events == 0) continue;
            const model::Window open_batch = model::window_between(epoch.batcher.batched_to, epoch.batcher.read_to);
            add(tail, count(open_batch, epoch.epoch, snapshot, false));
        }
    }
    tail.events = waiting;
    tail.as_of = cursor.as_of;
}

}  // namespace

TailStart look_at_tail(const Progress& progress, const Cursor& cursor, ::Snapshot snapshot, const model::Snapshot* far_end) {
    TailStart tail{.has_events = false, .as_of = progress.as_of(cursor)};
    for_each_waiting(
        progress, snapshot, true, far_end, [&](const EpochProgress& epoch) { return position_in(epoch, cursor, snapshot); },
        [&](const EpochProgress& epoch, const Counted&) {
            tail = {.has_events = true, .as_of = as_of_before(epoch, cursor)};
            return false;
        });
    return tail;
}

Tail measure_tail(const Progress& progress, const Cursor& cursor, ::Snapshot snapshot) {
    Tail tail{.events = 0, .oldest_received_at = {}, .as_of = progress.as_of(cursor)};
    if (cursor.is_behind()) add_read_events(tail, progress, cursor, snapshot);
    // A projection that is behind also lacks the events that the batcher has not read.
    const Cursor from = cursor.is_behind() ? Cursor{} : cursor;
    for_each_waiting(
        progress, snapshot, false, nullptr, [&](const EpochProgress& epoch) { return position_in(epoch, from, snapshot); },
        [&](const EpochProgress& epoch, const Counted& counted) {
            if (tail.events == 0) tail.as_of = as_of_before(epoch, cursor);
            add(tail, counted);
            return true;
        });
    if (!progress.epochs.empty() && !progress.epochs.back().is_local(runtime::current_place())) tail.oldest_received_at.reset();
    return tail;
}

std::vector<TailWindow> tail_windows(const Progress& progress, const Cursor& cursor, ::Snapshot snapshot) {
    const runtime::LogPlace here = runtime::current_place();
    const model::Snapshot seen = everything_seen_by(snapshot);
    std::vector<TailWindow> windows;
    for (std::size_t i = 0; i < progress.epochs.size(); ++i) {
        const EpochProgress& epoch = progress.epochs[i];
        if (const std::optional<model::Position> from = position_in(epoch, cursor, snapshot))
            windows.push_back(
                {epoch.epoch, model::window_between(*from, far_end_of(progress.epochs, i, here, snapshot, &seen))});
    }
    return windows;
}

}  // namespace feed
