// Appends JSON (RFC 8259) to a string, value by value. The caller writes commas and braces. All of it is ASCII, so that it can
// be converted to every encoding.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "model/identifiers.hpp"

namespace model {

void append_json_string(std::string& json, std::string_view text);  // UTF-8; adds quotes, and escapes all but ASCII
void append_json_number(std::string& json, std::int64_t number);
void append_json_number(std::string& json, double number);  // finite; the shortest text that reads back the same
void append_json_time(std::string& json, Micros at);        // a string, "2026-01-02T03:04:05.000678Z"

}  // namespace model
