// Copies and compares the server's arrays.
#include "postgres/snapshot_memo.hpp"

#include <algorithm>
#include <span>

#include "postgres/pg.hpp"

namespace postgres {
namespace {

constexpr TimestampTz kLongest = TimestampTz{60} * 1000 * 1000;  // microseconds; 2^32 transactions take hours

bool is_comparable(Snapshot snapshot) noexcept {
    return snapshot->snapshot_type == SNAPSHOT_MVCC && !IsolationIsSerializable() &&
           !TransactionIdIsValid(GetTopTransactionIdIfAny());
}

std::span<const TransactionId> running(Snapshot snapshot) noexcept {
    return {snapshot->xip, snapshot->xcnt};
}

// A copied snapshot of which some subtransactions are not known keeps their count and has no array. It then looks up the
// parents of subtransactions, and those do not change.
std::span<const TransactionId> running_below(Snapshot snapshot) noexcept {
    if (snapshot->subxip == nullptr) return {};
    return {snapshot->subxip, static_cast<std::size_t>(std::max(snapshot->subxcnt, 0))};
}

bool are_equal(std::span<const TransactionId> a, std::span<const TransactionId> b) noexcept {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

}  // namespace

SnapshotImage::SnapshotImage(Snapshot snapshot)
    : is_comparable_(is_comparable(snapshot)),
      was_in_recovery_(snapshot->takenDuringRecovery),
      lacked_some_(snapshot->suboverflowed),
      taken_at_(GetCurrentTransactionStartTimestamp()),
      xmin_(snapshot->xmin),
      xmax_(snapshot->xmax) {
    if (!is_comparable_) return;
    running_.assign(running(snapshot).begin(), running(snapshot).end());
    running_below_.assign(running_below(snapshot).begin(), running_below(snapshot).end());
}

bool SnapshotImage::shows_the_same(Snapshot snapshot) const noexcept {
    const TimestampTz age = GetCurrentTransactionStartTimestamp() - taken_at_;
    return is_comparable_ && is_comparable(snapshot) && age >= 0 && age < kLongest && snapshot->xmin == xmin_ &&
           snapshot->xmax == xmax_ && snapshot->takenDuringRecovery == was_in_recovery_ &&
           snapshot->suboverflowed == lacked_some_ && are_equal(running(snapshot), running_) &&
           are_equal(running_below(snapshot), running_below_);
}

}  // namespace postgres
