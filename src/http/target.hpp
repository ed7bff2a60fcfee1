// The target of a request (RFC 9112, 3.2): the segments of its path and the parameters of its query, decoded.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace http {

struct Target {
    std::vector<std::string> path;                                // of "/devices/a%2Fb/stats": "devices", "a/b", "stats"
    std::vector<std::pair<std::string, std::string>> parameters;  // in the order of the query

    // The value of a parameter. Null: it was not given.
    const std::string* find(std::string_view name) const noexcept;
};

// Nullopt: the text is no target in origin form, a percent sign stands without two digits, or the decoded text has a NUL. In a
// query a plus sign is a space. Whether the text is UTF-8 is for those to see who use it.
std::optional<Target> parse_target(std::string_view text);

}  // namespace http
