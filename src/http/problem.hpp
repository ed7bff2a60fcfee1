// Errors as "application/problem+json" (RFC 9457), and which status of HTTP an SQLSTATE becomes.
#pragma once

#include <string>
#include <string_view>

#include "http/response.hpp"

namespace http {

struct Problem {
    int status = 500;
    std::string detail = {};    // a sentence or more, in UTF-8; may be empty
    std::string hint = {};      // may be empty
    std::string sqlstate = {};  // five characters, or empty
    int retry_after = 0;        // seconds; 0: the client need not try again
};

Response response_of(const Problem& problem);

// The status for an error of a statement, and whether trying again later may help.
struct SqlStatus {
    int status;
    bool tries_again;
};
SqlStatus status_of(std::string_view sqlstate) noexcept;

}  // namespace http
