// Merges old batches, so that the list stays short and still covers the whole log.
#pragma once

#include <cstdint>
#include <vector>

#include "model/identifiers.hpp"
#include "postgres/types.hpp"

namespace feed {

// A merged batch has at most so many events.
inline constexpr std::int64_t kMostMergedEvents = 100000;

// Merges neighbours among the batches that were made before a time. The merged batch has the number of its last part. A batch
// at which a projection or a required subscription stands is the last part, and batches of two epochs stay apart.
class Merging {
public:
    // Looks at some batches of this log, from where the last call ended. True: more are to be looked at. It runs SQL under the
    // active snapshot, and the caller has held the apply lock since before it took that snapshot. While a consumer of a
    // subscription has just leased old batches, it does nothing.
    bool merge_some(Oid log, TimestampTz made_before);

private:
    Oid log_{};
    model::BatchId settled_{};            // batches up to here are as large as they may be
    std::vector<model::BatchId> places_;  // of consumers, as they were when that was found out
};

}  // namespace feed
