// Adds deltas to a state table (telemetry.state_*). The caller holds the apply lock, and took it before it took `snapshot`.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "postgres/own_table.hpp"
#include "postgres/types.hpp"
#include "read_model/delta.hpp"
#include "summary/counter.hpp"

namespace read_model {

struct StateTable {
    std::string name;
    std::int32_t generation;  // the rows of this generation are read and written; 0: of one that no row has yet
    bool has_region;          // keeps the region of the last measured reading
    bool has_sketches;
    model::Micros bucket_width;  // 0: one bucket for all time
};

// A late reading of a counter can make a reset, or show that another one was none. So its bucket is counted again.
struct Recount {
    // P. Counts the resets of a device's metric in a bucket, of the values that the row has after this change. It runs SQL.
    // False: the log does not have exactly these values.
    bool (*count_again)(const void* context, std::string_view device, model::Micros bucket, std::string_view metric,
                        std::int64_t value_count, summary::Counter& counter);
    const void* context;
};

// Chooses a generation if there is none yet. TC204 if something on the table would be bypassed. The table is locked.
void open_state(StateTable& table, ::Snapshot snapshot);

// Reads and writes a row for each delta, and one more for each further part of its metrics. `deltas` are distinct and ascend by
// key (bytes), then by bucket. So the rows come in the order of the index, and writers of one table cannot wait for each other
// in a circle.
void add_deltas(const StateTable& table, std::span<const GroupDelta* const> deltas, const Recount& recount,
                ::Snapshot snapshot);

}  // namespace read_model
