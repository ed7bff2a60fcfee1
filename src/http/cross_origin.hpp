// Which pages of other sites may use the answers (CORS, the Fetch standard).
#pragma once

#include <string>

#include "http/response.hpp"

namespace http {

// Adds the fields that let the pages of `origin` read the answer, if the setting allows this origin. `allowed`: an origin, or
// *.
void allow_origin(Response& response, const std::string& origin, const char* allowed);

// The answer to a page that asks first what it may send.
Response preflight(const std::string& methods);

}  // namespace http
