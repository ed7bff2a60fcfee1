// The statistics of each device of which events have come are a message for Redis.
//
// The value of a device is what the projection "device" has of it. It has no events that the projection has not applied, so the
// relay reads no further than the projection has. `version` is the last batch in the value, and orders the values of a device.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "postgres/types.hpp"
#include "worker/relay_source.hpp"

namespace worker {

class DeviceSource final : public RelaySource {
public:
    // `mark` is the key of the mark that ends each chunk (relay/redis_sink.hpp).
    explicit DeviceSource(std::string mark) : mark_(std::move(mark)) {}

    void begin(relay::Chunk& chunk) override;
    std::int64_t most_events() const override { return 10'000; }
    bool takes_more() const override { return devices_.size() < kFullChunk && events_ < kMostEvents; }
    model::BatchId at_most() override;
    void take(std::span<const model::LoggedEvent* const> events) override;
    bool complete(const subscription::Place& end, ::Snapshot snapshot) override;

    // Sends every device, in parts. It begins with the next read.
    void begin_anew() override;
    void has_arrived(std::uint64_t ticket) override;
    void has_failed() override;
    bool may_gather() const override { return !refresh_after_; }
    bool has_more() const override { return refresh_after_.has_value(); }

private:
    // A backlog has many events of each device, of which one message is made.
    static constexpr std::size_t kFullChunk = 20'000;    // devices
    static constexpr std::size_t kMostEvents = 200'000;  // in a look, which holds a snapshot

    void look_for_request();
    void begin_refresh();

    std::string mark_;
    relay::Chunk* chunk_ = nullptr;
    std::size_t events_ = 0;                    // that were read for it
    std::set<std::string> devices_;             // of these events
    std::optional<std::string> refresh_after_;  // the last device that a refresh has sent; nothing: none is under way
    std::int64_t requested_at_ = 0;             // when an administrator asked for the refresh that was begun last
    bool is_request_missing_ = false;           // a refresh is under way for which the table has no request
    bool is_refresh_sent_ = false;              // its last part is with the sink
    std::uint64_t refresh_ticket_ = 0;          // in the chunk of this ticket
    bool is_refresh_done_ = false;              // and has arrived, which is to be stored
    std::int32_t generation_ = 0;
    std::int64_t version_ = 0;
};

}  // namespace worker
