// How much of a processor the relay may use. While readings come in and no processor is idle, the relay and its peers take what
// the writers leave. In this way the relay may lag for as long as a peak lasts, and the peak is stored as fast as without it.
//
// Each event that the relay sends makes work for NATS and Redis, too, which may run beside it. So the relay does not look at
// its own use of the processors, but at what is idle on the whole machine.
#pragma once

#include <cstdint>

#include "runtime/steady_time.hpp"

namespace worker {

class RelayPace {
public:
    // Looks at the machine, at most ten times a second.
    void look(runtime::SteadyTime now);

    // Are there readings that come in, and no processor for the relay?
    bool is_busy() const noexcept { return share_ < 1; }

    // Returns how long to rest after work that has used a processor for so long.
    runtime::SteadyTime rest_after(runtime::SteadyTime work) const noexcept;

private:
    runtime::SteadyTime looked_at_ = 0;
    double used_ = 0;             // by all processors until then, in seconds
    std::uint64_t accepted_ = 0;  // readings until then
    double share_ = 1;            // of a processor that looks into the tables may use
};

}  // namespace worker
