// What is in the log and not yet behind a consumer's checkpoint, as a reader's own snapshot shows it.
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
    std::optional<model::Micros> oldest_received_at;  // nothing where the newest epoch is of another place: received there
    model::Micros behind_since = 0;                   // with events: every reading committed before this was consumed
    std::optional<model::Micros> stored_as_of;        // the newest checkpoint's
};

// Reads the stored checkpoints and the log under `snapshot`, on a standby as well. Readings of the caller's own transaction
// are left out: they are not committed. With `stop_at_first` the count ends at one. With `until` what that snapshot of this
// place does not cover is left out as well (events left of a transaction that was cut may count all the same).
Tail measure_tail(Consumer consumer, ::Snapshot snapshot, bool stop_at_first, const model::Snapshot* far_end = nullptr);

}  // namespace event_log
