// The share falls fast in a peak, and grows slowly until much of the machine is idle.
#include "relay/pace.hpp"

#include <algorithm>

namespace relay {
namespace {

using runtime::SteadyTime;

constexpr double kLeastIdle = 0.15;  // of the machine
constexpr double kMuchIdle = 0.3;
constexpr double kLeastShare = 0.003;
constexpr double kFall = 0.25;
constexpr double kGrowth = 1.1;
constexpr double kFastGrowth = 2;
// In a peak the reads alone would take so much of the machine. NATS and the relay's sockets take several times as much.
constexpr double kPeakReads = 0.04;
constexpr std::int64_t kTypicalRead = 500;  // events; smaller reads say little about the cost of one

}  // namespace

void Pace::look(const MachineTotals& totals) noexcept {
    const double machine = totals.offered - last_.offered, idle = machine - (totals.used - last_.used);
    // The count of readings begins anew when an administrator resets it.
    const double readings = totals.readings < last_.readings ? 0 : static_cast<double>(totals.readings - last_.readings);
    last_ = totals;
    if (readings * work_per_event_ / 1e6 <= kPeakReads * machine)
        share_ = 1;
    else if (idle < kLeastIdle * machine)
        share_ = std::max(share_ * kFall, kLeastShare);
    else
        share_ = std::min(share_ * (idle < kMuchIdle * machine ? kGrowth : kFastGrowth), 1.0);
}

void Pace::has_read(std::int64_t events, SteadyTime work) noexcept {
    if (events < kTypicalRead) return;
    work_per_event_ += (static_cast<double>(work) / static_cast<double>(events) - work_per_event_) / 16;
}

SteadyTime Pace::rest_after(SteadyTime work) const noexcept {
    return static_cast<SteadyTime>(static_cast<double>(work) * (1 / share_ - 1));
}

}  // namespace relay
