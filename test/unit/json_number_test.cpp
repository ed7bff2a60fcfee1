// Numbers become the doubles that strtod gives, as in the server.
#include "model/json_number.hpp"

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <random>
#include <string>

#include <gtest/gtest.h>

namespace {

using model::NumberFlaw;
using model::read_number;

std::uint64_t bits(double value) {
    return std::bit_cast<std::uint64_t>(value);
}

void expect_number(const std::string& text, double value) {
    const auto read = read_number(text);
    EXPECT_EQ(read.flaw, NumberFlaw::kNone) << text;
    EXPECT_EQ(bits(read.value), bits(value)) << text;
}

TEST(JsonNumber, KnownNumbers) {
    expect_number("0", 0);
    expect_number("-0", -0.0);
    expect_number("-0.0e5", -0.0);
    expect_number("21.5", 21.5);
    expect_number("1E2", 100);
    expect_number("18446744073709551616", 0x1p64);
    expect_number("9007199254740993", 0x1p53);  // halfway: to even
    expect_number("9007199254740993.0000000000000000000000001", 0x1p53 + 2);
    expect_number("1.7976931348623157e308", std::numeric_limits<double>::max());
    expect_number("2.2250738585072011e-308", 0x0.fffffffffffffp-1022);  // denormal; some parsers hang
    expect_number("1e-320", 2024 * std::numeric_limits<double>::denorm_min());
    expect_number("4.9e-324", std::numeric_limits<double>::denorm_min());
    expect_number("0e99999999999", 0);
    expect_number("1" + std::string(400, '0') + "e-400", 1);
    expect_number("0." + std::string(400, '0') + "1e401", 1);
}

TEST(JsonNumber, OutOfRange) {
    for (const auto& text :
         {std::string("1e999"), std::string("-1e999"), std::string("1.7976931348623159e308"),
          std::string("1e99999999999999999999"), std::string(400, '1'), "0." + std::string(99, '0') + "1e500"})
        EXPECT_EQ(read_number(text).flaw, NumberFlaw::kTooLarge) << text;
    for (const auto& text :
         {std::string("1e-999"), std::string("-1e-999"), std::string("2.4e-324"), std::string("1e-99999999999999999999"),
          "0." + std::string(400, '0') + "1", "0." + std::string(400, '0') + "1e20", "1" + std::string(20, '0') + "e-400"})
        EXPECT_EQ(read_number(text).flaw, NumberFlaw::kTooNearZero) << text;
}

TEST(JsonNumber, AnyDoubleComesBack) {
    std::mt19937_64 random(1);
    char text[64];
    for (int i = 0; i < 1'000'000; ++i) {
        const double value = std::bit_cast<double>(random());
        if (!std::isfinite(value)) continue;
        std::snprintf(text, sizeof text, "%.17g", value);
        ASSERT_EQ(bits(read_number(text).value), bits(value)) << text;
    }
}

TEST(JsonNumber, ShortNumbersAgreeWithStrtod) {
    std::mt19937_64 random(3);
    for (int i = 0; i < 500'000; ++i) {
        std::string text = std::to_string(random() % 10'000'000'000'000'000'000u).substr(0, 1 + random() % 18);
        const auto point_at = random() % (text.size() + 1);
        if (point_at > 0 && point_at < text.size())
            text.insert(point_at, ".");
        else if (i % 4 < 2)
            text = "0." + text;
        if (i % 2 == 0) text = "-" + text;
        ASSERT_EQ(bits(read_number(text).value), bits(std::strtod(text.c_str(), nullptr))) << text;
    }
    expect_number("9007199254740993", 0x1p53);
    expect_number("9999999999999999", 1e16);
    expect_number("0.00000000000001", 1e-14);
    expect_number("-0.0", -0.0);
}

TEST(JsonNumber, AgreesWithStrtod) {
    std::mt19937_64 random(2);
    char text[64];
    for (int i = 0; i < 300'000; ++i) {
        std::snprintf(text, sizeof text, "%llu.%llue%d", static_cast<unsigned long long>(random() >> random() % 64),
                      static_cast<unsigned long long>(random()), static_cast<int>(random() % 700) - 360);
        const double value = std::strtod(text, nullptr);
        const auto read = read_number(text);
        if (std::isinf(value)) {
            ASSERT_EQ(read.flaw, NumberFlaw::kTooLarge) << text;
        } else if (value == 0) {
            ASSERT_EQ(read.flaw, NumberFlaw::kTooNearZero) << text;
        } else {
            ASSERT_EQ(bits(read.value), bits(value)) << text;
        }
    }
}

}  // namespace
