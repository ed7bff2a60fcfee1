// The retention keeps telemetry.batch short (setting telemetry_cqrs.batch_retention).
#pragma once

#include "feed/merging.hpp"
#include "runtime/steady_time.hpp"

namespace worker {

class BatchRetention {
public:
    // Merges some of the batches that are older than the setting allows, in a transaction of its own. Does nothing before
    // due_at(). A deferred trigger on the table makes merging impossible. In that case telemetry.health() names the trigger,
    // and the log names it once.
    void merge_when_due();

    // When it looks for old batches again.
    runtime::SteadyTime due_at() const noexcept { return due_at_; }

private:
    feed::Merging merging_;
    runtime::SteadyTime due_at_ = 0;
    bool is_obstructed_ = false;
    int retention_setting_ = -1;  // seconds; the setting from which `due_at_` was computed
};

}  // namespace worker
