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

// A number that has at most so many digits, with leading zeros.
char* put_digits(char* target, std::int64_t number, int width) {
    for (int i = width - 1; i >= 0; --i) {
        target[i] = static_cast<char>('0' + number % 10);
        number /= 10;
    }
    return target + width;
}

char* put_year(char* target, std::int64_t year) {
    if (year < 0) *target++ = '-';
    year = year < 0 ? -year : year;
    return year < 10'000 ? put_digits(target, year, 4) : std::to_chars(target, target + 20, year).ptr;
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
    const auto put = [&end](char before, std::int64_t number, int width) {
        *end++ = before;
        end = put_digits(end, number, width);
    };
    put('-', month, 2);
    put('-', day_of_year - (153 * month_from_march + 2) / 5 + 1, 2);
    put('T', micros / 3'600'000'000, 2);
    put(':', micros / 60'000'000 % 60, 2);
    put(':', micros / 1'000'000 % 60, 2);
    put('.', micros % 1'000'000, 6);
    *end++ = 'Z';
    text.append(shown, end);
}

}  // namespace model
