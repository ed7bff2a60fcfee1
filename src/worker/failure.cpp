// Logs the failures of a worker, and computes how long it waits after each.
#include "worker/failure.hpp"

#include <algorithm>

#include "postgres/pg.hpp"

namespace worker {
namespace {

constexpr long kFirstDelay = 100;  // milliseconds
constexpr long kLongestDelay = 10000;
constexpr TimestampTz kLogInterval = 60 * USECS_PER_SEC;
constexpr std::size_t kMaxRemembered = 32;

}  // namespace

void FailureThrottle::log(const postgres::ErrorReport& failure) {
    const runtime::SteadyTime now = runtime::steady_time();
    if (logged_at_.size() >= kMaxRemembered) logged_at_.clear();
    // The words do not count, because each error of a full disk names another file.
    runtime::SteadyTime& logged_at = logged_at_[failure.sqlstate];
    if (logged_at != 0 && now - logged_at < kLogInterval) return;
    logged_at = now;
    has_logged_failure_ = true;
    postgres::guarded([&failure] {
        ereport(LOG, (errcode(failure.sqlstate), errmsg("telemetry_cqrs projector waits: %s", failure.message.c_str()),
                      failure.detail.empty() ? 0 : errdetail_internal("%s", failure.detail.c_str()),
                      failure.hint.empty() ? 0 : errhint("%s", failure.hint.c_str()),
                      failure.context.empty() ? 0 : (errcontext("%s", failure.context.c_str()))));
    });
}

long FailureThrottle::next_delay() noexcept {
    delay_ = std::clamp(delay_ * 2, kFirstDelay, kLongestDelay);
    return delay_;
}

void FailureThrottle::recovered() {
    delay_ = 0;
    if (!has_logged_failure_) return;
    has_logged_failure_ = false;
    postgres::guarded([] { ereport(LOG, (errmsg("telemetry_cqrs projector goes on"))); });
}

}  // namespace worker
