// Makes room in the sketch before each change of it. This file is written wholly in P.
#include "summary/transition.hpp"

#include <algorithm>
#include <optional>
#include <string_view>

#include "error_codes.hpp"
#include "postgres/text.hpp"
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

// Takes the pieces of another state as well.
void add_pieces(Transition& state, const CounterPiece* pieces, std::uint32_t count) {
    const std::uint32_t needed = state.piece_count + count;
    if (needed > state.piece_room) {
        const std::uint32_t room = std::max(needed, 2 * state.piece_room);
        const std::size_t size = room * sizeof(CounterPiece);
        state.pieces =
            static_cast<CounterPiece*>(state.pieces == nullptr ? MemoryContextAllocHuge(GetMemoryChunkContext(&state), size)
                                                               : repalloc_huge(state.pieces, size));
        state.piece_room = room;
    }
    std::copy_n(pieces, count, state.pieces + state.piece_count);
    state.piece_count = needed;
}

// From now on the state is of no counter.
void drop_pieces(Transition& state) {
    if (state.pieces != nullptr) pfree(state.pieces);
    state.is_counter = false;
    state.pieces = nullptr;
    state.piece_count = state.piece_room = 0;
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
    *state = {};
    state->has_sketch = state->is_counter = true;
    state->sketch.bins = static_cast<Bin*>(MemoryContextAlloc(memory, kFirstRoom * sizeof(Bin)));
    state->sketch.room = kFirstRoom;
    return state;
}

void add_value(Transition& state, double value, model::Micros at, bool is_counter) {
    value += 0.0;  // as the statistics have it
    make_room(state.sketch, std::min(state.sketch.size + 1, kMaxRoomToAdd));
    add(state.sketch, value);
    add(state.statistics, value, at);
    state.is_counter = is_counter;
    if (!is_counter) return;
    const CounterPiece piece = {.first_value = value, .last_value = value, .first_at = at, .last_at = at, .counter = {}};
    add_pieces(state, &piece, 1);
}

void add_stored(Transition& state, Datum stored) {
    const FoundSummary found = find_summary(stored);
    if (!found.is_known || !is_consistent(found.statistics)) refuse_stored();
    if (found.is_counter && !is_consistent(found.statistics, found.counter)) refuse_stored();
    state.has_sketch = state.has_sketch && found.has_sketch;
    if (state.has_sketch) {
        auto* bins = static_cast<Bin*>(palloc(most_bins_in(found.sketch_bytes.size()) * sizeof(Bin)));
        const std::optional<std::uint32_t> size = read_bytes(found.sketch_bytes, bins);
        if (!size || !is_consistent(found.statistics, {bins, *size})) refuse_stored();
        merge_bins(state, {bins, *size});
        pfree(bins);
    }
    if (state.is_counter && found.is_counter) {
        const CounterPiece piece = piece_of(found.statistics, found.counter);
        add_pieces(state, &piece, 1);
    } else {
        drop_pieces(state);
    }
    merge(state.statistics, found.statistics);
}

void add_transition(Transition& state, const Transition& from) {
    state.has_sketch = state.has_sketch && from.has_sketch;
    if (state.has_sketch) merge_bins(state, bins_of(from.sketch));
    if (state.is_counter && from.is_counter)
        add_pieces(state, from.pieces, from.piece_count);
    else
        drop_pieces(state);
    merge(state.statistics, from.statistics);
}

Datum stored_transition(const Transition& state) {
    const std::span<const Bin> bins = bins_of(state.sketch);
    Counter counter;
    if (state.is_counter) counter = joined({state.pieces, state.piece_count});
    return new_stored({state.statistics, state.is_counter ? &counter : nullptr, state.has_sketch ? &bins : nullptr});
}

// A packed state has the number of its pieces, the pieces, and a stored summary that is of no counter.
Datum packed_transition(const Transition& state) {
    const std::span<const Bin> bins = bins_of(state.sketch);
    const std::string_view stored =
        postgres::view_of(new_stored({state.statistics, nullptr, state.has_sketch ? &bins : nullptr}));
    const std::size_t pieces_size = sizeof(CounterPiece) * state.piece_count;
    const std::size_t size = VARHDRSZ + sizeof state.piece_count + pieces_size + stored.size();
    if (!AllocSizeIsValid(size))
        ereport(ERROR,
                (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("too many values of a counter for a parallel aggregate"),
                 errdetail("They are %u.", state.piece_count), errhint("SET max_parallel_workers_per_gather = 0.")));
    auto* packed = static_cast<char*>(palloc(size));
    SET_VARSIZE(packed, size);
    char* out = VARDATA(packed);
    memcpy(out, &state.piece_count, sizeof state.piece_count);
    out += sizeof state.piece_count;
    if (pieces_size > 0) memcpy(out, state.pieces, pieces_size);
    memcpy(out + pieces_size, stored.data(), stored.size());
    return PointerGetDatum(packed);
}

Transition* unpacked_transition(MemoryContext memory, Datum packed) {
    Transition* state = new_transition(memory);
    const std::string_view bytes = postgres::view_of(packed);
    std::uint32_t count = 0;
    if (bytes.size() < sizeof count) refuse_stored();
    memcpy(&count, bytes.data(), sizeof count);
    const std::size_t pieces_size = sizeof(CounterPiece) * count;
    if (bytes.size() - sizeof count < pieces_size) refuse_stored();
    const std::string_view stored = bytes.substr(sizeof count + pieces_size);
    auto* summary = static_cast<char*>(palloc(VARHDRSZ + stored.size()));
    SET_VARSIZE(summary, VARHDRSZ + stored.size());
    memcpy(VARDATA(summary), stored.data(), stored.size());
    add_stored(*state, PointerGetDatum(summary));
    state->is_counter = count > 0;
    if (count == 0) return state;
    auto* pieces = static_cast<CounterPiece*>(MemoryContextAllocHuge(memory, pieces_size));
    memcpy(pieces, bytes.data() + sizeof count, pieces_size);
    state->pieces = pieces;
    state->piece_count = state->piece_room = count;
    return state;
}

}  // namespace summary
