// The text form of a summary: a JSON object whose numbers read back bit for bit.
//
//   {"version":1,"count":2,"mean":1.5,"m2":0.5,"min":1,"max":2,"first_value":1,"last_value":2,"first_at":0,"last_at":60000000}
//
// Times are microseconds since 2000-01-01 UTC. An M2 beyond double precision is written "Infinity", as a string.
//
// A summary with a sketch has version 2 and one more member:
//
//   "sketch":{"zero":3,"negative":[[-12,1]],"positive":[[149,2],[150,7]]}
//
// Three values are 0. Two lie in (gamma^148, gamma^149], where gamma = 1.01 / 0.99, and the negative of one lies in
// (gamma^-13, gamma^-12]. The exponents of a list ascend.
//
// That of a counter has version 3 and, before a sketch, the member
//
//   "counter":{"resets":1,"fallen_from":8,"overlaps":false}
//
// It began again at 0 once, after it had been 8 (counter.hpp).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "summary/summary.hpp"

namespace summary {

// The summary must be consistent (is_consistent).
std::string to_text(const Summary& summary);

// Reads a text that has each name exactly once, in any order and with JSON's white space. Its numbers follow JSON's grammar and
// are in range, and nothing follows the object. Returns nothing for any other text, for another version, and for members that
// are not consistent.
std::optional<Summary> parse_summary(std::string_view text);

}  // namespace summary
