// The projector's work in a turn: a step of the projections, and its notification.
//
// A step that closes a batch waits for the disk. While little comes in, steps leave the batch open, and every 20 milliseconds
// at the latest one step closes it. So readings are visible at once, and one wait serves several steps.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "projection/step.hpp"
#include "runtime/steady_time.hpp"
#include "worker/failure.hpp"

namespace worker {

struct WorkDone {
    std::int64_t events = 0;                       // that were applied
    bool has_more = false;                         // more can be done at once
    bool is_absent = false;                        // the extension is gone
    bool has_replaced = false;                     // a rebuild has replaced what readers see
    bool is_open = false;                          // the log was opened here, so the projector may write
    bool tries_again = false;                      // something failed and is tried again later
    std::optional<postgres::ErrorReport> failure;  // of this turn; everything else was done
};

class ProjectionWork {
public:
    // Makes one step, in a transaction of its own. Another transaction then sends the notification of its batch. If that one
    // fails, the notification is sent later, because the batch is in its table. Throws if nothing could be done.
    WorkDone do_some();

    // True if events were applied that are in no batch yet.
    bool has_open_batch() const noexcept { return open_since_ != 0; }

    // When lazy projections will have something to do; 0: not for now.
    runtime::SteadyTime due_at() const noexcept { return due_at_; }

    // Makes the same step, and closes the batch.
    WorkDone close_batch();

private:
    WorkDone step(bool with_batches);
    void notify(WorkDone& done);

    projection::Stepper stepper_;
    std::vector<std::string> unsent_payloads_;  // in the order of their batches; after a failure only the newest
    bool is_busy_ = true;                       // the next step is worth its own wait for the disk
    runtime::SteadyTime due_at_ = 0;
    runtime::SteadyTime open_since_ = 0;  // when the first step left the batch open; 0: it is closed
};

}  // namespace worker
