// The statistics of one metric, which merge in any order. They are plain data, so that they can be stored and sent.
//
// `add` updates mean and M2 (the sum of squared deviations) by the method of Welford (1962). `merge` uses that of Chan, Golub
// and LeVeque (1979). Values are finite. The mean stays finite whatever comes. M2 may overflow to infinity and never becomes
// NaN.
#pragma once

#include <cstdint>
#include <optional>
#include <type_traits>

#include "model/identifiers.hpp"

namespace summary {

struct Statistics {
    std::int64_t count = 0;  // 0: the other members mean nothing
    double mean = 0;
    double m2 = 0;
    double min = 0;
    double max = 0;
    double first_value = 0;  // of several at first_at the smallest
    double last_value = 0;   // of several at last_at the greatest
    model::Micros first_at = 0;
    model::Micros last_at = 0;
};
static_assert(std::is_trivially_copyable_v<Statistics> && std::is_standard_layout_v<Statistics> && sizeof(Statistics) == 72);

void add(Statistics& statistics, double value, model::Micros at) noexcept;  // value is finite
void merge(Statistics& into, const Statistics& from) noexcept;              // count 0 is the neutral element

// Sets mean and M2 as those of two values, min and max. They are also those of any number of equal values.
void set_moments_of_extremes(Statistics& statistics) noexcept;

// Could these members be the statistics of some values? This checks text and bytes that come from outside.
bool is_consistent(const Statistics& statistics) noexcept;

// The sample standard deviation. Nothing: there are fewer than two values, or the variance is not a finite double.
std::optional<double> stddev(const Statistics& statistics) noexcept;

}  // namespace summary
