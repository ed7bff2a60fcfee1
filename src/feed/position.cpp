// Converts snapshots.
#include "feed/position.hpp"

#include <algorithm>
#include <limits>
#include <vector>

#include "event_log/transaction.hpp"
#include "postgres/error.hpp"

#include "postgres/pg.hpp"

namespace feed {
namespace {

std::uint64_t next_transaction() {
    return postgres::guarded([] { return U64FromFullTransactionId(ReadNextFullTransactionId()); });
}

}  // namespace

model::Position start_of_epoch(model::Xid first) {
    return model::position_at({first, first, {}});
}

model::Snapshot everything() {
    constexpr model::Xid kLast{std::numeric_limits<std::uint64_t>::max()};
    return {kLast, kLast, {}};
}

model::Snapshot everything_shown_by(::Snapshot snapshot) {
    const model::Xid end = event_log::widen(snapshot->xmax, next_transaction());
    return {end, end, {}};
}

model::Snapshot snapshot_of(::Snapshot snapshot) {
    const std::uint64_t next = next_transaction();
    model::Snapshot result{event_log::widen(snapshot->xmin, next), event_log::widen(snapshot->xmax, next), {}};
    result.in_progress.reserve(snapshot->xcnt);
    for (uint32 i = 0; i < snapshot->xcnt; ++i) result.in_progress.push_back(event_log::widen(snapshot->xip[i], next));
    std::sort(result.in_progress.begin(), result.in_progress.end());
    // While a transaction is being prepared, the server lists it twice for a moment.
    result.in_progress.erase(std::unique(result.in_progress.begin(), result.in_progress.end()), result.in_progress.end());
    return result;
}

model::Snapshot truncated(const model::Snapshot& far_end, model::Xid last) {
    const model::Xid behind{last.value + 1};
    if (far_end.xmax <= behind) return far_end;
    model::Snapshot result{std::min(far_end.xmin, behind), behind, far_end.in_progress};
    std::erase_if(result.in_progress, [&](model::Xid xid) { return xid >= behind; });
    return result;
}

}  // namespace feed
