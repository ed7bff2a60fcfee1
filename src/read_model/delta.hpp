// The changes that a pass makes to a read model: one delta for each key and bucket. Texts and bins are views into memory that
// outlives the writing.
#pragma once

#include <cstdint>
#include <limits>
#include <string_view>

#include "model/identifiers.hpp"
#include "summary/counter.hpp"
#include "summary/sketch.hpp"
#include "summary/statistics.hpp"

namespace read_model {

// The bucket of a projection that has none.
inline constexpr model::Micros kAllTime = std::numeric_limits<model::Micros>::min();  // "-infinity"

// The values of a counter, which are put together when all have come.
struct CounterDelta {
    summary::Point* points;
    std::uint32_t size, room;
    summary::Counter counter;
};

// The values that came of one metric.
struct MetricDelta {
    summary::Statistics statistics;
    summary::Sketch sketch;  // empty where the projection keeps none
    CounterDelta* counter;   // null: it is no counter, or the projection keeps none
};

// The delta of a metric beside temperature and humidity.
struct NamedMetricDelta : MetricDelta {
    std::string_view name;
    NamedMetricDelta* next;  // of the same group
};

// The delta of a device or a region in a bucket.
struct GroupDelta {
    std::string_view key;  // device id or region; empty: readings without a region
    model::Micros bucket;  // where it begins
    std::int64_t sample_count;
    model::Micros first_seen;  // measured_at of the first and the last measured reading
    model::Micros last_seen;
    model::Micros last_received_at;
    std::string_view region;  // of a device: that of the reading at last_seen, of several the greatest; empty: none
    MetricDelta temperature;
    MetricDelta humidity;
    NamedMetricDelta* further;  // each name once; null: none
};

}  // namespace read_model
