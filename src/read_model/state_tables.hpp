// Adds deltas to the tables of the read side. The caller holds the apply lock, and took it before it took `snapshot`.
#pragma once

#include <span>

#include "postgres/types.hpp"
#include "read_model/delta.hpp"
#include "runtime/own_tables.hpp"

namespace read_model {

struct GroupTable {
    const postgres::OwnTable& table;
    bool has_region;  // keeps the region of the last measured reading
};
inline constexpr GroupTable kDeviceGroups{runtime::kDeviceStateTable, true};
inline constexpr GroupTable kRegionGroups{runtime::kRegionStateTable, false};

// Both read and write one row for each delta. `deltas` are distinct and ascend by key (bytes). So the rows come in the order of
// the index, and writers of one table cannot wait for each other in a circle.
void add_groups(const GroupTable& table, std::span<const GroupDelta* const> deltas, ::Snapshot snapshot);
void add_metrics(const postgres::OwnTable& table, std::span<const MetricDelta* const> deltas, ::Snapshot snapshot);

}  // namespace read_model
