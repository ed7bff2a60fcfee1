// As which role a client of HTTP acts: that of its token (telemetry.http_token), or the one of clients without a token.
#pragma once

#include <string>
#include <variant>

#include "http/problem.hpp"
#include "postgres/types.hpp"

namespace api {

struct Caller {
    Oid role;
};

// Finds the role in the transaction in progress, whose active snapshot decides which tokens count. `authorization` is the field
// of the request. A token whose role is gone or is a superuser is of no use.
std::variant<Caller, http::Problem> find_caller(const std::string& authorization);

// May the role query this view of the extension?
bool may_read(const Caller& caller, const char* view);

}  // namespace api
