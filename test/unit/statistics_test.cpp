// summary::Statistics agrees with two-pass formulas in long double, has exact extremes, and stands values at the edge of double
// precision.
#include "summary/statistics.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace {

using model::Micros;
using summary::Statistics;

struct Sample {
    double value;
    Micros at;
};

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kGreatest = std::numeric_limits<double>::max();

Statistics summary_of(const std::vector<Sample>& samples) {
    Statistics summary;
    for (const auto& [value, at] : samples) summary::add(summary, value, at);
    return summary;
}

// Computes the definition in two passes and in extended precision.
void expect_is_summary_of(const Statistics& summary, const std::vector<Sample>& samples) {
    ASSERT_EQ(summary.count, static_cast<std::int64_t>(samples.size()));
    long double sum = 0;
    for (const auto& sample : samples) sum += sample.value;
    const long double mean = sum / static_cast<long double>(samples.size());
    long double m2 = 0;
    for (const auto& sample : samples) m2 += (sample.value - mean) * (sample.value - mean);
    EXPECT_NEAR(summary.mean, static_cast<double>(mean), 1e-12 + 1e-9 * std::abs(static_cast<double>(mean)));
    EXPECT_NEAR(summary.m2, static_cast<double>(m2), 1e-12 + 1e-9 * static_cast<double>(m2));

    const auto by_value = [](const Sample& a, const Sample& b) { return a.value < b.value; };
    EXPECT_EQ(summary.min, std::ranges::min_element(samples, by_value)->value);
    EXPECT_EQ(summary.max, std::ranges::max_element(samples, by_value)->value);
    const auto by_time = [](const Sample& a, const Sample& b) { return a.at < b.at || (a.at == b.at && a.value < b.value); };
    const auto first = std::ranges::min_element(samples, by_time);
    const auto last = std::ranges::max_element(samples, by_time);
    EXPECT_EQ(summary.first_value, first->value);
    EXPECT_EQ(summary.first_at, first->at);
    EXPECT_EQ(summary.last_value, last->value);
    EXPECT_EQ(summary.last_at, last->at);
}

TEST(Statistics, OfNothingHasNoDeviation) {
    EXPECT_EQ(Statistics{}.count, 0);
    EXPECT_EQ(summary::stddev(Statistics{}), std::nullopt);
}

TEST(Statistics, OfOneValue) {
    const auto summary = summary_of({{21.5, 60}});
    EXPECT_EQ(summary.count, 1);
    EXPECT_EQ(summary.mean, 21.5);
    EXPECT_EQ(summary.m2, 0);
    EXPECT_EQ(summary.min, 21.5);
    EXPECT_EQ(summary.max, 21.5);
    EXPECT_EQ(summary.first_at, 60);
    EXPECT_EQ(summary.last_at, 60);
    EXPECT_EQ(summary::stddev(summary), std::nullopt);
}

TEST(Statistics, KnownDeviation) {
    // The mean of 2 4 4 4 5 5 7 9 is 5, and the squared deviations are 9+1+1+1+0+0+4+16 = 32.
    const auto summary = summary_of({{2, 1}, {4, 2}, {4, 3}, {4, 4}, {5, 5}, {5, 6}, {7, 7}, {9, 8}});
    EXPECT_DOUBLE_EQ(summary.mean, 5);
    EXPECT_DOUBLE_EQ(summary.m2, 32);
    EXPECT_DOUBLE_EQ(summary::stddev(summary).value(), std::sqrt(32.0 / 7.0));
}

TEST(Statistics, EqualValuesHaveExactlyNoDeviation) {
    Statistics summary;
    for (int i = 0; i < 1000; ++i) summary::add(summary, 0.1, i);
    EXPECT_EQ(summary.mean, 0.1);
    EXPECT_EQ(summary.m2, 0);
    EXPECT_EQ(summary::stddev(summary).value(), 0);
}

TEST(Statistics, FirstAndLastGoByMeasuredTimeWithTiesByValue) {
    auto summary = summary_of({{5, 100}, {1, 200}, {9, 50}, {7, 50}, {8, 50}, {3, 200}, {2, 200}});
    EXPECT_EQ(summary.first_value, 7);
    EXPECT_EQ(summary.first_at, 50);
    EXPECT_EQ(summary.last_value, 3);
    EXPECT_EQ(summary.last_at, 200);
    summary::merge(summary, summary_of({{4, 200}, {6, 50}, {0, 60}}));
    EXPECT_EQ(summary.first_value, 6);
    EXPECT_EQ(summary.last_value, 4);
}

TEST(Statistics, NegativeZeroIsZero) {
    const auto one = summary_of({{0.0, 1}, {-0.0, 1}});
    const auto other = summary_of({{-0.0, 1}, {0.0, 1}});
    EXPECT_FALSE(std::signbit(one.min));
    EXPECT_FALSE(std::signbit(other.min));
    EXPECT_FALSE(std::signbit(other.first_value));
    EXPECT_FALSE(std::signbit(summary_of({{-0.0, 1}}).mean));
}

TEST(Statistics, NothingIsTheNeutralElementOfMerge) {
    const auto some = summary_of({{1.1, 3}, {2.2, 1}, {-7, 2}});
    auto left = some;
    summary::merge(left, Statistics{});
    Statistics right;
    summary::merge(right, some);
    for (const auto& merged : {left, right}) {
        EXPECT_EQ(merged.count, some.count);
        EXPECT_EQ(merged.mean, some.mean);
        EXPECT_EQ(merged.m2, some.m2);
        EXPECT_EQ(merged.first_at, some.first_at);
        EXPECT_EQ(merged.last_value, some.last_value);
    }
    Statistics nothing;
    summary::merge(nothing, Statistics{});
    EXPECT_EQ(nothing.count, 0);
}

TEST(Statistics, MergesWithItself) {
    auto summary = summary_of({{1, 1}, {3, 2}});
    summary::merge(summary, summary);
    EXPECT_EQ(summary.count, 4);
    EXPECT_DOUBLE_EQ(summary.mean, 2);
    EXPECT_DOUBLE_EQ(summary.m2, 4);
}

TEST(Statistics, FarApartValuesKeepTheMeanFinite) {
    const std::vector<double> extremes = {kGreatest, -kGreatest, 1e308, -1e308,    0.0,
                                          5e-324,    -5e-324,    1.0,   kGreatest, -kGreatest};
    std::mt19937_64 random(7);
    for (int round = 0; round < 2000; ++round) {
        Statistics whole;
        Statistics parts[3];
        double low = kInfinity;
        double high = -kInfinity;
        for (int i = 0; i < 12; ++i) {
            const double value = extremes[random() % extremes.size()];
            low = std::min(low, value);
            high = std::max(high, value);
            summary::add(whole, value, i);
            summary::add(parts[random() % 3], value, i);
        }
        summary::merge(parts[0], parts[1]);
        summary::merge(parts[0], parts[2]);
        for (const auto& summary : {whole, parts[0]}) {
            ASSERT_TRUE(std::isfinite(summary.mean));
            ASSERT_LE(low, summary.mean);
            ASSERT_GE(high, summary.mean);
            ASSERT_GE(summary.m2, 0);  // false for NaN
            ASSERT_EQ(summary.min, low);
            ASSERT_EQ(summary.max, high);
            ASSERT_EQ(summary.count, 12);
            ASSERT_TRUE(summary::is_consistent(summary));
        }
    }
}

TEST(Statistics, MeanOfOppositeExtremes) {
    EXPECT_EQ(summary_of({{1e308, 1}, {-1e308, 2}}).mean, 0);
    EXPECT_EQ(summary_of({{1e308, 1}, {-1e308, 2}}).m2, kInfinity);
    EXPECT_EQ(summary::stddev(summary_of({{1e308, 1}, {-1e308, 2}})), std::nullopt);
    EXPECT_DOUBLE_EQ(summary_of({{1e308, 1}, {1e308, 2}, {-1e308, 3}, {1e308, 4}}).mean, 0.5e308);
    auto merged = summary_of({{1e308, 1}, {1e308, 2}, {1e308, 3}});
    summary::merge(merged, summary_of({{-1e308, 4}}));
    EXPECT_DOUBLE_EQ(merged.mean, 0.5e308);
    EXPECT_EQ(merged.m2, kInfinity);
    summary::merge(merged, summary_of({{2, 5}}));
    EXPECT_EQ(merged.m2, kInfinity);
}

TEST(Statistics, SquareThatFitsDoesNotOverflowOnTheWay) {
    // Distance d = 1.5e154: d * d = 2.25e308 exceeds a double, M2 = d * d / 2 does not.
    auto merged = summary_of({{0, 1}});
    summary::merge(merged, summary_of({{1.5e154, 2}}));
    EXPECT_DOUBLE_EQ(merged.m2, 1.125e308);
    EXPECT_DOUBLE_EQ(summary_of({{0, 1}, {1.5e154, 2}}).m2, 1.125e308);
}

TEST(Statistics, CountsSaturate) {
    Statistics full = summary_of({{1, 1}, {2, 2}});
    full.count = std::numeric_limits<std::int64_t>::max();
    auto sum = full;
    summary::merge(sum, full);
    EXPECT_EQ(sum.count, std::numeric_limits<std::int64_t>::max());
    summary::add(full, 3, 3);
    EXPECT_EQ(full.count, std::numeric_limits<std::int64_t>::max());
    EXPECT_TRUE(summary::is_consistent(full));
}

TEST(Statistics, AnyOrderAndAnyCutGiveTheDefinition) {
    std::mt19937_64 random(20260731);
    for (int round = 0; round < 300; ++round) {
        // Beyond a mean of about 1e7 deviations the double that holds the mean is too coarse for nine digits of M2.
        const double offset = std::pow(10.0, static_cast<double>(random() % 7)) * (random() % 2 ? 1 : -1);
        std::normal_distribution<double> noise(offset, 1 + static_cast<double>(random() % 100));
        std::vector<Sample> samples(1 + random() % 200);
        for (auto& sample : samples) sample = {noise(random), static_cast<Micros>(random() % 50)};

        expect_is_summary_of(summary_of(samples), samples);
        std::ranges::shuffle(samples, random);
        std::vector<Statistics> parts(1 + random() % 10);
        for (const auto& sample : samples) summary::add(parts[random() % parts.size()], sample.value, sample.at);
        while (parts.size() > 1) {
            std::ranges::shuffle(parts, random);
            const auto last = parts.back();
            parts.pop_back();
            summary::merge(parts.front(), last);
        }
        expect_is_summary_of(parts.front(), samples);
    }
}

TEST(Statistics, ConsistencyIsChecked) {
    const auto good = summary_of({{1, 1}, {2, 2}});
    EXPECT_TRUE(summary::is_consistent(good));
    const auto broken = [&good](auto change) {
        auto summary = good;
        change(summary);
        return !summary::is_consistent(summary);
    };
    const double nan = std::nan("");
    EXPECT_TRUE(broken([](Statistics& s) { s.count = 0; }));
    EXPECT_TRUE(broken([](Statistics& s) { s.count = -1; }));
    EXPECT_TRUE(broken([&](Statistics& s) { s.mean = nan; }));
    EXPECT_TRUE(broken([](Statistics& s) { s.mean = 3; }));
    EXPECT_TRUE(broken([&](Statistics& s) { s.m2 = nan; }));
    EXPECT_TRUE(broken([](Statistics& s) { s.m2 = -1; }));
    EXPECT_FALSE(broken([](Statistics& s) { s.m2 = kInfinity; }));
    EXPECT_TRUE(broken([](Statistics& s) { s.min = -kInfinity; }));
    EXPECT_TRUE(broken([](Statistics& s) { s.max = kInfinity; }));
    EXPECT_TRUE(broken([](Statistics& s) { s.min = 3; }));
    EXPECT_TRUE(broken([&](Statistics& s) { s.first_value = nan; }));
    EXPECT_TRUE(broken([](Statistics& s) { s.last_value = 2.5; }));
    EXPECT_TRUE(broken([](Statistics& s) { s.first_at = 3; }));
    EXPECT_TRUE(broken([](Statistics& s) { s.first_at = 2, s.first_value = 2, s.last_value = 1; }));
}

}  // namespace
