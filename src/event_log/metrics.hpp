// Further metrics as the log keeps them: a jsonb object of numbers. This file is written wholly in P.
#pragma once

#include "model/reading.hpp"
#include "postgres/pg.hpp"

namespace event_log {

enum class MetricsShape { kObjectOfNumbers, kNotAnObject, kNotANumber, kTooNearZero };

struct Metrics {
    MetricsShape shape;
    const char* offender;  // name of a member that gives the object its shape, zero-terminated; null otherwise
    model::Metric* items;  // in jsonb's order; members that are null are left out
    int count;
    int members;  // of the object, those that are null included
};

// Reads `metrics` (null: none), palloc'ing in the current context. Names point into `metrics`.
// A number beyond double precision comes out as infinity, one nearer to zero than it as zero.
Metrics read_metrics(Jsonb* metrics);

}  // namespace event_log
