// The consumers of the log that a pass may serve: the current generation of each projection, and a rebuild beside it.
#pragma once

#include <string>
#include <vector>

#include "feed/progress.hpp"
#include "read_model/registry.hpp"

namespace projection {

struct Consumer {
    std::string name;  // in lists of failures: the projection's name, or "<projection> (rebuild)"
    const read_model::Definition* definition;
    feed::Cursor cursor;

    const std::string& projection() const noexcept { return definition->name; }
    bool is_lazy() const noexcept { return definition->is_lazy(); }
    bool is_rebuild() const noexcept { return !cursor.is_current; }

    // Has it consumed all that the batcher has read? A lazy projection does only if it had no cadence before.
    bool follows() const noexcept { return !cursor.is_behind() && (!is_lazy() || cursor.is_stored); }
};

// Ascending by name of the projection. They point into the registry.
std::vector<Consumer> consumers_of(const std::vector<read_model::Definition>& registry, const feed::Progress& progress);

}  // namespace projection
