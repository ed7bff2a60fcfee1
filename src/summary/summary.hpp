// A whole summary in C++: statistics, and a sketch where the summary has one.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "summary/sketch.hpp"
#include "summary/statistics.hpp"

namespace summary {

// The versions of the binary and the text form. A summary without a sketch has the first in both, so that it has one form only.
inline constexpr std::uint8_t kVersionWithoutSketch = 1;
inline constexpr std::uint8_t kVersionWithSketch = 2;

struct Summary {
    Statistics statistics;
    std::optional<std::vector<Bin>> sketch;  // ascending by number
};

// Could these be the statistics and the bins of the same values? This checks text and bytes that come from outside.
bool is_consistent(const Statistics& statistics, std::span<const Bin> bins) noexcept;
bool is_consistent(const Summary& summary) noexcept;

// The value of rank ceil(fraction * count), as percentile_disc defines it, with the accuracy of the sketch. The least and the
// greatest value are exact, and no result lies beyond them. 0 <= fraction <= 1; the bins are consistent with the statistics.
double quantile(const Statistics& statistics, std::span<const Bin> bins, double fraction) noexcept;

}  // namespace summary
