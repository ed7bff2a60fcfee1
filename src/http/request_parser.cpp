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
    parser_->eager(true);
}

RequestParser::RequestParser(RequestParser&&) noexcept = default;
RequestParser& RequestParser::operator=(RequestParser&&) noexcept = default;
RequestParser::~RequestParser() = default;

std::size_t RequestParser::take(std::string_view bytes) {
    if (flaw_ || is_complete()) return 0;
    boost::system::error_code error;
    const std::size_t used = parser_->put(boost::asio::buffer(bytes.data(), bytes.size()), error);
    if (!has_seen_head_ && parser_->is_header_done()) look_at_head();
    if (error && error != beast::error::need_more && !flaw_) flaw_ = flaw_of(error);
    // Beast looks at a piece of the head again when more of it comes, and the limit counts what it has used.
    if (!flaw_ && !has_seen_head_ && bytes.size() - used > kMostHeaderBytes) flaw_ = flaw_of(beast::error::header_limit);
    return used;
}

void RequestParser::look_at_head() {
    has_seen_head_ = true;
    const auto& head = parser_->get();
    if (const auto coding = head.find(beast::field::transfer_encoding); coding != head.end()) {
        if (!beast::token_list(coding->value()).exists("chunked") || !boost::beast::iequals(coding->value(), "chunked"))
            flaw_ = {501, std::string("The server does not know this Transfer-Encoding: ") + kLengthHint + "."};
        else if (head.version() < 11)
            flaw_ = {400, std::string("HTTP/1.0 has no Transfer-Encoding: ") + kLengthHint + "."};
    }
    expects_continue_ = boost::beast::iequals(head[beast::field::expect], "100-continue") && !parser_->is_done();
}

bool RequestParser::is_complete() const noexcept {
    return !flaw_ && parser_->is_done();
}

bool RequestParser::take_expectation() {
    return std::exchange(expects_continue_, false) && !flaw_;
}

Request RequestParser::request() {
    auto& message = parser_->get();
    Request request;
    const auto text = [&message](beast::field field) { return std::string(view_of(message[field])); };
    request.method = method_of(message.method());
    request.keeps_alive = parser_->keep_alive() && message.version() >= 11;
    request.accepts_gzip = beast::token_list(message[beast::field::accept_encoding]).exists("gzip");
    request.authorization = text(beast::field::authorization);
    request.if_none_match = text(beast::field::if_none_match);
    request.content_type = text(beast::field::content_type);
    request.content_encoding = text(beast::field::content_encoding);
    request.origin = text(beast::field::origin);
    request.last_event_id = std::string(view_of(message["Last-Event-ID"]));
    if (const auto key = message.find("Idempotency-Key"); key != message.end()) {
        request.has_idempotency_key = true;
        request.idempotency_key = std::string(view_of(key->value()));
    }
    if (auto target = parse_target(view_of(message.target())))
        request.target = *std::move(target);
    else
        flaw_ = {400, "The target of the request is no path, or has a percent sign without two hexadecimal digits."};
    request.body = std::move(message.body());
    return request;
}

}  // namespace http
