// The registry of projections: telemetry.projection holds their definitions, and telemetry.pause those that are paused.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "postgres/types.hpp"

namespace read_model {

// A projection keeps one row for each of these.
enum class Grain : std::uint8_t { kDevice, kRegion };

struct Definition {
    std::string name;
    Grain grain = Grain::kDevice;
    bool is_paused = false;
};

// Reads the registry as `snapshot` shows it, ascending by name.
std::vector<Definition> read_registry(::Snapshot snapshot);

// Error(22023) if `snapshot` shows no projection of this name. It lists the names that exist.
void require_projection(std::string_view name, ::Snapshot snapshot);

}  // namespace read_model
