// Reads ids of events, and remembers which of them a handler gets.
#include "feed/selected_events.hpp"

#include <algorithm>

#include "event_log/window_reader.hpp"
#include "postgres/error.hpp"
#include "postgres/growing_array.hpp"
#include "postgres/memory.hpp"

#include "postgres/pg.hpp"

namespace feed {
namespace {

struct Selection {
    model::BatchId batch{};  // 0: no batch is restricted
    std::span<const model::EventId> events;
};
Selection selection;

using Ids = postgres::GrowingArray<model::EventId>;

// P.
Ids read_ids(const event_log::ScanPlan& plan, ::Snapshot snapshot) {
    Ids ids{};
    event_log::WindowScan scan;
    event_log::open_window(scan, plan, snapshot);
    for (; scan.current != nullptr; event_log::advance(scan)) {
        CHECK_FOR_INTERRUPTS();
        if (event_log::is_part_of_window(scan)) postgres::append(ids, model::EventId{scan.current->event_id});
    }
    event_log::close_window(scan);
    return ids;
}

}  // namespace

std::vector<model::EventId> event_ids_of(const Batch& batch, ::Snapshot snapshot) {
    const event_log::OwnedScanPlan plan(model::window_between(batch.from, batch.to), batch.epoch);
    const postgres::ScopedMemory memory("telemetry_cqrs event ids");
    const Ids ids = postgres::guarded([&memory, &plan, snapshot] {
        const MemoryContext caller = MemoryContextSwitchTo(memory.get());
        const Ids read = read_ids(plan.view(), snapshot);
        MemoryContextSwitchTo(caller);
        return read;
    });
    return {ids.begin(), ids.end()};
}

SelectedEvents::SelectedEvents(model::BatchId batch, std::span<const model::EventId> events) noexcept {
    selection = {batch, events};
}

SelectedEvents::~SelectedEvents() {
    selection = {};
}

bool is_selected(model::BatchId batch, std::int64_t event_id) noexcept {
    return selection.batch != batch ||
           std::binary_search(selection.events.begin(), selection.events.end(), model::EventId{event_id});
}

}  // namespace feed
