// Where a consumer of the log stands. A projection has a row of telemetry.cursor.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/identifiers.hpp"
#include "postgres/types.hpp"

namespace feed {

struct Cursor {
    enum class Place : std::uint8_t {
        kBatcher,   // it has consumed all that the batcher has read: the projection follows
        kBatch,     // it has consumed the batches up to `batch`, and is behind
        kBatchList  // it is the list of batches itself, which lacks the open batch
    };

    // Says what a generation is for.
    enum class Purpose : std::uint8_t {
        kCurrent,   // readers see it
        kRebuild,   // it replaces the current one when it has consumed as much
        kBaseline,  // a rebuild begins with it, so it has consumed what the log need not keep
        kAudit      // it is compared with the current one
    };

    Place place = Place::kBatcher;
    Purpose purpose = Purpose::kCurrent;
    std::int32_t generation = 0;  // of its rows in the state table; 0: it has none yet
    bool is_stored = false;
    bool is_filled = false;   // it has kept up before
    bool is_copied = true;    // false: it lacks rows of the baseline
    model::BatchId batch{};   // at kBatch; 0: it has consumed none
    std::int64_t events = 0;  // that it has consumed, at kBatch
    model::Micros as_of = 0;  // it has consumed every reading that was committed before this time, at kBatch
    model::BatchId until{};   // a baseline goes on to this batch at least

    bool is_behind() const noexcept { return place == Place::kBatch; }
    bool is_current() const noexcept { return purpose == Purpose::kCurrent; }
};

inline constexpr Cursor kBatchList{.place = Cursor::Place::kBatchList};

struct StoredCursor {
    std::string projection;
    Cursor cursor;
};

// Reads the rows that `snapshot` shows.
std::vector<StoredCursor> read_cursors(::Snapshot snapshot);

// Writes the row. The caller has held the apply lock since before its snapshot. Each session that changes a stored row takes
// that lock too, because this write bears no rival.
void write_cursor(std::string_view projection, const Cursor& cursor);

// Writes the row of a generation that readers see from now on, and deletes those of the projection's other generations but the
// baseline.
void write_new_current(std::string_view projection, const Cursor& cursor);

}  // namespace feed
