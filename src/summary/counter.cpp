// Sorts pieces by time, and appends one to the other.
#include "summary/counter.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

#include "summary/saturating_sum.hpp"

namespace summary {

namespace {

// Does the piece end where the other one begins, or before?
bool is_over_before(const CounterPiece& piece, const CounterPiece& later) noexcept {
    return std::tie(piece.last_at, piece.last_value) <= std::tie(later.first_at, later.first_value);
}

// The later piece does not begin before the other one.
void append(CounterPiece& piece, const CounterPiece& later) noexcept {
    Counter& counter = piece.counter;
    counter.overlaps = counter.overlaps || later.counter.overlaps;
    if (is_over_before(piece, later)) {
        const bool falls = later.first_value < piece.last_value;
        counter.resets = saturating_sum(saturating_sum(counter.resets, later.counter.resets), falls ? 1 : 0);
        counter.fallen_from = bounded_sum(counter.fallen_from, later.counter.fallen_from);
        if (falls) counter.fallen_from = bounded_sum(counter.fallen_from, piece.last_value);
    } else {
        // Readings that are left out can hide resets, but make none. So both counts are too small, if anything.
        counter.overlaps = true;
        if (std::tie(counter.resets, counter.fallen_from) < std::tie(later.counter.resets, later.counter.fallen_from)) {
            counter.resets = later.counter.resets;
            counter.fallen_from = later.counter.fallen_from;
        }
    }
    if (std::tie(piece.last_at, piece.last_value) < std::tie(later.last_at, later.last_value)) {
        piece.last_at = later.last_at;
        piece.last_value = later.last_value;
    }
}

CounterPiece piece_of(const Point& point) noexcept {
    return {.first_value = point.value, .last_value = point.value, .first_at = point.at, .last_at = point.at, .counter = {}};
}

}  // namespace

double bounded_sum(double a, double b) noexcept {
    constexpr double kGreatest = std::numeric_limits<double>::max();
    return std::clamp(a + b, -kGreatest, kGreatest);
}

std::optional<double> increase(const Statistics& statistics, const Counter& counter) noexcept {
    const double sum = statistics.last_value - statistics.first_value + counter.fallen_from;
    if (counter.overlaps || !std::isfinite(sum)) return std::nullopt;
    return sum;
}

bool is_consistent(const Statistics& statistics, const Counter& counter) noexcept {
    return 0 <= counter.resets && counter.resets < statistics.count && std::isfinite(counter.fallen_from) &&
           (counter.resets > 0 || (counter.fallen_from == 0 && !std::signbit(counter.fallen_from)));
}

CounterPiece piece_of(const Statistics& statistics, const Counter& counter) noexcept {
    return {.first_value = statistics.first_value,
            .last_value = statistics.last_value,
            .first_at = statistics.first_at,
            .last_at = statistics.last_at,
            .counter = counter};
}

Counter joined(std::span<CounterPiece> pieces) noexcept {
    std::sort(pieces.begin(), pieces.end(), [](const CounterPiece& a, const CounterPiece& b) {
        return std::tie(a.first_at, a.first_value, a.last_at, a.last_value) <
               std::tie(b.first_at, b.first_value, b.last_at, b.last_value);
    });
    CounterPiece whole = pieces.front();
    for (const CounterPiece& later : pieces.subspan(1)) append(whole, later);
    return whole.counter;
}

Counter counter_of(std::span<Point> points) noexcept {
    std::sort(points.begin(), points.end(),
              [](const Point& a, const Point& b) { return std::tie(a.at, a.value) < std::tie(b.at, b.value); });
    CounterPiece whole = piece_of(points.front());
    for (const Point& later : points.subspan(1)) append(whole, piece_of(later));
    return whole.counter;
}

}  // namespace summary
