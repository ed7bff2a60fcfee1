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

void Stepper::Retry::put_off(int sqlstate) noexcept {
    delay =
        sqlstate == error_codes::kTableCarriesObstacle ? kDelayOfObstacle : std::clamp(delay * 2, kFirstDelay, kLongestDelay);
    due_at = runtime::steady_time() + delay;
}

// Records the failure if that is possible.
void Stepper::record(StepResult& result, ProjectionFailure failure) {
    try {
        record_failure(failure);
    } catch (const std::exception&) {
        // This step tells its caller the first failure. The cause of this second one shows in the next step.
    }
    result.failures.push_back(std::move(failure));
}

StepResult Stepper::step(const PassOptions& options) {
    StepResult result;
    const runtime::SteadyTime now = runtime::steady_time();
    if (pass_retry_.due_at > now) return result;
    for (const auto& [consumer, retry] : retries_)
        if (retry.is_due(now)) applier_.suspend(consumer, false);
    std::exception_ptr failure;
    try {
        postgres::Transaction transaction;
        result.pass = applier_.run(options);
        transaction.commit();
    } catch (const std::exception&) {
        if (is_interruption() || !applier_.has_begun()) throw;
        failure = std::current_exception();
    }
    if (failure) {
        result.pass = {};
        result.pass.has_more = true;
        if (applier_.be_careful()) return result;
        record(result, failure_of(kBatches, failure));
        for (const std::string& each : applier_.projections()) record(result, failure_of(each, failure));
        pass_retry_.put_off(result.failures.front().sqlstate);
        return result;
    }
    pass_retry_ = {};
    for (const std::string& consumer : result.pass.succeeded) retries_.erase(consumer);
    // The consumers that were due have nothing left to do, so another process has made the pass in which they failed.
    if (result.pass.outcome == PassOutcome::kIdle)
        std::erase_if(retries_, [now](const auto& each) { return each.second.is_due(now); });
    for (const ConsumerFailure& each : result.pass.failures) {
        result.pass.has_more = true;
        if (each.parks) continue;
        applier_.suspend(each.consumer, true);
        record(result, failure_of(each.consumer, each.cause));
        retries_[each.consumer].put_off(result.failures.back().sqlstate);
    }
    return result;
}

void publish(std::span<const char* const> notifications) {
    postgres::Transaction transaction;
    postgres::guarded([notifications] {
        for (const char* payload : notifications) notify(payload);
    });
    transaction.commit();
}

}  // namespace projection
