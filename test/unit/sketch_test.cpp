// The quantiles of a sketch lie within 1 % of the exact ones, and neither order nor cut of the values shows in its bins.
#include "summary/sketch.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "owned_sketch.hpp"
#include "summary/sketch_bytes.hpp"

namespace {

using summary::Bin;
using summary::kMaxBins;
using Bins = std::span<const Bin>;

constexpr double kGreatest = std::numeric_limits<double>::max();
constexpr double kLeast = std::numeric_limits<double>::denorm_min();

std::string text_of(Bins bins) {
    std::string text;
    for (const Bin& bin : bins) text += std::to_string(bin.number) + ":" + std::to_string(bin.count) + " ";
    return text;
}

std::int64_t count_of(Bins bins) {
    std::int64_t count = 0;
    for (const Bin& bin : bins) count += bin.count;
    return count;
}

// Each rank is compared with the value of that rank among the sorted ones.
void expect_quantiles(Bins bins, std::vector<double> values, double tolerance = 0.01 + 1e-9) {
    std::ranges::sort(values);
    ASSERT_TRUE(summary::is_consistent(bins, static_cast<std::int64_t>(values.size())));
    for (std::size_t i = 0; i < values.size(); i += 1 + values.size() / 500) {
        const auto found = summary::value_at_rank(bins, static_cast<std::int64_t>(i) + 1);
        ASSERT_TRUE(found);
        ASSERT_LE(std::abs(*found - values[i]), tolerance * std::abs(values[i])) << "rank " << i + 1 << " of " << values.size();
    }
    EXPECT_FALSE(summary::value_at_rank(bins, static_cast<std::int64_t>(values.size()) + 1));
}

TEST(Sketch, BinsHaveTheBoundsOfThePaper) {
    const double gamma = 1.01 / 0.99;
    // i is the exponent of x where gamma^(i-1) < x <= gamma^i.
    for (const double x : {0.5, 1.0, 1.0 + 1e-9, 20.0, 1e-10, 3e10}) {
        const int i = summary::exponent_of(summary::bin_of(x));
        EXPECT_LT(std::pow(gamma, i - 1), x * (1 + 1e-12)) << x;
        EXPECT_GE(std::pow(gamma, i), x * (1 - 1e-12)) << x;
        EXPECT_NEAR(summary::middle_of(summary::bin_of(x)) / (2 * std::pow(gamma, i) / (gamma + 1)), 1, 1e-12);
        EXPECT_EQ(summary::bin_of(-x), -summary::bin_of(x));
        EXPECT_EQ(summary::middle_of(summary::bin_of(-x)), -summary::middle_of(summary::bin_of(x)));
    }
    EXPECT_EQ(summary::bin_of(1.0), summary::positive_bin(0));
    EXPECT_EQ(summary::bin_of(-1.0), summary::negative_bin(0));
    EXPECT_EQ(summary::bin_of(0.0), summary::kZeroBin);
    EXPECT_EQ(summary::bin_of(-0.0), summary::kZeroBin);
}

TEST(Sketch, EveryFiniteDoubleHasABinWithinOnePercent) {
    std::mt19937_64 random(1);
    const auto check = [](double value) {
        const auto bin = summary::bin_of(value);
        ASSERT_TRUE(summary::is_bin(bin)) << value;
        ASSERT_TRUE(bin == summary::kZeroBin || summary::is_exponent(summary::exponent_of(bin)));
        const double middle = summary::middle_of(bin);
        ASSERT_TRUE(std::isfinite(middle));
        // Below the normal numbers a double is a multiple of kLeast, so the middle is rounded by half of that.
        ASSERT_LE(std::abs(middle - value), (0.01 + 1e-11) * std::abs(value) + kLeast / 2) << value;
    };
    for (const double value : {kGreatest, -kGreatest, kLeast, -kLeast, 2.3e-308, 1.0, -1.0}) check(value);
    for (int i = 0; i < 200000; ++i) {
        const auto value = std::bit_cast<double>(random());
        if (std::isfinite(value)) check(value);
    }
}

TEST(Sketch, QuantilesOfManyDistributions) {
    std::mt19937_64 random(2);
    std::normal_distribution<double> temperature(20, 5), around_zero(0, 1);
    std::lognormal_distribution<double> latency(0, 2);
    std::uniform_real_distribution<double> uniform(-100, 100), exponent(-8, 8);
    const auto sample = [](std::size_t size, auto&& next) {
        std::vector<double> values(size);
        for (auto& value : values) value = next();
        return values;
    };
    for (const std::size_t size : {1, 2, 3, 10, 1000, 20000}) {
        for (const auto& values : {
                 sample(size, [&] { return temperature(random); }),
                 sample(size, [&] { return around_zero(random); }),
                 sample(size, [&] { return latency(random); }),
                 sample(size, [&] { return -latency(random); }),
                 sample(size, [&] { return uniform(random); }),
                 sample(size, [&] { return std::round(around_zero(random)); }),
                 sample(size, [&] { return 1e300 * latency(random); }),
                 sample(size, [&] { return 1e-300 * latency(random); }),
                 sample(size, [&] { return std::pow(10, exponent(random)); }),
                 sample(size, [&] { return 0.0; }),
                 sample(size, [&] { return random() % 3 == 0 ? 0.0 : uniform(random); }),
             })
            expect_quantiles(OwnedSketch(values).bins(), values);
    }
}

TEST(Sketch, OrderAndCutDoNotShow) {
    std::mt19937_64 random(3);
    for (int round = 0; round < 24; ++round) {
        // Every third round has more bins than are kept.
        const double width = round % 3 == 0 ? 600 : 20;
        std::uniform_real_distribution<double> exponent(-width, width);
        std::vector<double> values(1 + random() % (round % 3 == 0 ? 5000 : 400));
        for (auto& value : values) value = random() % 20 == 0 ? 0 : std::exp(exponent(random)) * (random() % 2 == 0 ? 1 : -1);
        const OwnedSketch whole(values);
        ASSERT_LE(whole.bins().size(), kMaxBins);

        std::ranges::shuffle(values, random);
        ASSERT_EQ(text_of(OwnedSketch(values).bins()), text_of(whole.bins()));
        std::vector<OwnedSketch> parts(1 + random() % 10);
        for (const double value : values) parts[random() % parts.size()].add(value);
        while (parts.size() > 1) {
            std::ranges::shuffle(parts, random);
            const auto last = parts.back();
            parts.pop_back();
            parts.front().merge(last.bins());
        }
        ASSERT_EQ(text_of(parts.front().bins()), text_of(whole.bins()));
    }
}

TEST(Sketch, TheLeastMagnitudesBecomeZerosWhenThereAreTooManyBins) {
    std::vector<double> values(3000);
    for (int i = 0; i < 3000; ++i) values[i] = std::exp(0.1 * (i - 1500));
    const OwnedSketch sketch(values);
    EXPECT_EQ(sketch.bins().size(), kMaxBins);
    EXPECT_EQ(count_of(sketch.bins()), 3000);
    EXPECT_EQ(sketch.bins()[0].number, summary::kZeroBin);
    EXPECT_EQ(sketch.bins()[0].count, 3000 - (kMaxBins - 1));
    for (int i = 3000 - (kMaxBins - 1); i < 3000; ++i)
        EXPECT_NEAR(summary::value_at_rank(sketch.bins(), i + 1).value() / values[i], 1, 0.0101);
}

TEST(Sketch, OfOneMagnitudeTheNegativeBinGoesFirst) {
    OwnedSketch sketch;
    for (int i = 0; i < 1500; ++i) {
        sketch.add(std::exp(0.1 * i));
        sketch.add(-std::exp(0.1 * i));
    }
    // 3,000 bins less 953: the 477 least negative ones, and the 476 least positive ones.
    EXPECT_EQ(text_of(sketch.bins().subspan(1023, 1)), "0:953 ");
    EXPECT_EQ(sketch.bins()[1024].number, summary::bin_of(std::exp(47.6)));
    EXPECT_EQ(sketch.bins()[1022].number, summary::bin_of(-std::exp(47.7)));
}

TEST(Sketch, MergesWithItselfAndWithNothing) {
    OwnedSketch sketch(std::vector<double>{1, 2, -3, 0, 0});
    const auto before = text_of(sketch.bins());
    sketch.merge({});
    EXPECT_EQ(text_of(sketch.bins()), before);
    OwnedSketch empty;
    empty.merge(sketch.bins());
    EXPECT_EQ(text_of(empty.bins()), before);
    sketch.merge(sketch.bins());
    EXPECT_EQ(count_of(sketch.bins()), 10);
    EXPECT_EQ(sketch.bins().size(), 4u);
}

TEST(Sketch, CountsSaturate) {
    constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
    OwnedSketch sketch;
    const Bin full[] = {{summary::kZeroBin, kMost}, {summary::positive_bin(1), kMost}};
    sketch.merge(full);
    sketch.merge(full);
    sketch.add(0);
    EXPECT_EQ(sketch.bins()[0].count, kMost);
    EXPECT_TRUE(summary::is_consistent(sketch.bins(), kMost));
}

TEST(Sketch, ConsistencyIsChecked) {
    const auto is_consistent = [](std::vector<Bin> bins, std::int64_t count) { return summary::is_consistent(bins, count); };
    EXPECT_TRUE(is_consistent({{-5, 1}, {0, 2}, {7, 3}}, 6));
    EXPECT_FALSE(is_consistent({{-5, 1}, {0, 2}, {7, 3}}, 5));
    EXPECT_FALSE(is_consistent({{0, 2}, {-5, 1}}, 3));
    EXPECT_FALSE(is_consistent({{7, 1}, {7, 1}}, 2));
    EXPECT_FALSE(is_consistent({{7, 0}}, 0));
    EXPECT_FALSE(is_consistent({{7, -1}, {8, 2}}, 1));
    EXPECT_FALSE(is_consistent({{summary::kGreatestNumber + 1, 1}}, 1));
    std::vector<Bin> many;
    for (std::int32_t i = 1; i <= static_cast<std::int32_t>(kMaxBins); ++i) many.push_back({i, 1});
    EXPECT_FALSE(is_consistent(many, kMaxBins));
    many.back() = {summary::kZeroBin, 1};
    std::rotate(many.begin(), many.end() - 1, many.end());
    EXPECT_TRUE(is_consistent(many, kMaxBins));
}

std::vector<std::uint8_t> bytes_of(Bins bins) {
    std::vector<std::uint8_t> bytes(summary::size_of_bytes(bins));
    EXPECT_EQ(summary::write_bytes(bins, bytes.data()), bytes.data() + bytes.size());
    return bytes;
}

std::optional<std::string> read_text(const std::vector<std::uint8_t>& bytes) {
    std::vector<Bin> bins(summary::most_bins_in(bytes.size()));
    const auto size = summary::read_bytes(bytes, bins.data());
    if (!size) return std::nullopt;
    return text_of(Bins(bins).first(*size));
}

TEST(SketchBytes, AreWrittenAsDocumented) {
    const std::vector<Bin> bins = {{-3, 1}, {0, 127}, {200, 128}};
    EXPECT_EQ(bytes_of(bins), (std::vector<std::uint8_t>{5, 1, 3, 127, 0xC8, 1, 0x80, 1}));
    EXPECT_EQ(bytes_of(std::vector<Bin>{{4, 2}}), (std::vector<std::uint8_t>{8, 2}));
}

TEST(SketchBytes, ReadBack) {
    std::mt19937_64 random(4);
    for (int round = 0; round < 30; ++round) {
        OwnedSketch sketch;
        for (auto left = 1 + random() % 4000; left > 0; --left) {
            const auto value = std::bit_cast<double>(random());
            sketch.add(std::isfinite(value) ? value : 0);
        }
        ASSERT_EQ(read_text(bytes_of(sketch.bins())), text_of(sketch.bins()));
    }
    const std::vector<Bin> extremes = {{-summary::kGreatestNumber, std::numeric_limits<std::int64_t>::max()},
                                       {summary::kGreatestNumber, 1}};
    EXPECT_EQ(read_text(bytes_of(extremes)), text_of(extremes));
}

TEST(SketchBytes, OtherBytesAreRefused) {
    EXPECT_EQ(read_text({8, 2}), "4:2 ");
    EXPECT_FALSE(read_text({8}));
    EXPECT_FALSE(read_text({8, 0}));                 // a count of 0
    EXPECT_FALSE(read_text({8, 0x82, 0}));           // a byte too many
    EXPECT_FALSE(read_text({8, 0x82}));              // cut off
    EXPECT_FALSE(read_text({8, 2, 0, 1}));           // the same bin again
    EXPECT_FALSE(read_text({8, 2, 1}));              // a bin without a count
    EXPECT_FALSE(read_text({0xFE, 0xFF, 0x7F, 1}));  // beyond the greatest bin
    EXPECT_FALSE(read_text({8, 2, 0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F, 1}));
    EXPECT_FALSE(read_text({8, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1}));  // 64 bits
    std::vector<std::uint8_t> many = {0, 1};
    for (std::uint32_t i = 1; i <= kMaxBins; ++i) many.insert(many.end(), {1, 1});
    EXPECT_FALSE(read_text(many));
}

TEST(SketchBytes, AnyBytesAreRefusedOrAreTheFormOfWhatWasRead) {
    std::mt19937_64 random(5);
    for (int round = 0; round < 50000; ++round) {
        std::vector<std::uint8_t> bytes(random() % 12);
        for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random() % 4 == 0 ? random() : random() % 6);
        std::vector<Bin> bins(summary::most_bins_in(bytes.size()));
        const auto size = summary::read_bytes(bytes, bins.data());
        if (!size) continue;
        ASSERT_EQ(bytes_of(Bins(bins).first(*size)), bytes);
    }
}

}  // namespace
