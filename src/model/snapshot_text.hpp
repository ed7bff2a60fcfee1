// The text form of a snapshot, which is that of the server's type pg_snapshot: 10:20:10,14,15.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "model/snapshot.hpp"

namespace model {

std::string to_text(const Snapshot& snapshot);

// Reads decimal numbers with nothing before, between or after them. Returns nothing for any other text. Returns nothing either
// for numbers that are no snapshot: xmin above xmax, or transactions in progress out of order, twice or outside [xmin, xmax).
std::optional<Snapshot> parse_snapshot(std::string_view text);

}  // namespace model
