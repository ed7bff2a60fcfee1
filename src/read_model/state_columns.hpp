// What a row of a state table (telemetry.state_*) has, in the order of its columns.
#pragma once

namespace read_model {

enum StateColumn {
    kGeneration,
    kKey,
    kBucket,
    kPart,
    kSampleCount,  // this column and those up to the region: in part 0 only
    kFirstSeen,
    kLastSeen,
    kLastReceivedAt,
    kRegion,
    kMetricNames,
    kSummaries
};
inline constexpr int kStateKeyColumns = 4;

// A row above 2 kB is compressed or goes into a TOAST table, and then costs several times as much to write. So a row has at
// most so many metrics. A sketch takes some hundred bytes.
inline constexpr int kMetricsInRow = 16;
inline constexpr int kSketchedMetricsInRow = 6;

}  // namespace read_model
