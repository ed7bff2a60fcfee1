// Converting snapshots.
#include "event_log/position.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <vector>

#include "postgres/error.hpp"

#include "postgres/pg.hpp"

namespace event_log {
namespace {

constexpr std::uint64_t kFirstNormal = 3;

std::uint64_t next_transaction() {
    return postgres::guarded([] { return U64FromFullTransactionId(ReadNextFullTransactionId()); });
}

// Snapshots hold the low half only. Their numbers are at most one wrap behind the next number to be given out.
model::Xid widen(TransactionId xid, std::uint64_t next) {
    std::uint64_t epoch = next >> 32;
    if (xid > static_cast<TransactionId>(next)) --epoch;
    return model::Xid{epoch << 32 | xid};
}

void append_number(std::string& text, std::uint64_t number) {
    char digits[20];
    text.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

// Takes a number off the front of `text`.
std::optional<model::Xid> take_number(std::string_view& text) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc()) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return model::Xid{number};
}

bool take(std::string_view& text, char expected) {
    if (text.empty() || text.front() != expected) return false;
    text.remove_prefix(1);
    return true;
}

}  // namespace

model::Position start_of_epoch() {
    return model::position_at({model::Xid{kFirstNormal}, model::Xid{kFirstNormal}, {}});
}

model::Snapshot everything() {
    constexpr model::Xid last{std::numeric_limits<std::uint64_t>::max()};
    return {last, last, {}};
}

model::Snapshot everything_shown_by(::Snapshot snapshot) {
    const model::Xid end = widen(snapshot->xmax, next_transaction());
    return {end, end, {}};
}

model::Snapshot snapshot_of(::Snapshot snapshot) {
    const std::uint64_t next = next_transaction();
    model::Snapshot result{widen(snapshot->xmin, next), widen(snapshot->xmax, next), {}};
    result.in_progress.reserve(snapshot->xcnt);
    for (uint32 i = 0; i < snapshot->xcnt; ++i) result.in_progress.push_back(widen(snapshot->xip[i], next));
    std::sort(result.in_progress.begin(), result.in_progress.end());
    // A transaction that is being prepared shows up twice for a moment.
    result.in_progress.erase(std::unique(result.in_progress.begin(), result.in_progress.end()), result.in_progress.end());
    return result;
}

model::Snapshot truncated(const model::Snapshot& now, model::Xid last) {
    const model::Xid behind{last.value + 1};
    if (now.xmax <= behind) return now;
    model::Snapshot result{std::min(now.xmin, behind), behind, now.in_progress};
    std::erase_if(result.in_progress, [&](model::Xid xid) { return xid >= behind; });
    return result;
}

std::string to_text(const model::Snapshot& snapshot) {
    std::string text;
    append_number(text, snapshot.xmin.value);
    text += ':';
    append_number(text, snapshot.xmax.value);
    text += ':';
    for (const model::Xid xid : snapshot.in_progress) {
        if (text.back() != ':') text += ',';
        append_number(text, xid.value);
    }
    return text;
}

std::optional<model::Snapshot> parse_snapshot(std::string_view text) {
    const auto xmin = take_number(text);
    if (!xmin || !take(text, ':')) return std::nullopt;
    const auto xmax = take_number(text);
    if (!xmax || !take(text, ':')) return std::nullopt;
    model::Snapshot snapshot{*xmin, *xmax, {}};
    while (!text.empty()) {
        if (!snapshot.in_progress.empty() && !take(text, ',')) return std::nullopt;
        const auto xid = take_number(text);
        if (!xid) return std::nullopt;
        snapshot.in_progress.push_back(*xid);
    }
    return snapshot;
}

}  // namespace event_log
