// One pass of the projector: who is served next, from where to where; reading, folding, writing, moving checkpoints.
// The contract is in this folder's README.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "event_log/checkpoint.hpp"
#include "event_log/window_reader.hpp"
#include "model/identifiers.hpp"
#include "model/snapshot.hpp"
#include "projection/pause.hpp"

#include "postgres/pg.hpp"

namespace projection {

enum class PassOutcome : std::uint8_t {
    kIdle,     // nothing to do
    kApplied,  // something was written
    kAbsent,   // the extension is not (or no longer) in this database
    kUnopened  // no reading was accepted here yet: a fresh installation or a restored one. Nothing is written then.
};

struct Pass {
    PassOutcome outcome = PassOutcome::kIdle;
    std::int64_t events = 0;              // of the log that were applied
    bool has_more = false;                // another pass would find something to do at once
    std::optional<model::BatchId> batch;  // the batch that was written
    bool owes_batches = false;            // the list of batches may be behind all that could be served: a later pass catches up
    std::string notification;             // to be told when the transaction has committed; empty: nothing
};

struct PassOptions {
    bool with_batches = true;     // false: the list of batches is left as it is, and catches up in a later pass
    std::int64_t slice = 100000;  // most rows of the log read in a pass
    int lock_timeout = 500;  // milliseconds to wait for a table; below deadlock_timeout, so that whoever changes our tables
                             // wins; 0: as the session has set it
};

// Remembers between passes what it would otherwise find out again; nothing of it is needed for correctness, and any number of
// them may be at work in several processes.
class Applier {
public:
    // In an open transaction that has no transaction number yet and will be rolled back when this throws.
    Pass run(const PassOptions& options);

    // After a `run` that threw was rolled back: whom it served. Empty when it did not come that far.
    const std::vector<event_log::Consumer>& served() const noexcept { return served_; }

    // The consumers of the last `run` failed together: each gets a pass of its own next.
    void separate() noexcept { separate_passes_ = static_cast<int>(served_.size()); }

    // The caller says that the writes of the last `run` were rolled back.
    void rolled_back() noexcept { may_have_failed_ = true; }

    // Leaves a consumer out, or takes it in again.
    void suspend(event_log::Consumer consumer, bool is_suspended) noexcept;

private:
    // What lies between a stored position and a later snapshot was seen to be empty.
    struct SeenEmpty {
        model::Epoch epoch;
        model::Position stored;
        model::Snapshot far_end;
    };

    // A pass to be made.
    struct Task {
        const event_log::EpochProgress* epoch;
        model::Position stored;                        // of every consumer that is served
        model::Position from;                          // the same, or a later one where nothing lies between
        model::Snapshot far_end;                       // where the window ends
        std::optional<model::Position> next_position;  // of the next consumer ahead; nothing: none is ahead
        std::optional<event_log::Checkpoint> next_checkpoint;
        bool drains;  // nothing of the epoch comes after the far end
        bool is_newest;
        bool has_others_waiting;  // there are consumers behind or ahead of those served
    };

    struct PassContext {
        ::Snapshot snapshot;
        TimestampTz taken_at;     // just before the snapshot
        model::Snapshot present;  // `snapshot` as the model has it
        runtime::Identity here;
    };

    Pass run_as_owner(const PassOptions& options);
    std::optional<Task> choose(const std::vector<event_log::EpochProgress>& progress, std::size_t epoch,
                               const PassContext& context);
    std::optional<Pass> perform(const Task& task, const std::vector<event_log::EpochProgress>& progress,
                                const PassContext& context, const PassOptions& options);
    void mend_triggers_of_new_epoch(const Task& task);
    void forget_other_installation(Oid log);
    bool is_served(event_log::Consumer consumer) const noexcept;
    bool is_left_out(event_log::Consumer consumer) const noexcept {
        const auto number = static_cast<std::size_t>(consumer);
        return suspended_[number] || paused_[number] || (consumer == event_log::Consumer::kBatch && !with_batches_);
    }

    Oid log_ = InvalidOid;
    std::vector<SeenEmpty> seen_empty_;  // at most one an epoch
    std::vector<event_log::Consumer> served_;
    ConsumerSet suspended_{};
    ConsumerSet paused_{};  // as the pass's snapshot shows it
    bool with_batches_ = true;
    int separate_passes_ = 0;
    bool may_have_failed_ = true;  // a row of telemetry.projection_failure may say so
    int attempts_to_mend_ = 0;     // left in this epoch, of the triggers
};

}  // namespace projection
