// Counts the tail.
#include "event_log/tail.hpp"

#include <algorithm>
#include <vector>

#include "event_log/position.hpp"
#include "event_log/window_reader.hpp"
#include "postgres/error.hpp"
#include "postgres/memory.hpp"
#include "runtime/installed.hpp"

#include "postgres/pg.hpp"

namespace event_log {
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
Counted count_rows(const ScanPlan& plan, ::Snapshot snapshot, bool stop_at_first) {
    Counted counted{};
    const std::uint64_t own = own_transaction();
    WindowScan scan;
    open_window(scan, plan, snapshot);
    for (; scan.current != nullptr; advance(scan)) {
        CHECK_FOR_INTERRUPTS();
        if (!is_part_of_window(scan) || scan.current->xid == own) continue;
        const TimestampTz received_at = DatumGetTimestampTz(value_of(scan, kReceivedAt));
        if (counted.events == 0 || received_at < counted.oldest_received_at) counted.oldest_received_at = received_at;
        ++counted.events;
        if (stop_at_first) break;
    }
    close_window(scan);
    return counted;
}

// Returns the far end of an epoch: where a later local epoch begins, or else after everything that `snapshot` shows.
model::Snapshot far_end_of(const std::vector<EpochProgress>& progress, std::size_t epoch, const runtime::LogPlace& here,
                           ::Snapshot snapshot, const model::Snapshot* far_end) {
    if (!progress[epoch].is_local(here)) return everything();
    for (std::size_t later = epoch + 1; later < progress.size(); ++later)
        if (progress[later].is_local(here)) return truncated(everything(), progress[later].opened_xid);
    return far_end != nullptr ? *far_end : everything_shown_by(snapshot);
}

}  // namespace

Tail measure_tail(Consumer consumer, ::Snapshot snapshot, bool stop_at_first, const model::Snapshot* far_end) {
    Tail tail;
    const runtime::LogPlace here = runtime::current_place();
    const std::vector<EpochProgress> progress = read_progress(snapshot);
    const postgres::ScopedMemory memory("telemetry_cqrs tail");
    for (std::size_t i = 0; i < progress.size(); ++i) {
        const EpochProgress& epoch = progress[i];
        if (const auto& checkpoint = epoch.of(consumer))
            tail.stored_as_of = std::max(tail.stored_as_of.value_or(checkpoint->as_of), checkpoint->as_of);
        if (epoch.is_drained(consumer)) continue;
        const OwnedScanPlan plan(
            model::window_between(epoch.position_of(consumer), far_end_of(progress, i, here, snapshot, far_end)), epoch.epoch);
        const Counted counted = postgres::guarded([&memory, &plan, snapshot, stop_at_first] {
            const MemoryContext caller = MemoryContextSwitchTo(memory.get());
            const Counted result = count_rows(plan.view(), snapshot, stop_at_first);
            MemoryContextSwitchTo(caller);
            return result;
        });
        if (counted.events == 0) continue;
        const auto& checkpoint = epoch.of(consumer);
        const model::Micros since = checkpoint ? checkpoint->as_of : epoch.opened_at;
        tail.behind_since = tail.events == 0 ? since : std::min(tail.behind_since, since);
        tail.oldest_received_at =
            std::min(tail.oldest_received_at.value_or(counted.oldest_received_at), counted.oldest_received_at);
        tail.events += counted.events;
        if (stop_at_first) break;
    }
    if (!progress.empty() && !progress.back().is_local(here)) tail.oldest_received_at.reset();
    return tail;
}

}  // namespace event_log
