// What the projector does in a turn: a step of the projections, and telling about it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "projection/step.hpp"
#include "worker/failure.hpp"

#include "postgres/pg.hpp"

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
    // At most one batch, in a transaction of its own; its notification follows in another one when the batch is on disk, and is
    // sent later if that fails: the batch is in its table. Throws when nothing could be done.
    WorkDone do_some();

    // Batches were applied that are not known to be on disk. Whoever commits next flushes them along; tell_now() does it
    // itself.
    bool waits_to_tell() const noexcept { return !untold_.empty(); }
    WorkDone tell_now();

private:
    enum class Flush { now, not_now };
    struct Untold {
        std::string payload;
        XLogRecPtr committed_at;
    };

    void tell(WorkDone& done, Flush flush);

    projection::Stepper stepper_;
    std::vector<Untold> untold_;  // in the order of their batches; after a failure the newest only
};

}  // namespace worker
