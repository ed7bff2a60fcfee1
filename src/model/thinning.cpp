// Goes over the points once.
#include "model/thinning.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace model {
namespace {

std::vector<std::size_t> all_of(std::size_t count) {
    std::vector<std::size_t> numbers(count);
    std::iota(numbers.begin(), numbers.end(), 0);
    return numbers;
}

// Where the group begins if `count` points are cut into `groups` groups of about one size.
std::size_t begin_of(std::size_t group, std::size_t groups, std::size_t count) noexcept {
    return group * count / groups;
}

struct Corner {
    double at, value;
};

double area_of(const Corner& a, const Corner& b, const Corner& c) noexcept {
    return std::abs((a.at - c.at) * (b.value - a.value) - (a.at - b.at) * (c.value - a.value));
}

}  // namespace

std::vector<std::size_t> thin_by_extremes(std::span<const SeriesPoint> points, std::size_t most) {
    if (points.size() <= most) return all_of(points.size());
    std::vector<std::size_t> kept;
    const std::size_t groups = most / 2;
    for (std::size_t group = 0; group < groups; ++group) {
        const std::size_t end = begin_of(group + 1, groups, points.size());
        std::size_t least = begin_of(group, groups, points.size()), greatest = least;
        for (std::size_t i = least; i < end; ++i) {
            if (points[i].min < points[least].min) least = i;
            if (points[i].max > points[greatest].max) greatest = i;
        }
        kept.push_back(std::min(least, greatest));
        if (least != greatest) kept.push_back(std::max(least, greatest));
    }
    return kept;
}

std::vector<std::size_t> thin_by_triangles(std::span<const SeriesPoint> points, std::size_t most) {
    if (points.size() <= most) return all_of(points.size());
    // The first and the last point are groups of their own.
    const std::size_t inner = points.size() - 2, groups = most - 2;
    const auto first_of = [&](std::size_t group) { return 1 + begin_of(group, groups, inner); };
    // Times count from the first point on, so that they keep their digits.
    const auto corner_of = [&](std::size_t i) {
        return Corner{static_cast<double>(points[i].at - points.front().at), points[i].value};
    };
    std::vector<std::size_t> kept{0};
    for (std::size_t group = 0; group < groups; ++group) {
        const std::size_t next_end = group + 1 < groups ? first_of(group + 2) : points.size();
        const std::size_t next = first_of(group + 1);
        Corner mean{0, 0};
        for (std::size_t i = next; i < next_end; ++i) {
            const double weight = 1.0 / static_cast<double>(next_end - next);
            mean.at += weight * corner_of(i).at;
            mean.value += weight * corner_of(i).value;
        }
        const Corner before = corner_of(kept.back());
        std::size_t best = first_of(group);
        double largest = -1;
        for (std::size_t i = best; i < next; ++i) {
            const double area = area_of(before, corner_of(i), mean);
            if (area <= largest) continue;
            largest = area;
            best = i;
        }
        kept.push_back(best);
    }
    kept.push_back(points.size() - 1);
    return kept;
}

}  // namespace model
