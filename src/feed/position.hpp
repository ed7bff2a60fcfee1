// Makes snapshots and positions of the model from those of the server.
#pragma once

#include "model/snapshot.hpp"
#include "postgres/types.hpp"

namespace feed {

// The position of a consumer that has seen nothing of an epoch. `first` is the lowest transaction that can have written there.
model::Position start_of_epoch(model::Xid first);

// Returns a far end after every transaction, for an epoch that no server writes any more.
model::Snapshot everything();

// Returns a far end after every transaction of this place that `snapshot` shows, also during recovery. The reader reads under
// `snapshot`, which leaves out the rest. It is not `everything()`, because a restore may have brought many rows with higher
// numbers.
model::Snapshot everything_shown_by(::Snapshot snapshot);

// Converts a snapshot as pg_current_snapshot() does: only top-level transactions, as 64-bit numbers. Not during recovery.
model::Snapshot snapshot_of(::Snapshot snapshot);

// Keeps what `far_end` says about transactions up to `last`. No later transaction wrote in the epoch.
model::Snapshot truncated(const model::Snapshot& far_end, model::Xid last);

}  // namespace feed
