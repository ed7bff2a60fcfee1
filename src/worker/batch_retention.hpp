// The retention keeps telemetry.batch from growing for ever (setting telemetry_cqrs.batch_retention).
#pragma once

#include "runtime/steady_time.hpp"

namespace worker {

class BatchRetention {
public:
    // Deletes some of the batches that are older than the setting allows, in a transaction of its own. Does nothing before
    // due_at(). A batch stays while a consumer of the log has not passed it, and while it is the newest. A deferred trigger on
    // the table makes deleting impossible. In that case telemetry.health() names the trigger, and the log names it once.
    void delete_when_due();

    // When it looks for old batches again.
    runtime::SteadyTime due_at() const noexcept { return due_at_; }

private:
    runtime::SteadyTime due_at_ = 0;
    bool is_obstructed_ = false;
    int retention_setting_ = -1;  // seconds; the setting from which `due_at_` was computed
};

}  // namespace worker
