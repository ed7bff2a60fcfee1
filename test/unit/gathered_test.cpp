// Gathered readings keep the order in which they came. The keys of an order ascend byte by byte.
#include "projection/gathered.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "random_samples.hpp"

namespace {

using projection::Gathered;
using projection::KeyOrder;
using projection::Orders;
using read_model::Grain;
using test::kInfinity;
using test::kNan;
using test::Sample;

using Metrics = std::vector<std::pair<std::string, double>>;

Metrics metrics_of(const Gathered& gathered, std::uint32_t number) {
    Metrics metrics;
    for (const projection::GatheredMetric& each : gathered.reading(number).further)
        metrics.emplace_back(gathered.text(each.name), each.value);
    return metrics;
}

TEST(Gathered, HasTheMetricsOfEachReading) {
    const std::vector<Sample> samples = {{.device = "a", .region = "r"},
                                         {.device = "b", .region = "r", .metrics = {{"x", 1}, {"y", 2}}},
                                         {.device = "a", .region = "r"},
                                         {.device = "a", .region = "r"},
                                         {.device = "a", .region = "r", .metrics = {{"x", kNan}, {"y", 3}, {"z", kInfinity}}},
                                         {.device = "a", .region = "r", .metrics = {{"x", -kInfinity}}},
                                         {.device = "a", .region = "r", .metrics = {{"z", 4}}}};
    const std::vector<Metrics> expected = {{}, {{"x", 1}, {"y", 2}}, {}, {}, {{"y", 3}}, {}, {{"z", 4}}};
    for (const std::size_t cut : {0, 1, 2, 5}) {
        Gathered gathered;
        test::gather(gathered, std::span(samples).first(cut));
        test::gather(gathered, std::span(samples).subspan(cut));
        for (std::uint32_t i = 0; i < expected.size(); ++i) EXPECT_EQ(metrics_of(gathered, i), expected[i]) << i;
    }
    Gathered gathered;
    test::gather(gathered, std::span(samples).subspan(1));  // the first one has metrics
    EXPECT_EQ(metrics_of(gathered, 0), expected[1]);
    EXPECT_EQ(metrics_of(gathered, 1), Metrics{});
}

TEST(Gathered, HasWhatAReadModelMayHold) {
    Gathered gathered;
    test::gather(gathered, std::vector<Sample>{{.device = "a",
                                                .region = "r",
                                                .measured_at = test::kFirstTime,
                                                .received_at = test::kLastTime,
                                                .temperature = 21.5},
                                               {.device = "a", .region = "", .temperature = kNan, .humidity = kInfinity},
                                               {.device = "a", .region = "a", .temperature = -kInfinity, .humidity = 40}});
    const projection::GatheredReading& first = gathered.reading(0);
    EXPECT_EQ(gathered.text(first.device), "a");
    EXPECT_EQ(gathered.text(first.region), "r");
    EXPECT_EQ(first.measured_at, test::kFirstTime);
    EXPECT_EQ(first.received_at, test::kLastTime);
    EXPECT_EQ(first.temperature, 21.5);
    EXPECT_TRUE(std::isnan(first.humidity));
    EXPECT_EQ(gathered.reading(1).region, projection::kEmptyText);
    EXPECT_TRUE(std::isnan(gathered.reading(1).temperature));
    EXPECT_TRUE(std::isnan(gathered.reading(1).humidity));
    EXPECT_EQ(gathered.reading(2).region, first.device);
    EXPECT_TRUE(std::isnan(gathered.reading(2).temperature));
    EXPECT_EQ(gathered.reading(2).humidity, 40);
}

TEST(Gathered, ClearForgetsReadingsAndTexts) {
    Gathered gathered;
    const std::size_t before = gathered.bytes();
    const std::vector<Sample> samples(1000, Sample{.device = "a", .region = "r", .metrics = {{"x", 1}}});
    test::gather(gathered, samples);
    const std::size_t of_readings = gathered.bytes() - before;
    EXPECT_GT(of_readings, samples.size() * (sizeof(projection::GatheredReading) + sizeof(projection::GatheredMetric)));
    for (int round = 0; round < 10; ++round) {
        gathered.clear();
        EXPECT_EQ(gathered.bytes(), before);
        for (const Grain grain : {Grain::kDevice, Grain::kRegion, Grain::kAll}) {
            Orders orders(gathered);
            EXPECT_TRUE(orders.by(grain).runs.empty());
            EXPECT_TRUE(orders.by(grain).readings.empty());
        }
        test::gather(gathered,
                     std::vector<Sample>{{.device = "c", .region = "", .metrics = {{"y", 4}}}, {.device = "a", .region = "r"}});
        EXPECT_EQ(gathered.text(gathered.reading(0).device), "c");
        EXPECT_EQ(gathered.text(gathered.reading(1).device), "a");
        EXPECT_EQ(gathered.reading(0).region, projection::kEmptyText);
        EXPECT_EQ(metrics_of(gathered, 0), (Metrics{{"y", 4}}));
        EXPECT_EQ(metrics_of(gathered, 1), Metrics{});
        gathered.clear();
        test::gather(gathered, samples);
        EXPECT_EQ(gathered.bytes() - before, of_readings);
    }
}

using ReadingsByKey = std::vector<std::pair<std::string, std::vector<std::uint32_t>>>;

ReadingsByKey readings_by_key(const Gathered& gathered, const KeyOrder& order) {
    ReadingsByKey readings;
    std::uint32_t end_before = 0;
    for (const KeyOrder::Run& run : order.runs) {
        EXPECT_EQ(run.begin, end_before);
        EXPECT_LT(run.begin, run.end);
        end_before = run.end;
        const auto begin = order.readings.begin();
        readings.emplace_back(gathered.text(run.key), std::vector<std::uint32_t>(begin + run.begin, begin + run.end));
    }
    EXPECT_EQ(order.readings.size(), end_before);
    return readings;
}

TEST(Orders, KeysAscendAndTheirReadingsComeAsTheyWereGathered) {
    std::mt19937_64 random(44);
    Gathered gathered;
    for (int round = 0; round < 50; ++round) {
        const std::vector<Sample> samples = test::random_samples(random, random() % (round % 2 == 0 ? 10 : 300));
        gathered.clear();
        test::gather_in_pieces(random, gathered, samples);
        const auto expect_order = [&](Orders& orders, Grain grain, std::string Sample::*key) {
            std::map<std::string, std::vector<std::uint32_t>, decltype(&test::is_less)> expected(test::is_less);
            for (std::uint32_t i = 0; i < samples.size(); ++i)
                expected[key == nullptr ? std::string() : samples[i].*key].push_back(i);
            EXPECT_EQ(readings_by_key(gathered, orders.by(grain)), ReadingsByKey(expected.begin(), expected.end()));
            EXPECT_EQ(&orders.by(grain), &orders.by(grain));
        };
        Orders orders(gathered), other_orders(gathered);
        expect_order(orders, Grain::kDevice, &Sample::device);
        expect_order(orders, Grain::kRegion, &Sample::region);
        expect_order(orders, Grain::kAll, nullptr);
        expect_order(other_orders, Grain::kRegion, &Sample::region);
        if (HasFailure()) return;
    }
}

TEST(Orders, KeysAscendByteByByte) {
    Gathered gathered;
    std::vector<Sample> samples;
    for (const std::string_view device : {"\xFF", "b", "ab", "a", "\xC3\xA9", "B", "a\x7F", "a\x01"})
        samples.push_back({.device = std::string(device), .region = {}});
    test::gather(gathered, samples);
    Orders orders(gathered);
    std::vector<std::string_view> keys;
    for (const KeyOrder::Run& run : orders.by(Grain::kDevice).runs) keys.push_back(gathered.text(run.key));
    EXPECT_EQ(keys, (std::vector<std::string_view>{"B", "a", "a\x01", "ab", "a\x7F", "b", "\xC3\xA9", "\xFF"}));
}

}  // namespace
