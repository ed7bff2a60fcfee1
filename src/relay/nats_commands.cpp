// Puts the operations of the NATS protocol together.
#include "relay/nats_commands.hpp"

#include <charconv>

#include "model/json_text.hpp"

namespace relay {

namespace {

constexpr std::string_view kLineEnd = "\r\n";
constexpr std::string_view kIdHeaderBegin = "NATS/1.0\r\nNats-Msg-Id: ";
constexpr std::string_view kHeaderEnd = "\r\n\r\n";

void append_number(std::string& bytes, std::uint64_t number) {
    char digits[20];
    bytes.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

// Appends "OPERATION subject [reply ]", behind which the sizes come.
void append_line_begin(std::string& bytes, std::string_view operation, std::string_view subject, std::string_view reply) {
    bytes += operation;
    bytes += subject;
    bytes += ' ';
    if (reply.empty()) return;
    bytes += reply;
    bytes += ' ';
}

void append_member(std::string& json, std::string_view name_and_colon, std::string_view text) {
    if (text.empty()) return;
    json += name_and_colon;
    model::append_json_string(json, text);
}

}  // namespace

void append_connect(std::string& bytes, const NatsClient& client) {
    bytes += R"(CONNECT {"verbose":false,"pedantic":false,"tls_required":)";
    bytes += client.is_tls_required ? "true" : "false";
    bytes += R"(,"lang":"C++","protocol":1,"headers":true,"no_responders":true)";
    append_member(bytes, R"(,"name":)", client.name);
    append_member(bytes, R"(,"version":)", client.version);
    append_member(bytes, R"(,"user":)", client.user);
    append_member(bytes, R"(,"pass":)", client.password);
    append_member(bytes, R"(,"auth_token":)", client.token);
    bytes += "}\r\n";
}

void append_publish(std::string& bytes, std::string_view subject, std::string_view reply, std::string_view payload) {
    append_line_begin(bytes, "PUB ", subject, reply);
    append_number(bytes, payload.size());
    bytes += kLineEnd;
    bytes += payload;
    bytes += kLineEnd;
}

void append_publish_with_id(std::string& bytes, std::string_view subject, std::string_view reply, std::string_view message_id,
                            std::string_view payload) {
    const std::size_t header_size = kIdHeaderBegin.size() + message_id.size() + kHeaderEnd.size();
    append_line_begin(bytes, "HPUB ", subject, reply);
    append_number(bytes, header_size);
    bytes += ' ';
    append_number(bytes, header_size + payload.size());
    bytes += kLineEnd;
    bytes += kIdHeaderBegin;
    bytes += message_id;
    bytes += kHeaderEnd;
    bytes += payload;
    bytes += kLineEnd;
}

void append_subscribe(std::string& bytes, std::string_view subject, std::uint64_t sid) {
    append_line_begin(bytes, "SUB ", subject, {});
    append_number(bytes, sid);
    bytes += kLineEnd;
}

void append_unsubscribe(std::string& bytes, std::uint64_t sid, std::optional<std::uint64_t> after_messages) {
    bytes += "UNSUB ";
    append_number(bytes, sid);
    if (after_messages) {
        bytes += ' ';
        append_number(bytes, *after_messages);
    }
    bytes += kLineEnd;
}

void append_ping(std::string& bytes) {
    bytes += "PING\r\n";
}

void append_pong(std::string& bytes) {
    bytes += "PONG\r\n";
}

}  // namespace relay
