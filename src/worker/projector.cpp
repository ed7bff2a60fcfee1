// The role of the projector: it applies events, sends notifications, and does the upkeep between passes.
#include <algorithm>
#include <memory>
#include <optional>

#include "postgres/background_worker.hpp"
#include "postgres/entry_point.hpp"
#include "runtime/processor_time.hpp"
#include "runtime/rest.hpp"
#include "runtime/role.hpp"
#include "runtime/settings.hpp"
#include "runtime/steady_time.hpp"
#include "worker/database_worker.hpp"
#include "worker/stepper.hpp"
#include "worker/upkeep.hpp"

#include "postgres/pg.hpp"

namespace worker {
namespace {

constexpr int kBusyBatch = 10;  // events; after a smaller step `coalesce` would only cost freshness
// After a step that applied events the projector rests this many times as long as it has used a processor, within bounds. So a
// stream of small commits costs it a tenth of a processor, and one step serves several of them.
constexpr runtime::SteadyTime kRestPerWork = 9;
constexpr runtime::SteadyTime kShortestRest = 2 * 1000;
constexpr runtime::SteadyTime kLongestRest = 10 * 1000;

// 0 stands for a time that never comes.
bool is_in_future(runtime::SteadyTime at) {
    return at == 0 || runtime::steady_time() < at;
}

// Whole milliseconds, because the server waits in these. Part of one counts as one.
long milliseconds_of(runtime::SteadyTime time) {
    return time <= 0 ? 0 : static_cast<long>((time + 999) / 1000);
}

class Projector : public Work {
public:
    void begin_turn() override {
        runtime::begin_listening();
        used_before_turn_ = runtime::processor_time();
    }
    WorkDone do_some() override;
    void rest(DatabaseWorker& worker) override;

private:
    long rest_after_events() const;
    long time_to_poll() const;

    Stepper stepper_;
    Upkeep upkeep_;
    Step last_step_;
    runtime::SteadyTime used_before_turn_ = 0;  // processor time
};

WorkDone Projector::do_some() {
    postgres::guarded([] { pgstat_report_activity(STATE_RUNNING, "applying events"); });
    last_step_ = stepper_.step();
    if (!last_step_.is_absent) {
        if (last_step_.events > 0) upkeep_.settle_soon();
        if (last_step_.has_replaced) upkeep_.clear_soon();
        if (last_step_.is_open) upkeep_.do_when_due();
        upkeep_.settle_when_due(last_step_.has_more);
    }
    return {last_step_.is_absent, last_step_.tries_again, last_step_.failure};
}

// Returns how long to rest after a turn that applied events, in milliseconds. The rest ends when the open batch is due. After
// many events more gather for `coalesce` at least.
long Projector::rest_after_events() const {
    runtime::SteadyTime rest =
        std::clamp(kRestPerWork * (runtime::processor_time() - used_before_turn_), kShortestRest, kLongestRest);
    if (const auto due_at = stepper_.batch_due_at()) rest = std::min(rest, *due_at - runtime::steady_time());
    const long least = last_step_.events < kBusyBatch ? 0 : runtime::settings().coalesce;
    return std::max(milliseconds_of(rest), least);
}

// How long the projector waits for a commit before it polls, in milliseconds.
long Projector::time_to_poll() const {
    const long longest = runtime::settings().poll_interval;
    const runtime::SteadyTime projections_due_at = stepper_.due_at();
    runtime::SteadyTime due_at = upkeep_.settling_due_at();
    if (projections_due_at != 0) due_at = std::min(due_at, projections_due_at);
    return std::clamp(static_cast<long>((due_at - runtime::steady_time()) / 1000 + 1), 1L, longest);
}

// Returns at once if there is more to do. Otherwise it waits until the latch is set, the open batch is due, or the poll finds a
// reason to work: the worker has one, or the upkeep or lazy projections are due.
void Projector::rest(DatabaseWorker& worker) {
    if (last_step_.has_more) {
        postgres::guarded([] { pgstat_report_stat(false); });
        return;
    }
    worker.report_idle();
    if (last_step_.events > 0) {
        const long milliseconds = rest_after_events();
        if (!runtime::rest_until_wanted(milliseconds)) worker.wait_ignoring_latch(milliseconds);
    }
    if (const auto due_at = stepper_.batch_due_at()) {
        (void)postgres::wait_for_latch(milliseconds_of(*due_at - runtime::steady_time()));
        return;
    }
    while (!worker.wait_for_latch(time_to_poll()) && !worker.has_reason_to_work() && is_in_future(upkeep_.due_at()) &&
           is_in_future(stepper_.due_at())) {
    }
}

}  // namespace
}  // namespace worker

extern "C" PGDLLEXPORT void telemetry_projector_main(Datum argument) {
    postgres::entry_point([argument] {
        worker::serve_database(runtime::Role::kProjector, argument,
                               []() -> std::unique_ptr<worker::Work> { return std::make_unique<worker::Projector>(); });
    });
}
