// A whole summary in C++: statistics, what is known of a counter, and a sketch where the summary has one.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "summary/counter.hpp"
#include "summary/sketch.hpp"
#include "summary/statistics.hpp"

namespace summary {

struct Summary {
    Statistics statistics;
    std::optional<Counter> counter;
    std::optional<std::vector<Bin>> sketch;  // ascending by number
};

// The versions of the binary and the text form. Each summary has one of them, so it has one form only.
inline constexpr std::uint8_t kPlainVersion = 1;
inline constexpr std::uint8_t kVersionWithSketch = 2;
inline constexpr std::uint8_t kVersionOfCounter = 3;  // with or without a sketch
std::uint8_t version_of(const Summary& summary) noexcept;

// Could these be the statistics and the bins of the same values? This checks text and bytes that come from outside.
bool is_consistent(const Statistics& statistics, std::span<const Bin> bins) noexcept;
bool is_consistent(const Summary& summary) noexcept;

// The value of rank ceil(fraction * count), as percentile_disc defines it, with the accuracy of the sketch. The least and the
// greatest value are exact, and no result lies beyond them. 0 <= fraction <= 1; the bins are consistent with the statistics.
double quantile(const Statistics& statistics, std::span<const Bin> bins, double fraction) noexcept;

}  // namespace summary
