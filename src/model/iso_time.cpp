// Goes through the text once, and then checks the numbers.
#include "model/iso_time.hpp"

#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace model {
namespace {

constexpr std::int64_t kMicrosPerSecond = 1'000'000;
constexpr std::int64_t kMicrosPerDay = 86'400 * kMicrosPerSecond;
constexpr std::int64_t kDaysFromMarch0000To2000 = 730'425;  // 0000-03-01 to 2000-01-01
constexpr int kZoneHoursEnd = 16;                           // the server's limit

// A cursor that reads numbers and signs. Once anything does not fit, it has failed for good.
class Cursor {
public:
    explicit Cursor(std::string_view text) noexcept : at_(text.data()), end_(text.data() + text.size()) {}

    bool has_failed() const noexcept { return has_failed_; }
    bool is_at_end() const noexcept { return at_ == end_; }
    bool is_at(char c) const noexcept { return at_ != end_ && *at_ == c; }
    bool is_at_digit() const noexcept { return at_ != end_ && *at_ >= '0' && *at_ <= '9'; }

    bool skip(char c) noexcept {
        if (!is_at(c)) return false;
        ++at_;
        return true;
    }

    void require(bool holds) noexcept { has_failed_ |= !holds; }

    // A number of at least `least` digits. Digits after the `most`th are left.
    int number(int least, int most) noexcept {
        int value = 0, count = 0;
        for (; count < most && is_at_digit(); ++count) value = value * 10 + (*at_++ - '0');
        require(count >= least);
        return value;
    }
    int two() noexcept { return number(2, 2); }

    // The digits after a decimal point, as microseconds. The server rounds the product of a double, so we do it as well.
    std::int64_t fraction() noexcept {
        const char* point = at_ - 1;
        require(is_at_digit());
        std::int64_t micros = 0;
        int count = 0;
        for (; is_at_digit(); ++at_, ++count)
            if (count < 6) micros = micros * 10 + (*at_ - '0');
        if (count > 6) {
            double fraction = 0;
            std::from_chars(point, at_, fraction);  // the smallest fractions become 0
            return static_cast<std::int64_t>(std::rint(fraction * 1e6));
        }
        for (; count < 6; ++count) micros *= 10;
        return micros;
    }

private:
    const char* at_;
    const char* end_;
    bool has_failed_ = false;
};

bool is_date(int year, int month, int day) noexcept {
    constexpr int kLengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (year < 1 || month < 1 || month > 12 || day < 1) return false;
    const bool has_leap_day = month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return day <= kLengths[month - 1] + (has_leap_day ? 1 : 0);
}

// Days since 2000-01-01. Years that begin in March have the leap day at their end.
std::int64_t days_of(int year, int month, int day) noexcept {
    const std::int64_t march_year = month > 2 ? year : year - 1;
    const int month_from_march = month > 2 ? month - 3 : month + 9;
    const std::int64_t day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    return march_year * 365 + march_year / 4 - march_year / 100 + march_year / 400 + day_of_year - kDaysFromMarch0000To2000;
}

struct Zone {
    bool is_given = false;
    bool is_in_range = true;
    std::int64_t seconds_east = 0;
};

Zone read_zone(Cursor& cursor) noexcept {
    if (cursor.skip('Z') || cursor.skip('z')) return {.is_given = true};
    const bool is_east = cursor.is_at('+');
    if (!cursor.skip('+') && !cursor.skip('-')) return {};
    const int hours = cursor.two();
    int minutes = 0, seconds = 0;
    if (cursor.skip(':')) {
        minutes = cursor.two();
        if (cursor.skip(':')) seconds = cursor.two();
    } else if (cursor.is_at_digit()) {
        minutes = cursor.two();
    }
    const std::int64_t distance = hours * 3600 + minutes * 60 + seconds;
    return {true, hours < kZoneHoursEnd && minutes < 60 && seconds < 60, is_east ? distance : -distance};
}

bool is_infinity(std::string_view text) noexcept {
    if (!text.empty() && (text.front() == '-' || text.front() == '+')) text.remove_prefix(1);
    return text == "infinity" || text == "Infinity";
}

}  // namespace

TimeOrFlaw read_iso_time(std::string_view text) noexcept {
    if (is_infinity(text)) return {TimeFlaw::kOutOfRange};
    Cursor cursor(text);
    const int year = cursor.number(4, 6);
    cursor.require(cursor.skip('-'));
    const int month = cursor.two();
    cursor.require(cursor.skip('-'));
    const int day = cursor.two();
    cursor.require(cursor.skip('T') || cursor.skip('t') || cursor.skip(' '));
    const int hour = cursor.two();
    cursor.require(cursor.skip(':'));
    const int minute = cursor.two();
    int second = 0;
    std::int64_t fraction = 0;
    if (cursor.skip(':')) {
        second = cursor.two();
        if (cursor.skip('.')) fraction = cursor.fraction();
    }
    const Zone zone = read_zone(cursor);
    if (cursor.has_failed() || !cursor.is_at_end()) return {TimeFlaw::kUnreadable};

    if (!is_date(year, month, day) || minute > 59 || second > 60 || !zone.is_in_range) return {TimeFlaw::kOutOfRange};
    const std::int64_t time_of_day = ((hour * 60 + minute) * 60 + second) * kMicrosPerSecond + fraction;
    if (time_of_day > kMicrosPerDay) return {TimeFlaw::kOutOfRange};
    if (!zone.is_given) return {TimeFlaw::kNoZone};
    const std::int64_t days = days_of(year, month, day);
    if (days > kEndOfTime / kMicrosPerDay) return {TimeFlaw::kOutOfRange};
    const Micros at = days * kMicrosPerDay + time_of_day - zone.seconds_east * kMicrosPerSecond;
    if (at >= kEndOfTime) return {TimeFlaw::kOutOfRange};
    return {TimeFlaw::kNone, at};
}

}  // namespace model
