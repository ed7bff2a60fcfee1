// Renders what a client says to a NATS server, one function for each operation. Each appends to the bytes that are to be sent.
//
// A subject, a queue and a message id are tokens of printable ASCII without spaces: the functions do not check them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace relay {

// Names this client to the server. Texts are in UTF-8. An empty text is left out.
struct NatsClient {
    std::string_view name;     // of the connection, as the server's monitoring shows it
    std::string_view version;  // of this software
    std::string_view user, password;
    std::string_view token;  // in place of user and password
    bool is_tls_required = false;
};

// CONNECT. The server then sends no +OK, understands headers, and answers at once where nobody receives a request. It may send
// INFO again at any time.
void append_connect(std::string& bytes, const NatsClient& client);

// PUB. `reply` is the subject to which the receiver answers; empty: none.
void append_publish(std::string& bytes, std::string_view subject, std::string_view reply, std::string_view payload);

// HPUB with the header Nats-Msg-Id, by which a stream recognises a message that it has already.
void append_publish_with_id(std::string& bytes, std::string_view subject, std::string_view reply, std::string_view message_id,
                            std::string_view payload);

// SUB. The server names `sid` in each message for this subscription.
void append_subscribe(std::string& bytes, std::string_view subject, std::uint64_t sid);

// UNSUB, at once or after as many messages in all.
void append_unsubscribe(std::string& bytes, std::uint64_t sid, std::optional<std::uint64_t> after_messages = std::nullopt);

void append_ping(std::string& bytes);
void append_pong(std::string& bytes);

}  // namespace relay
