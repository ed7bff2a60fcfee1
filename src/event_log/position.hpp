// Snapshots and positions between the server and the model.
#pragma once

#include <cstdint>

#include "model/snapshot.hpp"
#include "postgres/types.hpp"

namespace event_log {

// Where a consumer that has seen nothing of an epoch stands: below `first`, the lowest transaction that can have written there.
model::Position start_of_epoch(model::Xid first);

// P. The lowest transaction of this server that is running, open or prepared, in any database; not during recovery. A
// transaction that writes later is this one or has a higher number.
std::uint64_t oldest_running_transaction();

// A far end behind every transaction: for an epoch that nobody writes any more.
model::Snapshot everything();

// A far end behind every transaction of this place that `snapshot` shows, for readers that rely on it for the rest; during
// recovery as well. Rows brought here by a restore may have higher numbers, and are many.
model::Snapshot everything_shown_by(::Snapshot snapshot);

// The same transactions that pg_current_snapshot() tells: top-level ones only, as 64-bit numbers. Not during recovery.
model::Snapshot snapshot_of(::Snapshot snapshot);

// What `far_end` says about transactions up to `last`, for an epoch in which no transaction behind it ever wrote.
model::Snapshot truncated(const model::Snapshot& far_end, model::Xid last);

}  // namespace event_log
