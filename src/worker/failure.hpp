// What a worker does with an error that ended its turn: keeps its words, logs it without flooding, and waits longer each time.
#pragma once

#include <map>
#include <string>

#include "runtime/steady_time.hpp"

namespace worker {

struct Failure {
    int sqlstate = 0;
    std::string message, detail, hint, context;
};

// In a catch block: the words of what was caught. Without memory for them only the SQLSTATE.
Failure describe_current_exception() noexcept;

class FailureThrottle {
public:
    // Writes a line to the server's log: the first time a failure with this SQLSTATE comes, then once a minute while one lasts.
    // The others' words are in telemetry.projection_failure.
    void log(const Failure& failure);

    // How long to wait before the next attempt, in milliseconds.
    long next_delay() noexcept;

    // The work succeeded. Says so in the log where the last line was a failure.
    void recovered();

private:
    std::map<int, runtime::SteadyTime> logged_at_;  // by SQLSTATE
    long delay_ = 0;
    bool has_logged_failure_ = false;
};

}  // namespace worker
