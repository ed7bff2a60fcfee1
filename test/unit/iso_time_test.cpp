// Times in ISO 8601 agree with std::chrono's calendar, with append_time(), and with what a server of version 15 reads.
#include "model/iso_time.hpp"

#include <chrono>
#include <cstdio>
#include <random>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "model/time_text.hpp"

namespace {

using model::Micros;
using model::read_iso_time;
using model::TimeFlaw;

constexpr Micros kSecond = 1'000'000, kHour = 3600 * kSecond;
constexpr Micros kExample = (1767323045 - 946684800) * kSecond;  // date -u -d '2026-01-02 03:04:05' +%s

void expect_time(std::string_view text, Micros at) {
    const auto read = read_iso_time(text);
    EXPECT_EQ(read.flaw, TimeFlaw::kNone) << text;
    EXPECT_EQ(read.at, at) << text;
}

void expect_flaw(std::string_view text, TimeFlaw flaw) {
    EXPECT_EQ(read_iso_time(text).flaw, flaw) << text;
}

TEST(IsoTime, Forms) {
    for (const char* text :
         {"2026-01-02T03:04:05Z", "2026-01-02t03:04:05z", "2026-01-02 03:04:05Z", "2026-01-02T03:04:05+00",
          "2026-01-02T03:04:05-00:00", "2026-01-02T04:04:05+01:00", "2026-01-02T04:04:05+0100", "2026-01-01T21:34:05-05:30",
          "2026-01-02T03:04:15+00:00:10", "2026-01-02T18:04:05+15", "2026-01-02T19:04:04+15:59:59",
          "2026-01-01T11:04:06-15:59:59", "2026-01-02T03:04:05.000Z", "02026-01-02T03:04:05Z"})
        expect_time(text, kExample);
    expect_time("2026-01-02T03:04Z", kExample - 5 * kSecond);
    expect_time("2026-01-02T03:04+02", kExample - 5 * kSecond - 2 * kHour);
    expect_time("2000-01-01T00:00:00Z", 0);
    expect_time("1970-01-01T00:00:00Z", -946684800 * kSecond);
}

TEST(IsoTime, Fractions) {
    expect_time("2026-01-02T03:04:05.6Z", kExample + 600000);
    expect_time("2026-01-02T03:04:05.678Z", kExample + 678000);
    expect_time("2026-01-02T03:04:05.678901Z", kExample + 678901);
    expect_time("2026-01-02T03:04:05.999999Z", kExample + 999999);
    // select extract(microseconds from timestamptz '...') on PostgreSQL 15
    expect_time("2026-01-02T03:04:05.6789014Z", kExample + 678901);
    expect_time("2026-01-02T03:04:05.6789015Z", kExample + 678902);
    expect_time("2026-01-02T03:04:05.0000005Z", kExample);
    expect_time("2026-01-02T03:04:05.0000015Z", kExample + 2);
    expect_time("2026-01-02T03:04:05.0000025Z", kExample + 2);
    expect_time("2026-01-02T03:04:05.000000500000000000000000001Z", kExample);  // its double is that of a half
    expect_time("2026-01-02T03:04:05.9999999Z", kExample + kSecond);
    expect_time("2026-01-02T03:04:05.123456789Z", kExample + 123457);
    expect_time("2026-01-02T03:04:05." + std::string(500, '0') + "1Z", kExample);
}

TEST(IsoTime, SeventhDigitRounds) {
    char text[64];
    for (int tenths = 0; tenths < 10'000'000; tenths += 3) {
        if (tenths % 10 == 5) continue;
        std::snprintf(text, sizeof text, "2000-01-01T00:00:00.%07dZ", tenths);
        ASSERT_EQ(read_iso_time(text).at, (tenths + 5) / 10) << text;
    }
    // A half goes where the server's double leads it: select timestamptz '...' on PostgreSQL 15.
    expect_time("2000-01-01T00:00:00.0001255Z", 125);
    expect_time("2000-01-01T00:00:00.0001245Z", 124);
}

TEST(IsoTime, LastHourAndLeapSecond) {
    expect_time("2026-01-01T24:00:00Z", kExample - 3 * kHour - 245 * kSecond);
    expect_time("2026-01-01T24:00Z", kExample - 3 * kHour - 245 * kSecond);
    expect_time("2026-01-02T03:03:60Z", kExample - 5 * kSecond);
    expect_time("2026-01-02T03:03:60.5Z", kExample - 5 * kSecond + 500000);
    expect_time("2016-12-31T23:59:60Z", (1483228800 - 946684800) * kSecond);
    expect_flaw("2016-12-31T23:59:60.5Z", TimeFlaw::kOutOfRange);
    expect_flaw("2026-01-01T24:00:01Z", TimeFlaw::kOutOfRange);
    expect_flaw("2026-01-01T24:00:00.000001Z", TimeFlaw::kOutOfRange);
    expect_flaw("2026-01-01T24:01:00Z", TimeFlaw::kOutOfRange);
}

TEST(IsoTime, OutOfRange) {
    for (const char* text : {"2026-02-29T00:00:00Z",
                             "2026-02-30T00:00:00Z",
                             "1900-02-29T00:00:00Z",
                             "2026-04-31T00:00:00Z",
                             "2026-00-01T00:00:00Z",
                             "2026-13-01T00:00:00Z",
                             "2026-01-00T00:00:00Z",
                             "2026-01-32T00:00:00Z",
                             "0000-01-01T00:00:00Z",
                             "2026-01-01T25:00:00Z",
                             "2026-01-01T00:60:00Z",
                             "2026-01-01T00:00:61Z",
                             "2026-01-01T00:00:00+16",
                             "2026-01-01T00:00:00-16:00",
                             "2026-01-01T00:00:00+01:60",
                             "2026-01-01T00:00:00+01:00:60",
                             "infinity",
                             "-infinity",
                             "Infinity",
                             "294277-01-01T00:00:00Z",
                             "294276-12-31T24:00:00Z",
                             "294276-12-31T23:59:59-01",
                             "294276-12-31T23:59:59.9999999Z",
                             "999999-01-01T00:00:00Z"})
        expect_flaw(text, TimeFlaw::kOutOfRange);
    expect_time("294276-12-31T23:59:59.999999Z", 9223371331199999999);
    expect_time("294277-01-01T00:59:59+01", 9223371331199000000);
    expect_time("0001-01-01T00:00:00Z", -63082281600 * kSecond);
    expect_time("2000-02-29T00:00:00Z", 59 * 24 * kHour);
}

TEST(IsoTime, NoZone) {
    for (const char* text : {"2026-01-02T03:04:05", "2026-01-02 03:04:05.678", "2026-01-02T03:04"})
        expect_flaw(text, TimeFlaw::kNoZone);
}

TEST(IsoTime, Unreadable) {
    using namespace std::string_literals;
    for (const auto& text : {""s,
                             "now"s,
                             "yesterday"s,
                             "epoch"s,
                             "1767323045"s,
                             "2026"s,
                             "2026-01-02"s,
                             "2026-01-02Z"s,
                             "2026-1-2T03:04:05Z"s,
                             "26-01-02T03:04:05Z"s,
                             "20260102T030405Z"s,
                             "2026-01-02T03Z"s,
                             "2026-01-02T3:04:05Z"s,
                             "2026-01-02T03:04:05.Z"s,
                             "2026-01-02T03:04:05,678Z"s,
                             "2026-01-02T03:04:05 Z"s,
                             "2026-01-02T03:04:05Z "s,
                             " 2026-01-02T03:04:05Z"s,
                             "2026-01-02T03:04:05ZZ"s,
                             "2026-01-02T03:04:05 Europe/Berlin"s,
                             "2026-01-02T03:04:05+1"s,
                             "2026-01-02T03:04:05+01:"s,
                             "2026-01-02T03:04:05+01:0"s,
                             "2026-01-02T03:04:05+010"s,
                             "2026-01-02T03:04:05+010000"s,
                             "2026-01-02T03:04:05+01:00:0"s,
                             "2026-01-02T03:04:Z"s,
                             "-2026-01-02T03:04:05Z"s,
                             "+2026-01-02T03:04:05Z"s,
                             "2026-01-02  03:04:05Z"s,
                             "2026-01-02T03:04:05Z BC"s,
                             "1234567-01-02T03:04:05Z"s,
                             "2026-01-02T03:04:05Z\0"s,
                             "2026-01-02T03:04:05.1.2Z"s})
        expect_flaw(text, TimeFlaw::kUnreadable);
}

TEST(IsoTime, CalendarOfChrono) {
    using namespace std::chrono;
    const sys_days first = year(1) / 1 / 1, end = year(10000) / 1 / 1;
    char text[64];
    for (sys_days day = first; day < end; day += days(3)) {
        const year_month_day date = day;
        std::snprintf(text, sizeof text, "%04d-%02u-%02uT00:00:00Z", static_cast<int>(date.year()),
                      static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
        ASSERT_EQ(read_iso_time(text).at, duration_cast<microseconds>(day - sys_days(year(2000) / 1 / 1)).count()) << text;
    }
}

TEST(IsoTime, ReadsWhatIsWritten) {
    std::mt19937_64 random(1);
    std::uniform_int_distribution<Micros> any(-63082281600 * kSecond, model::kEndOfTime - 1);
    std::string text;
    for (int i = 0; i < 200'000; ++i) {
        const Micros at = any(random);
        text.clear();
        model::append_time(text, at);
        ASSERT_EQ(read_iso_time(text).at, at) << text;
    }
}

}  // namespace
