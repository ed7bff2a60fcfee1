// Writes times as ISO 8601 in UTC, with all microseconds.
#pragma once

#include <string>

#include "model/identifiers.hpp"

namespace model {

// Appends a time such as 2026-01-02T03:04:05.000678Z. The server's infinities become "infinity" and "-infinity". A year before
// 1 is written astronomically (0000 is 1 BC), and a year beyond 9999 with as many digits as it takes.
void append_time(std::string& text, Micros at);

}  // namespace model
