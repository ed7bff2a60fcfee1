// A worker logs its failures without flooding the server log, and waits longer after each.
#pragma once

#include <map>

#include "postgres/error.hpp"
#include "runtime/steady_time.hpp"

namespace worker {

class FailureThrottle {
public:
    // Writes a line to the server log for the first failure with an SQLSTATE, then once a minute while such failures last. The
    // log gets none of the others: worker_status() shows the newest failure, and telemetry.projection_failure the newest one of
    // each consumer.
    void log(const postgres::ErrorReport& failure);

    // Returns the delay before the next attempt, in milliseconds. It doubles with each call.
    long next_delay() noexcept;

    // For work that has succeeded. Resets the delay, and logs the recovery if the last line told of a failure.
    void recovered();

private:
    std::map<int, runtime::SteadyTime> logged_at_;  // by SQLSTATE
    long delay_ = 0;
    bool has_logged_failure_ = false;
};

}  // namespace worker
