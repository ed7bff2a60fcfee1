// Tells how far the batcher has read each epoch (telemetry.epoch, telemetry.batcher), and which projections are behind it
// (telemetry.cursor).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "feed/cursor.hpp"
#include "model/identifiers.hpp"
#include "model/snapshot.hpp"
#include "runtime/installed.hpp"

#include "postgres/pg.hpp"

namespace feed {

// How far the batcher has come in an epoch. It reads ahead of the list of batches: the events between `batched_to` and
// `read_to` are the *open batch*, which has no row in telemetry.batch yet.
struct BatcherState {
    model::Position read_to;
    model::Position batched_to;          // where the next batch begins
    std::int64_t events = 0;             // of the epoch, up to `read_to`
    std::int64_t open_events = 0;        // those of them that are in the open batch
    model::BatchId last_batch{};         // of the epoch; 0: it has none
    bool drained = false;                // no event of the epoch is left, and none will come
    model::Micros as_of = 0;             // `read_to` covers every reading that was committed before this time
    model::Micros batched_as_of = 0;     // so does `batched_to` for this time
    std::optional<ItemPointerData> tid;  // of its row; nothing: there is none yet

    // Nothing: the epoch is read to its end.
    std::optional<model::Position> position() const { return drained ? std::nullopt : std::optional(read_to); }
};

struct EpochProgress {
    model::Epoch epoch;
    runtime::LogPlace place;
    model::Xid opened_xid;
    model::Xid first_xid;  // no transaction below it wrote in the epoch
    model::Micros opened_at;
    bool is_mixed;  // two places share the number, because a dump's data was loaded into a log that had been written to
    BatcherState batcher;

    // Can its transaction numbers be compared with those of snapshots taken here?
    bool is_local(const runtime::LogPlace& here) const noexcept { return runtime::is_same_log(place, here); }
};

struct Progress {
    std::vector<EpochProgress> epochs;  // ascending
    std::vector<StoredCursor> cursors;
    bool is_of_version_1_0 = false;  // a dump of version 1.0 was restored, or it was updated; no pass was made since

    // Where the generation that readers see stands. Without a row it has consumed nothing; while the batcher has read nothing,
    // it follows.
    Cursor cursor_of(std::string_view projection) const;

    model::BatchId last_batch() const noexcept;  // the last number that was given out; 0: none was

    // How many events the batcher has read, and up to which time it has read every reading that was committed.
    std::int64_t events_read() const noexcept;
    std::int64_t open_events() const noexcept;  // those of them that are in no batch yet
    std::optional<model::Micros> read_as_of() const noexcept;

    // Up to which time a consumer that stands there has consumed every reading that was committed.
    std::optional<model::Micros> as_of(const Cursor& cursor) const noexcept;
};

// Reads them as `snapshot` shows them.
Progress read_progress(::Snapshot snapshot);

// Writes the batcher's row for the epoch. The caller has held the apply lock since before it took `snapshot`, and has read
// `before` with it.
void write_batcher(model::Epoch epoch, const BatcherState& before, const BatcherState& now, ::Snapshot snapshot);

// Turns the checkpoint of version 1.0 for the list of batches into the batcher's rows, and deletes the statistics of
// version 1.0. Without a cursor each projection is behind, and begins anew. The same conditions hold.
void take_over_version_1_0();

// Where a consumer that stands at this cursor stands in the epoch. Nothing: it has read the whole epoch, and no event will
// come. `snapshot` is the one from which both were read. Batches of two epochs may take turns in the list, because a
// transaction of the older epoch may end late.
std::optional<model::Position> position_in(const EpochProgress& epoch, const Cursor& cursor, ::Snapshot snapshot);

}  // namespace feed
