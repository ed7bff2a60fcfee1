// The place of a projection in the list of batches: a row of telemetry.cursor.
#pragma once

#include <cstdint>

#include "feed/consumer.hpp"
#include "model/identifiers.hpp"
#include "postgres/types.hpp"

namespace feed {

struct Cursor {
    bool is_stored = false;
    bool follows = true;      // it has consumed all that the batcher has read
    model::BatchId batch{};   // otherwise the last batch that it has consumed; 0: none
    std::int64_t events = 0;  // that it has consumed, if it does not follow
    model::Micros as_of = 0;  // if it does not follow: it has consumed every reading that was committed before this time
};

// Reads the rows that `snapshot` shows.
PerConsumer<Cursor> read_cursors(::Snapshot snapshot);

// Writes the row, by SQL. The caller has held the apply lock since before its snapshot.
void write_cursor(Consumer consumer, const Cursor& cursor);

}  // namespace feed
