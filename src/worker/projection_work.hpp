// What the projector does in a turn: a step of the projections, and telling about it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "projection/step.hpp"
#include "worker/failure.hpp"

namespace worker {

struct WorkDone {
    std::int64_t events = 0;         // that were applied
    bool more = false;               // there is more to do now
    bool is_absent = false;          // the extension is gone
    bool is_open = false;            // the log was opened here: only then may anything be written
    bool tries_again = false;        // something failed and is tried again later
    std::optional<Failure> failure;  // in this turn; what did not fail was done
};

class ProjectionWork {
public:
    // At most one batch, in a transaction of its own; its notification follows in another one, and is sent later if that
    // fails: the batch is in its table. Throws when nothing could be done.
    WorkDone do_some();

private:
    void tell(WorkDone& done);

    projection::Stepper stepper_;
    std::string untold_;  // the newest notification that is not sent yet
};

}  // namespace worker
