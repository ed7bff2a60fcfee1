// The upkeep between passes: it merges old batches, deletes rows of state tables that nobody needs, rejected
// readings and verdicts that are old, audits projections, tells which devices go offline and come back, and settles the index
// by device and time.
#pragma once

#include <map>
#include <string>

#include "feed/merging.hpp"
#include "postgres/types.hpp"
#include "runtime/steady_time.hpp"

namespace worker {

// How much is kept of what was refused. 0 in a member: there is no limit.
struct RefusedLimits {
    int retention;          // seconds, of the quarantine
    int rows;               // of the quarantine
    int verdict_retention;  // seconds, of the accounts of batches
    bool operator==(const RefusedLimits&) const = default;
};

class Upkeep {
public:
    // Does some of what is due, in transactions of its own. A deferred trigger on telemetry.batch makes merging impossible. In
    // that case telemetry.health() names the trigger, and the log names it once.
    void do_when_due();

    // Generations have come or gone.
    void clear_soon() noexcept { clearing_due_at_ = 0; }

    // New events are in the log, so the index by device and time has rows to enter.
    void settle_soon() noexcept;

    // Settles some readings if that is due, in a transaction of its own. If more are left, it is due again at once, or some
    // time later if events wait to be applied. If it cannot settle, the log says why, once.
    void settle_when_due(bool has_more_events);

    // When it settles again.
    runtime::SteadyTime settling_due_at() const noexcept { return settling_due_at_; }

    // When it looks for work again.
    runtime::SteadyTime due_at() const noexcept;

private:
    void merge_when_due();
    void clear_when_due();
    bool clear_some();
    void clear_refused_when_due();
    void audit_when_due();
    bool audit_some(int interval);
    void tell_liveness_when_due();

    feed::Merging merging_;
    runtime::SteadyTime merging_due_at_ = 0;
    bool is_obstructed_ = false;
    int retention_setting_ = -1;  // seconds; the setting from which `merging_due_at_` was computed

    std::map<std::string, std::string> next_keys_;  // of generations whose old buckets are being deleted
    std::string cleared_generations_;               // those of the last time when nothing was left to be cleared
    runtime::SteadyTime cleared_at_ = 0;            // when that was
    runtime::SteadyTime clearing_due_at_ = 0;
    bool is_clearing_obstructed_ = false;

    runtime::SteadyTime clearing_refused_due_at_ = 0;
    RefusedLimits refused_limits_{};  // of the last time
    bool is_clearing_refused_obstructed_ = false;

    runtime::SteadyTime audit_due_at_ = 0;
    std::string audited_;         // the generation that is being compared
    std::string next_audit_key_;  // where its comparison goes on
    bool had_audits_ = true;      // an audit may be under way
    bool is_audit_obstructed_ = false;

    runtime::SteadyTime liveness_due_at_ = 0;
    TimestampTz liveness_told_at_ = 0;  // the last look
    TimestampTz watching_since_ = 0;    // since then there was no long gap between two looks
    int liveness_setting_ = -1;         // seconds; the setting from which `liveness_due_at_` was computed
    bool is_liveness_obstructed_ = false;

    bool is_settling_obstructed_ = false;
    runtime::SteadyTime settling_due_at_ = 0;
};

}  // namespace worker
