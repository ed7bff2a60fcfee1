// How much of a processor the relay may use. In a peak of readings it and its peers take what the writers leave, so that the
// peak is stored as fast as without a relay, and the relay lags until the peak is over. The longer the peak lasts, the more the
// relay takes nevertheless, so its lag has a bound: after some minutes it takes its share like any other process.
//
// A peak is more readings than the relay could keep up with, on a machine without an idle processor. Where it could keep up, it
// does: no lag grows because the machine is busy. Each event makes work for NATS and Redis, too, which may run beside the
// relay. So the relay does not look at its own use of the processors, but at what is idle on the whole machine.
#pragma once

#include <cstdint>

#include "runtime/steady_time.hpp"

namespace relay {

// The work of the machine since some time in the past.
struct MachineTotals {
    runtime::SteadyTime at = 0;
    double offered = 0;          // time of all processors, in seconds; 0: unknown
    double used = 0;             // of it
    std::uint64_t readings = 0;  // that were accepted
};

class Pace {
public:
    void look(const MachineTotals& totals) noexcept;

    // To read so many events from the log has taken so much processor time.
    void has_read(std::int64_t events, runtime::SteadyTime work) noexcept;

    bool is_peak() const noexcept { return share_ < 1; }

    // Returns how long to rest after work that has used a processor for so long.
    runtime::SteadyTime rest_after(runtime::SteadyTime work) const noexcept;

private:
    MachineTotals last_;
    runtime::SteadyTime peak_since_ = 0;
    double work_per_event_ = 1;  // microseconds, to read it from the log
    double share_ = 1;           // of a processor that looks into the tables may use
};

}  // namespace relay
