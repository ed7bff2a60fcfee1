// Counts the events of each slice, and remembers its last row.
#include "projection/target.hpp"  // before the server's headers, as fold.hpp

#include "projection/slices.hpp"

#include <utility>

#include "event_log/window_reader.hpp"
#include "postgres/types.hpp"
#include "projection/pass.hpp"

namespace projection {

ReadSlices read_slices(const model::Window& window, model::Epoch epoch, ::Snapshot snapshot, std::int64_t open_events,
                       std::int64_t slice, Targets& targets) {
    event_log::WindowReader reader(window, epoch, snapshot);
    ReadSlices read;
    std::int64_t room = slice - open_events;
    for (std::int64_t rows = 0; room > 0 && rows < kMostSlices * slice && !targets.are_full();) {
        const event_log::Block block = reader.read(room);
        if (block.rows == 0) break;
        rows += block.rows;
        room -= block.rows;
        targets.add(block.given);
        read.rest = {read.rest.events + block.events, reader.last_row(), reader.is_at_transaction_end()};
        if (room > 0) continue;
        // Rows that are no events leave room.
        const std::int64_t in_batch = read.rest.events + (read.full.empty() ? open_events : 0);
        room = slice - in_batch;
        if (room > 0) continue;
        read.full.push_back(std::exchange(read.rest, {}));
        room = slice;
    }
    read.is_complete = reader.at_end();
    reader.close();
    return read;
}

}  // namespace projection
