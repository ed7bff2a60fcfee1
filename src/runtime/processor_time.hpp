// Measures how long this process has used a processor. Waiting for a lock or for the disk does not count.
#pragma once

#include <ctime>

#include "runtime/steady_time.hpp"

namespace runtime {

inline SteadyTime processor_time() noexcept {
    timespec used{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return static_cast<SteadyTime>(used.tv_sec) * 1'000'000 + used.tv_nsec / 1000;
}

}  // namespace runtime
