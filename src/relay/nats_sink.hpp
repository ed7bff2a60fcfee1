// Publishes messages to a stream of NATS JetStream, and waits for each acknowledgement.
//
// 1. It connects to the servers of the URL in turn. After a failure it waits, longer and longer, with some chance in it.
// 2. It asks for the stream, and makes it if it is missing.
// 3. It publishes in order, at most a window of messages ahead of the acknowledgements. "duplicate" is an acknowledgement.
// 4. After a failure it begins again at 1, and sends what is not acknowledged once more. The stream drops what it has, as long
// as
//    its duplicate window is not over.
#pragma once

#include <string>
#include <vector>

#include "postgres/event_loop.hpp"
#include "relay/jetstream.hpp"
#include "relay/nats_connection.hpp"
#include "relay/peer_url.hpp"
#include "relay/sink.hpp"
#include "runtime/backoff.hpp"

namespace relay {

struct NatsSinkOptions {
    std::vector<PeerUrl> servers;
    std::string stream;
    std::size_t window = 4096;  // messages
    std::string authorities;    // a file of certificates; empty: those of the system
};

class NatsSink final : public Sink, private NatsUser {
public:
    NatsSink(postgres::EventLoop& loop, NatsSinkOptions options);

    bool has_room() const override;
    void take(Chunk chunk) override { outbox_.push(std::move(chunk)); }
    void forget() override { outbox_.clear(); }
    void rest() override;
    std::optional<std::uint64_t> take_finished() override { return outbox_.take_finished(); }
    void step(runtime::SteadyTime now) override;
    runtime::SteadyTime due_at() const override;
    std::size_t pending() const override { return outbox_.unsent() + outbox_.in_flight(); }
    const SinkStatus& status() const override { return status_; }

private:
    void ready() override;
    void replied(std::uint64_t number, int status, std::string_view payload) override;
    void failed(Phase phase, const std::string& reason) override;

    std::size_t half_window() const noexcept { return (options_.window + 1) / 2; }
    void connect(runtime::SteadyTime now);
    void take_stream_reply(std::uint64_t request, int status, std::string_view payload);
    void check_stream(const StreamInfo& info);
    void take_acknowledgement(std::uint64_t number, int status, std::string_view payload);
    void publish_some();
    void give_up(Phase phase, const std::string& reason);
    void give_up_if_silent(runtime::SteadyTime now);

    postgres::EventLoop& loop_;
    NatsSinkOptions options_;
    NatsConnection connection_;
    Outbox outbox_;
    SinkStatus status_;
    runtime::Backoff backoff_;
    runtime::SteadyTime up_at_ = 0;  // when the connection was last ready to send
    std::size_t next_server_ = 0;
    bool has_stream_ = false;
    std::int64_t duplicate_window_ = 0;        // microseconds
    runtime::SteadyTime retry_at_ = 0;         // while there is no connection
    runtime::SteadyTime progress_at_ = 0;      // since when the server owes an answer
    runtime::SteadyTime sent_unknown_at_ = 0;  // when messages were sent whose fate is not known; 0: none are
    std::uint64_t heard_ = 0;
    runtime::SteadyTime heard_at_ = 0;
    bool has_pinged_ = false;
};

}  // namespace relay
