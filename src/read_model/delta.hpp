// The changes that a pass makes to the read models: one delta for each row. Keys are views into memory that outlives the
// writing.
#pragma once

#include <cstdint>
#include <string_view>

#include "model/identifiers.hpp"
#include "summary/statistics.hpp"

namespace read_model {

// The delta of a device or a region: a row of telemetry.device_state or telemetry.region_state.
struct GroupDelta {
    std::string_view key;
    std::int64_t sample_count = 0;
    model::Micros first_seen = 0;  // measured_at of the first and the last measured reading
    model::Micros last_seen = 0;
    model::Micros last_received_at = 0;
    summary::Statistics temperature;
    summary::Statistics humidity;
    std::string_view region;  // of the reading at last_seen, of several the greatest; empty: none
};

// The delta of one metric: a row of telemetry.device_metric_state or telemetry.region_metric_state.
struct MetricDelta {
    std::string_view key;
    std::string_view metric;
    summary::Statistics summary;
};

}  // namespace read_model
