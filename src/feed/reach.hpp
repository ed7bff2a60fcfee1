// Says of single events whether a consumer has consumed them.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "feed/progress.hpp"
#include "model/identifiers.hpp"
#include "model/snapshot.hpp"
#include "postgres/types.hpp"

namespace feed {

class Reach {
public:
    Reach() = default;

    // That of a consumer that stands at this cursor. `progress` and `cursor` come from `snapshot`.
    Reach(const Progress& progress, const Cursor& cursor, ::Snapshot snapshot);

    // The consumer stands here in an epoch. Nothing: it has consumed the whole epoch.
    void set(model::Epoch epoch, const std::optional<model::Position>& position);

    // It has left these events out, or it has taken these, wherever it stands. Both ascend.
    void leave_out(std::vector<model::EventId> events) noexcept { left_out_ = std::move(events); }
    void take(std::vector<model::EventId> events) noexcept { taken_ = std::move(events); }

    // The event is one that `snapshot` shows.
    bool covers(model::Epoch epoch, model::Xid xid, model::EventId event_id) const noexcept;

private:
    struct InEpoch {
        model::Epoch epoch;
        std::optional<model::Position> position;
    };
    std::vector<InEpoch> epochs_;
    std::vector<model::EventId> left_out_, taken_;
};

}  // namespace feed
