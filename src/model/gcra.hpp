// The generic cell rate algorithm (ITU-T I.371), which limits readings as a bucket of tokens does. It has no clock: the caller
// says what time it is.
//
// The state of a bucket is one number, the theoretical arrival time: when the bucket will be full again. A time that is past
// stands for a full bucket, so zero is the state of a bucket that nobody has used.
//
// 1. A reading costs one interval, which is a second divided by the rate. It moves the time on by so much.
// 2. A bucket holds `burst` readings. Readings conform if the time lies ahead by no more than the rest of the burst.
// 3. A request of more readings than the burst conforms when the bucket is full. It leaves a debt: the time lies ahead by more
//    than the burst, and later requests wait until the debt is paid. So no request waits for ever.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace model {

using Nanos = std::int64_t;  // nanoseconds; of a time: since any moment that all users of the bucket share

struct Quota {
    double rate = 0;          // readings a second; 0: no limit
    std::uint32_t burst = 1;  // readings that a full bucket admits at once; 0 counts as 1

    bool is_limit() const noexcept { return rate > 0; }
};

struct QuotaDecision {
    Nanos arrival;  // the new state; without conformance the old one
    Nanos wait;     // 0: the readings conform. Otherwise the same request conforms after it, if the bucket has no other user
};

namespace detail {

// No time is further ahead than this, so that sums of two do not overflow: some 36 years.
inline constexpr Nanos kFurthest = Nanos{1} << 60;

inline Nanos interval_of(double rate) noexcept {
    const double interval = std::ceil(1e9 / rate);
    return interval >= static_cast<double>(kFurthest) ? kFurthest : std::max(Nanos{1}, static_cast<Nanos>(interval));
}

inline Nanos cost_of(std::uint32_t readings, Nanos interval) noexcept {
    return readings != 0 && interval > kFurthest / readings ? kFurthest : readings * interval;
}

}  // namespace detail

// Decides whether so many readings conform to a quota that is a limit.
inline QuotaDecision decide(Nanos arrival, Nanos now, const Quota& quota, std::uint32_t readings) noexcept {
    const Nanos interval = detail::interval_of(quota.rate);
    const std::uint32_t burst = std::max(quota.burst, std::uint32_t{1});
    const Nanos ahead = std::clamp(arrival - now, Nanos{0}, detail::kFurthest);
    const Nanos allowed = detail::cost_of(burst - std::min(readings, burst), interval);
    if (ahead > allowed) return {arrival, ahead - allowed};
    return {now + std::min(ahead + detail::cost_of(readings, interval), detail::kFurthest), 0};
}

// Takes back what `decide` has charged for these readings. Later requests of others are kept.
inline Nanos given_back(Nanos arrival, const Quota& quota, std::uint32_t readings) noexcept {
    return std::max(Nanos{0}, arrival - detail::cost_of(readings, detail::interval_of(quota.rate)));
}

}  // namespace model
