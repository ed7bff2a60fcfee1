// Each event is a message for NATS.
#pragma once

#include "postgres/types.hpp"
#include "worker/relay_source.hpp"

namespace worker {

class EventSource final : public RelaySource {
public:
    void begin(relay::Chunk& chunk) override { chunk_ = &chunk; }
    std::int64_t most_events() const override { return 1000; }
    bool is_eager() const override { return true; }
    void take(std::span<const model::LoggedEvent* const> events) override;
    bool complete(const subscription::Place&, ::Snapshot) override { return false; }

private:
    relay::Chunk* chunk_ = nullptr;
};

}  // namespace worker
