// Keeps old batches from being merged while a consumer is about to stand at one of them.
#pragma once

#include "subscription/share.hpp"

namespace subscription {

// If the batches after a place are so old that they may be merged, the projector merges none before this transaction ends: the
// place that the transaction stores must stay the end of a batch. Returns whether they are. Call it before the snapshot is
// taken under which the batches are read.
bool keep_from_merging(const Place& place);

}  // namespace subscription
