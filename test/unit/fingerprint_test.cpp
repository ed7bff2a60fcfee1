// Fingerprints have a fixed layout, with hashes from another implementation of SipHash, and tell different identities apart.
#include "model/fingerprint.hpp"

#include <cstdint>
#include <cstring>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace {

using model::derived_fingerprint;
using model::Fingerprint;
using model::keyed_fingerprint;
using model::Metric;
using model::Reading;
using model::Secret;
using model::secret_of_type;

Secret reference_key() {
    Secret secret;
    std::iota(secret.bytes.begin(), secret.bytes.end(), static_cast<unsigned char>(0));
    return secret;
}

std::string hex(const Fingerprint& fingerprint) {
    std::string text;
    for (const unsigned char byte : fingerprint.bytes) {
        text += "0123456789abcdef"[byte >> 4];
        text += "0123456789abcdef"[byte & 15];
    }
    return text;
}

Fingerprint of_key(std::string_view device_id, std::string_view key, unsigned salt = 0) {
    return keyed_fingerprint(reference_key(), device_id, key, salt);
}

const std::vector<Metric> kMetrics = {{"co2", 412.0}, {"light1", 0.0}};

Reading reference_reading() {
    // 820454400 seconds after 2000-01-01 is 2025-12-31 00:00 UTC, second 1767139200 (0x69546780) since 1970.
    return {.device_id = "sensor-1",
            .measured_at = 820454400123456,
            .temperature = 21.5,
            .humidity = {},
            .idempotency_key = {},
            .metrics = kMetrics,
            .region = {}};
}

// The hashes come from `openssl mac ... SIPHASH` over the documented messages. Stored fingerprints depend on them.
TEST(Fingerprint, IsFixedForever) {
    // Running number 4711 = 0x1267.
    EXPECT_EQ(hex(of_key("sensor-1", "boot-3:4711")), "03000000000012676ecbb3efaa07a378");
    EXPECT_EQ(hex(of_key("sensor-1", "boot-3:4711", 1)), "030000000000126773409840b36a2989");
    EXPECT_EQ(hex(of_key("sensor-1", "first reading")), "043c09e8ed039d3f878727b21219b22f");
    EXPECT_EQ(hex(derived_fingerprint(reference_key(), reference_reading(), 0)), "01000000695467806d9f5af370097ad9");
}

TEST(Fingerprint, IsOrderedByItsBytes) {
    std::vector<Fingerprint> fingerprints;
    fingerprints.reserve(200);
    for (int i = 0; i < 200; ++i) fingerprints.push_back(of_key("d" + std::to_string(i % 7), "k" + std::to_string(i * 37)));
    for (const auto& a : fingerprints)
        for (const auto& b : fingerprints) {
            const int order = std::memcmp(a.bytes.data(), b.bytes.data(), a.bytes.size());
            EXPECT_EQ(a < b, order < 0);
            EXPECT_EQ(a == b, order == 0);
        }
}

TEST(Fingerprint, NeighboursAreNear) {
    EXPECT_LT(of_key("sensor-1", "99"), of_key("sensor-2", "1000"));
    EXPECT_LT(of_key("sensor-1", "2026-01-02T03:04:05Z"), of_key("sensor-2", "2026-01-02T03:04:06Z"));
    // Times stand before running numbers, and these before keys without order.
    EXPECT_LT(of_key("d", "9999-12-31T23:59:59Z"), of_key("d", "0"));
    EXPECT_LT(of_key("d", "99999999999"), of_key("d", "opaque"));
}

TEST(Fingerprint, TellsApart) {
    std::set<Fingerprint> seen;
    EXPECT_TRUE(seen.insert(of_key("ab", "c")).second);
    EXPECT_TRUE(seen.insert(of_key("a", "bc")).second);
    EXPECT_TRUE(seen.insert(of_key("abc", "")).second);
    EXPECT_TRUE(seen.insert(of_key("", "abc")).second);
    EXPECT_TRUE(seen.insert(of_key("ab", "c", 1)).second);
    EXPECT_TRUE(seen.insert(keyed_fingerprint(Secret{}, "ab", "c", 0)).second);
    for (int device = 0; device < 100; ++device)
        for (int number = 0; number < 1000; ++number)
            ASSERT_TRUE(seen.insert(of_key("sensor-" + std::to_string(device), std::to_string(number))).second);
}

TEST(Fingerprint, OfAReadingIsOfItsDeviceTimeAndValues) {
    const auto of = [](const Reading& reading, unsigned salt = 0) {
        return derived_fingerprint(reference_key(), reading, salt);
    };
    const auto expected = of(reference_reading());
    const auto changed = [&](auto change) {
        auto reading = reference_reading();
        change(reading);
        return of(reading) != expected;
    };
    EXPECT_TRUE(changed([](Reading& r) { r.device_id = "sensor-2"; }));
    EXPECT_TRUE(changed([](Reading& r) { ++*r.measured_at; }));
    EXPECT_TRUE(changed([](Reading& r) { r.temperature = 21.500001; }));
    EXPECT_TRUE(changed([](Reading& r) { r.temperature.reset(); }));
    EXPECT_TRUE(changed([](Reading& r) { r.humidity = 21.5, r.temperature.reset(); }));
    EXPECT_TRUE(changed([](Reading& r) { r.humidity = 0.0; }));
    EXPECT_TRUE(changed([](Reading& r) { r.metrics = {}; }));
    EXPECT_TRUE(changed([](Reading& r) { r.metrics = r.metrics.first(1); }));
    EXPECT_NE(of(reference_reading(), 1), expected);
    EXPECT_FALSE(changed([](Reading& r) { r.region = "eu-west"; }));

    const std::vector<Metric> negative_zero = {{"co2", 412.0}, {"light1", -0.0}};
    EXPECT_FALSE(changed([&](Reading& r) { r.metrics = negative_zero; }));
}

TEST(Fingerprint, OfAReadingIsLedByItsMeasuredSecond) {
    auto reading = reference_reading();
    reading.measured_at = -946684800000000;  // 1970-01-01
    EXPECT_EQ(hex(derived_fingerprint(reference_key(), reading, 0)).substr(0, 16), "0100000000000000");
    reading.measured_at = -946684800000000 + 1'000'000;
    EXPECT_EQ(hex(derived_fingerprint(reference_key(), reading, 0)).substr(0, 16), "0100000000000001");
    for (const auto out_of_range : {INT64_MIN, INT64_MAX}) {  // Commands refuse these before; here they must not trap.
        reading.measured_at = out_of_range;
        EXPECT_EQ(hex(derived_fingerprint(reference_key(), reading, 0)).substr(0, 2), "01");
    }
}

TEST(Fingerprint, IsAnotherOneForEachType) {
    const std::string key = "device.offline 2026-01-02T03:04:05.200000Z";
    const Fingerprint of_reading = of_key("d", key);
    const Fingerprint offline = keyed_fingerprint(secret_of_type(reference_key(), "device.offline"), "d", key, 0);
    const Fingerprint online = keyed_fingerprint(secret_of_type(reference_key(), "device.online"), "d", key, 0);
    EXPECT_NE(of_reading, offline);
    EXPECT_NE(of_reading, online);
    EXPECT_NE(offline, online);
    EXPECT_EQ(offline, keyed_fingerprint(secret_of_type(reference_key(), "device.offline"), "d", key, 0));
    EXPECT_NE(secret_of_type(reference_key(), "device.offline").bytes, secret_of_type(Secret{}, "device.offline").bytes);
}

}  // namespace
