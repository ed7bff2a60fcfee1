// Keeps values in Redis, each only if it is newer than the one that is there, and tells subscribers of each change.
//
// - Of a message, `subject` is the key and `payload` the value, a JSON object whose first member is "version". The value
// expires.
// - A message without id is a mark: the sink sets the key to the payload as it stands. A chunk ends with the mark, the
// last batch of which every value has come.
// - When it connects, it reads the mark. If Redis has an older mark than the last one that arrived, Redis has lost values, and
//   `status().note` and `has_lost` say so.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "postgres/event_loop.hpp"
#include "relay/peer_url.hpp"
#include "relay/redis_connection.hpp"
#include "relay/sink.hpp"
#include "runtime/backoff.hpp"

namespace relay {

// No stored value exceeds this version, and Redis's numbers are exact up to it.
inline constexpr std::int64_t kHighestVersion = (std::int64_t{1} << 53) - 1;

struct RedisSinkOptions {
    PeerUrl server;
    std::int64_t expiry = 0;  // seconds; 0: none
    std::string channel;      // on which changes are published
    std::string mark;         // the key of the mark
    std::string authorities;  // a file of certificates; empty: those of the system
};

class RedisSink final : public Sink, private RedisUser {
public:
    RedisSink(postgres::EventLoop& loop, RedisSinkOptions options);

    bool has_room() const override;
    void take(Chunk chunk) override { outbox_.push(std::move(chunk)); }
    void forget() override { outbox_.clear(); }
    void rest() override;
    std::optional<std::uint64_t> take_finished() override { return outbox_.take_finished(); }
    void step(runtime::SteadyTime now) override;
    runtime::SteadyTime due_at() const override;
    std::size_t pending() const override { return outbox_.unsent() + outbox_.in_flight(); }
    const SinkStatus& status() const override { return status_; }
    bool take_lost() override;

    // The mark that must be there at least, as the owner knows it.
    void expect_mark(std::int64_t mark) override;

private:
    void ready() override;
    void replied(const RedisReply& reply) override;
    void failed(Phase phase, const std::string& reason) override;

    void take_script(const RedisReply& reply);
    void take_mark(const RedisReply& reply);
    void take_stored(const RedisReply& reply);
    void send_some();
    void give_up(Phase phase, const std::string& reason);

    enum class Expected { kScript, kMark, kStored };
    struct Command {
        Expected expected;
        std::vector<std::uint64_t> numbers;  // of the messages in it
        std::int64_t mark = 0;               // that it sets; 0: none
    };

    postgres::EventLoop& loop_;
    RedisSinkOptions options_;
    RedisConnection connection_;
    Outbox outbox_;
    SinkStatus status_;
    runtime::Backoff backoff_;
    runtime::SteadyTime up_at_ = 0;  // when the connection was last ready to send
    std::deque<Command> commands_;   // without a reply
    std::string script_;             // its digest
    std::string expiry_;
    bool is_up_ = false;
    bool has_lost_ = false;
    std::int64_t mark_ = 0;             // the last one that arrived
    runtime::SteadyTime retry_at_ = 0;  // while there is no connection
    runtime::SteadyTime progress_at_ = 0;
};

}  // namespace relay
