// Further metrics as the log keeps them: a jsonb object of numbers. This file is written wholly in P.
#pragma once

#include <span>

#include "model/reading.hpp"
#include "postgres/jsonb.hpp"

#include "postgres/pg.hpp"

namespace event_log {

using Metrics = postgres::Numbers<model::Metric>;

// P. `postgres::read_numbers` has the contract. Null: no metrics.
inline Metrics read_metrics(Jsonb* metrics) {
    return postgres::read_numbers<model::Metric>(metrics);
}

// P. Makes the object of metrics that are not empty, in the current memory context.
inline Jsonb* jsonb_of(std::span<const model::Metric> metrics) {
    postgres::JsonbBuilder object{};
    postgres::open_object(object);
    for (const model::Metric& each : metrics) postgres::add_double(object, each.name, each.value);
    return postgres::finish_object(object);
}

}  // namespace event_log
