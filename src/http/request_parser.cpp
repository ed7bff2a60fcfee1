// Feeds Boost.Beast, and looks at the head of a request as soon as it is there.
#include "http/request_parser.hpp"

#include <utility>

#include "http/boost_beast.hpp"

namespace http {
namespace {

namespace beast = boost::beast::http;

constexpr const char* kLengthHint = "a body needs one Content-Length, or the coding \"chunked\" alone";

std::string_view view_of(boost::beast::string_view text) noexcept {
    return {text.data(), text.size()};
}

Method method_of(beast::verb verb) noexcept {
    switch (verb) {
        case beast::verb::get:
            return Method::kGet;
        case beast::verb::head:
            return Method::kHead;
        case beast::verb::post:
            return Method::kPost;
        case beast::verb::options:
            return Method::kOptions;
        default:
            return Method::kOther;
    }
}

// Does the text begin with a whole line before a chunk? That of a chunk without bytes does not count, because fields follow it.
bool begins_with_chunk_line(std::string_view text) noexcept {
    constexpr std::string_view kLineEnd = "\r\n";
    if (text.starts_with(kLineEnd)) text.remove_prefix(kLineEnd.size());
    const auto end = text.find(kLineEnd);
    const auto digit = text.find_first_not_of('0');
    return end != text.npos && digit < end &&
           std::string_view("123456789abcdefABCDEF").find(text[digit]) != std::string_view::npos;
}

RequestFlaw flaw_of(const boost::system::error_code& error) {
    if (error == beast::error::header_limit)
        return {431, "The request line and the header fields have more than " + std::to_string(kMostHeaderBytes) + " bytes."};
    if (error == beast::error::body_limit) return {413, "The body is larger than telemetry_cqrs.http_body allows."};
    if (error == beast::error::bad_version) return {505, "The server speaks HTTP/1.1 and HTTP/1.0."};
    return {400, "The bytes are no request of HTTP/1.1: " + error.message() + "."};
}

}  // namespace

struct RequestParser::Parser : beast::request_parser<beast::string_body> {};

RequestParser::RequestParser(std::size_t most_body_bytes) : parser_(std::make_unique<Parser>()) {
    parser_->header_limit(kMostHeaderBytes);
    parser_->body_limit(most_body_bytes);
}

RequestParser::RequestParser(RequestParser&&) noexcept = default;
RequestParser& RequestParser::operator=(RequestParser&&) noexcept = default;
RequestParser::~RequestParser() = default;

// Beast adds the fields behind the chunks to those of the head. So the head is taken before Beast sees more.
std::size_t RequestParser::take(std::string_view bytes) {
    if (flaw_ || is_complete()) return 0;
    std::size_t used = 0;
    if (!has_head_) {
        used = put(bytes);
        if (!flaw_ && parser_->is_header_done()) take_head();
    }
    if (!flaw_ && has_head_ && !parser_->is_done()) used += take_body(bytes.substr(used));
    // Beast looks at a piece of a head again when more of it comes, and its own limit counts what it has used. The line before
    // a chunk and the fields behind the last one are heads, too.
    if (!flaw_ && !parser_->is_done() && bytes.size() - used > kMostHeaderBytes) flaw_ = flaw_of(beast::error::header_limit);
    return used;
}

// Beast may not see a piece of the last chunk alone. The shortest end is a chunk of no bytes, and no field behind it. Where a
// quote in an extension has no end, Beast would look for it behind the line, and count the chunk against the limit each time.
std::size_t RequestParser::take_body(std::string_view bytes) {
    const std::size_t least = parser_->chunked() ? std::string_view("0\r\n\r\n").size() : 1;
    if (bytes.size() < least) return 0;
    const std::size_t used = put(bytes);
    if (!flaw_ && !parser_->is_done() && parser_->chunked() && begins_with_chunk_line(bytes.substr(used)))
        flaw_ = {400, "A chunk has an extension that cannot be read."};
    return used;
}

std::size_t RequestParser::put(std::string_view bytes) {
    try {
        boost::system::error_code error;
        const std::size_t used = parser_->put(boost::asio::buffer(bytes.data(), bytes.size()), error);
        if (error && error != beast::error::need_more) flaw_ = flaw_of(error);
        return used;
    } catch (const std::logic_error&) {
        flaw_ = {400, "The bytes are no request of HTTP/1.1."};
        return 0;
    }
}

void RequestParser::take_head() {
    has_head_ = true;
    parser_->eager(true);
    const auto& head = parser_->get();
    const bool is_1_1 = head.version() >= 11;
    if (const auto coding = head.find(beast::field::transfer_encoding); coding != head.end()) {
        if (!beast::token_list(coding->value()).exists("chunked") || !boost::beast::iequals(coding->value(), "chunked"))
            flaw_ = {501, std::string("The server does not know this Transfer-Encoding: ") + kLengthHint + "."};
        else if (!is_1_1)
            flaw_ = {400, std::string("HTTP/1.0 has no Transfer-Encoding: ") + kLengthHint + "."};
    }
    // Beast also takes a length that is given twice.
    if (const auto length = head.find(beast::field::content_length);
        !flaw_ && length != head.end() &&
        (head.count(beast::field::content_length) > 1 ||
         view_of(length->value()).find_first_not_of("0123456789") != std::string_view::npos))
        flaw_ = {400, std::string("The request has more than one length: ") + kLengthHint + "."};
    if (const auto hosts = head.count(beast::field::host); !flaw_ && (hosts > 1 || (hosts == 0 && is_1_1)))
        flaw_ = {400, "The request needs one field Host."};
    expects_continue_ = is_1_1 && boost::beast::iequals(head[beast::field::expect], "100-continue") && !parser_->is_done();

    const auto text = [&head](auto field) { return std::string(view_of(head[field])); };
    request_.method = method_of(head.method());
    request_.knows_chunks = is_1_1;
    request_.keeps_alive = parser_->keep_alive() && is_1_1;
    request_.accepts_gzip = beast::token_list(head[beast::field::accept_encoding]).exists("gzip");
    request_.authorization = text(beast::field::authorization);
    request_.if_none_match = text(beast::field::if_none_match);
    request_.content_type = text(beast::field::content_type);
    request_.content_encoding = text(beast::field::content_encoding);
    request_.origin = text(beast::field::origin);
    request_.last_event_id = text("Last-Event-ID");
    request_.has_idempotency_key = head.count("Idempotency-Key") > 0;
    request_.idempotency_key = text("Idempotency-Key");
    if (flaw_) return;
    if (auto target = parse_target(view_of(head.target())))
        request_.target = *std::move(target);
    else
        flaw_ = {400, "The target of the request is no path, or has a percent sign without two hexadecimal digits."};
}

bool RequestParser::is_complete() const noexcept {
    return !flaw_ && parser_->is_done();
}

bool RequestParser::take_expectation() {
    return std::exchange(expects_continue_, false) && !flaw_;
}

Request RequestParser::request() {
    request_.body = std::move(parser_->get().body());
    return std::move(request_);
}

}  // namespace http
