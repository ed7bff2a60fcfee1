// JSON text has exact escapes, and numbers that read back the same.
#include "model/json_text.hpp"

#include <bit>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <system_error>

#include <gtest/gtest.h>

namespace {

std::string string_of(std::string_view text) {
    std::string json = ":";
    model::append_json_string(json, text);
    return json;
}

template <typename Number>
std::string number_of(Number number) {
    std::string json;
    model::append_json_number(json, number);
    return json;
}

TEST(JsonText, Strings) {
    EXPECT_EQ(string_of(""), R"(:"")");
    EXPECT_EQ(string_of("plain /text"), R"(:"plain /text")");
    EXPECT_EQ(string_of("a\"b\\c"), R"(:"a\"b\\c")");
    EXPECT_EQ(string_of("\b\f\n\r\t"), R"(:"\b\f\n\r\t")");
    EXPECT_EQ(string_of(std::string_view("\0\x01\x1f\x7f", 4)), ":\"\\u0000\\u0001\\u001f\x7f\"");
    EXPECT_EQ(string_of("\\u0041"), R"(:"\\u0041")");
}

TEST(JsonText, StringsAreAscii) {
    EXPECT_EQ(string_of("Gerät 7/Küche"), R"(:"Ger\u00e4t 7/K\u00fcche")");
    EXPECT_EQ(string_of("日本"), R"(:"\u65e5\u672c")");
    EXPECT_EQ(string_of("\x7f\xc2\x80\xdf\xbf"), ":\"\x7f\\u0080\\u07ff\"");
    EXPECT_EQ(string_of("\xe0\xa0\x80\xef\xbf\xbf"), R"(:"\u0800\uffff")");
    // U+10000, U+1F321 and U+10FFFF are beyond the basic plane and become pairs of surrogates.
    EXPECT_EQ(string_of("\xf0\x90\x80\x80"), R"(:"\ud800\udc00")");
    EXPECT_EQ(string_of("🌡."), R"(:"\ud83c\udf21.")");
    EXPECT_EQ(string_of("\xf4\x8f\xbf\xbf"), R"(:"\udbff\udfff")");
}

TEST(JsonText, BytesThatAreNotUtf8AreReplaced) {
    EXPECT_EQ(string_of("a\xe4"), R"(:"a\ufffd")");
    EXPECT_EQ(string_of("\xe4t"), R"(:"\ufffdt")");
    EXPECT_EQ(string_of("\xf0\x9f\x8c"), R"(:"\ufffd\ufffd\ufffd")");
    EXPECT_EQ(string_of("\xff\x80"), R"(:"\ufffd\ufffd")");
    // These are longer than need be (U+0000 and U+07FF), half a pair of surrogates, or beyond U+10FFFF.
    EXPECT_EQ(string_of("\xc0\x80"), R"(:"\ufffd\ufffd")");
    EXPECT_EQ(string_of("\xe0\x9f\xbf"), R"(:"\ufffd\ufffd\ufffd")");
    EXPECT_EQ(string_of("\xed\xa0\x80"), R"(:"\ufffd\ufffd\ufffd")");
    EXPECT_EQ(string_of("\xf4\x90\x80\x80"), R"(:"\ufffd\ufffd\ufffd\ufffd")");
    EXPECT_EQ(string_of("\xf5\x9f\x8c\xa1"), R"(:"\ufffd\ufffd\ufffd\ufffd")");
}

TEST(JsonText, Integers) {
    EXPECT_EQ(number_of(std::int64_t{0}), "0");
    EXPECT_EQ(number_of(INT64_MAX), "9223372036854775807");
    EXPECT_EQ(number_of(INT64_MIN), "-9223372036854775808");
}

TEST(JsonText, Doubles) {
    EXPECT_EQ(number_of(0.0), "0");
    EXPECT_EQ(number_of(0.1), "0.1");
    EXPECT_EQ(number_of(21.5), "21.5");
    EXPECT_EQ(number_of(-40.0), "-40");
    EXPECT_EQ(number_of(1e300), "1e+300");
    EXPECT_EQ(number_of(5e-324), "5e-324");
    EXPECT_EQ(number_of(1.7976931348623157e308), "1.7976931348623157e+308");
}

TEST(JsonText, DoublesReadBackTheSame) {
    std::mt19937_64 random(17);
    for (int i = 0; i < 100000; ++i) {
        const auto value = std::bit_cast<double>(random());
        if (!std::isfinite(value)) continue;
        const auto text = number_of(value);
        double read = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), read);
        ASSERT_EQ(error, std::errc{});
        ASSERT_EQ(end, text.data() + text.size());
        ASSERT_EQ(std::bit_cast<std::uint64_t>(read), std::bit_cast<std::uint64_t>(value)) << text;
    }
}

TEST(JsonText, Times) {
    std::string json;
    model::append_json_time(json, 820638245000678);
    EXPECT_EQ(json, "\"2026-01-02T03:04:05.000678Z\"");
}

}  // namespace
