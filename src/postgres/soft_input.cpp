// Asks the server's functions that report a flaw in a variable. This file is written wholly in P.
#include "postgres/soft_input.hpp"

#include <cerrno>
#include <cstdlib>

#include "postgres/server_versions.hpp"

#include "postgres/pg.hpp"

namespace postgres {

// The server's function does not say what is wrong. The C library does: it reads the same texts.
InputFlaw read_double(const char* text, double& value) {
    if (double_or_flaw(text, value)) return InputFlaw::kNone;
    errno = 0;
    char* end = nullptr;
    (void)strtod(text, &end);
    return end != text && errno == ERANGE ? InputFlaw::kOutOfRange : InputFlaw::kUnreadable;
}

InputFlaw read_time(const char* text, TimestampTz& value) {
    char work[MAXDATELEN + MAXDATEFIELDS];
    char* fields[MAXDATEFIELDS];
    int types[MAXDATEFIELDS];
    int count = 0, kind = 0, zone = 0;
    struct pg_tm parts;
    fsec_t fraction;
    int flaw = ParseDateTime(text, work, sizeof work, fields, types, MAXDATEFIELDS, &count);
    if (flaw == 0) flaw = decode_date_time(fields, types, count, &kind, &parts, &fraction, &zone);
    if (flaw != 0) return flaw == DTERR_BAD_FORMAT ? InputFlaw::kUnreadable : InputFlaw::kOutOfRange;
    switch (kind) {
        case DTK_DATE:
            return tm2timestamp(&parts, fraction, &zone, &value) == 0 ? InputFlaw::kNone : InputFlaw::kOutOfRange;
        case DTK_EPOCH:
            value = SetEpochTimestamp();
            return InputFlaw::kNone;
        case DTK_LATE:
            TIMESTAMP_NOEND(value);
            return InputFlaw::kNone;
        case DTK_EARLY:
            TIMESTAMP_NOBEGIN(value);
            return InputFlaw::kNone;
        default:
            return InputFlaw::kUnreadable;
    }
}

}  // namespace postgres
