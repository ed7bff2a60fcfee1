// Measures the tail: the events in the log that a consumer has not consumed, as a reader's snapshot shows them.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "feed/progress.hpp"
#include "model/identifiers.hpp"
#include "model/snapshot.hpp"
#include "postgres/types.hpp"

namespace feed {

struct Tail {
    std::int64_t events = 0;
    std::optional<model::Micros> oldest_received_at;  // nothing: no event waits, or the newest epoch is of another place
    std::optional<model::Micros> as_of;  // every reading committed before this time is consumed; nothing: none was yet
};

// Reads under `snapshot`, from which `progress` and `cursor` come, also on a standby. It leaves out readings of the caller's
// own transaction, because they are not committed. It counts the events that the batcher has not read. It knows from figures
// how many the batcher has read and the consumer has not consumed. `oldest_received_at` is that of the first event of the next
// batch, or the least of the events that are in no batch.
Tail measure_tail(const Progress& progress, const Cursor& cursor, ::Snapshot snapshot);

// Says only whether events wait, and up to when the consumer is complete. With `far_end`, a snapshot of this place, events that
// the snapshot does not cover do not wait. The rest of a transaction that was cut may still wait.
struct TailStart {
    bool has_events = false;
    std::optional<model::Micros> as_of;
};
TailStart look_at_tail(const Progress& progress, const Cursor& cursor, ::Snapshot snapshot,
                       const model::Snapshot* far_end = nullptr);

// A window in which events lie that a consumer has not consumed.
struct TailWindow {
    model::Epoch epoch;
    model::Window window;
};

// All of them, with those of the caller's own transaction. The same conditions hold.
std::vector<TailWindow> tail_windows(const Progress& progress, const Cursor& cursor, ::Snapshot snapshot);

}  // namespace feed
