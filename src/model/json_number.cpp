// Converts by from_chars, which rounds correctly and knows no locale.
#include "model/json_number.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <system_error>

namespace model {
namespace {

// Says on which side of 1 a number is that is not zero. It is right wherever the number is no double.
bool is_small(std::string_view text) noexcept {
    constexpr std::int64_t kFar = 1'000'000'000'000'000;  // more than any text has digits
    const auto exponent_at = text.find_first_of("eE");
    const auto mantissa = text.substr(0, exponent_at);
    const auto point_at = std::min(mantissa.find('.'), mantissa.size());
    std::int64_t exponent = 0;
    if (exponent_at != text.npos) {
        const bool is_negative = text[exponent_at + 1] == '-';
        for (const char c : text.substr(exponent_at + 1))
            if (c >= '0' && c <= '9' && exponent < kFar) exponent = exponent * 10 + (c - '0');
        if (is_negative) exponent = -exponent;
    }
    const auto first = std::min(mantissa.find_first_of("123456789"), mantissa.size());
    return static_cast<std::int64_t>(point_at) - static_cast<std::int64_t>(first) + exponent < 1;
}

}  // namespace

NumberOrFlaw read_number(std::string_view text) noexcept {
    double value = 0;
    const auto error = std::from_chars(text.data(), text.data() + text.size(), value).ec;
    if (error == std::errc::result_out_of_range) return {is_small(text) ? NumberFlaw::kTooNearZero : NumberFlaw::kTooLarge};
    return {NumberFlaw::kNone, value};
}

}  // namespace model
