// A connection to a NATS server: the greeting, TLS, the login, requests, published messages and their acknowledgements.
//
// The functions of the user run inside a callback of the loop. They may close the connection, and not delete it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "postgres/event_loop.hpp"
#include "relay/nats_parser.hpp"
#include "relay/peer_url.hpp"
#include "relay/server_info.hpp"
#include "relay/stream.hpp"

namespace relay {

class NatsUser {
public:
    virtual void ready() = 0;  // logged in
    // The reply to request or message number `number`. A status of 503 says that nobody answers.
    virtual void replied(std::uint64_t number, int status, std::string_view payload) = 0;
    virtual void failed(Phase phase, const std::string& reason) = 0;  // the connection is closed

protected:
    ~NatsUser() = default;
};

class NatsConnection final : private StreamUser {
public:
    NatsConnection(postgres::EventLoop& loop, NatsUser& user);
    ~NatsConnection() = default;

    void open(const PeerUrl& url, const std::string& authorities);
    void close() noexcept;

    enum class State { kClosed, kOpening, kReady };
    State state() const noexcept { return state_; }
    const ServerInfo& server() const noexcept { return server_; }

    // While it is ready. The reply comes with the number.
    void request(std::string_view subject, std::string_view payload, std::uint64_t number);
    // The bytes gather until `flush`.
    void publish(std::string_view subject, std::string_view message_id, std::string_view payload, std::uint64_t number);
    void flush();
    void ping();

    std::size_t unsent() const noexcept { return stream_.unsent() + output_.size(); }
    // How many times the server has said something.
    std::uint64_t heard() const noexcept { return heard_; }
    // The phase that the connection is in while it opens.
    Phase phase() const noexcept { return stream_.is_resolving() ? Phase::kResolve : phase_; }

private:
    void opened() override;
    void secured() override;
    void received(std::string_view bytes) override;
    void failed(Phase phase, const std::string& reason) override;

    void take(const NatsFrame& frame);
    void take_info(std::string_view json);
    void log_in();
    void give_up(Phase phase, const std::string& reason);

    NatsUser& user_;
    Stream stream_;
    PeerUrl url_;
    std::string authorities_;
    std::string inbox_;  // the subject of replies, up to the number
    NatsParser parser_{NatsLimits{}};
    ServerInfo server_;
    State state_ = State::kClosed;
    Phase phase_ = Phase::kConnect;
    bool has_greeted_ = false;
    std::string output_;
    std::uint64_t heard_ = 0;
};

}  // namespace relay
