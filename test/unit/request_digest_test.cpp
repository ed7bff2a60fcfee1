// The request digest has fixed values, which another implementation of SipHash gives, and shows every difference a client can
// make.
#include "model/request_digest.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

namespace {

using model::Metric;
using model::Reading;
using model::request_digest;
using model::Secret;

Secret reference_key() {
    Secret secret;
    std::iota(secret.bytes.begin(), secret.bytes.end(), static_cast<unsigned char>(0));
    return secret;
}

const std::vector<Metric> kMetrics = {{"co2", 412.0}, {"light1", 0.0}};

Reading reference_reading() {
    return {.device_id = "sensor-1",
            .measured_at = 820454400123456,
            .temperature = 21.5,
            .humidity = {},
            .idempotency_key = "key",
            .metrics = kMetrics,
            .region = "eu-west"};
}

template <typename Change>
std::int64_t digest_with(Change change) {
    auto reading = reference_reading();
    change(reading);
    return request_digest(reference_key(), reading);
}

// The value comes from `openssl mac ... SIPHASH` over the documented message. Stored digests depend on it.
TEST(RequestDigest, IsFixedForever) {
    EXPECT_EQ(digest_with([](Reading&) {}), 3641322122257692452);
    EXPECT_EQ(digest_with([](Reading& r) { r.region.reset(); }), -8050962901897231983);
}

TEST(RequestDigest, DiffersWithEveryField) {
    const auto expected = digest_with([](Reading&) {});
    const std::vector<Metric> renamed = {{"co3", 412.0}, {"light1", 0.0}};
    const std::vector<Metric> changed = {{"co2", 412.0}, {"light1", 1.0}};
    const std::vector<Metric> shifted = {{"co2l", 412.0}, {"ight1", 0.0}};
    std::vector<std::int64_t> digests = {
        expected,
        digest_with([](Reading& r) { r.measured_at.reset(); }),
        digest_with([](Reading& r) { r.measured_at = 0; }),
        digest_with([](Reading& r) { r.temperature.reset(); }),
        digest_with([](Reading& r) { r.temperature = 0; }),
        digest_with([](Reading& r) { r.humidity = 0; }),
        digest_with([](Reading& r) { r.humidity = r.temperature, r.temperature.reset(); }),
        digest_with([](Reading& r) { r.region.reset(); }),
        digest_with([](Reading& r) { r.region = ""; }),
        digest_with([](Reading& r) { r.region = "eu-wesT"; }),
        digest_with([](Reading& r) { r.metrics = {}; }),
        digest_with([](Reading& r) { r.metrics = r.metrics.first(1); }),
        digest_with([&](Reading& r) { r.metrics = renamed; }),
        digest_with([&](Reading& r) { r.metrics = changed; }),
        digest_with([&](Reading& r) { r.metrics = shifted; }),
        request_digest(Secret{}, reference_reading()),
    };
    std::ranges::sort(digests);
    EXPECT_EQ(std::ranges::adjacent_find(digests), digests.end());
}

TEST(RequestDigest, LeavesIdentityAndTheSignOfZeroOut) {
    const auto expected = digest_with([](Reading&) {});
    const std::vector<Metric> negative_zero = {{"co2", 412.0}, {"light1", -0.0}};
    EXPECT_EQ(digest_with([](Reading& r) { r.device_id = "sensor-2"; }), expected);
    EXPECT_EQ(digest_with([](Reading& r) { r.idempotency_key = "other"; }), expected);
    EXPECT_EQ(digest_with([&](Reading& r) { r.metrics = negative_zero; }), expected);
}

}  // namespace
