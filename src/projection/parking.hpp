// Finds the events on which a projection fails, and puts them aside, so that the projection goes on without them.
#pragma once

#include <exception>
#include <optional>

#include "feed/progress.hpp"
#include "postgres/types.hpp"
#include "projection/catch_up.hpp"
#include "projection/consumer.hpp"

namespace projection {

// May the failure be an event's fault? What a later try may mend by itself is not, such as a full disk or a lock; nor is what
// fails for each event, such as a missing table.
bool may_be_poison(const std::exception_ptr& failure);

// Applies the next batch to a consumer that fails on it, and parks the events on which it fails. It halves the batch until it
// has found them. Throws the failure if it fails on each event of the batch, or on more than kMostPoison. Nothing: the next
// batch is not closed yet. The caller has held the apply lock since before it took `snapshot`.
std::optional<Consumed> consume_without_poison(const Consumer& consumer, const feed::Progress& progress, ::Snapshot snapshot);
inline constexpr std::size_t kMostPoison = 100;

// Tries some parked events again that an administrator has sent through. Those that fail again stay parked. False: there are
// none. The same conditions hold.
bool replay_some(const Consumer& consumer, const feed::Progress& progress, ::Snapshot snapshot);

}  // namespace projection
