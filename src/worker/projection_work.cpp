// The work decides which steps close the open batch, and sends notifications.
#include "worker/projection_work.hpp"

#include <exception>
#include <utility>

#include "postgres/error.hpp"
#include "postgres/injection_point.hpp"

namespace worker {
namespace {

constexpr std::int64_t kBusyStep = 500;                  // events; beside applying so many, a wait for the disk is short
constexpr runtime::SteadyTime kLongestOpen = 20 * 1000;  // microseconds

postgres::ErrorReport failure_of(const projection::ProjectionFailure& failure) {
    return {failure.sqlstate, failure.consumer + ": " + failure.message, {}, {}, {}};
}

}  // namespace

void ProjectionWork::notify(WorkDone& done) {
    if (unsent_payloads_.empty()) return;
    try {
        TELEMETRY_INJECTION_POINT("pass_committed");
        std::vector<const char*> payloads;
        for (const std::string& each : unsent_payloads_) payloads.push_back(each.c_str());
        projection::publish(payloads);
        unsent_payloads_.clear();
    } catch (const std::exception&) {
        unsent_payloads_.erase(unsent_payloads_.begin(), unsent_payloads_.end() - 1);
        done.tries_again = true;
        done.failure = postgres::describe_current_exception();
        done.failure->message.insert(0, "notification: ");
    }
}

WorkDone ProjectionWork::step(bool with_batches) {
    projection::StepResult step = stepper_.step({.with_batches = with_batches});
    const projection::Pass& pass = step.pass;
    is_busy_ = pass.events >= kBusyStep || pass.has_more;
    due_at_ = pass.due_at;
    if (!pass.has_open_batch)
        open_since_ = 0;
    else if (open_since_ == 0)
        open_since_ = runtime::steady_time();
    WorkDone done;
    done.events = pass.events;
    done.has_more = pass.has_more;
    done.has_replaced = pass.has_replaced;
    done.is_absent = pass.outcome == projection::PassOutcome::kAbsent;
    done.is_open = pass.outcome == projection::PassOutcome::kIdle || pass.outcome == projection::PassOutcome::kApplied;
    if (!step.failures.empty()) done.failure = failure_of(step.failures.front());
    done.tries_again = stepper_.waits_to_retry();
    for (std::string& each : step.pass.notifications) unsent_payloads_.push_back(std::move(each));
    notify(done);
    return done;
}

WorkDone ProjectionWork::do_some() {
    const bool is_due = has_open_batch() && runtime::steady_time() - open_since_ >= kLongestOpen;
    return step(is_busy_ || is_due || stepper_.waits_to_retry());
}

WorkDone ProjectionWork::close_batch() {
    return step(true);
}

}  // namespace worker
