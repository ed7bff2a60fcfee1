// Numbers batches: the numbers ascend through all epochs, and each epoch has a range of its own.
//
// The high bits of a number come from the newest epoch that the log had when the batch was written. So a later epoch gives out
// greater numbers than an earlier one ever did, even for batches that a crash or a recovery took back. A follower therefore
// never meets other events under a number that it has seen.
#pragma once

#include <algorithm>

#include "model/identifiers.hpp"

namespace model {

// Bits for the batches of one epoch: enough for 34 years at a thousand batches a second. Up to 8,192 epochs a number is exact
// in a double, in which JSON readers hold it.
inline constexpr int kBatchNumberBits = 40;

// The number before the first batch of an epoch.
constexpr BatchId before_batches_of(Epoch epoch) noexcept {
    return BatchId{(std::int64_t{epoch.value} - 1) << kBatchNumberBits};
}

// The number of the next batch. `last` is the last batch, and `newest` the newest epoch.
constexpr BatchId next_batch(BatchId last, Epoch newest) noexcept {
    return BatchId{std::max(last, before_batches_of(newest)).value + 1};
}

// Do both numbers belong to the range of one epoch?
constexpr bool is_same_range(BatchId a, BatchId b) noexcept {
    return a.value >> kBatchNumberBits == b.value >> kBatchNumberBits;
}

}  // namespace model
