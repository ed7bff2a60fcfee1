// Idempotency keys give a time, a number or nothing. The expected times come from date(1).
#include "model/key_locality.hpp"

#include <algorithm>
#include <random>
#include <string>
#include <utility>

#include <gtest/gtest.h>

namespace {

using model::KeyClass;
using model::locality_of;

void expect_time(std::string_view key, std::uint64_t seconds) {
    EXPECT_EQ(locality_of(key).key_class, KeyClass::kTime) << key;
    EXPECT_EQ(locality_of(key).value, seconds) << key;
}

void expect_number(std::string_view key, std::uint64_t number) {
    EXPECT_EQ(locality_of(key).key_class, KeyClass::kSequence) << key;
    EXPECT_EQ(locality_of(key).value, number) << key;
}

void expect_opaque(std::string_view key) {
    EXPECT_EQ(locality_of(key).key_class, KeyClass::kOpaque) << key;
    EXPECT_EQ(locality_of(key).value, 0u) << key;
}

TEST(KeyLocality, TimeOfUuidVersion7) {
    // This is the example of RFC 9562, of 2022-02-22 19:22:22 UTC.
    expect_time("017F22E2-79B0-7CC3-98C4-DC0C0C07398F", 1645557742);
    expect_time("017f22e2-79b0-7cc3-98c4-dc0c0c07398f", 1645557742);
    expect_time("sensor-1/017f22e2-79b0-7cc3-98c4-dc0c0c07398f", 1645557742);
    expect_time("ffffffff-ffff-7fff-bfff-ffffffffffff", 281474976710);
}

TEST(KeyLocality, OtherUuidsAreOpaque) {
    expect_opaque("919108f7-52d1-4320-9bac-f847db4148a8");
    expect_opaque("c232ab00-9414-11ec-b3c8-9f6bdeced846");
    expect_opaque("00000000-0000-4000-8000-000000000123");
    expect_number("017f22e2-79b0-7cc3-98c4-dc0c0c07398g-12", 12);
    expect_number("x017f22e2-79b0-7cc3-98c4-dc0c0c073981",
                  73981);  // It is no UUID of its own, so the number at its end counts.
}

TEST(KeyLocality, TimeOfUlid) {
    // This is the example of the ULID specification, of millisecond 1469922850259.
    expect_time("01ARZ3NDEKTSV4RRFFQ69G5FAV", 1469922850);
    expect_time("01arz3ndektsv4rrffq69g5fav", 1469922850);
    expect_time("reading:01ARZ3NDEKTSV4RRFFQ69G5FAV", 1469922850);
    expect_time("7ZZZZZZZZZZZZZZZZZZZZZZZZZ", 281474976710);
    expect_opaque("8ZZZZZZZZZZZZZZZZZZZZZZZZZ");
    expect_opaque("01ARZ3NDEKTSV4RRFFQ69G5FAU");
    expect_opaque("01ARZ3NDEKTSV4RRFFQ69G5FA");
    expect_number("00000000000000000000000042", 42);
}

TEST(KeyLocality, RunningNumbers) {
    expect_number("0", 0);
    expect_number("1", 1);
    expect_number("sensor-1:4711", 4711);
    expect_number("sensor-1:000004711", 4711);
    expect_number("sensor-1 #99999999999", 99999999999);
    expect_number("réf-512", 512);
    expect_number("1767323045", 1767323045);  // seconds are monotone as they stand
    expect_number("1.512", 512);
    expect_number("sensor.512", 512);
    expect_number("00000000000000000000000000000000", 0);
}

TEST(KeyLocality, TimesWrittenAsNumbers) {
    expect_time("100000000000", 100000000);
    expect_time("sensor-1:1767323045678", 1767323045);
    expect_time("sensor-1:1767323045678901", 1767323045);
    expect_time("sensor-1:1767323045678901234", 1767323045);
    expect_time("sensor-1:1767323045.678901", 1767323045);
    expect_time("9999999999999999999", 9999999999);
    // Of more than 19 digits the first 14 count.
    expect_time("20260102030405678901", 20260102030405);
    expect_time("1767323045678901234000017", 17673230456789);
}

TEST(KeyLocality, TimesInIsoForm) {
    // date -u -d '2026-01-02 03:04:05' +%s
    constexpr std::uint64_t kSecond = 1767323045, kMinute = 1767323040;
    for (const char* key : {"2026-01-02T03:04:05", "2026-01-02 03:04:05", "2026-01-02T03:04:05Z", "2026-01-02t03:04:05z",
                            "2026-01-02T03:04:05.678", "2026-01-02T03:04:05.678901Z", "2026-01-02T03:04:05,6+00:00",
                            "2026-01-02T03:04:05+00", "2026-01-02 03:04:05.678+00", "2026-01-02T03:04:05+0000",
                            "2026-01-02T05:04:05+02:00", "2026-01-01T21:34:05-05:30", "20260102T030405", "20260102T030405Z",
                            "20260102T030405.678Z", "sensor-1_20260102_030405", "sensor-1/2026-01-02T03:04:05Z"})
        expect_time(key, kSecond);
    for (const char* key : {"2026-01-02T03:04", "2026-01-02T03:04Z", "20260102T0304", "sensor-1:2026-01-02 03:04+00"})
        expect_time(key, kMinute);
    expect_time("2000-02-29T23:59:60Z", 951868800);
    expect_time("1970-01-01T00:00:00Z", 0);
    expect_time("1969-12-31T23:59:59Z", 0);
    expect_time("0000-01-01T00:00:00Z", 0);
    expect_time("9999-12-31T23:59:59Z", 253402300799);
}

TEST(KeyLocality, KeysThatOnlyLookLikeATime) {
    expect_number("2026-13-02T03:04:05", 5);
    expect_number("2026-00-02T03:04:05", 5);
    expect_number("2026-01-32T03:04:05", 5);
    expect_number("2026-01-02T25:04:05", 5);
    expect_number("2026-01-02T03:60:05", 5);
    expect_number("12026-01-02T03:04:05", 5);
    expect_number("2026-01-02", 2);
    expect_opaque("2026-01-02T03:04:05X");
    expect_opaque("03:04:05Z");
    expect_opaque(".Z");
    expect_opaque("+");
}

TEST(KeyLocality, NothingFound) {
    expect_opaque("");
    expect_opaque("a");
    expect_opaque("first reading");
    expect_opaque("1234-");
    expect_opaque("2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b982f");
}

TEST(KeyLocality, IsMonotoneInTheTrailingNumber) {
    std::mt19937_64 random(5);
    const auto check = [](std::uint64_t smaller, std::uint64_t greater) {
        const auto a = locality_of("sensor-1:" + std::to_string(smaller)),
                   b = locality_of("sensor-1:" + std::to_string(greater));
        EXPECT_LE(a.value, b.value) << smaller << ' ' << greater;
        EXPECT_EQ(a.key_class, b.key_class);
    };
    for (int i = 0; i < 10000; ++i) {
        for (const auto& [low, high] : {std::pair<std::uint64_t, std::uint64_t>{0, 100'000'000'000},
                                        {100'000'000'000, 100'000'000'000'000},
                                        {100'000'000'000'000, 100'000'000'000'000'000},
                                        {100'000'000'000'000'000, 9'999'999'999'999'999'999u}}) {
            const auto a = low + random() % (high - low), b = low + random() % (high - low);
            check(std::min(a, b), std::max(a, b));
        }
    }
}

TEST(KeyLocality, AnyBytesGiveAValueOf56Bits) {
    std::mt19937_64 random(6);
    using namespace std::string_literals;
    const auto alphabet = "0123456789abcfTZ:-+. ,_\xc3\xa9\0xyz"s;
    for (int i = 0; i < 300000; ++i) {
        std::string key;
        for (auto length = random() % 40; length > 0; --length) key += alphabet[random() % alphabet.size()];
        if (i % 3 == 0) key.insert(random() % (key.size() + 1), "2026-01-02T03:04:05");
        const auto locality = locality_of(key);
        ASSERT_LT(locality.value, std::uint64_t{1} << 56);
        ASSERT_TRUE(locality.key_class == KeyClass::kTime || locality.key_class == KeyClass::kSequence ||
                    locality.key_class == KeyClass::kOpaque);
        ASSERT_TRUE(locality.key_class != KeyClass::kOpaque || locality.value == 0);
    }
}

}  // namespace
