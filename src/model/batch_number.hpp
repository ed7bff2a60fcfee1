// Numbers of batches: ascending through all epochs, each epoch with a range of its own.
//
// The high bits of a number are those of the newest epoch that the log had when the batch was written. So whatever batches an
// earlier epoch had, those that a crash or a recovery took back included, a later one gives out greater numbers: a follower
// never meets other events under a number that it has seen.
#pragma once

#include <algorithm>

#include "model/identifiers.hpp"

namespace model {

// Batches of a range: 34 years at a thousand a second. With up to 8,192 epochs a number is exact in a double, as JSON readers
// have it.
inline constexpr int kBatchNumberBits = 40;

// The number before the first one of an epoch.
constexpr BatchId before_batches_of(Epoch epoch) noexcept {
    return BatchId{(std::int64_t{epoch.value} - 1) << kBatchNumberBits};
}

// The number of the next batch, where `last` is the last one and `newest` the newest epoch.
constexpr BatchId next_batch(BatchId last, Epoch newest) noexcept {
    return BatchId{std::max(last, before_batches_of(newest)).value + 1};
}

}  // namespace model
