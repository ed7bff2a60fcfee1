// Shows deltas as rows of a state table: what such a row has, and deltas as the result of an SQL function.
#pragma once

#include <cstddef>

#include "postgres/types.hpp"
#include "read_model/delta.hpp"

namespace read_model {

// The first two summaries of a row are those of temperature and humidity; metric_names begins after them.
enum FixedMetric { kTemperature, kHumidity, kFixedMetrics };

// P. The summary of a metric's values in a delta, in the current memory context.
Datum stored_values(const MetricDelta& delta, bool has_sketches);

// P. Puts a row for each delta into the result of an SQL function: key, bucket, sample_count, first_seen, last_seen,
// last_received_at, region, metric_names, summaries. A row has all metrics of its key.
void put_deltas(ReturnSetInfo* result, const GroupDelta* const* deltas, std::size_t count, bool has_sketches);

}  // namespace read_model
