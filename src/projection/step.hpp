// Makes passes for the worker, each in a transaction of its own, and keeps failing consumers apart from the others.
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
    std::optional<ProjectionFailure> failure;  // of the consumer that was served; the others go on
};

class Stepper {
public:
    // Makes one pass in one transaction. No other transaction is open. If a consumer fails alone, the stepper records that and
    // leaves the consumer out: for 1 second, then twice as long each time, at most a minute; always 2 seconds after TC204. The
    // step throws, with its transaction rolled back, if it was cancelled or failed before it chose a consumer.
    StepResult step(const PassOptions& options = {});

    // Is a consumer left out for a while? Then a later step may have work although no event comes.
    bool waits_to_retry() const noexcept {
        for (const Retry& retry : retries_)
            if (retry.due_at != 0) return true;
        return false;
    }

private:
    struct Retry {
        runtime::SteadyTime due_at = 0;  // 0: the last pass succeeded
        runtime::SteadyTime delay = 0;

        bool is_due(runtime::SteadyTime now) const noexcept { return due_at != 0 && due_at <= now; }
    };

    StepResult fail(ProjectionFailure failure);

    Applier applier_;
    std::array<Retry, event_log::kConsumers.size()> retries_;
};

// Sends notifications, in a transaction that does nothing else. No other transaction is open.
void publish(std::span<const char* const> notifications);

}  // namespace projection
