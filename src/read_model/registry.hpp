// The registry of projections: telemetry.projection holds their definitions, telemetry.pause those that are paused, and
// telemetry.metric the kinds of metrics.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/identifiers.hpp"
#include "postgres/types.hpp"

namespace read_model {

// A projection keeps statistics of each of these.
enum class Grain : std::uint8_t {
    kDevice,
    kRegion,
    kAll,   // one row for all readings
    kBatch  // it keeps no statistics, and calls a function for each batch
};

struct Definition {
    std::string name;
    Grain grain = Grain::kDevice;
    model::Micros bucket_width = 0;  // 0: over all time
    bool has_sketches = false;
    model::Micros cadence = 0;    // how long it lets readings gather; 0: not at all
    model::Micros retention = 0;  // how long it keeps a bucket after that began; 0: for ever
    bool parks = false;           // an event on which it fails is put aside; false: the projection waits before it
    bool replays = false;         // parked events are to be tried again
    bool is_paused = false;
    std::optional<std::vector<std::string>> metrics{};  // only these; nothing: all
    std::optional<std::string> devices{};               // only devices that match this LIKE pattern; nothing: all
    std::optional<std::vector<std::string>> regions{};  // only readings of these; nothing: all

    std::vector<std::string> counters{};  // metrics that are counters; none where the projection keeps no resets

    std::string handler{};  // schema-qualified name of the function, for kBatch
    std::string runs_as{};  // the role that calls it

    // Counters of one device follow each other. A bucket bounds what is read again when a reading is late.
    bool keeps_counters() const noexcept { return grain == Grain::kDevice && bucket_width > 0; }

    bool is_handler() const noexcept { return grain == Grain::kBatch; }

    // A lazy projection never follows: it reads batches when its cadence says so.
    bool is_lazy() const noexcept { return cadence > 0 || is_handler(); }
};

// The name of a projection's state table (telemetry.state_*).
std::string state_table_of(std::string_view projection);

// P. Calls `visit(context, name)` for the name of each state table, as `snapshot` shows the registry.
void visit_state_tables(::Snapshot snapshot, void (*visit)(void* context, const char* name), void* context);

// Reads the registry as `snapshot` shows it, ascending by name.
std::vector<Definition> read_registry(::Snapshot snapshot);

// Error(22023) if `snapshot` shows no projection of this name. It lists the names that exist. The session keeps what it has
// read for later snapshots that show the same. The reference holds until the next call.
const Definition& require_projection(std::string_view name, ::Snapshot snapshot);

}  // namespace read_model
