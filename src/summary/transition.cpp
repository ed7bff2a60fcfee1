// Makes room in the sketch before each change of it. This file is written wholly in P.
#include "summary/transition.hpp"

#include <algorithm>
#include <optional>

#include "error_codes.hpp"
#include "summary/sketch_bytes.hpp"
#include "summary/stored_summary.hpp"
#include "summary/summary.hpp"

#include "postgres/pg.hpp"

namespace summary {

namespace {

constexpr std::uint32_t kFirstRoom = 8;

void make_room(Sketch& sketch, std::uint32_t needed) {
    if (needed <= sketch.room) return;
    const std::uint32_t room = std::max(needed, 2 * sketch.room);
    sketch.bins = static_cast<Bin*>(repalloc(sketch.bins, room * sizeof(Bin)));
    sketch.room = room;
}

void merge_bins(Transition& state, std::span<const Bin> bins) {
    make_room(state.sketch, state.sketch.size + static_cast<std::uint32_t>(bins.size()));
    merge(state.sketch, bins);
}

[[noreturn]] void refuse_stored() {
    ereport(ERROR, (errcode(error_codes::kCorruptSummary), errmsg("corrupt telemetry.summary"),
                    errdetail("%s", kCorruptSummaryDetail), errhint("%s", kCorruptSummaryHint)));
}

}  // namespace

Transition* new_transition(MemoryContext memory) {
    auto* state = static_cast<Transition*>(MemoryContextAlloc(memory, sizeof(Transition)));
    *state = {.statistics = {}, .has_sketch = true, .sketch = {}};
    state->sketch.bins = static_cast<Bin*>(MemoryContextAlloc(memory, kFirstRoom * sizeof(Bin)));
    state->sketch.room = kFirstRoom;
    return state;
}

void add_value(Transition& state, double value, model::Micros at) {
    make_room(state.sketch, std::min(state.sketch.size + 1, kMaxRoomToAdd));
    add(state.sketch, value);
    add(state.statistics, value, at);
}

void add_stored(Transition& state, Datum stored) {
    const FoundSummary found = find_summary(stored);
    if (!found.is_known || !is_consistent(found.statistics)) refuse_stored();
    state.has_sketch = state.has_sketch && found.has_sketch;
    if (state.has_sketch) {
        auto* bins = static_cast<Bin*>(palloc(most_bins_in(found.sketch_bytes.size()) * sizeof(Bin)));
        const std::optional<std::uint32_t> size = read_bytes(found.sketch_bytes, bins);
        if (!size || !is_consistent(found.statistics, {bins, *size})) refuse_stored();
        merge_bins(state, {bins, *size});
        pfree(bins);
    }
    merge(state.statistics, found.statistics);
}

void add_transition(Transition& state, const Transition& from) {
    state.has_sketch = state.has_sketch && from.has_sketch;
    if (state.has_sketch) merge_bins(state, bins_of(from.sketch));
    merge(state.statistics, from.statistics);
}

Datum stored_transition(const Transition& state) {
    const std::span<const Bin> bins = bins_of(state.sketch);
    return new_stored(state.statistics, state.has_sketch ? &bins : nullptr);
}

}  // namespace summary
