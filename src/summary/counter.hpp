// The part of a summary that counts a counter's increase and resets. A counter only grows, or it is reset and begins again at
// 0. So a value that is less than the one measured before it tells a reset, and the counter has grown by the value since.
//
// Resets cannot be counted value by value, because readings come out of order. They are counted in pieces: each piece has
// readings that were measured one after the other, and pieces that do not overlap in time are put together in their order. Of
// several readings of one time, the greater counts as the later one.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <type_traits>

#include "model/identifiers.hpp"
#include "summary/statistics.hpp"

namespace summary {

struct Counter {
    std::int64_t resets = 0;
    double fallen_from = 0;  // the sum of the values right before the resets
    bool overlaps = false;   // it was put together from pieces that overlap, so there may have been more resets
};

// How much the counter grew from the first reading to the last one. Nothing: that is not known, or no finite double.
std::optional<double> increase(const Statistics& statistics, const Counter& counter) noexcept;

// Could the readings with these statistics have these resets? This checks text and bytes that come from outside.
bool is_consistent(const Statistics& statistics, const Counter& counter) noexcept;

// Finite values are added. The sum stays finite.
double bounded_sum(double a, double b) noexcept;

struct CounterPiece {
    double first_value, last_value;
    model::Micros first_at, last_at;
    Counter counter;
};
static_assert(std::is_trivially_copyable_v<CounterPiece>);

CounterPiece piece_of(const Statistics& statistics, const Counter& counter) noexcept;

// Puts the pieces together, in whatever order they are. It sorts them. Where two overlap, the result overlaps, and has the
// resets of the one with more. There is at least one piece.
Counter joined(std::span<CounterPiece> pieces) noexcept;

struct Point {
    double value;
    model::Micros at;
};

// Does the same for single readings, which never overlap.
Counter counter_of(std::span<Point> points) noexcept;

}  // namespace summary
