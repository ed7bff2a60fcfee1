// The upkeep of the read side between passes: it merges old batches, and deletes rows of state tables that nobody needs.
#pragma once

#include <map>
#include <string>

#include "feed/merging.hpp"
#include "runtime/steady_time.hpp"

namespace worker {

class Upkeep {
public:
    // Does some of what is due, in transactions of its own. A deferred trigger on telemetry.batch makes merging impossible. In
    // that case telemetry.health() names the trigger, and the log names it once.
    void do_when_due();

    // A rebuild has ended, so its old rows can go.
    void clear_soon() noexcept { clearing_due_at_ = 0; }

    // When it looks for work again.
    runtime::SteadyTime due_at() const noexcept;

private:
    void merge_when_due();
    void clear_when_due();
    bool clear_some();

    feed::Merging merging_;
    runtime::SteadyTime merging_due_at_ = 0;
    bool is_obstructed_ = false;
    int retention_setting_ = -1;  // seconds; the setting from which `merging_due_at_` was computed

    std::map<std::string, std::string> next_keys_;  // of projections whose old buckets are being deleted
    std::string cleared_generations_;               // those of the last time when nothing was left to be cleared
    runtime::SteadyTime clearing_due_at_ = 0;
    bool is_clearing_obstructed_ = false;
};

}  // namespace worker
