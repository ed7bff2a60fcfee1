// Projections that somebody paused: telemetry.projection, a row for each.
#pragma once

#include <array>

#include "event_log/checkpoint.hpp"
#include "postgres/types.hpp"

namespace projection {

using ConsumerSet = std::array<bool, event_log::kConsumers.size()>;

// As the snapshot shows them. Consumer `batch` is never paused.
ConsumerSet paused_consumers(::Snapshot snapshot);

}  // namespace projection
