// Finds the time or the running number in an idempotency key, from its end and without going through all of it.
#include "model/key_locality.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>

namespace model {

namespace {

constexpr std::size_t kUuidLength = 36;
constexpr std::size_t kUlidLength = 26;

bool is_digit(char c) noexcept {
    return c >= '0' && c <= '9';
}

bool is_alphanumeric(char c) noexcept {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

int hex_digit(char c) noexcept {
    if (is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

// Crockford's alphabet has no I, L, O and U; either case stands for the same digit.
int crockford_digit(char c) noexcept {
    if (is_digit(c)) return c - '0';
    constexpr std::string_view kLetters = "ABCDEFGHJKMNPQRSTVWXYZ";
    const char upper = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    const auto at = kLetters.find(upper);
    return at == std::string_view::npos ? -1 : static_cast<int>(at) + 10;
}

// The last `length` characters, if they stand alone: they are the whole key, or a separator stands before them.
std::optional<std::string_view> last_word(std::string_view key, std::size_t length) noexcept {
    if (key.size() < length) return std::nullopt;
    if (key.size() > length && is_alphanumeric(key[key.size() - length - 1])) return std::nullopt;
    return key.substr(key.size() - length);
}

Locality time_of_milliseconds(std::uint64_t milliseconds) noexcept {
    return {KeyClass::kTime, milliseconds / 1000};
}

std::optional<Locality> locality_of_uuid(std::string_view key) noexcept {
    const auto uuid = last_word(key, kUuidLength);
    if (!uuid) return std::nullopt;
    std::uint64_t leading = 0;  // the first 12 digits: the 48 bits of time of a version 7
    for (std::size_t i = 0; i < kUuidLength; ++i) {
        const char c = (*uuid)[i];
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (c != '-') return std::nullopt;
            continue;
        }
        const int digit = hex_digit(c);
        if (digit < 0) return std::nullopt;
        if (i < 13) leading = leading << 4 | static_cast<std::uint64_t>(digit);
    }
    if ((*uuid)[14] == '7') return time_of_milliseconds(leading);
    return Locality{KeyClass::kOpaque, 0};
}

std::optional<Locality> locality_of_ulid(std::string_view key) noexcept {
    const auto ulid = last_word(key, kUlidLength);
    if (!ulid || ulid->front() > '7') return std::nullopt;
    std::uint64_t leading = 0;  // the first 10 digits: 48 bits of time
    bool has_letter = false;
    for (std::size_t i = 0; i < kUlidLength; ++i) {
        const int digit = crockford_digit((*ulid)[i]);
        if (digit < 0) return std::nullopt;
        has_letter |= digit >= 10;
        if (i < 10) leading = leading << 5 | static_cast<std::uint64_t>(digit);
    }
    if (!has_letter) return std::nullopt;  // a long number rather than a ULID
    return time_of_milliseconds(leading);
}

// In a pattern, `d` stands for a digit and `T` for the separator of date and time. Any other character stands for itself.
struct TimeForm {
    std::string_view pattern;
    bool has_seconds;
};
constexpr TimeForm kTimeForms[] = {
    {"dddd-dd-ddTdd:dd:dd", true},
    {"dddd-dd-ddTdd:dd", false},
    {"ddddddddTdddddd", true},
    {"ddddddddTdddd", false},
};

bool matches(std::string_view text, std::string_view pattern) noexcept {
    return std::equal(text.begin(), text.end(), pattern.begin(), pattern.end(), [](char c, char expected) {
        if (expected == 'd') return is_digit(c);
        if (expected == 'T') return c == 'T' || c == 't' || c == ' ' || c == '_';
        return c == expected;
    });
}

// Seconds since 1970 of a time without fraction and zone at the end of the text.
std::optional<std::int64_t> seconds_at_end(std::string_view text, bool with_seconds_only) noexcept {
    for (const auto& [pattern, has_seconds] : kTimeForms) {
        if ((with_seconds_only && !has_seconds) || text.size() < pattern.size()) continue;
        const auto start = text.size() - pattern.size();
        if (start > 0 && is_digit(text[start - 1])) continue;
        const auto candidate = text.substr(start);
        if (!matches(candidate, pattern)) continue;

        int digits[14] = {};
        std::size_t count = 0;
        for (const char c : candidate)
            if (is_digit(c)) digits[count++] = c - '0';
        const auto two = [&digits](std::size_t i) { return digits[i] * 10 + digits[i + 1]; };
        const int month = two(4), day = two(6), hour = two(8), minute = two(10), second = two(12);
        if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 24 || minute > 59 || second > 60) continue;
        const std::chrono::sys_days date = std::chrono::year(two(0) * 100 + two(2)) / month / day;  // February 30th is in March
        return std::int64_t{date.time_since_epoch().count()} * 86400 + hour * 3600 + minute * 60 + second;
    }
    return std::nullopt;
}

// Seconds since 1970 of a time without zone, but with or without a fraction, at the end of the text.
std::optional<std::int64_t> time_at_end(std::string_view text) noexcept {
    if (const auto seconds = seconds_at_end(text, false)) return seconds;
    auto end = text.size();
    while (end > 0 && is_digit(text[end - 1])) --end;
    if (end == text.size() || end == 0 || (text[end - 1] != '.' && text[end - 1] != ',')) return std::nullopt;
    return seconds_at_end(text.substr(0, end - 1), true);
}

std::optional<Locality> locality_of_iso_time(std::string_view key) noexcept {
    auto seconds = time_at_end(key);
    if (!seconds && (key.ends_with('Z') || key.ends_with('z'))) seconds = time_at_end(key.substr(0, key.size() - 1));
    for (const std::string_view form : {"dd", "dd:dd", "dddd"}) {
        if (seconds || key.size() <= form.size()) break;
        const auto sign_at = key.size() - form.size() - 1;
        const auto offset = key.substr(sign_at + 1);
        if ((key[sign_at] != '+' && key[sign_at] != '-') || !matches(offset, form)) continue;
        seconds = time_at_end(key.substr(0, sign_at));
        if (!seconds) continue;
        const int hours = (offset[0] - '0') * 10 + offset[1] - '0';
        const int minutes = form.size() == 2 ? 0 : (offset[form.size() - 2] - '0') * 10 + offset[form.size() - 1] - '0';
        const int east = hours * 3600 + minutes * 60;
        *seconds -= key[sign_at] == '+' ? east : -east;
    }
    if (!seconds) return std::nullopt;
    return Locality{KeyClass::kTime, static_cast<std::uint64_t>(std::max<std::int64_t>(*seconds, 0))};
}

std::uint64_t to_number(std::string_view digits) noexcept {  // of at most 19 digits
    std::uint64_t number = 0;
    for (const char c : digits) number = number * 10 + static_cast<std::uint64_t>(c - '0');
    return number;
}

std::size_t start_of_digits_at_end(std::string_view text) noexcept {
    auto start = text.size();
    while (start > 0 && is_digit(text[start - 1])) --start;
    return start;
}

std::optional<Locality> locality_of_number(std::string_view key) noexcept {
    constexpr std::uint64_t kTenTo11 = 100'000'000'000, kTenTo14 = kTenTo11 * 1000, kTenTo17 = kTenTo14 * 1000;
    const auto start = start_of_digits_at_end(key);
    if (start == key.size()) return std::nullopt;

    if (start > 0 && key[start - 1] == '.') {
        const auto whole = key.substr(0, start - 1);
        const auto seconds = whole.substr(start_of_digits_at_end(whole));
        if (seconds.size() == 10 && seconds.front() != '0') return Locality{KeyClass::kTime, to_number(seconds)};
    }

    auto digits = key.substr(start);
    digits.remove_prefix(std::min(digits.find_first_not_of('0'), digits.size() - 1));
    if (digits.size() > 19) return Locality{KeyClass::kTime, to_number(digits.substr(0, 14))};
    const auto number = to_number(digits);
    if (number >= kTenTo17) return Locality{KeyClass::kTime, number / 1'000'000'000};
    if (number >= kTenTo14) return Locality{KeyClass::kTime, number / 1'000'000};
    if (number >= kTenTo11) return Locality{KeyClass::kTime, number / 1'000};
    return Locality{KeyClass::kSequence, number};
}

}  // namespace

Locality locality_of(std::string_view key) noexcept {
    if (const auto locality = locality_of_uuid(key)) return *locality;
    if (const auto locality = locality_of_ulid(key)) return *locality;
    if (const auto locality = locality_of_iso_time(key)) return *locality;
    if (const auto locality = locality_of_number(key)) return *locality;
    return {KeyClass::kOpaque, 0};
}

}  // namespace model
