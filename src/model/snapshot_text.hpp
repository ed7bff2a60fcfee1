// The text form of a snapshot, that of the server's type pg_snapshot: 10:20:10,14,15.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "model/snapshot.hpp"

namespace model {

std::string to_text(const Snapshot& snapshot);

// Strict: decimal numbers, nothing before, between or behind. Nothing for any other text, and for one whose numbers are no
// snapshot: xmin behind xmax, transactions in progress out of order, twice or outside [xmin, xmax).
std::optional<Snapshot> parse_snapshot(std::string_view text);

}  // namespace model
