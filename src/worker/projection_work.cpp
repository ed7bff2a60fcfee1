// A step and its notification.
#include "worker/projection_work.hpp"

#include <algorithm>
#include <exception>
#include <utility>

#include "event_log/checkpoint.hpp"
#include "postgres/error.hpp"
#include "postgres/injection_point.hpp"

#include "postgres/pg.hpp"

namespace worker {
namespace {

constexpr std::size_t kMostUntold = 8;

Failure of_projection(const projection::Failure& failure) {
    return {failure.sqlstate, std::string(event_log::name_of(failure.consumer)) + ": " + failure.message, {}, {}, {}};
}

}  // namespace

// Tells of what is on disk: of a batch that a crash takes back nobody must have heard, as its number comes again with other
// events. Flushed here and not by the notification's commit, which holds a lock that all notifications of the server share.
void ProjectionWork::tell(WorkDone& done, Flush flush) {
    if (untold_.empty()) return;
    try {
        TELEMETRY_INJECTION_POINT("pass_committed");
        const XLogRecPtr flushed = postgres::guarded([flush, last = untold_.back().committed_at] {
            if (flush == Flush::now) XLogFlush(last);
            return GetFlushRecPtr(nullptr);
        });
        const auto first_left =
            std::find_if(untold_.begin(), untold_.end(), [flushed](const Untold& each) { return each.committed_at > flushed; });
        std::vector<const char*> payloads;
        for (auto each = untold_.begin(); each != first_left; ++each) payloads.push_back(each->payload.c_str());
        if (payloads.empty()) return;
        projection::publish(payloads);
        untold_.erase(untold_.begin(), first_left);
    } catch (const std::exception&) {
        untold_.erase(untold_.begin(), untold_.end() - 1);
        done.tries_again = true;
        done.failure = describe_current_exception();
        done.failure->message.insert(0, "notification: ");
    }
}

WorkDone ProjectionWork::tell_now() {
    WorkDone done;
    tell(done, Flush::now);
    return done;
}

WorkDone ProjectionWork::do_some() {
    projection::StepResult step = stepper_.step();
    WorkDone done;
    done.events = step.pass.events;
    done.more = step.pass.more;
    done.is_absent = step.pass.outcome == projection::Outcome::absent;
    done.is_open = step.pass.outcome == projection::Outcome::idle || step.pass.outcome == projection::Outcome::applied;
    if (step.failure) done.failure = of_projection(*step.failure);
    done.tries_again = stepper_.waits_to_retry();
    if (!step.pass.notification.empty()) untold_.push_back({std::move(step.pass.notification), XactLastCommitEnd});
    tell(done, untold_.size() < kMostUntold ? Flush::not_now : Flush::now);
    return done;
}

}  // namespace worker
