// Steps with and without batches, and their notifications.
#include "worker/projection_work.hpp"

#include <exception>
#include <utility>

#include "event_log/checkpoint.hpp"
#include "postgres/error.hpp"
#include "postgres/injection_point.hpp"

namespace worker {
namespace {

constexpr std::int64_t kBusyStep = 500;                       // events; a wait for the disk is little beside applying so many
constexpr runtime::SteadyTime kLongestUnbatched = 20 * 1000;  // microseconds

Failure of_projection(const projection::ProjectionFailure& failure) {
    return {failure.sqlstate, std::string(event_log::name_of(failure.consumer)) + ": " + failure.message, {}, {}, {}};
}

}  // namespace

void ProjectionWork::tell(WorkDone& done) {
    if (untold_.empty()) return;
    try {
        TELEMETRY_INJECTION_POINT("pass_committed");
        std::vector<const char*> payloads;
        for (const std::string& each : untold_) payloads.push_back(each.c_str());
        projection::publish(payloads);
        untold_.clear();
    } catch (const std::exception&) {
        untold_.erase(untold_.begin(), untold_.end() - 1);
        done.tries_again = true;
        done.failure = describe_current_exception();
        done.failure->message.insert(0, "notification: ");
    }
}

WorkDone ProjectionWork::step(bool with_batches) {
    projection::StepResult step = stepper_.step({.with_batches = with_batches});
    const projection::Pass& pass = step.pass;
    // After a batch that only caught up with the projections, little waits.
    is_busy_ = pass.events >= kBusyStep || (pass.has_more && (!pass.batch || pass.owes_batches));
    if (with_batches && !pass.owes_batches && (pass.batch || !pass.has_more)) unbatched_since_ = 0;
    if (!with_batches && pass.owes_batches && unbatched_since_ == 0) unbatched_since_ = runtime::steady_time();
    WorkDone done;
    done.events = pass.events;
    done.more = pass.has_more;
    done.is_absent = pass.outcome == projection::PassOutcome::kAbsent;
    done.is_open = pass.outcome == projection::PassOutcome::kIdle || pass.outcome == projection::PassOutcome::kApplied;
    if (step.failure) done.failure = of_projection(*step.failure);
    done.tries_again = stepper_.waits_to_retry();
    if (!pass.notification.empty()) untold_.push_back(std::move(step.pass.notification));
    tell(done);
    return done;
}

WorkDone ProjectionWork::do_some() {
    const bool is_due = owes_batches() && runtime::steady_time() - unbatched_since_ >= kLongestUnbatched;
    return step(is_busy_ || is_due || stepper_.waits_to_retry());
}

WorkDone ProjectionWork::write_batches() {
    return step(true);
}

}  // namespace worker
