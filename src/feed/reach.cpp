// Compares events with the position in their epoch.
#include "feed/reach.hpp"

#include <algorithm>

#include "postgres/types.hpp"

namespace feed {

Reach::Reach(const Progress& progress, const Cursor& cursor, ::Snapshot snapshot) {
    for (const EpochProgress& each : progress.epochs) epochs_.push_back({each.epoch, position_in(each, cursor, snapshot)});
}

void Reach::set(model::Epoch epoch, const std::optional<model::Position>& position) {
    for (InEpoch& each : epochs_)
        if (each.epoch == epoch) each.position = position;
}

bool Reach::covers(model::Epoch epoch, model::Xid xid, model::EventId event_id) const noexcept {
    if (std::binary_search(taken_.begin(), taken_.end(), event_id)) return true;
    if (std::binary_search(left_out_.begin(), left_out_.end(), event_id)) return false;
    const auto found =
        std::find_if(epochs_.begin(), epochs_.end(), [epoch](const InEpoch& each) { return each.epoch == epoch; });
    return found != epochs_.end() && (!found->position || found->position->covers(xid, event_id));
}

}  // namespace feed
