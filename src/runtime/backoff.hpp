// The delay after failures in a row. It is pure C++ and calls no server code.
#pragma once

#include <algorithm>

#include "runtime/steady_time.hpp"

namespace runtime {

// The delay doubles from `first` on with each failure but the first one, up to `longest`.
constexpr SteadyTime delay_after(int failures, SteadyTime first, SteadyTime longest) noexcept {
    SteadyTime delay = first;
    for (int i = 1; i < failures && delay < longest; ++i) delay *= 2;
    return std::min(delay, longest);
}

class Backoff {
public:
    constexpr Backoff(SteadyTime first, SteadyTime longest) noexcept : first_(first), longest_(longest) {}

    // Counts a failure, and returns the delay before the next attempt.
    SteadyTime failed() noexcept {
        if (delay() < longest_) ++failures_;
        return delay();
    }
    void succeeded() noexcept { failures_ = 0; }

private:
    SteadyTime delay() const noexcept { return failures_ == 0 ? 0 : delay_after(failures_, first_, longest_); }

    SteadyTime first_, longest_;
    int failures_ = 0;  // in a row; it stops where the delay does
};

}  // namespace runtime
