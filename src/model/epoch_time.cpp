// Collects the digits that count, and shifts the decimal point.
#include "model/epoch_time.hpp"

#include <cstddef>
#include <cstdint>

#include "model/iso_time.hpp"

namespace model {
namespace {

// The server's limits, as microseconds since 1970-01-01 00:00 UTC and before it.
constexpr std::uint64_t kEpoch = 946'684'800'000'000;  // to 2000-01-01
constexpr std::uint64_t kEndAfterEpoch = static_cast<std::uint64_t>(kEndOfTime) + kEpoch;
constexpr std::uint64_t kMostBeforeEpoch = 211'813'488'000'000'000 - kEpoch;  // Julian day 0

constexpr std::int64_t kMaxExponent = 1'000'000'000'000'000;  // more than any text has digits

int power_of_micros_in(TimeUnit unit) noexcept {
    switch (unit) {
        case TimeUnit::kNone:
        case TimeUnit::kMicroseconds:
            return 0;
        case TimeUnit::kSeconds:
            return 6;
        case TimeUnit::kMilliseconds:
            return 3;
        case TimeUnit::kNanoseconds:
            return -3;
    }
    return 0;
}

std::int64_t exponent_of(std::string_view text) noexcept {
    const bool is_negative = text.starts_with('-');
    if (is_negative || text.starts_with('+')) text.remove_prefix(1);
    std::int64_t exponent = 0;
    for (const char c : text)
        if (exponent < kMaxExponent) exponent = exponent * 10 + (c - '0');
    return is_negative ? -exponent : exponent;
}

}  // namespace

std::optional<Micros> read_epoch_time(std::string_view number, TimeUnit unit) noexcept {
    const bool is_negative = number.starts_with('-');
    if (is_negative) number.remove_prefix(1);
    const auto exponent_at = number.find_first_of("eE");
    const auto mantissa = number.substr(0, exponent_at);
    // The decimal point stands after so many digits of the mantissa when the number is in microseconds.
    const auto point_at = mantissa.find('.');
    std::int64_t whole_digits = static_cast<std::int64_t>(point_at == mantissa.npos ? mantissa.size() : point_at);
    whole_digits += power_of_micros_in(unit);
    if (exponent_at != number.npos) whole_digits += exponent_of(number.substr(exponent_at + 1));

    std::uint64_t micros = 0;
    const auto append = [&micros](char c) {
        if (micros > kEndAfterEpoch / 10) return false;
        micros = micros * 10 + static_cast<std::uint64_t>(c - '0');
        return true;
    };
    char first_left = '0';  // the first digit behind the point
    bool more_is_left = false;
    std::int64_t seen = 0;
    for (const char c : mantissa) {
        if (c == '.') continue;
        if (seen < whole_digits) {
            if (!append(c)) return std::nullopt;
        } else if (seen == whole_digits) {
            first_left = c;
        } else {
            more_is_left |= c != '0';
        }
        ++seen;
    }
    for (; seen < whole_digits && micros != 0; ++seen)
        if (!append('0')) return std::nullopt;
    if (first_left > '5' || (first_left == '5' && (more_is_left || micros % 2 == 1))) ++micros;

    if (micros >= kEndAfterEpoch || (is_negative && micros > kMostBeforeEpoch)) return std::nullopt;
    return static_cast<Micros>((is_negative ? -micros : micros) - kEpoch);
}

}  // namespace model
