// Speaks the protocol in the order that the server expects: INFO, TLS, CONNECT, PING, PONG.
#include "relay/nats_connection.hpp"

#include <charconv>
#include <random>
#include <utility>
#include <variant>

#include "relay/nats_commands.hpp"

namespace relay {
namespace {

constexpr std::uint64_t kSubscription = 1;
constexpr const char* kClientVersion = "1";

// Replies to an older connection must not be taken for those of this one.
std::string new_inbox() {
    constexpr char kDigits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    std::random_device random;
    std::string inbox = "_INBOX.";
    for (int i = 0; i < 22; ++i) inbox += kDigits[random() % 62];
    return inbox + '.';
}

void append_number(std::string& text, std::uint64_t number) {
    char digits[20];
    text.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

}  // namespace

NatsConnection::NatsConnection(postgres::EventLoop& loop, NatsUser& user) : user_(user), stream_(loop, *this) {}

void NatsConnection::open(const PeerUrl& url, const std::string& authorities) {
    close();
    url_ = url;
    authorities_ = authorities;
    inbox_ = new_inbox();
    parser_ = NatsParser(NatsLimits{});
    server_ = {};
    has_greeted_ = false;
    state_ = State::kOpening;
    phase_ = Phase::kConnect;
    stream_.open(url.host, url.port);
}

void NatsConnection::close() noexcept {
    stream_.close();
    output_.clear();
    state_ = State::kClosed;
}

// The server speaks first.
void NatsConnection::opened() {
    phase_ = Phase::kHandshake;
}

// What came in plain text may come from somebody between the two.
void NatsConnection::secured() {
    parser_ = NatsParser(NatsLimits{});
    log_in();
}

void NatsConnection::failed(Phase phase, const std::string& reason) {
    const bool is_opening = state_ == State::kOpening;
    close();
    user_.failed(is_opening && phase == Phase::kRead ? phase_ : phase, reason);
}

void NatsConnection::give_up(Phase phase, const std::string& reason) {
    close();
    user_.failed(phase, reason);
}

void NatsConnection::received(std::string_view bytes) {
    ++heard_;
    while (state_ != State::kClosed) {
        const auto frame = parser_.next(bytes);
        if (frame) {
            take(*frame);
            continue;
        }
        if (parser_.flaw() != NatsFlaw::kNone)
            give_up(state_ != State::kOpening ? Phase::kRead
                    : phase_ == Phase::kTls   ? Phase::kTls
                                              : Phase::kHandshake,
                    "the server does not speak NATS: " + std::string(words_of(parser_.flaw())));
        break;
    }
    if (state_ != State::kClosed) flush();
}

void NatsConnection::take(const NatsFrame& frame) {
    if (phase_ == Phase::kTls) return give_up(Phase::kTls, "the server sends plain text where TLS begins");
    switch (frame.kind) {
        case NatsFrameKind::kInfo:
            return take_info(frame.text);
        case NatsFrameKind::kPing:
            return append_pong(output_);
        case NatsFrameKind::kPong:
            if (state_ != State::kOpening || !has_greeted_) return;
            state_ = State::kReady;
            return user_.ready();
        case NatsFrameKind::kOk:
            return;
        case NatsFrameKind::kError:
            return give_up(state_ == State::kOpening ? Phase::kAuthentication : Phase::kPublish, std::string(frame.text));
        case NatsFrameKind::kMessage:
            break;
    }
    if (frame.sid != kSubscription || !frame.subject.starts_with(inbox_)) return;
    const std::string_view digits = frame.subject.substr(inbox_.size());
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (error != std::errc() || end != digits.data() + digits.size()) return;
    user_.replied(number, frame.status, frame.payload);
}

void NatsConnection::take_info(std::string_view json) {
    auto info = parse_server_info(json);
    if (const auto* flaw = std::get_if<JsonFlaw>(&info)) return give_up(Phase::kHandshake, "the server's INFO: " + flaw->text);
    server_ = std::move(std::get<ServerInfo>(info));
    if (server_.is_leaving && state_ == State::kReady) return give_up(Phase::kRead, "the server is shutting down");
    if (has_greeted_) return;
    has_greeted_ = true;
    if (!url_.is_tls && !server_.is_tls_required) return log_in();
    if (url_.is_tls && !server_.is_tls_required && !server_.is_tls_available)
        return give_up(Phase::kTls, "the server offers no TLS");
    phase_ = Phase::kTls;
    stream_.secure(authorities_);
}

void NatsConnection::log_in() {
    phase_ = Phase::kAuthentication;
    if (!server_.has_headers) return give_up(Phase::kHandshake, "the server knows no headers (NATS 2.2 or later is needed)");
    append_connect(output_, {.name = "telemetry_cqrs relay",
                             .version = kClientVersion,
                             .user = url_.user,
                             .password = url_.password,
                             .token = url_.token,
                             .is_tls_required = url_.is_tls});
    append_subscribe(output_, inbox_ + "*", kSubscription);
    append_ping(output_);
    flush();
}

void NatsConnection::request(std::string_view subject, std::string_view payload, std::uint64_t number) {
    std::string reply = inbox_;
    append_number(reply, number);
    append_publish(output_, subject, reply, payload);
    flush();
}

void NatsConnection::publish(std::string_view subject, std::string_view message_id, std::string_view payload,
                             std::uint64_t number) {
    const std::size_t prefix = inbox_.size();
    append_number(inbox_, number);
    append_publish_with_id(output_, subject, inbox_, message_id, payload);
    inbox_.resize(prefix);
}

void NatsConnection::flush() {
    if (output_.empty()) return;
    stream_.write(output_);
    output_.clear();
}

void NatsConnection::ping() {
    append_ping(output_);
    flush();
}

}  // namespace relay
