// Boost.Beast keeps the header fields and knows the words of each status; the body follows as it is.
#include "http/response.hpp"

#include <charconv>
#include <sstream>

#include "http/boost_beast.hpp"

namespace http {
namespace {

namespace beast = boost::beast::http;

// A value that came from outside may not begin another field.
std::string one_line(std::string value) {
    for (char& c : value)
        if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) c = ' ';
    return value;
}

}  // namespace

std::string_view reason_of(int status) noexcept {
    const auto reason = beast::obsolete_reason(beast::int_to_status(static_cast<unsigned>(status)));
    return {reason.data(), reason.size()};
}

std::string wire_form(const Response& response, const WireOptions& options) {
    beast::response_header<> head;
    head.version(11);
    head.result(static_cast<unsigned>(response.status));
    if (!response.content_type.empty()) head.set(beast::field::content_type, response.content_type);
    for (const auto& [name, value] : response.headers) head.insert(name, one_line(value));
    if (options.is_stream && options.has_chunks) head.set(beast::field::transfer_encoding, "chunked");
    if (!options.is_stream && response.status != 204 && response.status != 304)
        head.set(beast::field::content_length, std::to_string(response.body.size()));
    if (!options.keeps_alive) head.set(beast::field::connection, "close");

    std::string wire;
    wire.reserve(256 + response.body.size());
    beast::response_header<>::writer writer(head, 11, static_cast<unsigned>(response.status));
    for (const auto& piece : writer.get()) wire.append(static_cast<const char*>(piece.data()), piece.size());
    if (!options.is_stream && !options.is_head) wire += response.body;
    return wire;
}

void append_chunk(std::string& wire, std::string_view bytes) {
    char size[20];
    wire.append(size, std::to_chars(size, size + sizeof size, bytes.size(), 16).ptr)
        .append("\r\n")
        .append(bytes)
        .append("\r\n");
}

}  // namespace http
