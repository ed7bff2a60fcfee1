// Further metrics as the log keeps them: a jsonb object of numbers. This file is written wholly in P.
#pragma once

#include "model/reading.hpp"
#include "postgres/jsonb.hpp"

#include "postgres/pg.hpp"

namespace event_log {

using Metrics = postgres::Numbers<model::Metric>;

// P. `postgres::read_numbers` has the contract. Null: no metrics.
inline Metrics read_metrics(Jsonb* metrics) {
    return postgres::read_numbers<model::Metric>(metrics);
}

}  // namespace event_log
