// The consumers of the log that a pass may serve: the generations of each projection.
#pragma once

#include <string>
#include <vector>

#include "feed/progress.hpp"
#include "read_model/registry.hpp"

namespace projection {

struct Consumer {
    std::string name;  // in lists of failures: the projection's name, or "<projection> (<purpose>)"
    const read_model::Definition* definition;
    feed::Cursor cursor;
    bool stands_still = false;  // a baseline does while its rows are being copied

    const std::string& projection() const noexcept { return definition->name; }
    bool is_lazy() const noexcept { return definition->is_lazy(); }
    bool is(feed::Cursor::Purpose purpose) const noexcept { return cursor.purpose == purpose; }

    // Does it never read the open batch? A lazy projection does not, so readings gather. Nobody reads a baseline or an audit.
    bool reads_closed_batches() const noexcept {
        return is_lazy() || is(feed::Cursor::Purpose::kBaseline) || is(feed::Cursor::Purpose::kAudit);
    }

    // Has it consumed all that the batcher has read? A lazy projection does only if it had no cadence before.
    bool follows() const noexcept { return !cursor.is_behind() && (!is_lazy() || cursor.is_stored); }
};

// Ascending by name of the projection. They point into the registry.
std::vector<Consumer> consumers_of(const std::vector<read_model::Definition>& registry, const feed::Progress& progress);

}  // namespace projection
