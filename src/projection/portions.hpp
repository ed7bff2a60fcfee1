// Says how much a pass of the worker gives a projection that has nearly caught up. It is pure C++ and calls no server code.
//
// The projections that follow wait for such a pass. So the projection is served alone, and gets what it takes in kPortionTime:
// a portion. But a portion writes a row of a state table for fewer readings than a large pass. If portions do not keep pace
// with what comes, a large pass has to.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace projection {

inline constexpr std::int64_t kPortionTime = 5000;   // microseconds
inline constexpr std::int64_t kFirstPortion = 300;   // events, of a projection that was not served before; also the least
inline constexpr std::int64_t kPortionsOfSlice = 4;  // no more than a quarter of a slice waits, and so much is the most

class Portions {
public:
    // How many events it gets of those that wait. Nothing: as many as there are, and with the other projections.
    std::optional<std::int64_t> portion_of(std::string_view consumer, std::int64_t waiting, std::int64_t slice) const;

    // A pass has served it: it had so many events to consume, and has consumed some of them in `time` microseconds.
    void has_served(std::string_view consumer, std::int64_t waiting, std::int64_t events, std::int64_t time);

private:
    struct Served {
        std::int64_t portion = kFirstPortion;
        std::int64_t waiting = 0;  // when the pass before began; 0: it has caught up since
    };
    std::map<std::string, Served, std::less<>> served_;
};

}  // namespace projection
