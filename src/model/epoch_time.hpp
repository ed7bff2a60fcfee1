// Reads times that are numbers: how many seconds, or parts of one, since 1970-01-01 00:00 UTC.
#pragma once

#include <optional>
#include <string_view>

#include "model/identifiers.hpp"

namespace model {

enum class TimeUnit { kNone, kSeconds, kMilliseconds, kMicroseconds, kNanoseconds };

// Reads a number as JSON has it, such as 1767323045.678 or 1.767323045e9, in a unit (not kNone). No double comes in between, so
// that each digit counts. The time is rounded to microseconds, and half a microsecond goes to the even one.
// nullopt: the time is beyond the server's.
std::optional<Micros> read_epoch_time(std::string_view number, TimeUnit unit) noexcept;

}  // namespace model
