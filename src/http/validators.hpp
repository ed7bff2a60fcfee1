// The fields by which a client knows whether it has an answer already (RFC 9110, section 8.8.3), and how old it is.
#pragma once

#include <optional>
#include <string>

#include "http/request.hpp"
#include "http/response.hpp"
#include "model/identifiers.hpp"

namespace http {

// Adds ETag, a hash of the body, and As-Of, the time up to which the answer is complete. A client that has this answer already
// gets 304 without a body.
void add_validators(Response& response, const Request& request, std::optional<model::Micros> as_of);

}  // namespace http
