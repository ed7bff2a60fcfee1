// The state of the aggregates summary(value, at) and merge(summary). This file is written wholly in P.
//
// A state lies in one memory context of the server, so that a hash aggregate sees how much memory its groups take. A state
// exists from the first value on.
#pragma once

#include "model/identifiers.hpp"
#include "postgres/types.hpp"
#include "summary/sketch.hpp"
#include "summary/statistics.hpp"

namespace summary {

struct Transition {
    Statistics statistics;
    bool has_sketch;  // false from the first summary without a sketch on
    Sketch sketch;
};

// A state of nothing.
Transition* new_transition(MemoryContext memory);

// Adds a finite value.
void add_value(Transition& state, double value, model::Micros at);

// Adds a stored summary, or a state as stored_transition made it. TC302: it is corrupt.
void add_stored(Transition& state, Datum stored);

void add_transition(Transition& state, const Transition& from);

// The state as a stored summary, in the current memory context. The state has values.
Datum stored_transition(const Transition& state);

}  // namespace summary
