// Makes passes in a background worker.
#include "projection/step.hpp"

#include <algorithm>
#include <exception>
#include <utility>

#include "error_codes.hpp"
#include "postgres/error.hpp"
#include "postgres/transaction.hpp"
#include "projection/notification.hpp"

namespace projection {
namespace {

constexpr runtime::SteadyTime kFirstDelay = 1'000'000;
constexpr runtime::SteadyTime kLongestDelay = 60'000'000;
// An obstacle goes when a user drops it. The look is cheap, so the consumer tries soon.
constexpr runtime::SteadyTime kDelayOfObstacle = 2'000'000;

}  // namespace

// Leaves the consumer out for a while, and records its failure if that is possible.
StepResult Stepper::fail(ProjectionFailure failure) {
    Retry& retry = retries_[static_cast<std::size_t>(failure.consumer)];
    retry.delay = failure.sqlstate == error_codes::kTableCarriesObstacle
                      ? kDelayOfObstacle
                      : std::clamp(retry.delay * 2, kFirstDelay, kLongestDelay);
    retry.due_at = runtime::steady_time() + retry.delay;
    applier_.suspend(failure.consumer, true);
    try {
        record_failure(failure);
    } catch (const std::exception&) {
        // This step tells its caller the consumer's failure. The cause of this second failure shows in the next step.
    }
    StepResult result;
    result.pass.has_more = true;
    result.failure = std::move(failure);
    return result;
}

StepResult Stepper::step(const PassOptions& options) {
    const runtime::SteadyTime now = runtime::steady_time();
    for (const event_log::Consumer consumer : event_log::kConsumers) {
        const Retry& retry = retries_[static_cast<std::size_t>(consumer)];
        if (retry.is_due(now)) applier_.suspend(consumer, false);
    }
    std::optional<ProjectionFailure> failure;
    try {
        postgres::Transaction transaction;
        const Pass pass = applier_.run(options);
        transaction.commit();
        if (pass.outcome == PassOutcome::kApplied)
            for (const event_log::Consumer consumer : applier_.served()) retries_[static_cast<std::size_t>(consumer)] = {};
        // The consumers that were due have nothing left to do, so another process has made the pass in which they failed.
        if (pass.outcome == PassOutcome::kIdle)
            for (Retry& retry : retries_)
                if (retry.is_due(now)) retry = {};
        return {pass, std::nullopt};
    } catch (const std::exception&) {
        applier_.rolled_back();
        if (applier_.served().empty() || is_interruption()) throw;
        failure = failure_of(applier_.served().front());
    }
    if (applier_.served().size() > 1) {
        applier_.separate();
        StepResult result;
        result.pass.has_more = true;
        return result;
    }
    return fail(std::move(*failure));
}

void publish(std::span<const char* const> notifications) {
    postgres::Transaction transaction;
    postgres::guarded([notifications] {
        for (const char* payload : notifications) notify(payload);
    });
    transaction.commit();
}

}  // namespace projection
