// A step and its notification.
#include "worker/projection_work.hpp"

#include <exception>
#include <utility>

#include "event_log/checkpoint.hpp"
#include "postgres/injection_point.hpp"

#include "postgres/pg.hpp"

namespace worker {
namespace {

Failure of_projection(const projection::Failure& failure) {
    return {failure.sqlstate, std::string(event_log::name_of(failure.consumer)) + ": " + failure.message, {}, {}, {}};
}

}  // namespace

void ProjectionWork::tell(WorkDone& done) {
    if (untold_.empty()) return;
    try {
        TELEMETRY_INJECTION_POINT("pass_committed");
        // The batch was committed without waiting for the disk. After a crash its number must not come again with other events
        // when somebody has heard of it. Flushed here and not by the notification's commit, which holds a lock of all NOTIFYs.
        postgres::guarded([] { XLogFlush(XactLastCommitEnd); });
        projection::publish(untold_);
        untold_.clear();
    } catch (const std::exception&) {
        done.failure = describe_current_exception();
        done.failure->message.insert(0, "notification: ");
    }
}

WorkDone ProjectionWork::do_some() {
    projection::StepResult step = stepper_.step();
    WorkDone done;
    done.events = step.pass.events;
    done.more = step.pass.more;
    done.is_absent = step.pass.outcome == projection::Outcome::absent;
    done.is_open = step.pass.outcome == projection::Outcome::idle || step.pass.outcome == projection::Outcome::applied;
    if (step.failure) done.failure = of_projection(*step.failure);
    if (!step.pass.notification.empty()) untold_ = std::move(step.pass.notification);
    tell(done);
    done.tries_again = stepper_.waits_to_retry() || !untold_.empty();
    return done;
}

}  // namespace worker
