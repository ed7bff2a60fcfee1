// Times in words agree with date(1), with the server's own limits, and with a walk through the calendar day by day.
#include "model/time_text.hpp"

#include <cstdint>
#include <cstdio>
#include <string>

#include <gtest/gtest.h>

namespace {

using model::Micros;

std::string text_of(Micros at) {
    std::string text = ">";
    model::append_time(text, at);
    return text.substr(1);
}

TEST(TimeText, KnownTimes) {
    EXPECT_EQ(text_of(0), "2000-01-01T00:00:00.000000Z");
    EXPECT_EQ(text_of(-1), "1999-12-31T23:59:59.999999Z");
    EXPECT_EQ(text_of(-946684800000000), "1970-01-01T00:00:00.000000Z");
    EXPECT_EQ(text_of((1767323045 - 946684800) * 1'000'000L + 678), "2026-01-02T03:04:05.000678Z");
    EXPECT_EQ(text_of((951868799 - 946684800) * 1'000'000L), "2000-02-29T23:59:59.000000Z");
    EXPECT_EQ(text_of((253402300799 - 946684800) * 1'000'000L), "9999-12-31T23:59:59.000000Z");
}

TEST(TimeText, LimitsOfTheServer) {
    EXPECT_EQ(text_of(INT64_MAX), "infinity");
    EXPECT_EQ(text_of(INT64_MIN), "-infinity");
    // Its earliest time is Julian day 0, 4714-11-24 BC; its latest the end of 294276.
    EXPECT_EQ(text_of(-211813488000000000), "-4713-11-24T00:00:00.000000Z");
    EXPECT_EQ(text_of(9223371331199999999), "294276-12-31T23:59:59.999999Z");
    EXPECT_EQ(text_of(INT64_MAX - 1).substr(0, 7), "294277-");
    EXPECT_EQ(text_of(INT64_MIN + 1).front(), '-');
}

TEST(TimeText, EveryDayOf800Years) {
    Micros at = 0;
    for (int year = 2000; year < 2800; ++year) {
        const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        const int lengths[] = {31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
        for (int month = 1; month <= 12; ++month)
            for (int day = 1; day <= lengths[month - 1]; ++day, at += 86'400'000'000) {
                char expected[64];
                std::snprintf(expected, sizeof expected, "%04d-%02d-%02dT00:00:00.000000Z", year, month, day);
                ASSERT_EQ(text_of(at), expected);
            }
    }
}

}  // namespace
