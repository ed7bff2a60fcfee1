// Reads which projections are paused: telemetry.projection has a row for each.
#pragma once

#include "feed/consumer.hpp"
#include "postgres/types.hpp"

namespace projection {

feed::PerConsumer<bool> paused_projections(::Snapshot snapshot);

}  // namespace projection
