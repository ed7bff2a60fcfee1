// Measures the tail: the events in the log that a consumer's checkpoint does not cover, as a reader's snapshot shows them.
#pragma once

#include <cstdint>
#include <optional>

#include "event_log/checkpoint.hpp"
#include "model/identifiers.hpp"
#include "model/snapshot.hpp"
#include "postgres/types.hpp"

namespace event_log {

struct Tail {
    std::int64_t events = 0;
    std::optional<model::Micros> oldest_received_at;  // nothing: no event waits, or the newest epoch is of another place
    model::Micros behind_since = 0;                   // if events > 0: every reading committed before this time is consumed
    std::optional<model::Micros> stored_as_of;        // of the newest checkpoint
};

// Reads the stored checkpoints and the log under `snapshot`, also on a standby.
// - It leaves out readings of the caller's own transaction, because they are not committed.
// - With `stop_at_first` the count ends at one.
// - With `far_end`, a snapshot of this place, it leaves out the events that the snapshot does not cover.
//   The rest of a transaction that was cut may still count.
Tail measure_tail(Consumer consumer, ::Snapshot snapshot, bool stop_at_first, const model::Snapshot* far_end = nullptr);

}  // namespace event_log
