// Does calendar arithmetic for the whole range of the server's timestamps, which is wider than that of std::chrono's years.
#include "model/time_text.hpp"

#include <charconv>
#include <cstdint>
#include <limits>

namespace model {

namespace {

constexpr std::int64_t kMicrosPerDay = 86'400'000'000;
constexpr std::int64_t kDaysPer400Years = 146'097;
constexpr std::int64_t kDaysFromMarch0000To2000 = 730'425;  // 0000-03-01 to 2000-01-01

// A number below 100 as two digits.
char* put_two(char* target, std::uint32_t number) {
    target[0] = static_cast<char>('0' + number / 10);
    target[1] = static_cast<char>('0' + number % 10);
    return target + 2;
}

char* put_year(char* target, std::int64_t year) {
    if (year < 0) *target++ = '-';
    year = year < 0 ? -year : year;
    if (year >= 10'000) return std::to_chars(target, target + 20, year).ptr;
    const auto small = static_cast<std::uint32_t>(year);
    return put_two(put_two(target, small / 100), small % 100);
}

}  // namespace

void append_time(std::string& text, Micros at) {
    if (at == std::numeric_limits<Micros>::max()) {
        text += "infinity";
        return;
    }
    if (at == std::numeric_limits<Micros>::min()) {
        text += "-infinity";
        return;
    }
    std::int64_t day = at / kMicrosPerDay;
    std::int64_t micros = at % kMicrosPerDay;
    if (micros < 0) {
        micros += kMicrosPerDay;
        --day;
    }

    // Years that begin in March have the leap day at their end (Hinnant, "chrono-compatible low-level date algorithms").
    const std::int64_t days = day + kDaysFromMarch0000To2000;
    const std::int64_t era = (days >= 0 ? days : days - (kDaysPer400Years - 1)) / kDaysPer400Years;
    const std::int64_t day_of_era = days - era * kDaysPer400Years;
    const std::int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const std::int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const std::int64_t month_from_march = (5 * day_of_year + 2) / 153;
    const std::int64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    const std::int64_t year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);

    char shown[64];
    char* end = put_year(shown, year);
    const auto put = [&end](char before, std::uint32_t number) {
        *end++ = before;
        end = put_two(end, number);
    };
    const auto second_of_day = static_cast<std::uint32_t>(micros / 1'000'000);
    const auto fraction = static_cast<std::uint32_t>(micros % 1'000'000);
    put('-', static_cast<std::uint32_t>(month));
    put('-', static_cast<std::uint32_t>(day_of_year - (153 * month_from_march + 2) / 5 + 1));
    put('T', second_of_day / 3600);
    put(':', second_of_day / 60 % 60);
    put(':', second_of_day % 60);
    put('.', fraction / 10'000);
    end = put_two(put_two(end, fraction / 100 % 100), fraction % 100);
    *end++ = 'Z';
    text.append(shown, end);
}

}  // namespace model
