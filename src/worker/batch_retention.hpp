// Keeping telemetry.batch from growing for ever (setting telemetry_cqrs.batch_retention).
#pragma once

#include "runtime/steady_time.hpp"

namespace worker {

class BatchRetention {
public:
    // Deletes some batches that are older than the setting allows, when it is time again to look; a transaction of its own.
    // Batches that a consumer of the log has not passed stay, and so does the newest. While a deferred trigger on the table is
    // in the way nothing is deleted; telemetry.health() names it, and the log does once.
    void delete_when_due();

    // When it is time again.
    runtime::SteadyTime due_at() const noexcept { return due_at_; }

private:
    runtime::SteadyTime due_at_ = 0;
    bool is_obstructed_ = false;
    int retention_setting_ = -1;  // seconds, as the setting was when `due_at_` was determined
};

}  // namespace worker
