// Counts the resets of a counter again where a late reading came, from the readings of its bucket in the log.
#pragma once

#include "feed/reach.hpp"
#include "read_model/registry.hpp"
#include "read_model/state_table.hpp"

namespace projection {

// The readings to count: those that the projection takes, and that `reach` covers. Both live as long as the result, and so does
// this.
struct RecountSource {
    const read_model::Definition& definition;
    const feed::Reach& reach;
};
read_model::Recount recount_from(const RecountSource& source) noexcept;

}  // namespace projection
