// Computes windows between positions and snapshots, and the position inside a window.
#include "model/snapshot.hpp"

#include <algorithm>

namespace model {

namespace {

Xid next(Xid xid) noexcept {
    return {xid.value + 1};
}

// xmin may lie too low, never too high. This sets the highest one that is allowed, so that two snapshots that cover the same
// are equal in all members.
void tighten_xmin(Snapshot& snapshot) noexcept {
    snapshot.xmin = snapshot.in_progress.empty() ? snapshot.xmax : snapshot.in_progress.front();
}

// Adds a transaction to those that the snapshot covers. It is one of `in_progress`, or it is xmax.
void cover(Snapshot& snapshot, Xid xid) {
    if (xid == snapshot.xmax)
        snapshot.xmax = next(xid);
    else
        std::erase(snapshot.in_progress, xid);
}

}  // namespace

bool Snapshot::covers(Xid xid) const noexcept {
    if (xid < xmin) return true;
    if (xid >= xmax) return false;
    return !std::binary_search(in_progress.begin(), in_progress.end(), xid);
}

bool Position::covers(Xid xid, EventId event_id) const noexcept {
    return snapshot.covers(xid) || (partial && partial->xid == xid && event_id <= partial->event_id);
}

Window window_between(const Position& from, const Snapshot& far_end) {
    Window window{
        .resume = from.partial, .stragglers = {}, .first = from.snapshot.xmax, .last = {}, .in_progress = {}, .until = {}};
    const auto is_resumed = [&](Xid xid) { return from.partial && from.partial->xid == xid; };
    for (const Xid xid : from.snapshot.in_progress)
        if (far_end.covers(xid) && !is_resumed(xid)) window.stragglers.push_back(xid);
    if (is_resumed(window.first)) window.first = next(window.first);
    window.last = std::max(window.first, far_end.xmax);
    for (const Xid xid : far_end.in_progress)
        if (xid >= window.first) window.in_progress.push_back(xid);
    return window;
}

Window window_between(const Position& from, const Position& to) {
    Window window = window_between(from, to.snapshot);
    window.until = to.partial;
    return window;
}

Position position_at(const Snapshot& far_end) {
    Position position{.snapshot = far_end, .partial = {}};
    tighten_xmin(position.snapshot);
    return position;
}

Position position_after(const Position& from, const Snapshot& far_end, Partial last_seen, bool is_finished) {
    Position position{.snapshot = from.snapshot, .partial = {}};
    Snapshot& reached = position.snapshot;
    const Xid xid = last_seen.xid;
    const bool in_first_step = from.partial && from.partial->xid == xid;

    if (!in_first_step) {
        if (from.partial) cover(reached, from.partial->xid);
        // A consumer reads the stragglers in ascending order, and all of them before the range begins.
        const bool in_range = xid >= reached.xmax;
        std::erase_if(reached.in_progress, [&](Xid old) { return (in_range || old < xid) && far_end.covers(old); });
        if (in_range) {
            for (const Xid running : far_end.in_progress)
                if (running >= reached.xmax && running < xid) reached.in_progress.push_back(running);
            reached.xmax = xid;
        }
    }
    if (is_finished)
        cover(reached, xid);
    else
        position.partial = last_seen;
    tighten_xmin(reached);
    return position;
}

}  // namespace model
