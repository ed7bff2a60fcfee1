// A sink sends messages to a server outside the database, and learns which of them have arrived.
//
// It lives in a libuv loop. `step` does everything that needs time or room; callbacks only note what has arrived. No function
// waits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "relay/outbox.hpp"
#include "relay/stream.hpp"
#include "runtime/steady_time.hpp"

namespace relay {

enum class SinkState { kConnecting, kConnected, kBackingOff };

struct SinkFailure {
    std::string phase;
    std::string reason;
};

struct SinkStatus {
    SinkState state = SinkState::kConnecting;
    std::string server;                  // the URL without secrets
    std::uint64_t sent = 0;              // messages, repeats included
    std::uint64_t acknowledged = 0;      // messages
    std::uint64_t duplicates = 0;        // that the server had already
    std::uint64_t failures = 0;          // of connections
    std::uint64_t late_repeats = 0;      // messages sent again after the server may have forgotten them
    std::string note;                    // on the configuration of the server
    std::optional<SinkFailure> failure;  // since the connection was last up
};

class Sink {
public:
    Sink() = default;
    Sink(const Sink&) = delete;
    Sink& operator=(const Sink&) = delete;
    virtual ~Sink() = default;

    // Does it want more messages now?
    virtual bool has_room() const = 0;
    virtual void take(Chunk chunk) = 0;

    // Sends nothing more of what it has taken.
    virtual void forget() = 0;

    // Forgets, and ends the connection without a failure. The next step connects again.
    virtual void rest() = 0;

    // The ticket of the last chunk that has arrived since the last call, with all before it.
    virtual std::optional<std::uint64_t> take_finished() = 0;

    // For a sink that keeps values: has the server lost some since the last call? Then all of them are to be sent again. The
    // owner says which mark the server must have at least (redis_sink.hpp).
    virtual bool take_lost() { return false; }
    virtual void expect_mark(std::int64_t) {}

    // Connects, sends, and gives up a server that is silent. Call it after each wait, and not later than `due_at`.
    virtual void step(runtime::SteadyTime now) = 0;
    virtual runtime::SteadyTime due_at() const = 0;

    // Messages that are to be sent, or whose acknowledgement has not come.
    virtual std::size_t pending() const = 0;

    virtual const SinkStatus& status() const = 0;
};

}  // namespace relay
