// Tells how far each consumer of the log has come in each epoch (telemetry.epoch, telemetry.checkpoint), and moves it on.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "model/identifiers.hpp"
#include "model/snapshot.hpp"
#include "runtime/installed.hpp"
#include "runtime/shared_state.hpp"

#include "postgres/pg.hpp"

namespace event_log {

// A consumer has a checkpoint and moves it: the list of batches, and each projection.
enum class Consumer : std::uint8_t { kBatch, kDevice, kRegion };
inline constexpr std::array kConsumers{Consumer::kBatch, Consumer::kDevice, Consumer::kRegion};
static_assert(kConsumers.size() <= runtime::kPassSignalCount);
constexpr int number_of(Consumer consumer) noexcept {
    return static_cast<int>(consumer);
}
std::string_view name_of(Consumer consumer) noexcept;

// Finds the projection of this name. Error(22023) lists the names that exist.
Consumer projection_named(std::string_view name);

struct Checkpoint {
    model::Position position;
    std::int64_t applied = 0;     // events of the epoch
    model::BatchId last_batch{};  // the last batch that lies wholly before the position
    bool drained = false;         // no event of the epoch is left, and none will come
    model::Micros as_of = 0;      // the position covers every reading that was committed before this time
    ItemPointerData tid{};        // of its row; set by read_progress only
};

struct EpochProgress {
    model::Epoch epoch;
    runtime::LogPlace place;
    model::Xid opened_xid;
    model::Xid first_xid;  // no transaction below it wrote in the epoch
    model::Micros opened_at;
    bool is_mixed;  // two places share the number, because a dump's data was loaded into a log that had been written to
    std::array<std::optional<Checkpoint>, kConsumers.size()> checkpoints;  // nothing: the consumer is at the start

    const std::optional<Checkpoint>& of(Consumer consumer) const noexcept {
        return checkpoints[static_cast<std::size_t>(consumer)];
    }
    model::Position position_of(Consumer consumer) const;
    bool is_drained(Consumer consumer) const noexcept;

    // Can its transaction numbers be compared with those of snapshots taken here?
    bool is_local(const runtime::LogPlace& here) const noexcept;
};

// Reads all epochs, ascending, as `snapshot` shows them.
std::vector<EpochProgress> read_progress(::Snapshot snapshot);

struct CheckpointMove {
    Consumer consumer;
    model::Epoch epoch;
    std::optional<Checkpoint> from;  // as read_progress gave it
    Checkpoint to;
};

// Writes the new checkpoints. The caller has held the apply lock since before it took `snapshot`, and has read the old
// checkpoints with it.
void write_checkpoints(std::span<const CheckpointMove> moves, ::Snapshot snapshot);

}  // namespace event_log
