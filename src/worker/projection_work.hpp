// The projector's work in a turn: a step of the projections, and its notification.
//
// A step that closes a batch waits for the disk, and commands that commit meanwhile wait with it. While little comes in, steps
// leave the batch open. So readings are visible at once, and one wait serves several steps:
// - Between two steps that close a batch there are 20 milliseconds.
// - A batch is due 2 milliseconds after its first events were applied, or later if the last one was closed just before.
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
    // Makes one step, in a transaction of its own, and closes the open batch if it is due. Another transaction then sends the
    // notification of the batch. If that one fails, the notification is sent later, because the batch is in its table. Throws
    // if nothing could be done.
    WorkDone do_some();

    // The time from which on a step would close the open batch. Nothing: no batch is open, or the last step could not close it.
    std::optional<runtime::SteadyTime> batch_due_at() const noexcept;

    // When lazy projections will have something to do; 0: not for now.
    runtime::SteadyTime due_at() const noexcept { return due_at_; }

private:
    void notify(WorkDone& done);

    projection::Stepper stepper_;
    std::vector<std::string> unsent_payloads_;  // in the order of their batches; after a failure only the newest
    bool is_busy_ = true;                       // the next step is worth its own wait for the disk
    runtime::SteadyTime due_at_ = 0;
    bool is_tried_ = false;               // the last step was to close the batch
    runtime::SteadyTime open_since_ = 0;  // when the first step left the batch open; 0: it is closed
    runtime::SteadyTime closed_at_ = 0;   // when a batch was closed last
};

}  // namespace worker
