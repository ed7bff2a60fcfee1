// Reads on in the log in a pass, for the list of batches and for the projections that follow.
#pragma once

#include <cstddef>
#include <memory_resource>
#include <optional>
#include <vector>

#include "feed/progress.hpp"
#include "model/identifiers.hpp"
#include "model/snapshot.hpp"
#include "projection/pass.hpp"
#include "projection/pass_context.hpp"
#include "projection/schedule.hpp"

namespace projection {

class Batcher {
public:
    struct Reading {
        Pass pass;
        bool begins_epoch;  // it has read in the newest epoch for the first time
    };

    // Reads on in the oldest epoch in which there is something to do, and writes the statistics, batches and positions. What
    // the projections gather lies in `memory`. Nothing: there was nothing to do.
    std::optional<Reading> read_on(const feed::Progress& progress, const PassContext& context, const PassOptions& options,
                                   const Schedule& schedule, std::pmr::memory_resource& memory);

    // Forgets what it saw in the log of another installation.
    void forget() noexcept { seen_empty_.clear(); }

private:
    // A pass found no event between the batcher's position and a far end.
    struct SeenEmpty {
        model::Epoch epoch;
        model::Position read_to;
        model::Snapshot far_end;
    };

    model::Position where_to_begin(const feed::EpochProgress& epoch) const;
    void remember_empty(const feed::EpochProgress& epoch, const model::Snapshot& far_end);
    std::optional<Pass> read_epoch(const feed::Progress& progress, std::size_t number, const PassContext& context,
                                   const PassOptions& options, const Schedule& schedule, std::pmr::memory_resource& memory);

    std::vector<SeenEmpty> seen_empty_;  // at most one an epoch
};

}  // namespace projection
