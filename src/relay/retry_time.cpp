// Draws from a generator of the process.
#include "relay/retry_time.hpp"

#include <random>

namespace relay {

runtime::SteadyTime with_chance(runtime::SteadyTime delay) {
    static std::minstd_rand random(std::random_device{}());
    return delay / 2 + static_cast<runtime::SteadyTime>(random() % static_cast<std::uint64_t>(delay / 2 + 1));
}

}  // namespace relay
