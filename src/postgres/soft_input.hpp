// Reads texts as the server's input functions do, but an unreadable text raises no error.
// This file is written wholly in P.
#pragma once

#include "postgres/types.hpp"

namespace postgres {

enum class InputFlaw {
    kNone,
    kUnreadable,  // the type has no such form
    kOutOfRange,
};

// A value of type double precision.
InputFlaw read_double(const char* text, double& value);

// A value of type timestamptz. Without a zone the text counts in the session's time zone, and DateStyle decides between day and
// month.
InputFlaw read_time(const char* text, TimestampTz& value);

}  // namespace postgres
