// Reads times in ISO 8601, with the results of the server's timestamptz.
#pragma once

#include <string_view>

#include "model/identifiers.hpp"

namespace model {

enum class TimeFlaw {
    kNone,
    kUnreadable,  // it has another form
    kNoZone,      // it could be any of 24 hours and more
    kOutOfRange,  // no such day or hour, a zone of 16 hours or more, an infinity, or a year beyond 294276
};

struct TimeOrFlaw {
    TimeFlaw flaw = TimeFlaw::kNone;
    Micros at = 0;  // of no flaw
};

// The end of the server's timestamps: 294277-01-01 00:00 UTC.
inline constexpr Micros kEndOfTime = 9'223'371'331'200'000'000;

// Reads a date, 'T' or a space, a time, and a zone: 2026-01-02T03:04:05.678+01:00. A year has four to six digits, and the years
// are 0001 to 294276. Seconds, and a fraction of them, may be missing. The zone is Z or +hh, +hhmm, +hh:mm or +hh:mm:ss, or the
// same with a minus. As in the server, the hour 24 and the second 60 belong to the next day and minute, but no time of the day
// is after 24:00:00. A fraction is rounded to microseconds as the server does it, by way of a double: half a microsecond may
// go either way.
TimeOrFlaw read_iso_time(std::string_view text) noexcept;

}  // namespace model
