// Reads standings, and keeps the last ones of the session.
#include "feed/standings.hpp"

#include <algorithm>

#include "postgres/snapshot_memo.hpp"
#include "postgres/types.hpp"

namespace feed {

TailStart Standings::tail_of(std::string_view projection, ::Snapshot snapshot) {
    const auto known = std::find_if(tails_.begin(), tails_.end(), [&](const auto& each) { return each.first == projection; });
    if (known != tails_.end()) return known->second;
    const TailStart tail = look_at_tail(progress_, progress_.cursor_of(projection), snapshot);
    tails_.emplace_back(projection, tail);
    return tail;
}

Standings& standings_shown_by(::Snapshot snapshot) {
    static auto& memo = *new postgres::SnapshotMemo<Standings>;  // no destructor runs at exit
    return memo.at(snapshot, [snapshot] { return Standings(read_progress(snapshot)); });
}

}  // namespace feed
