// Delays double with each failure in a row, up to a limit. A message that repeats is logged once a minute.
#include "runtime/backoff.hpp"

#include <cstdint>

#include <gtest/gtest.h>

#include "runtime/log_throttle.hpp"

namespace {

using runtime::Backoff;
using runtime::delay_after;
using runtime::LogThrottle;
using runtime::SteadyTime;

constexpr SteadyTime kSecond = 1'000'000;

TEST(Backoff, doubles_up_to_its_limit_and_begins_anew_after_success) {
    Backoff backoff(100, 1000);
    for (const SteadyTime delay : {100, 200, 400, 800, 1000, 1000, 1000}) EXPECT_EQ(backoff.failed(), delay);
    backoff.succeeded();
    EXPECT_EQ(backoff.failed(), 100);
}

TEST(Backoff, takes_any_number_of_failures) {
    EXPECT_EQ(delay_after(-5, 100, 1000), 100);
    EXPECT_EQ(delay_after(0, 100, 1000), 100);
    EXPECT_EQ(delay_after(1, 100, 1000), 100);
    EXPECT_EQ(delay_after(2, 100, 1000), 200);
    EXPECT_EQ(delay_after(INT32_MAX, 100, 60 * kSecond), 60 * kSecond);
    EXPECT_EQ(delay_after(3, 2000, 1000), 1000);
}

TEST(LogThrottle, logs_each_key_once_a_minute) {
    LogThrottle throttle;
    EXPECT_TRUE(throttle.may_log(1, 0));
    EXPECT_FALSE(throttle.may_log(1, 59 * kSecond));
    EXPECT_TRUE(throttle.may_log(2, 59 * kSecond));
    EXPECT_TRUE(throttle.may_log(1, 60 * kSecond));
    EXPECT_FALSE(throttle.may_log(1, 61 * kSecond));
}

// Many keys do not make it grow. It may then log one again too early, but it never keeps silent about a new one.
TEST(LogThrottle, logs_every_new_key) {
    LogThrottle throttle;
    for (int key = 0; key < 1000; ++key) EXPECT_TRUE(throttle.may_log(key, key)) << key;
    EXPECT_FALSE(throttle.may_log(999, 1000));
}

}  // namespace
