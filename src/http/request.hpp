// A request as a client sent it, taken apart. It has those header fields only that decide something here.
#pragma once

#include <string>

#include "http/target.hpp"

namespace http {

enum class Method { kGet, kHead, kPost, kOptions, kOther };

struct Request {
    Method method = Method::kOther;
    Target target;
    bool keeps_alive = false;
    bool knows_chunks = true;  // the client speaks HTTP/1.1
    bool accepts_gzip = false;
    std::string authorization;
    std::string if_none_match;
    std::string idempotency_key;
    bool has_idempotency_key = false;
    std::string last_event_id;
    std::string content_type;
    std::string content_encoding;
    std::string origin;
    std::string body;
};

}  // namespace http
