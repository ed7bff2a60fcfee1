// Turns the bytes that a client sends into a request. The bytes come in pieces that may end anywhere.
//
// Boost.Beast parses, and refuses what two parsers could read in two ways: both lengths of a body, two different lengths, bytes
// that no name or value may have, line ends without CR. This parser also refuses each coding but "chunked" alone, "chunked"
// from a client of HTTP/1.0, and any number of fields Host but one. So no proxy in front can be led to see other requests than
// this one. The parser bounds what it keeps of an unfinished request: each head (of the request, of a chunk, behind the
// chunks) by kMostHeaderBytes, and the body by its own limit. Fields behind the chunks are dropped.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "http/request.hpp"

namespace http {

inline constexpr std::size_t kMostHeaderBytes = 16 * 1024;

// Why no request can be read. The connection is of no use after it.
struct RequestFlaw {
    int status = 400;
    std::string text;  // a sentence
};

class RequestParser {
public:
    explicit RequestParser(std::size_t most_body_bytes);
    RequestParser(RequestParser&&) noexcept;
    RequestParser& operator=(RequestParser&&) noexcept;
    ~RequestParser();

    // Takes bytes of one request and returns how many of them it has used; the caller gives the others again, with more. It
    // uses none that come after the request. Throws std::bad_alloc only.
    std::size_t take(std::string_view bytes);

    bool is_complete() const noexcept;
    const std::optional<RequestFlaw>& flaw() const noexcept { return flaw_; }

    // The client has sent the head with "Expect: 100-continue", and waits for a word before it sends the body. True once.
    bool take_expectation();

    // Of a complete request. The parser is used up.
    Request request();

private:
    struct Parser;

    std::size_t put(std::string_view bytes);
    std::size_t take_body(std::string_view bytes);
    void take_head();

    std::unique_ptr<Parser> parser_;
    std::optional<RequestFlaw> flaw_;
    Request request_;  // its head
    bool has_head_ = false;
    bool expects_continue_ = false;
};

}  // namespace http
