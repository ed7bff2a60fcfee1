// Converts long numbers by from_chars, which rounds correctly and knows no locale.
#include "model/json_number.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
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

// Reads a number of few digits and no exponent, as most are. The digits and the power of ten are doubles then, without an
// error, and so the division rounds correctly.
std::optional<double> short_number(std::string_view text) noexcept {
    constexpr double kPowersOfTen[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    constexpr std::size_t kMaxSize = 16;  // with the point
    const bool is_negative = text.starts_with('-');
    if (is_negative) text.remove_prefix(1);
    if (text.size() > kMaxSize) return std::nullopt;
    std::uint64_t digits = 0;
    std::size_t point_at = text.size() - 1;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto digit = static_cast<unsigned char>(text[i] - '0');
        if (digit <= 9)
            digits = digits * 10 + digit;
        else if (text[i] == '.')
            point_at = i;
        else
            return std::nullopt;
    }
    if (digits > (std::uint64_t{1} << 53)) return std::nullopt;
    const double value = static_cast<double>(digits) / kPowersOfTen[text.size() - 1 - point_at];
    return is_negative ? -value : value;
}

}  // namespace

NumberOrFlaw read_number(std::string_view text) noexcept {
    if (const auto value = short_number(text)) return {NumberFlaw::kNone, *value};
    double value = 0;
    const auto error = std::from_chars(text.data(), text.data() + text.size(), value).ec;
    if (error == std::errc::result_out_of_range) return {is_small(text) ? NumberFlaw::kTooNearZero : NumberFlaw::kTooLarge};
    return {NumberFlaw::kNone, value};
}

}  // namespace model
