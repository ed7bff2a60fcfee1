// Keeps what a session has read, for as long as snapshots show the same.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "postgres/types.hpp"

namespace postgres {

// A copy of what decides which rows a snapshot shows: the transactions that had ended when the server took it.
class SnapshotImage {
public:
    explicit SnapshotImage(Snapshot snapshot);

    // Does the snapshot show exactly the same rows? False where that is not sure:
    //   - The caller's transaction may have written, now or then, and sees its own rows.
    //   - A serializable transaction has to read, so that the server knows what it has read.
    //   - The image is so old that the numbers of transactions could have come round.
    bool shows_the_same(Snapshot snapshot) const noexcept;

private:
    bool is_comparable_;
    bool was_in_recovery_;
    bool lacked_some_;  // of the running subtransactions
    TimestampTz taken_at_;
    std::uint32_t xmin_, xmax_;
    std::vector<std::uint32_t> running_, running_below_;
};

// The last value that the session has read under a snapshot.
template <typename Value>
class SnapshotMemo {
public:
    // What read() returns or has returned under this snapshot, or under one that shows the same. The reference holds until the
    // next call.
    template <typename Read>
    Value& at(Snapshot snapshot, Read&& read) {
        if (!kept_ || !kept_->first.shows_the_same(snapshot)) {
            kept_.reset();
            kept_.emplace(SnapshotImage(snapshot), read());
        }
        return kept_->second;
    }

private:
    std::optional<std::pair<SnapshotImage, Value>> kept_;
};

}  // namespace postgres
