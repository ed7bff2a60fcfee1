// Reads which projections are paused: telemetry.projection has a row for each.
#pragma once

#include <array>

#include "event_log/checkpoint.hpp"
#include "postgres/types.hpp"

namespace projection {

using ConsumerSet = std::array<bool, event_log::kConsumers.size()>;

// The paused consumers, as `snapshot` shows them. Consumer `batch` is never paused.
ConsumerSet paused_consumers(::Snapshot snapshot);

}  // namespace projection
