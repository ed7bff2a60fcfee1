// Measures intervals inside one process. This time goes on evenly, even if an administrator sets the server's clock.
#pragma once

#include <chrono>
#include <cstdint>

namespace runtime {

using SteadyTime = std::int64_t;  // microseconds since some moment before the process began

inline SteadyTime steady_time() noexcept {
    using std::chrono::microseconds;
    return std::chrono::duration_cast<microseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace runtime
