// How far each consumer of the log has come, epoch by epoch: telemetry.epoch and telemetry.checkpoint.
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

// Who moves a checkpoint: the list of batches itself, and each projection.
enum class Consumer : std::uint8_t { kBatch, kDevice, kRegion };
inline constexpr std::array kConsumers{Consumer::kBatch, Consumer::kDevice, Consumer::kRegion};
static_assert(kConsumers.size() <= runtime::kPassSignals);
constexpr int number_of(Consumer consumer) noexcept {
    return static_cast<int>(consumer);
}
std::string_view name_of(Consumer consumer) noexcept;

// The consumer that is the projection of this name; throws Error(22023), which lists the names there are.
Consumer projection_named(std::string_view name);

struct Checkpoint {
    model::Position position;
    std::int64_t applied = 0;     // events of the epoch
    model::BatchId last_batch{};  // the last one wholly behind the position
    bool drained = false;         // nothing of the epoch is left and nothing will come
    model::Micros as_of = 0;      // every reading committed before is behind the position
    ItemPointerData tid{};        // where it is stored; only of what read_progress gave
};

struct EpochProgress {
    model::Epoch epoch;
    std::uint64_t system_identifier;
    Oid database;
    Oid log;
    TimeLineID timeline;
    model::Xid opened_xid;
    model::Xid first_xid;  // no transaction below it wrote in the epoch
    model::Micros opened_at;
    bool is_mixed;  // two places under one number: data of a dump was loaded into a log that had been written to
    std::array<std::optional<Checkpoint>, kConsumers.size()> checkpoints;  // nothing: no event of the epoch was consumed yet

    const std::optional<Checkpoint>& of(Consumer consumer) const noexcept {
        return checkpoints[static_cast<std::size_t>(consumer)];
    }
    model::Position position_of(Consumer consumer) const;
    bool is_drained(Consumer consumer) const noexcept;

    // Are its transaction numbers comparable with those of snapshots taken here?
    bool is_local(const runtime::Identity& here) const noexcept;
};

// All epochs, ascending, as `snapshot` shows them.
std::vector<EpochProgress> read_progress(::Snapshot snapshot);

struct CheckpointMove {
    Consumer consumer;
    model::Epoch epoch;
    std::optional<Checkpoint> from;  // as read_progress gave it
    Checkpoint to;
};

// Writes the new checkpoints. `snapshot` is the one they were read with, under the projector's lock.
void write_checkpoints(std::span<const CheckpointMove> moves, ::Snapshot snapshot);

}  // namespace event_log
