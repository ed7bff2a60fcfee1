// Reads whole batches, several as one window, and part of a batch where a batch has more events than the caller wants.
#include "subscription/share_reader.hpp"

#include <algorithm>
#include <limits>
#include <vector>

#include "event_log/window_reader.hpp"
#include "postgres/types.hpp"

namespace subscription {
namespace {

constexpr std::int64_t kWholeBlock = std::numeric_limits<std::int64_t>::max();

// What is read as one window: batches, or the rest of one, or a part of it.
struct Piece {
    model::Epoch epoch;
    model::Window window;
    model::BatchId last;
};

model::Position inside(const feed::Batch& batch, const model::Partial& partial) {
    return position_inside(batch.from, batch.to, partial);
}

std::optional<Piece> next_piece(const Place& place, std::int64_t most_events, const ReadLimits& limits, ::Snapshot snapshot) {
    const bool ends_inside = limits.end && limits.end->partial;
    if (!place.partial) {
        const model::BatchId at_most = limits.end ? std::min(limits.end->batch, limits.at_most) : limits.at_most;
        if (const auto run = feed::batches_after(place.batch, most_events, at_most))
            return Piece{run->epoch, model::window_between(run->from, run->to), run->last};
        if (!ends_inside) return std::nullopt;
    }
    const auto batch = feed::find_batch_after(place.batch, snapshot);
    if (!batch || batch->batch_id > limits.at_most) return std::nullopt;
    const model::Position from = place.partial ? inside(*batch, *place.partial) : batch->from;
    const bool is_last = ends_inside && limits.end->batch == place.batch;
    return Piece{batch->epoch, model::window_between(from, is_last ? inside(*batch, *limits.end->partial) : batch->to),
                 batch->batch_id};
}

}  // namespace

model::Position position_inside(const model::Position& from, const model::Position& to, const model::Partial& last) {
    if (to.partial && to.partial->xid == last.xid) return {to.snapshot, last};
    return model::position_after(from, to.snapshot, last, false);
}

WindowRead read_window(const BoundedWindow& window, const Filter& filter, ::Snapshot snapshot, const Take& take) {
    event_log::WindowReader reader(window.window, window.epoch, snapshot, event_log::Wanted::kLoggedEvents);
    std::vector<const model::LoggedEvent*> wanted;
    std::optional<model::Partial> last_given;
    WindowRead read;
    bool is_whole = true;
    while (!reader.at_end() && is_whole) {
        const event_log::Block block = reader.read(kWholeBlock);
        read.scanned += block.rows;
        wanted.clear();
        for (const model::LoggedEvent& event : block.logged) {
            if (!filter.wants(event)) continue;
            if (read.given == window.most_events) {
                is_whole = false;
                break;
            }
            ++read.given;
            wanted.push_back(&event);
        }
        if (wanted.empty()) continue;
        last_given = model::Partial{wanted.back()->xid, wanted.back()->event_id};
        take(wanted, window.epoch);
    }
    reader.close();
    if (!is_whole) read.cut_at = last_given;
    return read;
}

ReadStretch read_share(const Place& start, const Filter& filter, const ReadLimits& limits, ::Snapshot snapshot,
                       const Take& take) {
    Place place = start;
    std::int64_t left = limits.most_events, scanned = 0;
    while (left > 0 && scanned < limits.most_scanned && (!limits.end || place != *limits.end)) {
        const auto piece = next_piece(place, left, limits, snapshot);
        if (!piece) break;
        const WindowRead read = read_window({piece->epoch, piece->window, left}, filter, snapshot, take);
        left -= read.given;
        scanned += read.scanned;
        if (read.cut_at) return {{place.batch, read.cut_at}, scanned};
        if (limits.end && limits.end->partial && limits.end->batch == place.batch) return {*limits.end, scanned};
        place = {piece->last, std::nullopt};
    }
    return {place, scanned};
}

}  // namespace subscription
