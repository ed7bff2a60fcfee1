// The quantiles of a summary are those of percentile_disc, exact at both ends, and the sketch must fit the statistics.
#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "owned_sketch.hpp"
#include "summary/summary.hpp"

namespace {

using summary::Summary;

Summary summary_of(const std::vector<double>& values) {
    Summary summary;
    for (const double value : values) summary::add(summary.statistics, value, 0);
    const OwnedSketch sketch(values);
    summary.sketch.emplace(sketch.bins().begin(), sketch.bins().end());
    return summary;
}

double quantile_of(const Summary& summary, double fraction) {
    return summary::quantile(summary.statistics, *summary.sketch, fraction);
}

TEST(SummaryQuantile, IsThatOfTheDefinition) {
    std::mt19937_64 random(6);
    std::normal_distribution<double> noise(20, 5);
    for (int round = 0; round < 200; ++round) {
        std::vector<double> values(1 + random() % 300);
        for (auto& value : values) value = noise(random);
        const auto summary = summary_of(values);
        ASSERT_TRUE(summary::is_consistent(summary));
        std::ranges::sort(values);
        for (const double fraction : {0.001, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999}) {
            const auto rank = static_cast<std::size_t>(std::ceil(fraction * static_cast<double>(values.size())));
            ASSERT_NEAR(quantile_of(summary, fraction), values[rank - 1], 0.01001 * std::abs(values[rank - 1]));
            ASSERT_LE(values.front(), quantile_of(summary, fraction));
            ASSERT_GE(values.back(), quantile_of(summary, fraction));
        }
        ASSERT_EQ(quantile_of(summary, 0), values.front());
        ASSERT_EQ(quantile_of(summary, 1), values.back());
    }
}

TEST(SummaryQuantile, OfOneValueIsTheValue) {
    for (const double fraction : {0.0, 0.5, 1.0}) EXPECT_EQ(quantile_of(summary_of({0.123}), fraction), 0.123);
}

TEST(SummaryQuantile, ASketchOfOtherValuesIsInconsistent) {
    const auto inconsistent = [](Summary summary, std::vector<summary::Bin> bins) {
        summary.sketch = std::move(bins);
        return !summary::is_consistent(summary);
    };
    const auto one = summary_of({1}), minus = summary_of({-1}), zero = summary_of({0});
    EXPECT_FALSE(inconsistent(one, {{summary::bin_of(1), 1}}));
    EXPECT_TRUE(inconsistent(one, {{summary::bin_of(1), 2}}));
    EXPECT_TRUE(inconsistent(one, {}));
    EXPECT_TRUE(inconsistent(one, {{summary::bin_of(-1), 1}}));
    EXPECT_TRUE(inconsistent(minus, {{summary::bin_of(1), 1}}));
    EXPECT_TRUE(inconsistent(zero, {{summary::bin_of(1), 1}}));
    EXPECT_FALSE(inconsistent(one, {{summary::kZeroBin, 1}}));  // a part of more than kMaxBins bins may say so
}

}  // namespace
