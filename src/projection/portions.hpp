// Says how much a pass of the worker gives a projection that has nearly caught up. It is pure C++ and calls no server code.
//
// The projections that follow wait for such a pass. So the projection is served alone, and gets what it takes in kPortionTime:
// a portion. But it writes a row of a state table for fewer readings than a large pass does. If a projection stays behind with
// portions, a large pass has to help.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace projection {

inline constexpr std::int64_t kPortionTime = 2500;         // microseconds
inline constexpr std::int64_t kLongestBehind = 2'000'000;  // microseconds
inline constexpr std::int64_t kFirstPortion = 200;         // events; also the least
inline constexpr std::int64_t kPortionsOfSlice = 4;        // no more than a quarter of a slice waits, and so much is the most

// Times are microseconds of one clock.
class Portions {
public:
    // How many events it gets of those that wait. Nothing: as many as there are, and together with other projections.
    std::optional<std::int64_t> portion_of(std::string_view consumer, std::int64_t waiting, std::int64_t slice,
                                           std::int64_t now) const;

    // A pass has served it, which began at `begun_at` and has just ended.
    void has_served(std::string_view consumer, std::int64_t events, bool keeps_up, std::int64_t begun_at, std::int64_t now);

private:
    struct Served {
        std::int64_t portion = kFirstPortion;
        std::int64_t behind_since = 0;  // when the first pass began that left something; 0: the last one left nothing
    };
    std::map<std::string, Served, std::less<>> served_;
};

}  // namespace projection
