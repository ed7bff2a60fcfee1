// The share falls fast in a peak, and grows slowly until much of the machine is idle.
#include "relay/pace.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace relay {
namespace {

using runtime::SteadyTime;

constexpr double kLeastIdle = 0.15;  // of the machine
constexpr double kMuchIdle = 0.3;
constexpr double kLeastShare = 0.003;        // when a peak begins
constexpr runtime::SteadyTime kForget = 10;  // a quiet moment takes back so many times its length of a peak
constexpr double kDoubling = 30;             // seconds, after which the least share has doubled
constexpr double kFall = 0.25;
constexpr double kGrowth = 1.1;
constexpr double kFastGrowth = 2;
// In a peak the reads alone would take so much of the machine. NATS and the relay's sockets take several times as much.
constexpr double kPeakReads = 0.04;
constexpr std::int64_t kTypicalRead = 500;  // events; smaller reads say little about the cost of one

}  // namespace

void Pace::look(const MachineTotals& totals) noexcept {
    const MachineTotals before = std::exchange(last_, totals);
    const double machine = totals.offered - before.offered, idle = machine - (totals.used - before.used);
    // The count of readings begins anew when an administrator resets it.
    const double readings = totals.readings < before.readings ? 0 : static_cast<double>(totals.readings - before.readings);
    const bool is_few = machine <= 0 || readings * work_per_event_ / 1e6 <= kPeakReads * machine;
    if (before.at == 0) peak_since_ = totals.at;
    if (is_few || idle >= kMuchIdle * machine)
        peak_since_ = std::min(totals.at, peak_since_ + kForget * (totals.at - before.at));
    if (is_few) {
        share_ = 1;
        return;
    }
    const double share = share_ * (idle < kLeastIdle * machine ? kFall : idle < kMuchIdle * machine ? kGrowth : kFastGrowth);
    const double seconds = static_cast<double>(totals.at - peak_since_) / 1e6;
    share_ = std::clamp(share, std::min(kLeastShare * std::exp2(seconds / kDoubling), 1.0), 1.0);
}

void Pace::has_read(std::int64_t events, SteadyTime work) noexcept {
    if (events < kTypicalRead) return;
    work_per_event_ += (static_cast<double>(work) / static_cast<double>(events) - work_per_event_) / 16;
}

SteadyTime Pace::rest_after(SteadyTime work) const noexcept {
    return static_cast<SteadyTime>(static_cast<double>(work) * (1 / share_ - 1));
}

}  // namespace relay
