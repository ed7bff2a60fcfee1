// The tables that the extension writes, how it writes them, and the columns that its native writes know.
#pragma once

#include <span>

#include "postgres/own_table.hpp"

namespace runtime {

extern const postgres::OwnTable kDeviceTable, kMetricTable, kDevicePolicyTable, kRejectedReadingsTable, kBatchVerdictTable,
    kBatchTable, kBatcherTable, kCursorTable, kProjectionFailureTable, kParkedEventTable, kOfflineDeviceTable;

// A state table is called telemetry.state_<projection>. All of them have one shape.
inline constexpr const char* kStateTablePrefix = "state_";
postgres::OwnTable state_table(const char* name) noexcept;

// All of them but the segments of the log and the state tables.
std::span<const postgres::OwnTable* const> own_tables() noexcept;

}  // namespace runtime
