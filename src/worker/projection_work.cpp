// The work decides which steps close the open batch, and sends notifications.
#include "worker/projection_work.hpp"

#include <algorithm>
#include <exception>
#include <utility>

#include "postgres/error.hpp"
#include "postgres/injection_point.hpp"

namespace worker {
namespace {

constexpr std::int64_t kBusyStep = 500;                      // events; beside applying so many, a wait for the disk is short
constexpr runtime::SteadyTime kShortestOpen = 2 * 1000;      // microseconds
constexpr runtime::SteadyTime kBetweenClosings = 20 * 1000;  // microseconds

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

std::optional<runtime::SteadyTime> ProjectionWork::batch_due_at() const noexcept {
    if (open_since_ == 0 || is_tried_) return std::nullopt;
    const runtime::SteadyTime earliest = open_since_ + kShortestOpen;
    return is_busy_ ? earliest : std::max(earliest, closed_at_ + kBetweenClosings);
}

WorkDone ProjectionWork::do_some() {
    const auto due_at = batch_due_at();
    const bool is_due = due_at && *due_at <= runtime::steady_time();
    is_tried_ = is_busy_ || is_due || stepper_.waits_to_retry();
    projection::StepResult step = stepper_.step({.with_batches = is_tried_});
    const projection::Pass& pass = step.pass;
    due_at_ = pass.due_at;
    const runtime::SteadyTime now = runtime::steady_time();
    if (std::find(pass.succeeded.begin(), pass.succeeded.end(), projection::kBatches) != pass.succeeded.end()) closed_at_ = now;
    if (!pass.has_open_batch)
        open_since_ = 0;
    else if (open_since_ == 0)
        open_since_ = now;
    is_busy_ = pass.events >= kBusyStep || pass.has_more;
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

}  // namespace worker
