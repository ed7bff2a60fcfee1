// The worker's way to run passes: each in a transaction of its own, failures kept apart.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "projection/applier.hpp"
#include "projection/failure.hpp"
#include "runtime/steady_time.hpp"

namespace projection {

struct StepResult {
    Pass pass;
    std::optional<ProjectionFailure> failure;  // of the consumer that was served; it is recorded, and the others go on
};

class Stepper {
public:
    // One transaction. Outside any other one. Throws (rolled back) when not even that could be found out whom to serve, or when
    // it was cancelled. A consumer that fails is left out for a while, longer each time: at most a minute, and two seconds
    // where something on a table is in the way (TC204).
    StepResult step(const PassOptions& options = {});

    // A consumer is left out for a while: a later step may have something to do although no event came.
    bool waits_to_retry() const noexcept {
        for (const Retry& retry : retries_)
            if (retry.due_at != 0) return true;
        return false;
    }

private:
    struct Retry {
        runtime::SteadyTime due_at = 0;  // 0: the last pass succeeded
        std::int64_t delay = 0;

        bool is_due(runtime::SteadyTime now) const noexcept { return due_at != 0 && due_at <= now; }
    };

    StepResult fail(ProjectionFailure failure);

    Applier applier_;
    std::array<Retry, event_log::kConsumers.size()> retries_;
};

// Sends notifications, in a transaction that does nothing else. Outside any other one.
void publish(std::span<const char* const> notifications);

}  // namespace projection
