// The tests read the words about each field that can differ, and about those of which the log cannot tell what was sent.
#include "model/differences.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace {

using model::differences;
using model::Metric;
using model::Micros;
using model::Reading;
using model::StoredReading;

constexpr Micros kAt = 820638245'000000;  // 2026-01-02 03:04:05 UTC
constexpr Micros kReceived = kAt + 1'000000;

const std::vector<Metric> kMetrics = {{"co2", 412}, {"light", 0.1}};

Reading sent() {
    return {.device_id = "sensor-1",
            .measured_at = kAt,
            .temperature = 21.5,
            .humidity = 40,
            .idempotency_key = "k",
            .metrics = kMetrics,
            .region = "eu"};
}

StoredReading stored() {
    return {
        .measured_at = kAt, .received_at = kReceived, .temperature = 21.5, .humidity = 40, .metrics = kMetrics, .region = "eu"};
}

TEST(Differences, NamesEachFieldWithBothValues) {
    Reading now = sent();
    now.temperature = 22;
    now.humidity = {};
    now.measured_at = kAt + 1;
    now.region = "us";
    const std::vector<Metric> metrics = {{"co2", 413}, {"noise", 3}};
    now.metrics = metrics;
    EXPECT_EQ(differences(stored(), now),
              "measured_at is stored as 2026-01-02T03:04:05.000000Z, now 2026-01-02T03:04:05.000001Z; "
              "temperature was 21.5, now 22; humidity was 40, now not sent; metric \"co2\" was 412, now 413; "
              "metric \"light\" was 0.1, now not sent; metric \"noise\" was not sent, now 3; "
              "region is stored as \"eu\", now \"us\"");
    EXPECT_EQ(differences(sent(), now),
              "measured_at was 2026-01-02T03:04:05.000000Z, now 2026-01-02T03:04:05.000001Z; "
              "temperature was 21.5, now 22; humidity was 40, now not sent; metric \"co2\" was 412, now 413; "
              "metric \"light\" was 0.1, now not sent; metric \"noise\" was not sent, now 3; region was \"eu\", now \"us\"");
}

TEST(Differences, SaysWhatWasFilledIn) {
    Reading now = sent();
    StoredReading before = stored();
    before.measured_at = before.received_at;
    EXPECT_EQ(differences(before, now),
              "measured_at is stored as the time of receipt, 2026-01-02T03:04:06.000000Z, now 2026-01-02T03:04:05.000000Z");
    now.measured_at = {};
    EXPECT_EQ(differences(stored(), now), "measured_at is stored as 2026-01-02T03:04:05.000000Z, now not sent");
    EXPECT_EQ(differences(before, now), "");  // the region was sent or was not, and so was measured_at
    now.region = {};
    EXPECT_EQ(differences(before, now), "");
    before.region = {};
    EXPECT_EQ(differences(before, sent()),
              "measured_at is stored as the time of receipt, 2026-01-02T03:04:06.000000Z, now 2026-01-02T03:04:05.000000Z; "
              "region was not sent, now \"eu\"");
}

TEST(Differences, OnlyTheRegionIsLeft) {
    Reading now = sent();
    EXPECT_EQ(differences(stored(), now), "region was not sent, now \"eu\"");
    now.region = {};
    EXPECT_EQ(differences(stored(), now), "region was \"eu\", now not sent");
}

TEST(Differences, SignOfZero) {
    Reading now = sent(), first = sent();
    now.humidity = -0.0;
    first.humidity = 0.0;
    EXPECT_EQ(differences(first, now), "humidity was 0, now -0");
}

TEST(Differences, NamesTenAtMost) {
    std::vector<std::string> names;
    for (int i = 0; i < 15; ++i) names.push_back("m" + std::to_string(i));
    std::vector<Metric> metrics;
    for (const std::string& name : names) metrics.push_back({name, 1});
    Reading now = sent(), first = sent();
    first.metrics = {};
    now.metrics = metrics;
    const std::string words = differences(first, now);
    EXPECT_TRUE(words.starts_with("metric \"m0\" was not sent, now 1; metric \"m1\"")) << words;
    EXPECT_TRUE(words.ends_with("metric \"m9\" was not sent, now 1; and 5 more")) << words;
}

}  // namespace
