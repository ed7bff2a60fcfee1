// Makes passes for the worker, each in a transaction of its own, and keeps failing consumers apart from the others.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "projection/applier.hpp"
#include "projection/failure.hpp"
#include "runtime/steady_time.hpp"

namespace projection {

struct StepResult {
    Pass pass;
    std::vector<ProjectionFailure> failures;
};

class Stepper {
public:
    // Makes one pass in one transaction. No other transaction is open. A consumer that fails is recorded and left out: for
    // 1 second, then twice as long each time, at most a minute; always 2 seconds after TC204. The others go on. If the pass
    // itself fails, the stepper records that for every consumer, and makes no pass for as long. The step throws, with
    // its transaction rolled back, if it was cancelled or failed before the pass knew what to do.
    StepResult step(const PassOptions& options = {});

    // Is something left out for a while? Then a later step may have work although no event comes.
    bool waits_to_retry() const noexcept { return pass_retry_.due_at != 0 || !retries_.empty(); }

private:
    struct Retry {
        runtime::SteadyTime due_at = 0;
        runtime::SteadyTime delay = 0;

        bool is_due(runtime::SteadyTime now) const noexcept { return due_at != 0 && due_at <= now; }
        void put_off(int sqlstate) noexcept;
    };

    static void record(StepResult& result, ProjectionFailure failure);

    Applier applier_;
    std::map<std::string, Retry, std::less<>> retries_;  // of consumers that failed last
    Retry pass_retry_;                                   // of whole passes
};

// Sends notifications, in a transaction that does nothing else. No other transaction is open.
void publish(std::span<const char* const> notifications);

}  // namespace projection
