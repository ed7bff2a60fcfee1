// Adds counts without overflow: a count that exceeds 2^63 - 1 stays there.
#pragma once

#include <cstdint>
#include <limits>

namespace summary {

inline std::int64_t saturating_sum(std::int64_t a, std::int64_t b) noexcept {
    std::int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? std::numeric_limits<std::int64_t>::max() : sum;
}

}  // namespace summary
