// What the projector does in a turn: a step of the projections, and telling about it.
//
// A step that writes a batch waits for the disk. While little comes in, steps leave the batches out, and one step in at most 20
// milliseconds writes a batch for all of them: readings are seen at once, and one wait serves several steps.
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
    std::int64_t events = 0;         // that were applied
    bool has_more = false;           // there is more to do now
    bool is_absent = false;          // the extension is gone
    bool is_open = false;            // the log was opened here: only then may anything be written
    bool tries_again = false;        // something failed and is tried again later
    std::optional<Failure> failure;  // in this turn; what did not fail was done
};

class ProjectionWork {
public:
    // One step, in a transaction of its own. The notification of its batch follows in another transaction, and is sent later if
    // that fails: the batch is in its table. Throws when nothing could be done.
    WorkDone do_some();

    // Were events applied that may be in no batch yet?
    bool owes_batches() const noexcept { return unbatched_since_ != 0; }

    // The same step, with batches.
    WorkDone write_batches();

private:
    WorkDone step(bool with_batches);
    void notify(WorkDone& done);

    projection::Stepper stepper_;
    std::vector<std::string> unsent_payloads_;  // payloads in the order of their batches; after a failure the newest only
    bool is_busy_ = true;                       // the next step is worth a wait for the disk of its own
    runtime::SteadyTime unbatched_since_ = 0;   // since the first step that left its events to a later batch; 0: there is none
};

}  // namespace worker
