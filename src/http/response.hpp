// An answer, and its form on the wire.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace http {

struct Response {
    int status = 200;
    std::string content_type = {};                                  // empty: there is no body
    std::vector<std::pair<std::string, std::string>> headers = {};  // further ones
    std::string body = {};

    Response& with(std::string name, std::string value) {
        headers.emplace_back(std::move(name), std::move(value));
        return *this;
    }
};

struct WireOptions {
    bool keeps_alive = true;
    bool is_head = false;    // the answer to HEAD: no body is sent, and Content-Length says how long it would be
    bool is_stream = false;  // the body follows piece by piece,
    bool has_chunks = true;  // each a chunk of the coding "chunked"; without it the end of the connection ends the body
};

// The words that belong to a status, such as "Not Found".
std::string_view reason_of(int status) noexcept;

// The bytes of the answer; of a stream those of its head.
std::string wire_form(const Response& response, const WireOptions& options);

// A chunk of a stream. An empty one ends it.
void append_chunk(std::string& wire, std::string_view bytes);

}  // namespace http
