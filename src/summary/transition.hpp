// The state of the aggregates summary(value, at), counter_summary(value, at) and merge(summary).
// This file is written wholly in P.
//
// A state lies in one memory context of the server, so that a hash aggregate sees how much memory its groups take. A state
// exists from the first value on.
#pragma once

#include "model/identifiers.hpp"
#include "postgres/types.hpp"
#include "summary/counter.hpp"
#include "summary/sketch.hpp"
#include "summary/statistics.hpp"

namespace summary {

struct Transition {
    Statistics statistics;
    bool has_sketch;  // false from the first summary without a sketch on
    Sketch sketch;
    bool is_counter;       // false from the first summary on that is of no counter
    CounterPiece* pieces;  // of a counter: they are put together at the end, because they come in any order
    std::uint32_t piece_count, piece_room;
};

// A state of nothing.
Transition* new_transition(MemoryContext memory);

// Adds a finite value; all values of a state are of a counter, or none is.
void add_value(Transition& state, double value, model::Micros at, bool is_counter);

// Adds a stored summary. TC302: it is corrupt.
void add_stored(Transition& state, Datum stored);

void add_transition(Transition& state, const Transition& from);

// The state as a stored summary, in the current memory context. The state has values.
Datum stored_transition(const Transition& state);

// The state as a bytea for another process, and such a state. TC302: the bytes are malformed.
Datum packed_transition(const Transition& state);
Transition* unpacked_transition(MemoryContext memory, Datum packed);

}  // namespace summary
