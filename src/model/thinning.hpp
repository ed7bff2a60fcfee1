// Chooses points of a series, so that a chart of few points looks like one of many.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "model/identifiers.hpp"

namespace model {

struct SeriesPoint {
    Micros at;
    double value;
    double min, max;  // of what the point stands for
};

// Both return the numbers of the points that stay, ascending; all of them if they are at most `most`. `points` ascend by time,
// and most >= 3.

// Keeps the least and the greatest of each of most / 2 groups of neighbours. So no peak is lost.
std::vector<std::size_t> thin_by_extremes(std::span<const SeriesPoint> points, std::size_t most);

// Largest Triangle Three Buckets (Steinarsson 2013): keeps the first and the last point, and of each group of neighbours the
// one that spans the largest triangle with the point kept before and the mean of the next group. So the shape of the line
// stays.
std::vector<std::size_t> thin_by_triangles(std::span<const SeriesPoint> points, std::size_t most);

}  // namespace model
