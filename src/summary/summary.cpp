// Checks statistics and bins against each other, and reads quantiles from both.
#include "summary/summary.hpp"

#include <algorithm>
#include <cmath>

namespace summary {

bool is_consistent(const Statistics& statistics, std::span<const Bin> bins) noexcept {
    return is_consistent(statistics) && is_consistent(bins, statistics.count) &&
           (bins.front().number >= kZeroBin || statistics.min < 0) && (bins.back().number <= kZeroBin || statistics.max > 0);
}

bool is_consistent(const Summary& summary) noexcept {
    return (summary.sketch ? is_consistent(summary.statistics, *summary.sketch) : is_consistent(summary.statistics)) &&
           (!summary.counter || is_consistent(summary.statistics, *summary.counter));
}

std::uint8_t version_of(const Summary& summary) noexcept {
    if (summary.counter) return kVersionOfCounter;
    return summary.sketch ? kVersionWithSketch : kPlainVersion;
}

double quantile(const Statistics& statistics, std::span<const Bin> bins, double fraction) noexcept {
    const auto count = static_cast<double>(statistics.count);
    const double rank = std::ceil(fraction * count);
    if (rank <= 1) return statistics.min;
    if (rank >= count) return statistics.max;
    const auto found = value_at_rank(bins, static_cast<std::int64_t>(rank));
    return std::clamp(found.value_or(statistics.max), statistics.min, statistics.max);
}

}  // namespace summary
