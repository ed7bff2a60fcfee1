// Thinning keeps few points, ascending, of which each is one of the given.
#include "model/thinning.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace {

using model::SeriesPoint;

std::vector<SeriesPoint> wave(std::size_t count) {
    std::vector<SeriesPoint> points;
    for (std::size_t i = 0; i < count; ++i) {
        const double value = std::sin(static_cast<double>(i) / 50);
        points.push_back({static_cast<model::Micros>(i) * 1000, value, value - 0.5, value + 0.5});
    }
    return points;
}

TEST(Thinning, KeepsAllOfFew) {
    const auto points = wave(10);
    EXPECT_EQ(model::thin_by_extremes(points, 10).size(), 10U);
    EXPECT_EQ(model::thin_by_triangles(points, 10).size(), 10U);
    EXPECT_TRUE(model::thin_by_extremes({}, 3).empty());
    EXPECT_TRUE(model::thin_by_triangles({}, 3).empty());
}

TEST(Thinning, KeepsAtMostSoManyAscending) {
    for (std::size_t count : {4U, 5U, 7U, 100U, 1001U})
        for (std::size_t most : {3U, 4U, 5U, 50U}) {
            const auto points = wave(count);
            for (const auto& kept : {model::thin_by_extremes(points, most), model::thin_by_triangles(points, most)}) {
                EXPECT_LE(kept.size(), std::max<std::size_t>(most, 3)) << count << ' ' << most;
                EXPECT_TRUE(std::is_sorted(kept.begin(), kept.end()));
                EXPECT_EQ(std::adjacent_find(kept.begin(), kept.end()), kept.end());
                EXPECT_LT(kept.back(), count);
            }
        }
}

TEST(Thinning, ExtremesLoseNoPeak) {
    auto points = wave(1000);
    points[617].max = 99;
    points[618].min = -99;
    const auto kept = model::thin_by_extremes(points, 20);
    EXPECT_TRUE(std::binary_search(kept.begin(), kept.end(), 617U));
    EXPECT_TRUE(std::binary_search(kept.begin(), kept.end(), 618U));
}

TEST(Thinning, TrianglesKeepBothEndsAndALonelyPeak) {
    auto points = wave(1000);
    for (auto& point : points) point.value = 0;
    points[500].value = 10;
    const auto kept = model::thin_by_triangles(points, 20);
    EXPECT_EQ(kept.size(), 20U);
    EXPECT_EQ(kept.front(), 0U);
    EXPECT_EQ(kept.back(), 999U);
    EXPECT_TRUE(std::binary_search(kept.begin(), kept.end(), 500U));
}

}  // namespace
