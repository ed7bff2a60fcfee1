// A connection to a Redis server: TLS, the login, the database, commands and their replies in order. hiredis reads the replies.
//
// The functions of the user run inside a callback of the loop. They may close the connection, and not delete it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "postgres/event_loop.hpp"
#include "relay/peer_url.hpp"
#include "relay/stream.hpp"

struct redisReader;

namespace relay {

struct RedisReply {
    enum class Kind { kText, kInteger, kNone, kError, kOther };
    Kind kind = Kind::kOther;
    std::string_view text;  // kText, kError
    std::int64_t integer = 0;
};

class RedisUser {
public:
    virtual void ready() = 0;                                         // logged in
    virtual void replied(const RedisReply& reply) = 0;                // to the next command that was sent since then
    virtual void failed(Phase phase, const std::string& reason) = 0;  // the connection is closed

protected:
    ~RedisUser() = default;
};

class RedisConnection final : private StreamUser {
public:
    RedisConnection(postgres::EventLoop& loop, RedisUser& user);
    ~RedisConnection();

    void open(const PeerUrl& url, const std::string& authorities);
    void close() noexcept;

    enum class State { kClosed, kOpening, kReady };
    State state() const noexcept { return state_; }
    Phase phase() const noexcept { return stream_.is_resolving() ? Phase::kResolve : phase_; }

    // While it is ready. Commands gather until `flush`.
    void send(const std::vector<std::string_view>& words);
    void flush();
    std::size_t unsent() const noexcept { return stream_.unsent() + output_.size(); }

private:
    void opened() override;
    void secured() override;
    void received(std::string_view bytes) override;
    void failed(Phase phase, const std::string& reason) override;

    void log_in();
    void take(const RedisReply& reply);
    void give_up(Phase phase, const std::string& reason);

    struct FreeReader {
        void operator()(redisReader* reader) const noexcept;
    };

    RedisUser& user_;
    Stream stream_;
    std::unique_ptr<redisReader, FreeReader> reader_;
    PeerUrl url_;
    std::string authorities_;
    State state_ = State::kClosed;
    Phase phase_ = Phase::kConnect;
    int greetings_ = 0;  // replies that the login still waits for
    std::string output_;
    std::size_t since_reply_ = 0;  // bytes that have come since the last reply was whole
};

}  // namespace relay
