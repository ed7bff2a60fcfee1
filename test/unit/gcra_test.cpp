// The generic cell rate algorithm decides as a bucket of tokens does that is simulated beside it.
#include "model/gcra.hpp"

#include <algorithm>
#include <cstdint>
#include <random>

#include <gtest/gtest.h>

namespace {

using model::decide;
using model::Nanos;
using model::Quota;
using model::QuotaDecision;

constexpr Nanos kSecond = 1'000'000'000;

// Tokens come in at the rate, up to the burst. A larger request needs a full bucket, and leaves less than nothing in it. The
// bucket counts in nanoseconds of tokens, so it is exact.
class TokenBucket {
public:
    TokenBucket(Nanos token, std::uint32_t burst) : token_(token), full_(token * burst), content_(full_) {}

    bool take(Nanos now, std::uint32_t readings) {
        content_ = std::min(full_, content_ + (now - filled_at_));
        filled_at_ = now;
        const Nanos cost = token_ * readings;
        if (content_ < std::min(cost, full_)) return false;
        content_ -= cost;
        return true;
    }

private:
    Nanos token_, full_, content_, filled_at_ = 0;
};

TEST(Gcra, admits_the_burst_and_then_the_rate) {
    const Quota quota{.rate = 2, .burst = 3};
    Nanos arrival = 0;
    const Nanos now = 100 * kSecond;
    for (int i = 0; i < 3; ++i) {
        const QuotaDecision decision = decide(arrival, now, quota, 1);
        EXPECT_EQ(decision.wait, 0) << i;
        arrival = decision.arrival;
    }
    EXPECT_EQ(decide(arrival, now, quota, 1).wait, kSecond / 2);
    EXPECT_EQ(decide(arrival, now, quota, 1).arrival, arrival);
    EXPECT_EQ(decide(arrival, now, quota, 2).wait, kSecond);
    EXPECT_EQ(decide(arrival, now + kSecond / 2 - 1, quota, 1).wait, 1);
    EXPECT_EQ(decide(arrival, now + kSecond / 2, quota, 1).wait, 0);
}

TEST(Gcra, decides_as_a_bucket_of_tokens) {
    std::mt19937_64 random(7);
    for (const Nanos token : {Nanos{1}, Nanos{1000}, Nanos{333'333'334}, 3600 * kSecond}) {
        for (const std::uint32_t burst : {1U, 2U, 5U, 100U}) {
            const Quota quota{.rate = 1e9 / static_cast<double>(token), .burst = burst};
            TokenBucket bucket(token, burst);
            Nanos arrival = 0, now = token * burst;
            int admitted = 0, refused = 0;
            for (int i = 0; i < 5000; ++i) {
                now += static_cast<Nanos>(random() % (static_cast<std::uint64_t>(token) * 4 + 1));
                const auto readings = static_cast<std::uint32_t>(1 + random() % (burst + 3));
                const QuotaDecision decision = decide(arrival, now, quota, readings);
                ASSERT_EQ(decision.wait == 0, bucket.take(now, readings)) << token << ' ' << burst << ' ' << i;
                ++(decision.wait == 0 ? admitted : refused);
                // The wait is exact: one nanosecond before its end is too early.
                if (decision.wait > 0) {
                    EXPECT_GT(decide(arrival, now + decision.wait - 1, quota, readings).wait, 0);
                    EXPECT_EQ(decide(arrival, now + decision.wait, quota, readings).wait, 0);
                }
                arrival = decision.arrival;
            }
            EXPECT_GT(admitted, 100);
            EXPECT_GT(refused, 100);
        }
    }
}

TEST(Gcra, admits_more_than_the_burst_when_the_bucket_is_full_and_leaves_a_debt) {
    const Quota quota{.rate = 1, .burst = 10};
    const Nanos now = 1000 * kSecond;
    const QuotaDecision large = decide(0, now, quota, 100);
    EXPECT_EQ(large.wait, 0);
    EXPECT_EQ(decide(large.arrival, now, quota, 1).wait, 91 * kSecond);
    EXPECT_EQ(decide(large.arrival, now, quota, 100).wait, 100 * kSecond);
    const QuotaDecision one = decide(0, now, quota, 1);
    EXPECT_EQ(decide(one.arrival, now, quota, 100).wait, kSecond);
}

TEST(Gcra, gives_back_what_it_has_charged) {
    const Quota quota{.rate = 1, .burst = 10};
    const Nanos now = 1000 * kSecond;
    const Nanos before = decide(0, now, quota, 4).arrival;
    const Nanos with_other = decide(decide(before, now, quota, 5).arrival, now, quota, 1).arrival;
    EXPECT_EQ(model::given_back(with_other, quota, 5), decide(before, now, quota, 1).arrival);
}

TEST(Gcra, bears_any_number) {
    const Nanos now = std::int64_t{1} << 61;
    for (const double rate : {1e-300, 1e-9, 1e300}) {
        for (const std::uint32_t burst : {0U, 1U, UINT32_MAX}) {
            const Quota quota{.rate = rate, .burst = burst};
            Nanos arrival = 0;
            for (const std::uint32_t readings : {0U, 1U, UINT32_MAX, UINT32_MAX}) {
                const QuotaDecision decision = decide(arrival, now, quota, readings);
                EXPECT_GE(decision.wait, 0);
                EXPECT_GE(decision.arrival, 0);
                arrival = decision.arrival;
                EXPECT_GE(model::given_back(arrival, quota, readings), 0);
            }
        }
    }
}

}  // namespace
