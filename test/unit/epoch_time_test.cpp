// Times that are numbers are exact to the last digit.
#include "model/epoch_time.hpp"

#include <cstdint>
#include <random>
#include <string>

#include <gtest/gtest.h>

namespace {

using model::Micros;
using model::read_epoch_time;
using model::TimeUnit;

constexpr Micros kEpoch = -946'684'800'000'000;

Micros since_epoch(std::string_view number, TimeUnit unit) {
    const auto at = read_epoch_time(number, unit);
    EXPECT_TRUE(at) << number;
    return at.value_or(0) - kEpoch;
}

TEST(EpochTime, Units) {
    EXPECT_EQ(since_epoch("1767323045", TimeUnit::kSeconds), 1767323045000000);
    EXPECT_EQ(since_epoch("1767323045678", TimeUnit::kMilliseconds), 1767323045678000);
    EXPECT_EQ(since_epoch("1767323045678901", TimeUnit::kMicroseconds), 1767323045678901);
    EXPECT_EQ(since_epoch("1767323045678901234", TimeUnit::kNanoseconds), 1767323045678901);
    EXPECT_EQ(read_epoch_time("0", TimeUnit::kSeconds), kEpoch);
    EXPECT_EQ(read_epoch_time("946684800", TimeUnit::kSeconds), 0);
    EXPECT_EQ(read_epoch_time("-0", TimeUnit::kSeconds), kEpoch);
    EXPECT_EQ(since_epoch("-1", TimeUnit::kSeconds), -1000000);
}

TEST(EpochTime, FractionsAndExponents) {
    EXPECT_EQ(since_epoch("1767323045.678901", TimeUnit::kSeconds), 1767323045678901);
    EXPECT_EQ(since_epoch("1767323045678.901", TimeUnit::kMilliseconds), 1767323045678901);
    EXPECT_EQ(since_epoch("1.767323045678901e9", TimeUnit::kSeconds), 1767323045678901);
    EXPECT_EQ(since_epoch("17673230456789.01E-4", TimeUnit::kSeconds), 1767323045678901);
    EXPECT_EQ(since_epoch("1767323045e+0", TimeUnit::kSeconds), 1767323045000000);
    EXPECT_EQ(since_epoch("17e8", TimeUnit::kSeconds), 1700000000000000);
    EXPECT_EQ(since_epoch("0.000001", TimeUnit::kSeconds), 1);
    EXPECT_EQ(since_epoch("0.0e500", TimeUnit::kSeconds), 0);
    EXPECT_EQ(since_epoch("1" + std::string(50, '0') + "e-50", TimeUnit::kSeconds), 1000000);
    EXPECT_EQ(since_epoch("0." + std::string(50, '0') + "1e51", TimeUnit::kSeconds), 1000000);
}

TEST(EpochTime, HalvesGoToTheEvenMicrosecond) {
    EXPECT_EQ(since_epoch("1500", TimeUnit::kNanoseconds), 2);
    EXPECT_EQ(since_epoch("2500", TimeUnit::kNanoseconds), 2);
    EXPECT_EQ(since_epoch("2501", TimeUnit::kNanoseconds), 3);
    EXPECT_EQ(since_epoch("2500.000000000000000000000000000000001", TimeUnit::kNanoseconds), 3);
    EXPECT_EQ(since_epoch("2499.999999999999999999999999999999999", TimeUnit::kNanoseconds), 2);
    EXPECT_EQ(since_epoch("500", TimeUnit::kNanoseconds), 0);
    EXPECT_EQ(since_epoch("501", TimeUnit::kNanoseconds), 1);
    EXPECT_EQ(since_epoch("600", TimeUnit::kNanoseconds), 1);
    EXPECT_EQ(since_epoch("99", TimeUnit::kNanoseconds), 0);
    EXPECT_EQ(since_epoch("0.0000009999", TimeUnit::kSeconds), 1);
    EXPECT_EQ(since_epoch("-1500", TimeUnit::kNanoseconds), -2);
    EXPECT_EQ(since_epoch("9e-9", TimeUnit::kSeconds), 0);
    EXPECT_EQ(since_epoch("9e-999999999999999999999999", TimeUnit::kSeconds), 0);
}

TEST(EpochTime, LimitsOfTheServer) {
    // The end of 294276, by date(1): 9224318016000 s after 1970.
    EXPECT_EQ(read_epoch_time("9224318015.999999999e3", TimeUnit::kSeconds), 9223371331199999999);
    EXPECT_EQ(read_epoch_time("9224318016000", TimeUnit::kSeconds), std::nullopt);
    EXPECT_EQ(read_epoch_time("9224318015999999999.5", TimeUnit::kMicroseconds), std::nullopt);
    EXPECT_EQ(read_epoch_time("-210866803200", TimeUnit::kSeconds), -211813488000000000);
    EXPECT_EQ(read_epoch_time("-210866803201", TimeUnit::kSeconds), std::nullopt);
    for (const char* number : {"1e999", "-1e999", "99999999999999999999", "18446744073709551616", "1e9999999999999999999999",
                               "1e300", "18446744073709551617e-0"})
        for (const auto unit : {TimeUnit::kSeconds, TimeUnit::kMilliseconds, TimeUnit::kMicroseconds})
            EXPECT_EQ(read_epoch_time(number, unit), std::nullopt) << number;
    EXPECT_EQ(since_epoch("18446744073709551616", TimeUnit::kNanoseconds), 18446744073709552);
    EXPECT_EQ(read_epoch_time(std::string(1'000'000, '9'), TimeUnit::kNanoseconds), std::nullopt);
}

TEST(EpochTime, AnyNanosecond) {
    std::mt19937_64 random(1);
    for (int i = 0; i < 200'000; ++i) {
        const auto nanos = static_cast<std::int64_t>(random() % 4'000'000'000'000'000'000);
        const auto rest = nanos % 1000;
        auto micros = nanos / 1000;
        if (rest > 500 || (rest == 500 && micros % 2 == 1)) ++micros;
        ASSERT_EQ(since_epoch(std::to_string(nanos), TimeUnit::kNanoseconds), micros) << nanos;
        ASSERT_EQ(since_epoch(std::to_string(nanos) + "e-9", TimeUnit::kSeconds), micros) << nanos;
    }
}

}  // namespace
