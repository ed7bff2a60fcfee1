// The stored form of a summary is as short as documented, reads back bit for bit, and the reader takes no other bytes.
#include "summary/summary_bytes.hpp"

#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "same_bits.hpp"

namespace {

using model::Micros;
using summary::Statistics;

using Bytes = std::vector<std::uint8_t>;

Bytes bytes_of(const Statistics& statistics, bool has_sketch = false) {
    Bytes bytes(summary::kMostStatisticsBytes);
    bytes.resize(
        static_cast<std::size_t>(summary::write_statistics(statistics, nullptr, has_sketch, bytes.data()) - bytes.data()));
    return bytes;
}

void expect_reads_back(const Statistics& statistics) {
    const auto found = summary::find_parts(bytes_of(statistics));
    ASSERT_TRUE(found.is_known);
    expect_same_bits(found.statistics, statistics);
}

Statistics summary_of(const std::vector<double>& values, Micros distance = 1) {
    Statistics statistics;
    Micros at = 1000;
    for (const double value : values) summary::add(statistics, value, at += distance);
    return statistics;
}

template <typename Number>
void append(Bytes& bytes, Number number) {
    const auto raw = std::bit_cast<std::array<std::uint8_t, sizeof number>>(number);
    bytes.insert(bytes.end(), raw.begin(), raw.end());
}

TEST(SummaryBytes, AreWrittenAsDocumented) {
    Bytes one = {3, 0, 1};
    append(one, Micros{1001});
    append(one, 21.5);
    EXPECT_EQ(bytes_of(summary_of({21.5})), one);

    // The span is 300 = 2 * 128 + 44, and the least value is neither the first nor the last one.
    Bytes three = {3, 2 | 4 | 8 | 32 | 64, 3};
    append(three, Micros{1150});
    append(three, 4.0);
    three.insert(three.end(), {0xAC, 2});
    for (const double value : {8.0, 3.0, 5.0, 14.0}) append(three, value);
    EXPECT_EQ(bytes_of(summary_of({4, 3, 8}, 150)), three);
}

TEST(SummaryBytes, LeaveOutWhatFollows) {
    EXPECT_EQ(bytes_of(summary_of({-7})).size(), 19);
    EXPECT_EQ(bytes_of(summary_of({20, 21})).size(), 19 + 1 + 8);
    EXPECT_EQ(bytes_of(summary_of({21, 20})).size(), 19 + 1 + 8);
    EXPECT_EQ(bytes_of(summary_of({0.1, 0.1, 0.1, 0.1})).size(), 19 + 1);
    EXPECT_EQ(bytes_of(summary_of({20, 20.5, 21.5})).size(), 19 + 1 + 3 * 8);
    EXPECT_EQ(bytes_of(summary_of({20, 22, 18, 19})).size(), 19 + 1 + 5 * 8);
    Statistics merged = summary_of({21.1});
    summary::merge(merged, summary_of({20.3}, 7));
    EXPECT_EQ(bytes_of(merged).size(), 19 + 1 + 8);
}

TEST(SummaryBytes, ReadBack) {
    std::mt19937_64 random(21);
    for (int round = 0; round < 20000; ++round) {
        Statistics statistics;
        for (auto left = 1 + random() % 5; left > 0; --left) {
            const double value = random() % 2 == 0 ? static_cast<double>(random() % 5) : std::bit_cast<double>(random());
            summary::add(statistics, std::isfinite(value) ? value : 0, static_cast<Micros>(random()));
        }
        expect_reads_back(statistics);
    }
}

// Statistics that come from outside need not be those that adding gives.
TEST(SummaryBytes, AnyStatisticsReadBack) {
    std::mt19937_64 random(22);
    const double values[] = {0.0, -0.0, 1, 1.5, 2, std::numeric_limits<double>::max(), std::numeric_limits<double>::infinity()};
    const auto any_value = [&] { return values[random() % std::size(values)]; };
    const auto any_time = [&] {
        const Micros times[] = {0, 1, -1, std::numeric_limits<Micros>::max(), std::numeric_limits<Micros>::min()};
        return times[random() % std::size(times)];
    };
    for (int round = 0; round < 20000; ++round)
        expect_reads_back({.count = random() % 2 == 0 ? 1 : std::numeric_limits<std::int64_t>::max(),
                           .mean = any_value(),
                           .m2 = any_value(),
                           .min = any_value(),
                           .max = any_value(),
                           .first_value = any_value(),
                           .last_value = any_value(),
                           .first_at = any_time(),
                           .last_at = any_time()});
}

TEST(SummaryBytes, ACounterFollows) {
    const auto with_counter = [](const Statistics& statistics, const summary::Counter& counter) {
        Bytes bytes(summary::kMostStatisticsBytes);
        bytes.resize(
            static_cast<std::size_t>(summary::write_statistics(statistics, &counter, false, bytes.data()) - bytes.data()));
        return bytes;
    };
    const Statistics statistics = summary_of({20, 21, 3});
    const std::size_t size = bytes_of(statistics).size();
    EXPECT_EQ(with_counter(statistics, {}).size(), size + 1);
    EXPECT_EQ(with_counter(statistics, {.resets = 1, .fallen_from = 21}).size(), size + 1 + 8);
    for (const summary::Counter& counter :
         {summary::Counter{}, summary::Counter{.resets = 1, .fallen_from = 21},
          summary::Counter{.resets = 200, .fallen_from = -0.5, .overlaps = true},
          summary::Counter{.resets = std::numeric_limits<std::int64_t>::max(), .fallen_from = 1}}) {
        const auto found = summary::find_parts(with_counter(statistics, counter));
        ASSERT_TRUE(found.is_known && found.is_counter);
        EXPECT_EQ(found.counter.resets, counter.resets);
        EXPECT_EQ(found.counter.fallen_from, counter.fallen_from);
        EXPECT_EQ(found.counter.overlaps, counter.overlaps);
        expect_same_bits(found.statistics, statistics);
    }
    Bytes cut = with_counter(statistics, {.resets = 1, .fallen_from = 21});
    cut.pop_back();
    EXPECT_FALSE(summary::find_parts(cut).is_known);
}

TEST(SummaryBytes, ASketchFollows) {
    Bytes bytes = bytes_of(summary_of({20, 21}), true);
    EXPECT_FALSE(summary::find_parts(bytes).is_known);  // it is missing
    bytes.insert(bytes.end(), {8, 2});
    const auto found = summary::find_parts(bytes);
    ASSERT_TRUE(found.is_known);
    EXPECT_TRUE(found.has_sketch);
    EXPECT_EQ(Bytes(found.sketch_bytes.begin(), found.sketch_bytes.end()), (Bytes{8, 2}));
    EXPECT_EQ(found.statistics.max, 21);
}

TEST(SummaryBytes, ThoseOfVersion1_0AreRead) {
    const Statistics statistics = summary_of({20, 22, 18, 19});
    Bytes bytes = {1, 0, 0, 0};
    append(bytes, statistics);
    const auto found = summary::find_parts(bytes);
    ASSERT_TRUE(found.is_known);
    EXPECT_FALSE(found.has_sketch);
    expect_same_bits(found.statistics, statistics);
    bytes.pop_back();
    EXPECT_FALSE(summary::find_parts(bytes).is_known);
}

TEST(SummaryBytes, OtherBytesAreRefused) {
    const Bytes good = bytes_of(summary_of({20, 22, 18, 19}));
    ASSERT_TRUE(summary::find_parts(good).is_known);
    for (std::size_t size = 0; size < good.size(); ++size)
        EXPECT_FALSE(summary::find_parts(std::span(good).first(size)).is_known) << size;
    const auto is_known_with = [&good](std::size_t place, std::uint8_t byte) {
        Bytes bytes = good;
        bytes[place] = byte;
        return summary::find_parts(bytes).is_known;
    };
    EXPECT_FALSE(is_known_with(0, 2));
    EXPECT_FALSE(is_known_with(0, 4));  // a later one
    EXPECT_FALSE(is_known_with(2, 0));  // no values
    Bytes longer = good;
    longer.push_back(0);
    EXPECT_FALSE(summary::find_parts(longer).is_known);
}

}  // namespace
