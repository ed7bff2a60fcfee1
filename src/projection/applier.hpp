// Makes the passes of the projector: chooses the consumers and the window, reads and folds the events, writes the read models,
// and moves the checkpoints. This folder's README has the contract.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "event_log/checkpoint.hpp"
#include "event_log/window_reader.hpp"
#include "model/identifiers.hpp"
#include "model/snapshot.hpp"
#include "postgres/types.hpp"
#include "projection/pause.hpp"

namespace projection {

enum class PassOutcome : std::uint8_t {
    kIdle,     // the pass found nothing to do
    kApplied,  // the pass has written something
    kAbsent,   // the extension is not, or no longer, in this database
    kUnopened  // no reading was accepted at this place yet, as after an installation or a restore; the pass wrote nothing
};

struct Pass {
    PassOutcome outcome = PassOutcome::kIdle;
    std::int64_t events = 0;              // of the log that the pass applied
    bool has_more = false;                // another pass would at once find something to do
    std::optional<model::BatchId> batch;  // the batch that the pass wrote
    bool owes_batches = false;            // the list of batches may be behind, so a later pass must catch up
    std::string notification;             // to send after the commit; empty: nothing
};

struct PassOptions {
    bool with_batches = true;     // false: the pass leaves the list of batches alone, and a later one catches up
    std::int64_t slice = 100000;  // a pass reads at most this many rows of the log
    // Milliseconds to wait for a table; 0: as the session has set it. The default is below deadlock_timeout: the pass gives up
    // first, and a session that changes a table of the extension goes on.
    int lock_timeout = 500;
};

// Makes passes, and remembers between them what it would otherwise find out again. Correctness depends on none of this memory,
// so several processes may each have an applier.
class Applier {
public:
    // Makes one pass, in an open transaction that has no number yet. If it throws, the caller rolls back.
    Pass run(const PassOptions& options);

    // The consumers that the last `run` served, also after it threw. Empty: it did not come that far.
    const std::vector<event_log::Consumer>& served() const noexcept { return served_; }

    // Gives each consumer of the last `run` a pass of its own next, because they failed together.
    void separate() noexcept { separate_passes_ = static_cast<int>(served_.size()); }

    // The caller calls this after it has rolled the writes of the last `run` back.
    void rolled_back() noexcept { may_have_failed_ = true; }

    // Leaves a consumer out, or serves it again.
    void suspend(event_log::Consumer consumer, bool is_suspended) noexcept;

private:
    // A pass found no event between a stored position and a far end.
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
        bool has_others_waiting;  // some consumers stand at another position than those served
    };

    struct PassContext {
        ::Snapshot snapshot;
        TimestampTz taken_at;     // just before the snapshot
        model::Snapshot present;  // `snapshot` as the model has it
        runtime::LogPlace here;
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

    Oid log_{};
    std::vector<SeenEmpty> seen_empty_;  // at most one an epoch
    std::vector<event_log::Consumer> served_;
    ConsumerSet suspended_{};
    ConsumerSet paused_{};  // as the snapshot of the pass shows them
    bool with_batches_ = true;
    int separate_passes_ = 0;
    bool may_have_failed_ = true;  // telemetry.projection_failure may say that the last pass of a consumer failed
    int attempts_to_mend_ = 0;     // of triggers; how many are left in this epoch
};

}  // namespace projection
