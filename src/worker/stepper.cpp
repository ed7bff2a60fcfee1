// Makes passes in a background worker.
#include "worker/stepper.hpp"

#include <algorithm>
#include <utility>

#include "error_codes.hpp"
#include "postgres/injection_point.hpp"
#include "postgres/transaction.hpp"
#include "projection/notification.hpp"

namespace worker {
namespace {

constexpr std::int64_t kBusyStep = 500;                      // events; beside applying so many, a wait for the disk is short
constexpr runtime::SteadyTime kShortestOpen = 2 * 1000;      // microseconds
constexpr runtime::SteadyTime kBetweenClosings = 20 * 1000;  // microseconds
// An obstacle goes when a user drops it. The look is cheap, so the consumer tries soon.
constexpr runtime::SteadyTime kDelayOfObstacle = 2'000'000;

// Sends notifications, in a transaction that does nothing else.
void publish(const std::vector<std::string>& payloads) {
    std::vector<const char*> texts;
    texts.reserve(payloads.size());
    for (const std::string& each : payloads) texts.push_back(each.c_str());
    postgres::Transaction transaction;
    postgres::guarded([first = texts.data(), count = texts.size()] {
        for (std::size_t i = 0; i < count; ++i) projection::notify(first[i]);
    });
    transaction.commit();
}

}  // namespace

void Retry::put_off(int sqlstate) noexcept {
    const runtime::SteadyTime delay = backoff_.failed();
    due_at_ = runtime::steady_time() + (sqlstate == error_codes::kTableCarriesObstacle ? kDelayOfObstacle : delay);
}

// Records the failure if that is possible.
void Stepper::record(const projection::ProjectionFailure& failure, Step& step) {
    try {
        projection::record_failure(failure);
    } catch (const std::exception&) {
        // This step tells its caller the first failure. The cause of this second one shows in the next step.
    }
    if (!step.failure) step.failure = {failure.sqlstate, failure.consumer + ": " + failure.message, {}, {}, {}};
}

// The pass as a whole has failed, and is rolled back.
void Stepper::has_failed(const std::exception_ptr& failure, Step& step) {
    step.has_more = true;
    if (applier_.be_careful()) return;
    const projection::ProjectionFailure of_batches = projection::failure_of(projection::kBatches, failure);
    record(of_batches, step);
    for (const std::string& each : applier_.projections()) record(projection::failure_of(each, failure), step);
    if (!pass_retry_) pass_retry_.emplace();
    pass_retry_->put_off(of_batches.sqlstate);
}

void Stepper::take_note_of(const projection::Pass& pass, runtime::SteadyTime now, Step& step) {
    pass_retry_.reset();
    for (const std::string& consumer : pass.succeeded) retries_.erase(consumer);
    // The consumers that were due have nothing left to do, so another process has made the pass in which they failed.
    if (pass.outcome == projection::PassOutcome::kIdle)
        std::erase_if(retries_, [now](const auto& each) { return each.second.is_due(now); });
    for (const projection::ConsumerFailure& each : pass.failures) {
        step.has_more = true;
        if (each.parks) continue;
        applier_.suspend(each.consumer, true);
        const projection::ProjectionFailure failure = projection::failure_of(each.consumer, each.cause);
        record(failure, step);
        retries_[each.consumer].put_off(failure.sqlstate);
    }
}

// Makes a pass in a transaction, unless the last one failed as a whole a short time ago.
projection::Pass Stepper::make_pass(Step& step) {
    const runtime::SteadyTime now = runtime::steady_time();
    if (pass_retry_ && !pass_retry_->is_due(now)) return {};
    for (const auto& [consumer, retry] : retries_)
        if (retry.is_due(now)) applier_.suspend(consumer, false);
    projection::Pass pass;
    std::exception_ptr failure;
    try {
        postgres::Transaction transaction;
        pass = applier_.run({.with_batches = is_tried_});
        transaction.commit();
    } catch (const std::exception&) {
        if (projection::is_interruption() || !applier_.has_begun()) throw;
        failure = std::current_exception();
    }
    if (failure) {
        has_failed(failure, step);
        return {};
    }
    step.has_more = pass.has_more;
    take_note_of(pass, now, step);
    return pass;
}

void Stepper::follow_open_batch(const projection::Pass& pass) {
    const runtime::SteadyTime now = runtime::steady_time();
    if (std::find(pass.succeeded.begin(), pass.succeeded.end(), projection::kBatches) != pass.succeeded.end()) closed_at_ = now;
    if (!pass.has_open_batch)
        open_since_ = 0;
    else if (open_since_ == 0)
        open_since_ = now;
}

void Stepper::notify(Step& step) {
    if (unsent_payloads_.empty()) return;
    try {
        TELEMETRY_INJECTION_POINT("pass_committed");
        publish(unsent_payloads_);
        unsent_payloads_.clear();
    } catch (const std::exception&) {
        unsent_payloads_.erase(unsent_payloads_.begin(), unsent_payloads_.end() - 1);
        step.tries_again = true;
        step.failure = postgres::describe_current_exception();
        step.failure->message.insert(0, "notification: ");
    }
}

std::optional<runtime::SteadyTime> Stepper::batch_due_at() const noexcept {
    if (open_since_ == 0 || is_tried_) return std::nullopt;
    const runtime::SteadyTime earliest = open_since_ + kShortestOpen;
    return is_busy_ ? earliest : std::max(earliest, closed_at_ + kBetweenClosings);
}

Step Stepper::step() {
    const auto due_at = batch_due_at();
    const bool is_due = due_at && *due_at <= runtime::steady_time();
    is_tried_ = is_busy_ || is_due || waits_to_retry();
    Step step;
    projection::Pass pass = make_pass(step);
    due_at_ = pass.due_at;
    follow_open_batch(pass);
    is_busy_ = pass.events >= kBusyStep || step.has_more;
    step.events = pass.events;
    step.has_replaced = pass.has_replaced;
    step.is_absent = pass.outcome == projection::PassOutcome::kAbsent;
    step.is_open = pass.outcome == projection::PassOutcome::kIdle || pass.outcome == projection::PassOutcome::kApplied;
    step.tries_again = waits_to_retry();
    for (std::string& each : pass.notifications) unsent_payloads_.push_back(std::move(each));
    notify(step);
    return step;
}

}  // namespace worker
