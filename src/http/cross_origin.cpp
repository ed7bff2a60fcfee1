// The fields are the same for each route.
#include "http/cross_origin.hpp"

#include <string_view>

namespace http {

void allow_origin(Response& response, const std::string& origin, const char* allowed) {
    const std::string_view setting = allowed == nullptr ? "" : allowed;
    if (origin.empty() || (setting != "*" && setting != origin)) return;
    response.with("Access-Control-Allow-Origin", origin)
        .with("Access-Control-Expose-Headers", "ETag, As-Of, Retry-After")
        .with("Vary", "Origin");
}

Response preflight(const std::string& methods) {
    Response response;
    response.status = 204;
    response.with("Allow", methods)
        .with("Access-Control-Allow-Methods", methods)
        .with("Access-Control-Allow-Headers",
              "Authorization, Content-Type, Content-Encoding, Idempotency-Key, If-None-Match, Last-Event-ID")
        .with("Access-Control-Max-Age", "600");
    return response;
}

}  // namespace http
