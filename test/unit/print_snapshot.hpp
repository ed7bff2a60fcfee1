// Shows snapshots and positions in the messages of failed expectations.
#pragma once

#include <ostream>

#include "model/snapshot.hpp"

namespace model {

// GoogleTest finds these by their name, and calls them for messages of failed expectations.
// NOLINTBEGIN(readability-identifier-naming)
inline void PrintTo(const Snapshot& snapshot, std::ostream* out) {
    *out << snapshot.xmin.value << ':' << snapshot.xmax.value << ':';
    for (const Xid xid : snapshot.in_progress) *out << xid.value << ',';
}
inline void PrintTo(const Position& position, std::ostream* out) {
    PrintTo(position.snapshot, out);
    if (position.partial) *out << " + " << position.partial->xid.value << " up to " << position.partial->event_id.value;
}
// NOLINTEND(readability-identifier-naming)

}  // namespace model
