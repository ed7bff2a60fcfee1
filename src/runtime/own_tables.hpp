// The tables that the extension writes, how it writes them, and the columns that its native writes know.
#pragma once

#include <span>

#include "postgres/own_table.hpp"

namespace runtime {

extern const postgres::OwnTable kDeviceTable, kRejectedReadingsTable, kBatchTable, kBatcherTable, kCursorTable,
    kProjectionFailureTable, kDeviceStateTable, kDeviceMetricStateTable, kRegionStateTable, kRegionMetricStateTable;

// All of them but the segments of the log.
std::span<const postgres::OwnTable* const> own_tables() noexcept;

}  // namespace runtime
